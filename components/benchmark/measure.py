"""Measures all candidates side by side: each runtime has its own process, and they take turns on the same batches."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from compaware.components.benchmark.comparisons import fill_comparisons, fill_criteria, fill_ratios
from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.benchmark.flat_metrics import flat_metrics
from compaware.components.benchmark.floor.prepare import prepare_floors
from compaware.components.benchmark.quality.collect import collect_quality
from compaware.components.benchmark.recommendation import recommend
from compaware.components.benchmark.report import sentences
from compaware.components.benchmark.report.formatting import (
    capitalized,
    display_name,
    reported_split,
    runtime_and_precision,
)
from compaware.components.benchmark.report.render import load_summaries, render_html, render_markdown
from compaware.components.benchmark.results import FILE_NAME, Benchmark, Group, Measured
from compaware.components.benchmark.serving.scenarios import measure_serving
from compaware.components.benchmark.splits import labelled_splits
from compaware.components.benchmark.timing import BatchSpeed
from compaware.components.benchmark.trivial import find_trivial
from compaware.components.benchmark.workers.failures import Failures
from compaware.components.benchmark.workers.groups import available_memory_bytes, memory_needed_bytes, plan_groups
from compaware.components.benchmark.workers.pinning import choose_affinity, choose_threads
from compaware.components.benchmark.workers.rounds import Figures, measure_group, scaled
from compaware.components.benchmark.workers.scoring import SCORING_BATCH, logits_file
from compaware.components.benchmark.workers.tokenized_split import TokenizedSplit
from compaware.components.benchmark.workers.variants import input_limit, prepare_variants, read_configs
from compaware.components.benchmark.workers.worker_process import Variant
from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import size_bytes, write_text
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import TEST, PreparedDataset, load_dataset_folder
from compaware.components.core.evaluation.confusion import classification_facts
from compaware.components.core.evaluation.criterion import CriterionResult
from compaware.components.core.evaluation.metrics import metric_label
from compaware.components.core.sparsity.measure import compressed_bytes
from compaware.components.core.stage.workspace import Workspace

log = logging.getLogger(__name__)


def run(config: BenchmarkConfig, workspace: Workspace) -> Summary:
    """Measures the candidates, writes `benchmark.json`, `report.html` and `report.md`, and prints the figures."""
    benchmark, summaries, variants = measure(config, workspace.work)
    benchmark.recommended = recommend(benchmark)
    chosen = [benchmark.recommended.id, *benchmark.recommended.by_batch.values()]
    benchmark.serving = measure_serving(benchmark, chosen, benchmark.dense(), variants, config, workspace.work)
    benchmark.quality = collect_quality(benchmark, load_dataset_folder(config.dataset), workspace.work)
    benchmark.words = sentences.sentences(benchmark)
    write_text(workspace.output / FILE_NAME, benchmark.model_dump_json(indent=2) + "\n")
    write_text(workspace.output / "report.html", render_html(benchmark, summaries))
    write_text(workspace.output / "report.md", render_markdown(benchmark, summaries))
    print_figures(benchmark, sentences.headline(benchmark))
    return Summary.create("benchmark", config, flat_metrics(benchmark), _facts(benchmark, config, workspace.work))


def measure(config: BenchmarkConfig, work: Path) -> tuple[Benchmark, dict[str, Summary], list[Variant]]:
    """Measures all candidates except those that cannot be measured, which are listed with the reason.

    Args:
        config: The configuration of the benchmark.
        work: Folder for inputs, converted forms and logs.

    Returns:
        The figures, without a recommendation; the summaries of the measured candidates by name; and the variants.

    Raises:
        UserError: There are fewer CPUs than threads, the split is empty or has no labels, or no candidate can be
            measured.
    """
    threads = choose_threads(config.threads)
    dataset = load_dataset_folder(config.dataset)
    if not dataset.manifest.splits.get(config.split):
        raise UserError(f"split '{config.split}' of {config.dataset} is empty or missing: choose another split")
    dataset.labels(config.split)  # Fails at once if the split has no labels.
    failures = Failures()
    log.info("%d threads for every runtime, on %s (%s)", threads, cpu.model_name(), ", ".join(cpu.flags()))
    configs = read_configs(config, dataset, failures)
    failures.require_any(bool(configs))
    limit = input_limit(config, configs)
    variants = prepare_variants(config, list(configs), dataset, limit, work, failures)
    failures.require_any(bool(variants))
    floors, trainings = prepare_floors(config, list(configs), dataset, work, failures)
    candidates, groups = _measure([*variants, *floors], threads, limit, dataset, config, work, failures)
    failures.require_any(any(item.role != "floor" for item in candidates))
    names = {item.name for item in candidates}
    summaries = load_summaries({item.name: item.folder for item in config.models if item.name in names})
    settings = config.model_dump(mode="json", include={"rounds", "time_budget_s", "padded", "seed"})
    benchmark = Benchmark(
        machine=cpu.machine_facts() | {"threads": threads, "affinity": choose_affinity(threads).reason},
        data=_data_facts(dataset, config, TokenizedSplit.load(variants[0].inputs(config.split))),
        settings=settings | {"max_length_tokens": limit, "length_limited_by_model": limit < config.max_length_tokens},
        candidates=candidates,
        unmeasured=failures.items,
        floors=trainings,
        groups=groups,
    )
    own = {name: CriterionResult.from_summary(summary) for name, summary in summaries.items()}
    fill_criteria(benchmark, {name: criterion for name, criterion in own.items() if criterion})
    fill_ratios(benchmark)
    labels = {split: dataset.labels(split) for split in labelled_splits(config, dataset)}
    fill_comparisons(benchmark, labels, lambda item, split: np.load(logits_file(work, item.id, split)))
    split = reported_split(benchmark)
    logits = ((item.id, np.load(logits_file(work, item.id, split))) for item in candidates)
    benchmark.trivial = find_trivial(dataset.manifest.metric, labels[split], dataset.manifest.label_names, logits)
    return benchmark, summaries, variants


def _measure(
    variants: list[Variant],
    threads: int,
    limit: int,
    dataset: PreparedDataset,
    config: BenchmarkConfig,
    work: Path,
    failures: Failures,
) -> tuple[list[Measured], list[Group]]:
    """Measures all variants, in several groups if memory does not hold them at once."""
    # The reference of all speeds comes first, since it is in each group.
    ordered = sorted(variants, key=_reference_rank)
    rows = max(SCORING_BATCH, *config.batch_sizes)
    needed = [memory_needed_bytes(variant, rows, limit) for variant in ordered]
    plan = plan_groups(needed, available_memory_bytes())
    if len(plan) > 1:
        log.info("memory does not hold all %d processes at once: measuring in %d groups", len(variants), len(plan))
    figures: dict[Variant, Figures] = {}
    groups: list[Group] = []
    for indices in plan:
        budget_s = config.time_budget_s * len(indices) / sum(map(len, plan))
        members = [ordered[index] for index in indices]
        measured = measure_group(members, dataset, config, threads, limit, budget_s, work, failures)
        reference = next(iter(figures), None)
        scales = {} if reference is None else _scales(figures[reference], measured.get(reference))
        groups.append(Group(candidates=[variant.id for variant in measured], scales=scales))
        figures |= {variant: scaled(item, scales) for variant, item in measured.items() if variant is not reference}
    deflated = _deflate(list(figures))
    return [
        _measured(variant, figures[variant], dataset, deflated) for variant in variants if variant in figures
    ], groups


def _reference_rank(variant: Variant) -> tuple[bool, bool]:
    """Sorts the teacher in FP32 and torch eager first, then the student in FP32 and torch eager, then all others."""
    is_plain = (variant.runtime, variant.precision) == ("torch", "fp32")
    return not (is_plain and variant.candidate.role == "teacher"), not (
        is_plain and variant.candidate.role == "student"
    )


def _scales(first: Figures, again: Figures | None) -> dict[int, float]:
    """Returns by batch size the reference's time in the first group over that in this one; empty if it failed here."""
    if again is None:
        return {}
    return {size: _median(rounds) / _median(again.seconds[size]) for size, rounds in first.seconds.items()}


