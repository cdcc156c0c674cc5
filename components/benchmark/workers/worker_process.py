"""Starts worker processes and sends them requests: one process for each candidate, runtime and precision."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from compaware.components.benchmark.config import Candidate, FloorRuntime
from compaware.components.benchmark.splits import inputs_file
from compaware.components.benchmark.workers.pinning import choose_affinity, pinned
from compaware.components.core.base.distributed import RANK_VARIABLES
from compaware.components.core.base.errors import UserError
from compaware.components.core.runtimes.formats import Precision, RuntimeName

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SECONDS_TO_END = 10.0


@dataclass(frozen=True)
class Variant:
    """A candidate in one runtime and precision, which one worker measures.

    Attributes:
        candidate: The candidate.
        runtime: The runtime that it runs in.
        precision: The precision that it computes in.
        folder: Folder of the runtime's files: the candidate's, or that of its converted form.
        files: The files that the runtime reads.
        inputs_folder: Folder of the tokenized splits.
        calibration: Tokenized training sentences, for a runtime that quantizes FP32 weights by itself.
    """

    candidate: Candidate
    runtime: RuntimeName | FloorRuntime
    precision: Precision
    folder: Path
    files: tuple[Path, ...]
    inputs_folder: Path
    calibration: Path | None = None

    @property
    def id(self) -> str:
        """`<name>_<runtime>`, or `<name>_<precision>_<runtime>` if the role does not imply the precision."""
        usual = "int8" if self.candidate.role == "int8" else "fp32"
        unusual = [] if self.precision == usual else [self.precision.removeprefix("int8_")]
        return "_".join([self.candidate.name, *unusual, self.runtime])

    def inputs(self, split: str) -> Path:
        """Returns the file of a tokenized split (see `TokenizedSplit`), or of texts for a floor that takes texts."""
        return inputs_file(self.inputs_folder, split)


class Worker:
    """A process that runs one variant on request (see `worker`), pinned to physical cores where there are enough.

    Args:
        variant: The variant that it measures.
        threads: Threads of its runtime, set in its environment before any library is loaded.
        log: File for the output of its libraries.
    """

    def __init__(self, variant: Variant, threads: int, log: Path):
        self.variant = variant
        self._threads = threads
        self._log = log
        kept = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
        with log.open("w", encoding="utf-8") as errors, pinned(choose_affinity(threads).cpus):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "compaware.components.benchmark.workers.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
                env={**kept, **{name: str(threads) for name in _THREAD_VARIABLES}},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def start_loading(self, split: str, width: int | None) -> None:
        """Requests the worker to load the model and a split; `receive` waits until it has.

        Args:
            split: The split whose batches are timed.
            width: Tokens that every batch is padded to; None pads to its longest row.
        """
        self._send(
            folder=str(self.variant.folder),
            runtime=self.variant.runtime,
            precision=self.variant.precision,
            threads=self._threads,
            inputs=str(self.variant.inputs(split)),
            calibration=str(self.variant.calibration) if self.variant.calibration else None,
            width=width,
        )

    def request(self, **request: Any) -> dict[str, Any]:
        """Sends a request and returns the response; all other workers are idle meanwhile.

        Raises:
            UserError: As `receive`.
        """
        self._send(**request)
        return self.receive()

    def receive(self) -> dict[str, Any]:
        """Waits for the response to the last request and returns it.

        Raises:
            UserError: The worker reports an error or has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise UserError(f"the process of {self.variant.id} ended: {self._exit_reason()}")
        response: dict[str, Any] = json.loads(line)
        if "error" in response:
            raise UserError(response["error"])
        return response

    def end(self) -> None:
        """Ends the process, and kills it if it does not end in time."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, **request: Any) -> None:
        assert self._process.stdin is not None
        # If the process has ended, `receive` reports the reason.
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")

    def _exit_reason(self) -> str:
        code = self._process.wait()
        if code < 0:
            return f"killed by signal {-code} (9 usually means that memory ran out)"
        lines = [line.strip() for line in self._log.read_text(encoding="utf-8").splitlines() if line.strip()]
        return f"{lines[-1] if lines else 'no error message'} (exit code {code})"
