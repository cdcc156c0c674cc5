"""KFP interface of sweep_benchmark."""

# Generated from config.py by `make compile`: change that, not this file.

from typing import List

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
    max_length_tokens: int = 128,
    max_latency_ms: float = 0.0,
    max_size_mb: float = 0.0,
    min_accuracy: float = 0.0,
    options: dict = {},
) -> None:
    """Measure all members of a sweep side by side and name the one to serve.

    The members are measured in one pod, in turns, as benchmark does it. Each member runs in OpenVINO and onnxruntime,
    and its fastest form (runtime and precision) that keeps the accuracy of its most accurate form counts. The report
    shows the Pareto fronts of accuracy against latency and against size, and lists the members that failed with their
    reasons. Of the members that meet all limits, it recommends the fastest if a minimum accuracy is given, and
    otherwise the most accurate. Without any limit, it recommends the fastest within one point of the most accurate. If
    no member meets the limits, the report names the nearest one. The test split decides nothing.

    Args:
        dataset: Folder of a Dataset artifact.
        teacher: Folder of the teacher; FP32 in torch eager is the reference of all speeds.
        branches: Folders that sweep_branch wrote.
        results: Folder with benchmark.json, sweep.json, report.html and report.md.
        report_html: The report.
        report_markdown: The report as Markdown.
        metrics: Figures of each member, and of the recommended one under names that are the same in every sweep.
        max_length_tokens: Longer sentences are cut.
        max_latency_ms: Maximum median latency at the smallest batch size, in ms; 0: no limit.
        max_size_mb: Maximum size of the served files, in MB (10^6); 0: no limit.
        min_accuracy: Minimum of the task's primary metric; 0: no limit.
        options: Further configuration: split, batch_sizes, rounds, time_budget_s, threads, padded, latency_bound_ms,
            seed, floor.
    """
    from compaware.components.launch import copy_file, log_metrics, run_component

    summary = run_component(
        "sweep_benchmark",
        {
            "output": results,
            "dataset": dataset,
            "teacher": teacher,
            "branches": branches,
            "max_length_tokens": max_length_tokens,
            "max_latency_ms": max_latency_ms,
            "max_size_mb": max_size_mb,
            "min_accuracy": min_accuracy,
            "options": options,
        },
    )
    copy_file(results, "report.html", report_html)
    copy_file(results, "report.md", report_markdown)
    log_metrics(summary, metrics)
