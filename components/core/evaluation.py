"""What a saved model scores, measured on its files in a process of its own.

The process is forked from a server that has the libraries loaded and nothing else, so that it costs no second import.
"""

import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from compaware.components.core.distributed import RANK_VARIABLES
from compaware.components.core.errors import UserError
from compaware.components.core.logs import setup_logging
from compaware.components.core.runtimes import Precision, RuntimeName

_CONTEXT = multiprocessing.get_context("forkserver")
_PACKAGE = "compaware.components.core"
_CONTEXT.set_forkserver_preload(
    [
        f"{_PACKAGE}.quiet_imports",
        "transformers.models.bert.modeling_bert",
        *(f"{_PACKAGE}.{name}" for name in ("metrics", "models", "text")),
    ]
)


def load_libraries_early() -> None:
    """Starts the server of evaluating processes now; it loads its libraries while this process does other work."""
    forkserver.ensure_running()


@dataclass(frozen=True)
class Evaluation:
    """A model's answers to a split.

    Attributes:
        metrics: The data's primary metric first, then its companions.
        logits: float32, (rows, labels), in the split's row order.
        seconds: Time of the predictions alone, without loading and tokenizing.
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

    Raises:
        UserError: The model or the data cannot be read, or the runtime does not run the model.
        RuntimeError: The process failed; its output has been shown.
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
    }
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_answer, args=(sender, request))
    process.start()
    sender.close()
    try:
        answer = receiver.recv()
    except EOFError as error:
        process.join()
        raise RuntimeError(f"the evaluation of {model_folder} ended with exit code {process.exitcode}") from error
    finally:
        receiver.close()
    process.join()
    if isinstance(answer, UserError):
        raise answer
    return answer


def _answer(sender: Connection, request: dict[str, Any]) -> None:
    """The process that evaluates."""
    for name in RANK_VARIABLES:
        os.environ.pop(name, None)
    setup_logging()
    try:
        sender.send(_evaluate(**request))
    except UserError as error:
        sender.send(error)


def _evaluate(
    model_folder: str | Path,
    dataset_folder: str | Path,
    split: str,
    runtime: RuntimeName,
    precision: Precision,
    max_length_tokens: int,
    batch_size: int,
    threads: int | None,
) -> Evaluation:
    from compaware.components.core.dataset import load_dataset_folder
    from compaware.components.core.distributed import device
    from compaware.components.core.metrics import compute_metrics
    from compaware.components.core.models import load_tokenizer
    from compaware.components.core.progress import Progress
    from compaware.components.core.runtimes import open_runtime
    from compaware.components.core.text import table_batches

    dataset = load_dataset_folder(dataset_folder)
    labels = dataset.labels(split)
    place = device().type if runtime == "torch" else "cpu"
    predictor = open_runtime(model_folder, runtime, precision, threads, device=place)
    tokenizer = load_tokenizer(model_folder)
    progress = Progress("row", len(labels))
    logits: np.ndarray | None = None
    group_start, done, seconds = 0, 0, 0.0
    for table in dataset.groups(split):
        for indices, batch in table_batches(table, tokenizer, predictor.input_names, max_length_tokens, batch_size):
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
