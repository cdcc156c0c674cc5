"""How fast Intel Extension for PyTorch serves a classifier, against plain torch, in the environment that has it.

    make test-ipex
    .venv-ipex/bin/python benchmarks/ipex_speed.py --data SST2_FOLDER --teacher TEACHER_FOLDER

Each form is in a process of its own, since importing IPEX replaces kernels of torch. They take turns on the same
sentences of the validation split, at their real lengths.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from running import arguments, component, report
from tabulate import tabulate

from compaware.components.benchmark.statistics import ratio
from compaware.components.core import cpu
from compaware.components.core.dataset import PreparedDataset, load_dataset_folder
from compaware.components.core.logs import setup_logging
from compaware.components.core.models import load_tokenizer
from compaware.components.core.progress import Progress
from compaware.components.core.runtimes import open_runtime
from compaware.components.core.text import table_batches

FORMS = ("torch eager", "torch traced", "ipex fp32", "ipex int8")
BATCH_SIZES = (1, 32)
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
MAX_LENGTH_TOKENS = 128
CALIBRATION_ROWS = 256
Batch = dict[str, np.ndarray]


def main() -> None:
    """Measures; see the module."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=200, help="sentences that are timed")
    parser.add_argument("--rounds", type=int, default=6, help="times that all forms take turns")
    options = parser.parse_args()
    setup_logging()
    with tempfile.TemporaryDirectory() as folder:
        component("data_prep", "task=sst2", f"data={options.data}", f"{folder}/data")
        data = load_dataset_folder(f"{folder}/data")
        workers = {form: start(form, options.teacher, data, options.rows) for form in FORMS}
        answers = {form: ask(worker, None) for form, worker in workers.items()}
        seconds: dict[int, dict[str, list[float]]] = {size: {form: [] for form in FORMS} for size in BATCH_SIZES}
        progress = Progress("round", options.rounds)
        for turn in range(options.rounds):
            for size in BATCH_SIZES:
                for place in range(len(FORMS)):
                    form = FORMS[(place + turn) % len(FORMS)]
                    seconds[size][form].append(ask(workers[form], size))
            progress.update(turn + 1)
        for worker in workers.values():
            worker.send("end")
    figures = [summarize(form, answers, seconds, data.labels("validation")) for form in FORMS]
    report(options, figures, tabulate(figures, headers="keys", tablefmt="github"))


def summarize(
    form: str, answers: dict[str, np.ndarray], seconds: dict[int, dict[str, list[float]]], labels: np.ndarray
) -> dict[str, object]:
    """A form's accuracy, its agreement with eager, and its speed over eager's, median and spread of the rounds."""
    found = answers[form].argmax(1)
    line: dict[str, object] = {
        "form": form,
        "accuracy": round(float((found == labels).mean()), 4),
        "labels as eager": f"{(found == answers[FORMS[0]].argmax(1)).sum()} of {len(labels)}",
    }
    for size, rounds in seconds.items():
        speed = ratio(rounds[FORMS[0]], rounds[form])
        line[f"x eager, b{size}"] = f"{speed.median:.2f} ({speed.low:.2f}–{speed.high:.2f})"
    return line


def start(form: str, model: str, data: PreparedDataset, rows: int) -> Connection:
    """A process that has the model in a form; it answers `None` with all logits, a batch size with seconds."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    arguments = (form, model, data, rows, theirs)
    multiprocessing.get_context("spawn").Process(target=work, args=arguments, daemon=True).start()
    return ours


def ask(worker: Connection, request: int | None) -> np.ndarray | float:
    """Sends a request and waits for its answer, all others being idle."""
    worker.send(request)
    return worker.recv()


def work(form: str, model: str, data: PreparedDataset, rows: int, connection: Connection) -> None:
    """The process of a form."""
    setup_logging()
    tokenizer = load_tokenizer(model)
    table = data.split("validation")

    def batches(size: int, count: int) -> list[tuple[np.ndarray, Batch]]:
        return list(table_batches(table.slice(0, count), tokenizer, INPUTS, MAX_LENGTH_TOKENS, size))

    calibration = next(data.groups("train")).slice(0, CALIBRATION_ROWS)
    predict = open_form(
        form, model, [batch for _, batch in table_batches(calibration, tokenizer, INPUTS, MAX_LENGTH_TOKENS, 32)]
    )
    timed = {size: [batch for _, batch in batches(size, rows)] for size in BATCH_SIZES}
    while (request := connection.recv()) != "end":
        if request is None:
            parts = [(places, predict(batch)) for places, batch in batches(32, table.num_rows)]
            order = np.argsort(np.concatenate([places for places, _ in parts]), kind="stable")
            connection.send(np.concatenate([logits for _, logits in parts])[order])
            continue
        predict(timed[request][0])
        started = time.perf_counter()
        for batch in timed[request]:
            predict(batch)
        connection.send(time.perf_counter() - started)


def open_form(form: str, model: str, calibration: list[Batch]) -> Callable[[Batch], np.ndarray]:
    """The model in a form, as a function of a batch."""
    runtime, kind = form.split()
    if form == "torch traced":
        return traced(model)
    precision = "int8" if kind == "int8" else "fp32"
    return open_runtime(model, runtime, precision, calibration=calibration).predict


def traced(model: str) -> Callable[[Batch], np.ndarray]:
    """Plain torch, traced and frozen as IPEX's forms are."""
    import torch

    from compaware.components.core.first_token import answer_at_first_token
    from compaware.components.core.int8.export import LogitsOnly, example_inputs
    from compaware.components.core.models import load_classifier

    torch.set_num_threads(cpu.threads())
    classifier = load_classifier(Path(model)).eval()
    answer_at_first_token(classifier)
    example = tuple(example_inputs(list(INPUTS)).values())
    with torch.no_grad():
        frozen = torch.jit.freeze(torch.jit.trace(LogitsOnly(classifier).eval(), example, check_trace=False))

    def predict(batch: Batch) -> np.ndarray:
        with torch.no_grad():
            return frozen(*(torch.from_numpy(batch[name]) for name in INPUTS)).numpy()

    return predict


if __name__ == "__main__":
    main()
