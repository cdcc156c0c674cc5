"""KFP interface of benchmark."""

from typing import List, Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.BENCHMARK, install_kfp_package=False)
def benchmark(
    dataset: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    results: dsl.Output[dsl.Artifact],
    report_html: dsl.Output[dsl.HTML],
    report_markdown: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    confusion_matrix: dsl.Output[dsl.ClassificationMetrics],
    student: dsl.Input[dsl.Model] = None,
    sparse: dsl.Input[dsl.Model] = None,
    quantized: dsl.Input[dsl.Model] = None,
    split: str = "validation",
    batch_sizes: List[int] = [1, 8, 32],
    rounds: int = 10,
    time_budget_s: float = 90.0,
    threads: Optional[int] = None,
    max_length_tokens: int = 128,
    padded: bool = False,
    seed: int = 0,
) -> None:
    """Measure all models side by side and write a report.

    Each model runs in every runtime that can serve it on this CPU, each in a process of its own. They take turns on the
    same batches, so that what disturbs one disturbs all. Speed, memory, size and accuracy come from the same process on
    the same files. The report names the one to serve, and says where a technique brings nothing on this CPU.

    A model that cannot be measured is listed with the reason, and the others are measured; the task fails only where
    none can be. Where memory does not hold all at once, they are measured in groups with the same reference in each.

    Args:
        dataset: Data that data_prep prepared.
        teacher: The teacher; FP32 in torch eager is the reference of all speeds.
        results: Folder with benchmark.json, report.html and report.md.
        report_html: The report.
        report_markdown: The report as Markdown.
        metrics: Its figures, flat, with stable names.
        confusion_matrix: Of the model to serve; with two classes, the ROC curve, too.
        student: The distilled FP32 model.
        sparse: The sparse FP32 model.
        quantized: The INT8 model.
        split: Split that accuracy and sequence lengths are taken from.
        batch_sizes: Sentences in a batch.
        rounds: Times that all take turns, if the time allows it.
        time_budget_s: Seconds for all timed rounds together; never fewer than 3 rounds.
        threads: Threads of every runtime; by default all CPUs of the container's limit.
        max_length_tokens: Longer sentences are cut.
        padded: Pad every sentence to max_length_tokens, not to the longest of its batch.
        seed: Of the sentences' order and of the turns.
    """
    import shutil
    from pathlib import Path

    from compaware.components.launch import log_classification, log_metrics, run_component

    # Here a model's role serves as its name.
    models = {"teacher": teacher, "student": student, "int8": quantized, "sparse": sparse}
    summary = run_component(
        "benchmark",
        {
            "output": results.path,
            "dataset": dataset.path,
            "candidates": [
                {"name": role, "role": role, "folder": model.path} for role, model in models.items() if model
            ],
            "split": split,
            "batch_sizes": batch_sizes,
            "rounds": rounds,
            "time_budget_s": time_budget_s,
            "threads": threads,
            "max_length_tokens": max_length_tokens,
            "padded": padded,
            "seed": seed,
        },
    )
    log_metrics(summary, metrics)
    log_classification(summary, confusion_matrix)
    shutil.copyfile(Path(results.path) / "report.html", report_html.path)
    shutil.copyfile(Path(results.path) / "report.md", report_markdown.path)
