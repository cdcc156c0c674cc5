"""KFP interface of sweep_benchmark."""

from typing import List, Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.BENCHMARK, install_kfp_package=False)
def sweep_benchmark(
    dataset: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    branches: dsl.Input[List[dsl.Artifact]],
    results: dsl.Output[dsl.Artifact],
    report_html: dsl.Output[dsl.HTML],
    report_markdown: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    max_latency_ms: Optional[float] = None,
    max_size_mb: Optional[float] = None,
    min_accuracy: Optional[float] = None,
    split: str = "validation",
    batch_sizes: List[int] = [1, 8, 32],
    rounds: int = 10,
    time_budget_s: float = 90.0,
    threads: Optional[int] = None,
    max_length_tokens: int = 128,
    padded: bool = False,
    seed: int = 0,
) -> None:
    """Measure all members of a sweep side by side and name the one to serve.

    They are measured as benchmark measures, in one pod and taking turns; each member in OpenVINO and onnxruntime, of
    which its faster one counts. The report shows the Pareto fronts of accuracy against latency and against size, and
    the members that could not be made or measured, with their reasons. Of the members that meet all limits, the fastest
    is recommended where an accuracy is asked for, else the most accurate; without any limit, the fastest within a point
    of the most accurate. Where none meets them, the report says which is nearest.

    Args:
        dataset: Data that data_prep prepared.
        teacher: The teacher; FP32 in torch eager is the reference of all speeds.
        branches: What sweep_branch made.
        results: Folder with benchmark.json, sweep.json, report.html and report.md.
        report_html: The report.
        report_markdown: The report as Markdown.
        metrics: Each member's figures, and the recommended one's under names that are the same in every sweep.
        max_latency_ms: Longest median latency at the smallest batch size.
        max_size_mb: Largest size of the served files, in MB of a million bytes.
        min_accuracy: Least value of the task's primary metric, whatever that is.
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

    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "sweep_benchmark",
        {
            "output": results.path,
            "dataset": dataset.path,
            "teacher": teacher.path,
            "branches": [branch.path for branch in branches],
            "max_latency_ms": max_latency_ms,
            "max_size_mb": max_size_mb,
            "min_accuracy": min_accuracy,
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
    shutil.copyfile(Path(results.path) / "report.html", report_html.path)
    shutil.copyfile(Path(results.path) / "report.md", report_markdown.path)
