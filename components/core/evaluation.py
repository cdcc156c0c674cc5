"""What a saved model scores, measured on its files in a process of its own.

The process is forked from a server that has the libraries loaded and nothing else, so that it costs no second import.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
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
    """

    metrics: dict[str, float]
    logits: np.ndarray
    seconds: float


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
        batch_size: Rows in a batch; batches hold rows of similar length.
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
    from compaware.components.core.metrics import compute_metrics
    from compaware.components.core.models import load_tokenizer
    from compaware.components.core.progress import Progress
    from compaware.components.core.runtimes import open_runtime
    from compaware.components.core.text import tokenize

    dataset = load_dataset_folder(dataset_folder)
    table = dataset.split(split)
    predictor = open_runtime(model_folder, runtime, precision, threads)
    tokenizer = load_tokenizer(model_folder)
    columns = tokenize(table, tokenizer, max_length_tokens).to_dict()
    columns.setdefault("token_type_ids", [[0] * length for length in columns["length"]])
    rows = {name: columns[name] for name in predictor.input_names}
    progress = Progress("row", table.num_rows)
    logits: np.ndarray | None = None
    done, seconds = 0, 0.0
    for indices, batch in sorted_batches(rows, batch_size, tokenizer.pad_token_id or 0):
        started = time.perf_counter()
        answer = predictor.predict(batch)
        seconds += time.perf_counter() - started
        if logits is None:
            logits = np.empty((table.num_rows, answer.shape[1]), np.float32)
        logits[indices] = answer
        done += len(indices)
        progress.update(done, f"{runtime} {precision}")
    assert logits is not None
    metric = dataset.manifest.metric
    return Evaluation(compute_metrics(metric, logits, table.column("label").to_numpy()), logits, seconds)


def sorted_batches(
    columns: dict[str, list[list[int]]], batch_size: int, pad_token_id: int
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Pads rows of similar length together, the longest first.

    Args:
        columns: Input name to one list of integers a row; `input_ids` is padded with `pad_token_id`, the rest with 0.
        batch_size: Rows in a batch.
        pad_token_id: The tokenizer's.

    Yields:
        The rows' numbers (batch,), and the inputs, each int64 (batch, longest row of the batch).
    """
    lengths = np.array([len(row) for row in columns["input_ids"]])
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = {}
        for name, rows in columns.items():
            padding = pad_token_id if name == "input_ids" else 0
            padded = np.full((len(indices), lengths[indices].max()), padding, np.int64)
            for position, index in enumerate(indices):
                padded[position, : lengths[index]] = rows[index]
            batch[name] = padded
        yield indices, batch
