"""Measures one group of variants: their workers score a split, take turns on its batches, and score other splits."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.benchmark.timing import plan_rounds, shuffled_orders
from compaware.components.benchmark.workers.failures import Failures
from compaware.components.benchmark.workers.scoring import score_further_splits, score_timed_split
from compaware.components.benchmark.workers.worker_process import Variant, Worker
from compaware.components.core.base.progress import Progress
from compaware.components.core.data.dataset import PreparedDataset

_TRIAL_SENTENCES = 8
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figures:
    """Figures that one worker measured.

    Attributes:
        metric: The primary metric over the whole split.
        f1_by_label: F1 of each label of multi-label data; empty for other data.
        loaded_memory_bytes: Resident memory of the process after loading and a first prediction.
        peak_memory_bytes: Highest resident memory of the process.
        seconds: By batch size, the time of each call in each round.
    """

    metric: float
    f1_by_label: dict[str, float]
    loaded_memory_bytes: int
    peak_memory_bytes: int
    seconds: dict[int, list[list[float]]]


def scaled(figures: Figures, scales: dict[int, float]) -> Figures:
    """Returns the figures with the times of each batch size multiplied by its scale, or by 1 if it has none."""
    seconds = {
        size: [[second * scales.get(size, 1.0) for second in calls] for calls in rounds]
        for size, rounds in figures.seconds.items()
    }
    return replace(figures, seconds=seconds)


def measure_group(
    variants: list[Variant],
    dataset: PreparedDataset,
    config: BenchmarkConfig,
    threads: int,
    limit: int,
    budget_s: float,
    work: Path,
    failures: Failures,
) -> dict[Variant, Figures]:
    """Measures some variants side by side.

    Args:
        variants: The variants.
        dataset: The data.
        config: The configuration of the benchmark.
        threads: Threads of every runtime.
        limit: Maximum number of tokens of a row.
        budget_s: Seconds for all timed rounds.
        work: Folder for logits and logs.
        failures: Records the variants that fail.

    Returns:
        The figures of the variants that did not fail.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(variant, threads, work / f"{variant.id}.log")) for variant in variants]
        log.info("starting %d processes: %s", len(variants), ", ".join(variant.id for variant in variants))
        for worker in workers:
            worker.start_loading(config.split, limit if config.padded else None)
        loaded = failures.request(workers, Worker.receive)
        scores = failures.request(loaded, lambda worker: score_timed_split(worker, dataset, config, work))
        rows, remaining, seconds = dataset.manifest.splits[config.split], list(scores), {}
        for size in config.batch_sizes:
            seconds[size] = _time(remaining, size, rows, config, budget_s / len(config.batch_sizes), failures)
            remaining = list(seconds[size])
        memory = failures.request(remaining, lambda worker: int(worker.request(memory=True)["peak_bytes"]))
        # Other splits are scored last, so that their size does not count as memory.
        complete = failures.request(memory, lambda worker: score_further_splits(worker, dataset, config, work))
    return {
        worker.variant: Figures(
            *scores[worker],
            loaded[worker]["loaded_bytes"],
            memory[worker],
            {size: by_worker[worker] for size, by_worker in seconds.items()},
        )
        for worker in complete
    }


def _time(
    workers: list[Worker], batch_size: int, rows: int, config: BenchmarkConfig, budget_s: float, failures: Failures
) -> dict[Worker, list[list[float]]]:
    """Times all rounds of one batch size and returns the seconds of each call in each round."""
    generator = np.random.default_rng([config.seed, batch_size])
    # Whole batches only; a split smaller than one batch is repeated to fill it.
    count = max(1, rows // batch_size)
    batches = np.resize(generator.permutation(rows), (count, batch_size)).tolist()
    # A few sentences of different lengths show how long a call takes. Scoring has already warmed up the workers.
    trial = batches[: max(1, _TRIAL_SENTENCES // batch_size)]
    warm = failures.request(workers, partial(_call, batches=trial))
    seconds: dict[Worker, list[list[float]]] = {worker: [] for worker in warm}
    if not seconds:
        return {}
    seconds_per_call = [float(np.median(trial_seconds)) for trial_seconds in warm.values()]
    rounds, calls = plan_rounds(seconds_per_call, budget_s, config.rounds, count)
    progress = Progress("round", rounds)
    for number, order in enumerate(shuffled_orders(len(warm), rounds, config.seed)):
        chosen = [batches[(number * calls + call) % count] for call in range(calls)]
        all_workers = list(warm)
        turn = [all_workers[index] for index in order if all_workers[index] in seconds]
        results = failures.request(turn, partial(_call, batches=chosen))
        seconds = {worker: [*earlier, results[worker]] for worker, earlier in seconds.items() if worker in results}
        progress.update(number + 1, f"batch size {batch_size}", batch_size * calls * len(seconds))
    return seconds


def _call(worker: Worker, batches: list[list[int]]) -> list[float]:
    """Has a worker run each batch once and returns the seconds of each call."""
    seconds: list[float] = worker.request(time=batches)["seconds"]
    return seconds
