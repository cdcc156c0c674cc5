"""What a saved model scores, measured on its files in a process of its own.

python -m compaware.components.core.evaluation --model FOLDER --dataset FOLDER --output FILE.npz
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from compaware.components.core.errors import UserError
from compaware.components.core.logs import setup_logging
from compaware.components.core.runtimes import Precision, RuntimeName

_MODULE = "compaware.components.core.evaluation"
_ERROR_PREFIX = "error: "
# What makes a process a rank of a distributed training; the evaluating child is not one.
_RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
log = logging.getLogger(__name__)


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

    @property
    def samples_per_s(self) -> float:
        """Rows a second."""
        return len(self.logits) / max(self.seconds, 1e-9)


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
        subprocess.CalledProcessError: The process failed; its output has been shown.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "evaluation.npz"
        options = {
            "--model": model_folder,
            "--dataset": dataset_folder,
            "--split": split,
            "--runtime": runtime,
            "--precision": precision,
            "--max-length-tokens": max_length_tokens,
            "--batch-size": batch_size,
            "--output": output,
        } | ({"--threads": threads} if threads else {})
        _run_child([str(word) for pair in options.items() for word in pair])
        return _read(output)


def _run_child(words: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in _RANK_VARIABLES}
    command = [sys.executable, "-m", _MODULE, *words]
    reason = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, bufsize=1, env=environment) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith(_ERROR_PREFIX):
                reason = line.removeprefix(_ERROR_PREFIX).strip()
            else:
                sys.stderr.write(line)
    if reason:
        raise UserError(reason)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)


def _read(file: Path) -> Evaluation:
    with np.load(file) as found:
        return Evaluation(json.loads(str(found["metrics"])), found["logits"], float(found["seconds"]))


def main() -> None:
    """The process that evaluates."""
    arguments = _parser().parse_args()
    setup_logging()
    try:
        found = _evaluate(arguments)
    except UserError as error:
        print(f"{_ERROR_PREFIX}{error}", file=sys.stderr, flush=True)
        sys.exit(2)
    metrics = np.array(json.dumps(found.metrics))
    np.savez(arguments.output, metrics=metrics, logits=found.logits, seconds=np.float64(found.seconds))


def _evaluate(arguments: argparse.Namespace) -> Evaluation:
    from compaware.components.core.dataset import load_dataset_folder
    from compaware.components.core.metrics import compute_metrics
    from compaware.components.core.models import load_tokenizer
    from compaware.components.core.progress import Progress
    from compaware.components.core.runtimes import open_runtime
    from compaware.components.core.text import tokenize

    dataset = load_dataset_folder(arguments.dataset)
    table = dataset.split(arguments.split)
    predictor = open_runtime(arguments.model, arguments.runtime, arguments.precision, arguments.threads)
    tokenizer = load_tokenizer(arguments.model)
    columns = tokenize(table, tokenizer, arguments.max_length_tokens).to_dict()
    columns.setdefault("token_type_ids", [[0] * length for length in columns["length"]])
    rows = {name: columns[name] for name in predictor.input_names}
    progress = Progress("row", table.num_rows)
    logits: np.ndarray | None = None
    done, seconds = 0, 0.0
    for indices, batch in sorted_batches(rows, arguments.batch_size, tokenizer.pad_token_id or 0):
        started = time.perf_counter()
        answer = predictor.predict(batch)
        seconds += time.perf_counter() - started
        if logits is None:
            logits = np.empty((table.num_rows, answer.shape[1]), np.float32)
        logits[indices] = answer
        done += len(indices)
        progress.update(done, f"{arguments.runtime} {arguments.precision}")
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m compaware.components.core.evaluation", description=__doc__)
    parser.add_argument("--model", required=True, type=Path, help="Model artifact")
    parser.add_argument("--dataset", required=True, type=Path, help="Dataset artifact")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--runtime", default="torch", choices=get_args(RuntimeName))
    parser.add_argument("--precision", default="fp32", choices=get_args(Precision))
    parser.add_argument("--max-length-tokens", default=128, type=int)
    parser.add_argument("--batch-size", default=32, type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", required=True, type=Path, help="npz file for logits, metrics and seconds")
    return parser


if __name__ == "__main__":
    main()
