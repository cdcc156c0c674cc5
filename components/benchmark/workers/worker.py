"""The program of a worker process: runs one candidate in one runtime and precision for the benchmark.

A request is a line of JSON on standard input and its response a line of JSON on standard output. Everything that
libraries print goes to standard error. The process ends when its standard input does, so it never outlives the
benchmark.

The first request loads the model and the split whose batches are timed:
`{"folder", "runtime", "precision", "threads", "inputs", "calibration", "width"}` → `{"loaded_bytes"}`, the resident
memory after a first prediction. After it:
`{"score": FILE, "inputs", "batch_size"}` writes the logits of all rows of a split → `{"seconds"}`;
`{"time": [[row, …], …]}` times each batch once, after an untimed one → `{"seconds": […]}`;
`{"memory": true}` → `{"peak_bytes"}`;
`{"offline": [[row, …], …], "passes"}` runs all batches in the runtime's streams, after an untimed pass →
`{"seconds", "streams"}`;
`{"arrivals": [second, …], "rows": [row, …], "most_queries", "bound_s"}` serves queries as they arrive (see
`serve_queue`) → `{"latencies": [second, …], "calls", "unserved"}`.
The response to a request that fails because of the user's input is `{"error": "one line"}`.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from compaware.components.benchmark.floor.static import StaticPredictor
from compaware.components.benchmark.floor.text_split import TextSplit
from compaware.components.benchmark.floor.tfidf import TfidfPredictor
from compaware.components.benchmark.serving.batching import serve_queue
from compaware.components.benchmark.workers.tokenized_split import TokenizedSplit
from compaware.components.core.base.errors import UserError
from compaware.components.core.runtimes.predictors import Predictor, open_runtime
from compaware.components.core.runtimes.streams import Streams, open_streams

_CALIBRATION_BATCH = 32
_FLOORS: dict[str, type[StaticPredictor] | type[TfidfPredictor]] = {
    "numpy": StaticPredictor,
    "sklearn": TfidfPredictor,
}


class Server:
    """Handles the requests for one model."""

    def __init__(self, load: dict[str, Any]):
        self._load = load
        self._streams: Streams | None = None
        self._file = Path(load["inputs"])
        self._split: type[TokenizedSplit] | type[TextSplit] = TokenizedSplit
        if load["runtime"] in _FLOORS:
            self._split = TextSplit
        self._inputs = self._split.load(self._file)
        self._width: int | None = load["width"]
        self._model = _open(load)
        self._model.predict(self._batch(self._inputs, [0]))

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Returns the response to a request; the module's docstring lists them."""
        if "score" in request:
            return {"seconds": self._score(Path(request["score"]), Path(request["inputs"]), request["batch_size"])}
        if "time" in request:
            return {"seconds": self._time(request["time"])}
        if "offline" in request:
            return self._offline(request["offline"], request["passes"])
        if "arrivals" in request:
            return self._serve(request)
        return {"peak_bytes": memory_bytes("VmHWM")}

    def _score(self, file: Path, inputs_file: Path, batch_size: int) -> float:
        inputs = self._inputs if inputs_file == self._file else self._split.load(inputs_file)
        # Rows of similar length share a batch, so that there is little padding.
        order = np.argsort(-inputs.lengths, kind="stable")
        outputs, seconds = [], 0.0
        for start in range(0, len(order), batch_size):
            batch = self._batch(inputs, order[start : start + batch_size].tolist())
            started = time.perf_counter()
            outputs.append(self._model.predict(batch))
            seconds += time.perf_counter() - started
        logits = np.concatenate(outputs)
        np.save(file, logits[np.argsort(order, kind="stable")])
        return seconds

    def _time(self, batches: list[list[int]]) -> list[float]:
        prepared = [self._batch(self._inputs, rows) for rows in batches]
        # The turns of other workers have evicted this one's weights from the CPU caches.
        self._model.predict(prepared[0])
        seconds = []
        for batch in prepared:
            started = time.perf_counter()
            self._model.predict(batch)
            seconds.append(time.perf_counter() - started)
        return seconds

    def _offline(self, batches: list[list[int]], passes: int) -> dict[str, Any]:
        if self._streams is None:
            load = self._load
            self._streams = open_streams(
                self._model, load["folder"], load["runtime"], load["precision"], load["threads"]
            )
        prepared = [self._batch(self._inputs, rows) for rows in batches]
        self._streams.run(prepared)
        started = time.perf_counter()
        self._streams.run(prepared * passes)
        return {"seconds": time.perf_counter() - started, "streams": self._streams.count}

    def _serve(self, request: dict[str, Any]) -> dict[str, Any]:
        latencies, calls, unserved = serve_queue(
            lambda rows: self._model.predict(self._batch(self._inputs, rows)),
            request["arrivals"],
            request["rows"],
            request["most_queries"],
            request["bound_s"],
        )
        return {"latencies": latencies, "calls": calls, "unserved": unserved}

    def _batch(self, inputs: TokenizedSplit | TextSplit, rows: Sequence[int]) -> dict[str, np.ndarray]:
        return inputs.batch(rows, self._model.input_names, self._width)


def _open(load: dict[str, Any]) -> Predictor:
    if load["runtime"] in _FLOORS:
        return _FLOORS[load["runtime"]](Path(load["folder"]))
    calibration = _batches(Path(load["calibration"])) if load["calibration"] else []
    return open_runtime(load["folder"], load["runtime"], load["precision"], load["threads"], calibration)


def _batches(file: Path) -> list[dict[str, np.ndarray]]:
    """Returns all rows of a tokenized split in batches of similar length, with every input that a model may take."""
    inputs = TokenizedSplit.load(file)
    order = np.argsort(inputs.lengths, kind="stable").tolist()
    names = ("input_ids", "attention_mask", "token_type_ids")
    starts = range(0, len(order), _CALIBRATION_BATCH)
    return [inputs.batch(order[start : start + _CALIBRATION_BATCH], names, None) for start in starts]


def memory_bytes(field: str) -> int:
    """Returns the resident memory of this process: now (`VmRSS`), or its highest so far (`VmHWM`).

    It is read from /proc because getrusage includes the memory that the parent held when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Handles requests until standard input ends."""
    # If memory runs out, the kernel kills this process and not the benchmark, which then reports it.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server: Server | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if server is None:
                server = Server(request)
                response: dict[str, Any] = {"loaded_bytes": memory_bytes("VmRSS")}
            else:
                response = server.handle(request)
        except UserError as error:
            response = {"error": str(error)}
        responses.write(json.dumps(response) + "\n")


if __name__ == "__main__":
    main()