def _median(rounds: list[list[float]]) -> float:
    return float(np.median([second for calls in rounds for second in calls]))


def _measured(variant: Variant, figures: Figures, dataset: PreparedDataset, deflated: dict[Path, int]) -> Measured:
    return Measured(
        id=variant.id,
        name=variant.candidate.name,
        role=variant.candidate.role,
        precision=variant.precision,
        runtime=variant.runtime,
        metric_name=dataset.manifest.metric,
        metric=figures.metric,
        f1_by_label=figures.f1_by_label,
        size_bytes=sum(size_bytes(file) for file in variant.files),
        compressed_bytes=sum(deflated[file] for file in variant.files),
        loaded_memory_bytes=figures.loaded_memory_bytes,
        peak_memory_bytes=figures.peak_memory_bytes,
        batches={size: BatchSpeed.from_rounds(rounds, size) for size, rounds in figures.seconds.items()},
        path="" if variant.candidate.role == "floor" else str(variant.candidate.folder),
    )


def _deflate(variants: list[Variant]) -> dict[Path, int]:
    """Returns the compressed size of every file; several files are compressed at a time."""
    files = sorted({file for variant in variants for file in variant.files})
    sizes = {}
    with ThreadPoolExecutor(cpu.cpu_limit()) as pool:
        for file, size in zip(files, pool.map(compressed_bytes, files), strict=True):
            sizes[file] = size
            log.info("deflated %d of %d files: %s", len(sizes), len(files), file.name)
    return sizes


