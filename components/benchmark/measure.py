"""Measures all candidates side by side: every runtime in its own process, taking turns on the same batches."""

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from compaware.components.benchmark import words
from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.benchmark.inputs import Inputs
from compaware.components.benchmark.phrases import runs_in, title
from compaware.components.benchmark.pool import Task, Worker
from compaware.components.benchmark.report import load_summaries, render_html, render_markdown
from compaware.components.benchmark.results import FILE_NAME, Batch, Benchmark, Measured, fastest
from compaware.components.benchmark.statistics import plan_rounds, turns
from compaware.components.benchmark.tasks import data_order, longest_input, prepare_tasks
from compaware.components.core import cpu
from compaware.components.core.artifacts import size_bytes, write_text
from compaware.components.core.classification import classification_facts
from compaware.components.core.criterion import Judged
from compaware.components.core.dataset import PreparedDataset, load_dataset_folder
from compaware.components.core.errors import UserError
from compaware.components.core.metrics import compute_metrics, f1_by_label
from compaware.components.core.progress import Progress
from compaware.components.core.sparsity.measure import compressed_bytes
from compaware.components.core.summary import Summary
from compaware.components.core.workspace import Workspace

_SCORING_BATCH = 32
_TRIAL_SENTENCES = 8
log = logging.getLogger(__name__)


def run(config: BenchmarkConfig, workspace: Workspace) -> Summary:
    """Measures, writes `benchmark.json`, `report.html` and `report.md`, and prints every candidate's figures."""
    benchmark, summaries = measure(config, workspace.work)
    benchmark.recommended = words.recommend(benchmark)
    benchmark.words = words.sentences(benchmark)
    write_text(workspace.output / FILE_NAME, benchmark.model_dump_json(indent=2) + "\n")
    write_text(workspace.output / "report.html", render_html(benchmark, summaries))
    write_text(workspace.output / "report.md", render_markdown(benchmark, summaries))
    print_figures(benchmark, words.headline(benchmark))
    return Summary.create("benchmark", config, flat_metrics(benchmark), _facts(benchmark, config, workspace.work))


def measure(config: BenchmarkConfig, work: Path) -> tuple[Benchmark, dict[str, Summary]]:
    """Measures all candidates.

    Args:
        config: What to measure, and how.
        work: Folder for inputs, converted forms and logs.

    Returns:
        The figures, with nothing recommended yet, and the candidates' own summaries by name.

    Raises:
        UserError: The split is empty, or a candidate does not fit the data or cannot be measured.
    """
    dataset = load_dataset_folder(config.dataset)
    if not dataset.manifest.splits.get(config.split):
        raise UserError(f"split '{config.split}' of {config.dataset} is empty or missing: choose another")
    summaries = load_summaries({candidate.name: candidate.folder for candidate in config.candidates})
    threads = config.threads or cpu.threads()
    log.info("%d threads for every runtime, on %s (%s)", threads, cpu.model_name(), ", ".join(cpu.flags()))
    limit = longest_input(config)
    tasks = prepare_tasks(config, dataset, limit, work)
    settings = config.model_dump(mode="json", include={"rounds", "time_budget_s", "padded", "seed"})
    benchmark = Benchmark(
        machine=cpu.machine_facts() | {"threads": threads},
        data=_data_facts(dataset, config, Inputs.load(tasks[0].inputs)),
        settings=settings | {"max_length_tokens": limit},
        candidates=_measure(tasks, threads, limit, dataset, config, work),
    )
    benchmark.fill_ratios()
    benchmark.fill_criteria({name: found for name, summary in summaries.items() if (found := Judged.of(summary))})
    return benchmark, summaries


def _measure(
    tasks: list[Task], threads: int, limit: int, dataset: PreparedDataset, config: BenchmarkConfig, work: Path
) -> list[Measured]:
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(task, threads, work / f"{task.id}.log")) for task in tasks]
        log.info("starting %d processes: %s", len(tasks), ", ".join(task.id for task in tasks))
        for worker in workers:
            worker.start_loading(limit if config.padded else None)
        for worker in workers:
            worker.receive()
        scores = [_score(worker, dataset, config.split, work) for worker in workers]
        rows = dataset.manifest.splits[config.split]
        timed = {size: _time(workers, size, rows, config) for size in config.batch_sizes}
        memory = [int(worker.ask(memory=True)["peak_bytes"]) for worker in workers]
    deflated = _deflate(tasks)
    return [
        Measured(
            id=task.id,
            name=task.candidate.name,
            role=task.candidate.role,
            precision=task.precision,
            runtime=task.runtime,
            metric_name=dataset.manifest.metric,
            metric=scores[place][0],
            f1_by_label=scores[place][1],
            size_bytes=sum(size_bytes(file) for file in task.files),
            compressed_bytes=sum(deflated[file] for file in task.files),
            peak_memory_bytes=memory[place],
            batches={size: batches[place] for size, batches in timed.items()},
            path=str(task.candidate.folder),
        )
        for place, task in enumerate(tasks)
    ]


def _deflate(tasks: list[Task]) -> dict[Path, int]:
    """Compressed size of every file, several at a time; forms that share a file share its size."""
    files = sorted({file for task in tasks for file in task.files})
    sizes = {}
    with ThreadPoolExecutor(cpu.cpu_limit()) as pool:
        for file, size in zip(files, pool.map(compressed_bytes, files), strict=True):
            sizes[file] = size
            log.info("deflated %d of %d files: %s", len(sizes), len(files), file.name)
    return sizes


