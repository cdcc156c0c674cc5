"""KFP interface of benchmark."""

# Generated from config.py by `make compile`: change that, not this file.

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.BENCHMARK, install_kfp_package=False)
def benchmark(
    dataset: dsl.Input[dsl.Dataset],
    results: dsl.Output[dsl.Artifact],
    report_html: dsl.Output[dsl.HTML],
    report_markdown: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    confusion_matrix: dsl.Output[dsl.ClassificationMetrics],
    teacher: dsl.Input[dsl.Model] = None,
    student: dsl.Input[dsl.Model] = None,
    sparse: dsl.Input[dsl.Model] = None,
    quantized: dsl.Input[dsl.Model] = None,
    max_length_tokens: int = 128,
    options: dict = {},
) -> None:
    """Measure all models side by side and write a report.

    Each model runs in every runtime that can serve it on this CPU, in a separate process. The processes take turns on
    the same batches, so that a disturbance affects all of them. Speed, memory, size and accuracy come from the same
    process and the same files. The report recommends the fastest form (model, runtime and precision) that keeps the
    accuracy, and says which technique brings nothing on this CPU. A labelled test split is reported and decides
    nothing.

    A model that cannot be measured is listed with the reason; the task fails only if no model can be measured. If
    memory does not hold all processes at once, they are measured in groups that share a reference.

    Args:
        dataset: Folder of a Dataset artifact.
        teacher: The teacher; FP32 in torch eager is the reference of all speeds.
        student: The distilled FP32 model.
        sparse: The sparse FP32 model.
        quantized: The INT8 model.
        results: Folder with benchmark.json, report.html and report.md.
        report_html: The report.
        report_markdown: The report as Markdown.
        metrics: All figures as flat numbers with stable names.
        confusion_matrix: Confusion matrix of the model to serve, and its ROC curve for two classes.
        max_length_tokens: Longer sentences are cut.
        options: Further configuration: split, batch_sizes, rounds, time_budget_s, threads, padded, latency_bound_ms,
            seed, floor, candidates.
    """
    from compaware.components.launch import copy_file, log_classification, log_metrics, run_component

    summary = run_component(
        "benchmark",
        {
            "output": results,
            "dataset": dataset,
            "teacher": teacher,
            "student": student,
            "sparse": sparse,
            "quantized": quantized,
            "max_length_tokens": max_length_tokens,
            "options": options,
        },
    )
    copy_file(results, "report.html", report_html)
    copy_file(results, "report.md", report_markdown)
    log_metrics(summary, metrics)
    log_classification(summary, confusion_matrix)