def _data_facts(dataset: PreparedDataset, config: BenchmarkConfig, inputs: TokenizedSplit) -> dict[str, object]:
    return {
        "task": dataset.manifest.task,
        "split": config.split,
        "rows": dataset.manifest.splits[config.split],
        "test_rows": dataset.manifest.splits[TEST] if TEST in labelled_splits(config, dataset)[1:] else 0,
        "metric": dataset.manifest.metric,
        "fingerprint": dataset.manifest.fingerprint,
        "median_length_tokens": float(np.median(inputs.lengths)),
        "cut_rows": inputs.cut_rows,
    }


def _facts(benchmark: Benchmark, config: BenchmarkConfig, work: Path) -> dict[str, Any]:
    """Returns the headline, and the figures, confusion matrix and ROC curve of the model to serve."""
    assert benchmark.recommended is not None
    dataset = load_dataset_folder(config.dataset)
    logits = np.load(logits_file(work, benchmark.recommended.id, config.split))
    classified = classification_facts(dataset.manifest, logits, dataset.labels(config.split))
    served = benchmark.by_id(benchmark.recommended.id)
    lineage = {
        "model_to_serve": served.id,
        served.metric_name: served.metric,
        **({f"test_{served.metric_name}": served.test.metric} if served.test else {}),
        "size_bytes": served.size_bytes,
        **{f"batch{size}_p50_ms": batch.p50_ms for size, batch in served.batches.items()},
    }
    return {"headline": sentences.headline(benchmark), "lineage": lineage, **classified}


def print_figures(benchmark: Benchmark, headline: str) -> None:
    """Prints the figures of each candidate, and then the sentences of the report."""
    for item in benchmark.candidates:
        for size, batch in item.batches.items():
            print(f"{display_name(item.name)}, {runtime_and_precision(item)}")
            print(f"Batch size = {size}")
            print(f"Final Eval {capitalized(metric_label(item.metric_name))}: {item.metric:.4f}")
            if item.test:
                print(f"Test {capitalized(metric_label(item.metric_name))}: {item.test.metric:.4f}")
            print(f"Rounds: {len(batch.round_ms)}, calls: {batch.calls}")
            print(f"Latency: {batch.p50_ms:.3f} ms")
            print(f"Throughput: {batch.samples_per_s:.1f} samples/sec", flush=True)
    print(headline)
    for sentence in benchmark.words:
        print(f"- {sentence}", flush=True)
