"""One candidate in one runtime, in a process of its own that does what the benchmark tells it, line by line.

A request is a line of JSON on standard input, the answer a line of JSON on standard output; everything that libraries
print goes to standard error. The process ends when its standard input does, so it never outlives the benchmark.

The first request loads: `{"folder", "runtime", "precision", "threads", "inputs", "calibration", "width"}` →
`{"seconds"}`. Then any of
`{"score": FILE, "batch_size"}` writes the logits of all rows → `{"seconds"}`;
`{"time": [[row, …], …]}` runs each batch once, after one that is not timed → `{"seconds": […]}`;
`{"memory": true}` → `{"peak_bytes"}`.
A request that the user's input makes impossible is answered `{"error": "one line"}`.
"""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from compaware.components.benchmark.tokenized_split import TokenizedSplit
from compaware.components.core.base.errors import UserError
from compaware.components.core.runtimes.predictors import Predictor, open_runtime

_CALIBRATION_BATCH = 32


class Server:
    """Answers requests about one model."""

    def __init__(self, load: dict[str, Any]):
        self._inputs = TokenizedSplit.load(Path(load["inputs"]))
        self._width: int | None = load["width"]
        calibration = _batches(Path(load["calibration"])) if load["calibration"] else []
        self._model: Predictor = open_runtime(
            load["folder"], load["runtime"], load["precision"], load["threads"], calibration
        )

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Does one thing, as the module's docstring says."""
        if "score" in request:
            return {"seconds": self._score(Path(request["score"]), request["batch_size"])}
        if "time" in request:
            return {"seconds": self._time(request["time"])}
        return {"peak_bytes": peak_memory_bytes()}

    def _score(self, file: Path, batch_size: int) -> float:
        # Rows of similar length together, so that little is padded.
        order = np.argsort(-self._inputs.lengths, kind="stable")
        answers, seconds = [], 0.0
        for start in range(0, len(order), batch_size):
            batch = self._batch(order[start : start + batch_size].tolist())
            started = time.perf_counter()
            answers.append(self._model.predict(batch))
            seconds += time.perf_counter() - started
        logits = np.concatenate(answers)
        np.save(file, logits[np.argsort(order, kind="stable")])
        return seconds

    def _time(self, batches: list[list[int]]) -> list[float]:
        prepared = [self._batch(rows) for rows in batches]
        # While another worker had its turn, this one's weights left the caches.
        self._model.predict(prepared[0])
        seconds = []
        for batch in prepared:
            started = time.perf_counter()
            self._model.predict(batch)
            seconds.append(time.perf_counter() - started)
        return seconds

    def _batch(self, rows: list[int]) -> dict[str, np.ndarray]:
        return self._inputs.batch(rows, self._model.input_names, self._width)


def _batches(file: Path) -> list[dict[str, np.ndarray]]:
    """All rows of a file of inputs, those of similar length together, with every input that a model may take."""
    inputs = TokenizedSplit.load(file)
    order = np.argsort(inputs.lengths, kind="stable").tolist()
    names = ("input_ids", "attention_mask", "token_type_ids")
    starts = range(0, len(order), _CALIBRATION_BATCH)
    return [inputs.batch(order[start : start + _CALIBRATION_BATCH], names, None) for start in starts]


def peak_memory_bytes() -> int:
    """Highest resident memory of this process so far.

    From /proc: getrusage would count what the parent held when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Answers requests until standard input ends."""
    # Where memory runs out, this process is to be ended, not the benchmark that tells of it.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server: Server | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if server is None:
                started = time.perf_counter()
                server = Server(request)
                answer: dict[str, Any] = {"seconds": time.perf_counter() - started}
            else:
                answer = server.answer(request)
        except UserError as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
