"""What a saved model scores, measured on its files in a process of its own.

The process is forked from one that has the libraries loaded and has done nothing else, so that an evaluation costs no
second import and finds nothing in memory of what was trained.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np

from compaware.components.core.base.distributed import RANK_VARIABLES, device, is_main, world_size
from compaware.components.core.base.logs import setup_logging
from compaware.components.core.runtimes.formats import Precision, RuntimeName

_CLEAN = multiprocessing.get_context("forkserver")
_PACKAGE = "compaware.components.core"
_LIBRARIES = ["transformers.models.bert.modeling_bert", f"{_PACKAGE}.models.load", f"{_PACKAGE}.data.text"]
# A pool of one process: this one's copy from before it computed, which forks another for each evaluation.
_copy: ProcessPoolExecutor | None = None
_one_at_a_time = threading.Lock()


def prepare_evaluation() -> None:
    """Prepares processes that evaluations are forked from; call it before anything is computed.

    One process alone copies itself as it is, with its libraries loaded. (Once it has computed, a copy would lack the
    threads that OpenMP expects.) A rank has its group's connections open already, which a copy would keep open: its
    evaluations are forked from a clean process, which imports the libraries while the rank works. So are those of a
    process that did not call this.

    Where there is a GPU, each evaluation imports for itself: torchao, when it is imported, asks what the GPU can do,
    and a process that is forked after that cannot use it.
    """
    global _copy
    if world_size() == 1 and device().type == "cpu":
        _copy = ProcessPoolExecutor(1, multiprocessing.get_context("fork"), initializer=_begin)
        _copy.submit(_import_metrics)
    elif is_main():
        _start_clean_process()


@dataclass(frozen=True)
class Evaluation:
    """A model's answers to a split.

    Attributes:
        metrics: The data's primary metric first, then its companions.
        logits: float32, (rows, labels), in the split's row order.
        seconds: Time of the predictions alone, without loading, tokenizing and warming up.
        device: `cpu`, or `cuda` for a PyTorch model where there is a GPU.
    """

    metrics: dict[str, float]
    logits: np.ndarray
    seconds: float
    device: str


def evaluate_folder(
    model_folder: str | Path,
    dataset_folder: str | Path,
    split: str = "validation",
    *,
    runtime: RuntimeName = "torch",
    precision: Precision = "fp32",
    max_length_tokens: int = 128,
    batch_size: int = 32,
    threads: int | None = None,
    warm: bool = False,
) -> Evaluation:
    """Evaluates a model folder in a new process.

    Args:
        model_folder: A Model artifact, with its tokenizer.
        dataset_folder: A Dataset artifact.
        split: Split to answer.
        runtime: See `runtimes.open_runtime`, as for precision and threads.
        precision: Precision to run in.
        max_length_tokens: Longer inputs are cut.
        batch_size: Rows in a batch; batches hold rows of similar length, of one row group.
        threads: Threads of the runtime.
        warm: Whether each shape of batch is predicted once before it is timed: runtimes prepare for a shape when they
            first see it.

    Raises:
        UserError: The model or the data cannot be read, or the runtime does not run the model.
        Exception: What else was raised in the process.
        RuntimeError: The process was killed.
    """
    global _copy
    request = {
        "model_folder": model_folder,
        "dataset_folder": dataset_folder,
        "split": split,
        "runtime": runtime,
        "precision": precision,
        "max_length_tokens": max_length_tokens,
        "batch_size": batch_size,
        "threads": threads,
        "warm": warm,
    }
    with _one_at_a_time:
        if _copy is None:
            _start_clean_process()
            return _evaluate_in_child("forkserver", request)
        try:
            return _copy.submit(_evaluate_in_child, "fork", request).result()
        except BrokenProcessPool as error:
            _copy = None
            raise _ended(request) from error


def _start_clean_process() -> None:
    """Starts the process that clean ones are forked from, with the libraries where there is no GPU."""
    libraries = _LIBRARIES if device().type == "cpu" else []
    _CLEAN.set_forkserver_preload([f"{_PACKAGE}.base.forkserver_setup", "sklearn.metrics", *libraries])
    forkserver.ensure_running()


def _import_metrics() -> None:
    import sklearn.metrics  # noqa: F401 - once, for all that are forked from here, and while the parent works.


def _evaluate_in_child(start_method: str, request: dict[str, Any]) -> Evaluation:
    with ProcessPoolExecutor(1, multiprocessing.get_context(start_method), initializer=_begin) as pool:
        try:
            return pool.submit(_answer, request).result()
        except BrokenProcessPool as error:
            raise _ended(request) from error


def _begin() -> None:
    """Makes a process of a pool one that trains with no other, and that ends when its parent does, even by a kill."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A person interrupts the parent.
    for name in RANK_VARIABLES:
        os.environ.pop(name, None)
    setup_logging()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _answer(request: dict[str, Any]) -> Evaluation:
    """Evaluates; an exception that cannot be sent to another process becomes one that says the same."""
    try:
        return _evaluate(**request)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise


def _ended(request: dict[str, Any]) -> RuntimeError:
    return RuntimeError(f"the process that evaluates {request['model_folder']} was ended: it may lack memory")


def _evaluate(
    model_folder: str | Path,
    dataset_folder: str | Path,
    split: str,
    runtime: RuntimeName,
    precision: Precision,
    max_length_tokens: int,
    batch_size: int,
    threads: int | None,
    warm: bool,
) -> Evaluation:
    from transformers import AutoConfig

    from compaware.components.core.base.progress import Progress
    from compaware.components.core.data.dataset import load_dataset_folder
    from compaware.components.core.data.text import table_batches
    from compaware.components.core.data.tokenizer import load_tokenizer
    from compaware.components.core.evaluation.metrics import compute_metrics
    from compaware.components.core.models.pairing import limit_length
    from compaware.components.core.runtimes.predictors import open_runtime

    dataset = load_dataset_folder(dataset_folder)
    labels = dataset.labels(split)
    place = device().type if runtime == "torch" else "cpu"
    predictor = open_runtime(model_folder, runtime, precision, threads, device=place)
    tokenizer = load_tokenizer(model_folder)
    limit_length(tokenizer, AutoConfig.from_pretrained(model_folder))
    progress = Progress("row", len(labels))
    logits: np.ndarray | None = None
    group_start, done, seconds = 0, 0, 0.0
    shapes: set[tuple[int, ...]] = set()
    for table in dataset.groups(split):
        for indices, batch in table_batches(table, tokenizer, predictor.input_names, max_length_tokens, batch_size):
            if warm and batch["input_ids"].shape not in shapes:
                shapes.add(batch["input_ids"].shape)
                predictor.predict(batch)
            started = time.perf_counter()
            answer = predictor.predict(batch)
            seconds += time.perf_counter() - started
            if logits is None:
                logits = np.empty((len(labels), answer.shape[1]), np.float32)
            logits[group_start + indices] = answer
            done += len(indices)
            progress.update(done, f"{runtime} {precision}")
        group_start += table.num_rows
    assert logits is not None
    return Evaluation(compute_metrics(dataset.manifest.metric, logits, labels), logits, seconds, place)
