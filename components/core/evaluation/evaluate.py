"""Evaluates a saved model in a new process.

The process is forked from one that has only imported the libraries, so an evaluation needs no second import and uses
only what is in the model's files.
"""

import gc
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
# A pool of one process, which was forked before any computation and forks another process for each evaluation.
_copy: ProcessPoolExecutor | None = None
_one_at_a_time = threading.Lock()


def prepare_evaluation() -> None:
    """Starts the process that evaluations are forked from; call it before any computation.

    A single process forks itself, with its libraries loaded. (After a computation, the fork would lack OpenMP's
    threads.) A rank of several processes has open connections, which a fork would keep open: its evaluations are forked
    from a clean process that imports the libraries in the background. The same holds for a process that did not call
    this function.

    With a GPU, each evaluation imports the libraries itself: torchao queries the GPU on import, and a process that is
    forked afterwards cannot use it.
    """
    global _copy
    if world_size() == 1 and device().type == "cpu":
        _copy = ProcessPoolExecutor(1, multiprocessing.get_context("fork"), initializer=_begin)
        _copy.submit(_import_metrics)
    elif is_main():
        _start_clean_process()


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model on a split.

    Attributes:
        metrics: The data's primary metric first, then the others.
        logits: float32, (rows, labels), in the split's row order.
        seconds: Time of the predictions, without loading, tokenizing and warm-up.
        device: `cpu`, or `cuda` for a PyTorch model on a GPU.
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
        split: Split to evaluate on.
        runtime: Runtime to use, see `runtimes.predictors.open_runtime`.
        precision: Precision to use.
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
            raise _process_ended(request) from error


def _start_clean_process() -> None:
    """Starts the process that clean processes are forked from; it imports the libraries if there is no GPU."""
    libraries = _LIBRARIES if device().type == "cpu" else []
    _CLEAN.set_forkserver_preload([f"{_PACKAGE}.base.forkserver_setup", "sklearn.metrics", *libraries])
    forkserver.ensure_running()


def _import_metrics() -> None:
    import sklearn.metrics  # noqa: F401 - imported once for all forks, while the parent works.


def _evaluate_in_child(start_method: str, request: dict[str, Any]) -> Evaluation:
    with ProcessPoolExecutor(1, multiprocessing.get_context(start_method), initializer=_begin) as pool:
        try:
            return pool.submit(_evaluate_picklable, request).result()
        except BrokenProcessPool as error:
            raise _process_ended(request) from error


def _begin() -> None:
    """Makes a process of the pool independent of other ranks, and ends it when its parent ends, even by a kill."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent.
    for name in RANK_VARIABLES:
        os.environ.pop(name, None)
    setup_logging()
    gc.enable()  # The forkserver has disabled it.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _evaluate_picklable(request: dict[str, Any]) -> Evaluation:
    """Evaluates, and replaces an exception that cannot be pickled by one with the same message."""
    try:
        return _evaluate(**request)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise


def _process_ended(request: dict[str, Any]) -> RuntimeError:
    return RuntimeError(
        f"the process that evaluates {request['model_folder']} ended unexpectedly: it may need more memory"
    )


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
    device_type = device().type if runtime == "torch" else "cpu"
    predictor = open_runtime(model_folder, runtime, precision, threads, device=device_type)
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
            predicted = predictor.predict(batch)
            seconds += time.perf_counter() - started
            if logits is None:
                logits = np.empty((len(labels), predicted.shape[1]), np.float32)
            logits[group_start + indices] = predicted
            done += len(indices)
            progress.update(done, f"{runtime} {precision}")
        group_start += table.num_rows
    assert logits is not None
    return Evaluation(compute_metrics(dataset.manifest.metric, logits, labels), logits, seconds, device_type)