def _score(worker: Worker, dataset: PreparedDataset, split: str, work: Path) -> tuple[float, dict[str, float]]:
    """The primary metric over the whole split, and F1 by label of multi-label data, from the worker's own logits."""
    file = _logits_file(work, worker.task.id)
    worker.ask(score=str(file), batch_size=_SCORING_BATCH)
    logits = np.load(file)[:, data_order(worker.task.candidate, dataset)]
    np.save(file, logits)
    manifest, labels = dataset.manifest, dataset.labels(split)
    found = compute_metrics(manifest.metric, logits, labels)[manifest.metric]
    log.info("%s: %s %.4f", worker.task.id, manifest.metric, found)
    by_label = f1_by_label(logits, labels) if labels.ndim == 2 else []
    return found, dict(zip(manifest.label_names, by_label, strict=False))


def _logits_file(work: Path, identifier: str) -> Path:
    return work / f"{identifier}.npy"


def _time(workers: list[Worker], batch_size: int, rows: int, config: BenchmarkConfig) -> list[Batch]:
    """All rounds of one batch size; one `Batch` for each worker."""
    generator = np.random.default_rng([config.seed, batch_size])
    # Whole batches only; a split smaller than one batch is repeated to fill it.
    count = max(1, rows // batch_size)
    batches = np.resize(generator.permutation(rows), (count, batch_size)).tolist()
    # A few sentences of different lengths, to see how long a call takes; scoring has warmed the workers up already.
    warm = [worker.ask(time=batches[: max(1, _TRIAL_SENTENCES // batch_size)])["seconds"] for worker in workers]
    rounds, calls = plan_rounds(
        [float(np.median(seconds)) for seconds in warm],
        config.time_budget_s / len(config.batch_sizes),
        config.rounds,
        count,
    )
    seconds: list[list[list[float]]] = [[] for _ in workers]
    progress = Progress("round", rounds)
    for number, order in enumerate(turns(len(workers), rounds, config.seed)):
        chosen = [batches[(number * calls + call) % count] for call in range(calls)]
        for place in order:
            seconds[place].append(workers[place].ask(time=chosen)["seconds"])
        progress.update(number + 1, f"batch size {batch_size}", batch_size * calls * len(workers))
    return [Batch.from_rounds(found, batch_size) for found in seconds]


def _data_facts(dataset: PreparedDataset, config: BenchmarkConfig, inputs: Inputs) -> dict[str, object]:
    return {
        "task": dataset.manifest.task,
        "split": config.split,
        "rows": dataset.manifest.splits[config.split],
        "metric": dataset.manifest.metric,
        "fingerprint": dataset.manifest.fingerprint,
        "median_length_tokens": float(np.median(inputs.lengths)),
        "cut_rows": inputs.cut_rows,
    }


def _facts(benchmark: Benchmark, config: BenchmarkConfig, work: Path) -> dict[str, Any]:
    """The headline, and what the model to serve gets right and wrong."""
    assert benchmark.recommended is not None
    dataset = load_dataset_folder(config.dataset)
    logits = np.load(_logits_file(work, benchmark.recommended.id))
    classified = classification_facts(dataset.manifest, logits, dataset.labels(config.split))
    return {"headline": words.headline(benchmark), **classified}


def flat_metrics(benchmark: Benchmark) -> dict[str, float]:
    """Flat numbers, whose names follow from models and settings, so that runs can be compared.

    The machine has no say: BF16, which not every CPU has, shows in the best of a model alone.
    """
    found: dict[str, float] = {}
    for item in benchmark.candidates:
        found.setdefault(f"{item.name}_{item.metric_name}", item.metric)
        if "bf16" in item.precision:
            continue
        found[f"{item.id}_size_bytes"] = item.size_bytes
        found[f"{item.id}_peak_memory_bytes"] = item.peak_memory_bytes
        for size, batch in item.batches.items():
            found[f"{item.id}_batch{size}_p50_ms"] = batch.p50_ms
            found[f"{item.id}_batch{size}_p99_ms"] = batch.p99_ms
            found[f"{item.id}_batch{size}_samples_per_s"] = batch.samples_per_s
    for name in dict.fromkeys(item.name for item in benchmark.candidates):
        for size in benchmark.batch_sizes:
            best = fastest([item for item in benchmark.candidates if item.name == name], size).batches[size]
            found[f"{name}_best_batch{size}_p50_ms"] = best.p50_ms
            found[f"{name}_best_batch{size}_samples_per_s"] = best.samples_per_s
    teacher = benchmark.reference("teacher")
    for size in benchmark.batch_sizes if benchmark.of("int8") else []:
        best = fastest(benchmark.of("int8"), size).batches[size]
        if teacher:
            found[f"best_int8_speedup_vs_teacher_batch{size}"] = best.speed_over(teacher.batches[size]).median
        if benchmark.dense():
            plain = fastest(benchmark.dense(), size).batches[size]
            found[f"best_int8_speedup_vs_best_fp32_batch{size}"] = best.speed_over(plain).median
    return found


def print_figures(benchmark: Benchmark, headline: str) -> None:
    """The figures in the lines that other tools of this kind print, then what they say."""
    for item in benchmark.candidates:
        for size, batch in item.batches.items():
            print(f"{title(item.name)}, {runs_in(item)}")
            print(f"Batch size = {size}")
            print(f"Final Eval {item.metric_name} Accuracy: {item.metric:.4f}")
            print(f"Latency: {batch.p50_ms:.3f} ms")
            print(f"Throughput: {batch.samples_per_s:.1f} samples/sec", flush=True)
    print(headline)
    for sentence in benchmark.words:
        print(f"- {sentence}", flush=True)
