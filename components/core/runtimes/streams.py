"""Runs many batches for throughput: each runtime divides the threads into streams that work at the same time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from compaware.components.core.runtimes.formats import Precision, RuntimeName, TokenBatch
from compaware.components.core.runtimes.predictors import OnnxPredictor, Predictor, compile_openvino


class Streams(Protocol):
    """A model that was loaded for throughput.

    Attributes:
        count: Number of batches that it works on at the same time.
    """

    count: int

    def run(self, batches: Sequence[TokenBatch]) -> list[np.ndarray]:
        """Returns the logits of each batch; see `Predictor.predict`."""
        ...


def open_streams(
    model: Predictor, folder: str | Path, runtime: RuntimeName, precision: Precision, threads: int
) -> Streams:
    """Loads a model folder into a runtime for throughput.

    OpenVINO chooses the number of streams itself (`PERFORMANCE_HINT=THROUGHPUT`). An onnxruntime session has one thread
    per stream, so it has as many streams as threads. PyTorch has one stream with all threads.

    Args:
        model: The same model, opened by `open_runtime`, which runs the batches of a runtime without streams.
        folder: A Model artifact.
        runtime: Runtime to load it into.
        precision: See `open_runtime`.
        threads: Threads of all streams together.
    """
    if runtime == "openvino":
        return OpenVinoStreams(Path(folder), precision, threads)
    if runtime == "onnxruntime":
        return OnnxStreams(Path(folder), precision, threads)
    return OneStream(model)


class OneStream:
    """Runs one batch after another with all threads."""

    count = 1

    def __init__(self, model: Predictor):
        self._model = model

    def run(self, batches: Sequence[TokenBatch]) -> list[np.ndarray]:
        """See `Streams`."""
        return [self._model.predict(batch) for batch in batches]


class OpenVinoStreams:
    """Runs batches in OpenVINO's queue of asynchronous requests."""

    def __init__(self, folder: Path, precision: Precision, threads: int):
        import openvino

        compiled = compile_openvino(folder, precision, threads, {"PERFORMANCE_HINT": "THROUGHPUT"})
        self._names = [port.get_any_name() for port in compiled.inputs]
        self._queue = openvino.AsyncInferQueue(compiled)
        self.count = int(compiled.get_property("NUM_STREAMS"))

    def run(self, batches: Sequence[TokenBatch]) -> list[np.ndarray]:
        """See `Streams`."""
        outputs: dict[int, np.ndarray] = {}

        def keep(request: Any, index: int) -> None:
            outputs[index] = np.array(request.get_output_tensor(0).data, np.float32)

        self._queue.set_callback(keep)
        for index, batch in enumerate(batches):
            self._queue.start_async({name: batch[name] for name in self._names}, index, share_inputs=True)
        self._queue.wait_all()
        return [outputs[index] for index in range(len(batches))]


class OnnxStreams:
    """Runs batches in one onnxruntime session from several threads, each of which computes its batch alone."""

    def __init__(self, folder: Path, precision: Precision, threads: int):
        self._model = OnnxPredictor(folder, precision, threads=1)
        self.count = threads

    def run(self, batches: Sequence[TokenBatch]) -> list[np.ndarray]:
        """See `Streams`."""
        with ThreadPoolExecutor(self.count) as pool:
            return list(pool.map(self._model.predict, batches))
