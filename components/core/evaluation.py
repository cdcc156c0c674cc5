"""What a saved model scores, measured on its files in a process of its own.

The process is forked from a server that has the libraries loaded and has done nothing else, so that an evaluation costs
no second import and finds nothing in memory of what was trained.
"""

import atexit
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from compaware.components.core.distributed import RANK_VARIABLES, device, is_main, world_size
from compaware.components.core.errors import UserError
from compaware.components.core.logs import setup_logging
from compaware.components.core.runtimes import Precision, RuntimeName

_FORK = multiprocessing.get_context("fork")
_CLEAN = multiprocessing.get_context("forkserver")
_PACKAGE = "compaware.components.core"
_LIBRARIES = ["transformers.models.bert.modeling_bert", f"{_PACKAGE}.models", f"{_PACKAGE}.text"]
# To the server, once there is one; it answers one request after another, of whichever thread. Each has a number.
_server: Connection | None = None
_numbers = itertools.count()
_one_request = threading.Lock()


def prepare_evaluation() -> None:
    """Gets the server ready; call it before anything is computed.

    One process alone copies itself as it is, with its libraries loaded. (Once it has computed, a copy would lack the
    threads that OpenMP believes in.) A rank has its group's connections open already, which a copy would keep open: its
    server imports for itself, while the rank works. So does that of a process which did not call this.

    Where there is a GPU, each evaluation imports for itself: torchao, when it is imported, asks what the GPU can do,
    and a process that is forked after that cannot use it.
    """
    if world_size() == 1 and device().type == "cpu":
        _start(_FORK)
    elif is_main():
        _choose_preload()
        forkserver.ensure_running()


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
    with _one_request:
        if _server is None:
            _choose_preload()
            _start(_CLEAN)
        answer = _ask(request)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _ask(request: dict[str, Any]) -> Any:
    """Sends a request to the server and returns its own answer: an interrupted request leaves one that is not."""
    global _server
    assert _server is not None
    number = next(_numbers)
    try:
        _server.send((number, request))
        while True:
            answered, answer = _server.recv()
            if answered == number:
                return answer
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        _server = None  # The next evaluation starts another.
        folder = request["model_folder"]
        raise RuntimeError(f"the process that evaluates {folder} was ended: it may lack memory") from error


def _choose_preload() -> None:
    """What clean processes start with: the libraries where there is no GPU."""
    libraries = _LIBRARIES if device().type == "cpu" else []
    _CLEAN.set_forkserver_preload([f"{_PACKAGE}.quiet_imports", *libraries])


def _start(context: multiprocessing.context.ForkContext | multiprocessing.context.ForkServerContext) -> None:
    global _server
    _server, others = context.Pipe()
    context.Process(target=_serve, args=(others, _server)).start()
    others.close()
    atexit.register(_server.close)  # Or this process would wait at its end for one that waits for requests.


def _serve(requests: Connection, parents: Connection) -> None:
    """The server: answers each request in a fork of its own, until the parent closes its end or ends."""
    parents.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # It ends with the parent, whom a person interrupts.
    for name in RANK_VARIABLES:
        os.environ.pop(name, None)
    setup_logging()
    import sklearn.metrics  # noqa: F401 - once, for all that are forked from here, and while the parent works.

    with suppress(EOFError):
        while True:
            number, request = requests.recv()
            process = _FORK.Process(target=_answer, args=(requests, number, request))
            process.start()
            process.join()
            if process.exitcode != 0:
                folder = request["model_folder"]
                error = RuntimeError(f"the evaluation of {folder} ended with exit code {process.exitcode}")
                requests.send((number, error))


def _answer(requests: Connection, number: int, request: dict[str, Any]) -> None:
    """The process that evaluates."""
    try:
        answer: Evaluation | Exception = _evaluate(**request)
    except UserError as error:
        answer = error
    except Exception as error:
        answer = _to_be_sent(error)
    with suppress(BrokenPipeError):  # The parent was ended meanwhile.
        requests.send((number, answer))


def _to_be_sent(error: Exception) -> Exception:
    """The same exception, or where it cannot be pickled one that says the same; its trace here is a note on it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}").with_traceback(error.__traceback__)
    error.add_note("".join(traceback.format_exception(error)))
    return error


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

    from compaware.components.core.dataset import load_dataset_folder
    from compaware.components.core.metrics import compute_metrics
    from compaware.components.core.models import load_tokenizer
    from compaware.components.core.pairing import limit_length
    from compaware.components.core.progress import Progress
    from compaware.components.core.runtimes import open_runtime
    from compaware.components.core.text import table_batches

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
