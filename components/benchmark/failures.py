"""What cannot be measured, and why: it is listed, and the others are measured."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from compaware.components.benchmark.config import Candidate
from compaware.components.benchmark.results import Unmeasured
from compaware.components.benchmark.worker_process import Worker
from compaware.components.core.base.errors import UserError

_LONGEST_REASON = 250
Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class Failures:
    """Collects the candidates that cannot be measured.

    Attributes:
        items: One for each candidate, or each of its runtimes, with the reason.
    """

    def __init__(self) -> None:
        self.items: list[Unmeasured] = []

    @contextmanager
    def recording(self, candidate: Candidate, runtime: str = "", precision: str = "") -> Iterator[None]:
        """Lists the candidate where the block raises, whatever it is: it is about this candidate alone.

        Args:
            candidate: What the block works on.
            runtime: The runtime that is lost; all of them when empty.
            precision: Its precision.
        """
        try:
            yield
            return
        except UserError as error:
            reason = str(error)
        except Exception as error:
            log.debug("%s cannot be measured", candidate.name, exc_info=True)
            reason = f"{type(error).__name__}: {error}"
        reason = " ".join(reason.split())
        if len(reason) > _LONGEST_REASON:
            reason = f"{reason[: _LONGEST_REASON - 1]}…"
        log.warning("%s cannot be measured: %s", " ".join(filter(None, (candidate.name, runtime, precision))), reason)
        self.items.append(
            Unmeasured(name=candidate.name, role=candidate.role, runtime=runtime, precision=precision, reason=reason)
        )

    def ask(self, workers: Iterable[Worker], question: Callable[[Worker], Answer]) -> dict[Worker, Answer]:
        """Asks each worker; ends and lists those that fail.

        Returns:
            The answers of the others, in the same order.
        """
        answers = {}
        for worker in workers:
            variant = worker.variant
            with self.recording(variant.candidate, variant.runtime, variant.precision):
                answers[worker] = question(worker)
            if worker not in answers:
                worker.end()
        return answers

    def require_any(self, measured: bool) -> None:
        """Checks that something was measured.

        Raises:
            UserError: Nothing was.
        """
        if measured:
            return
        reasons = list(dict.fromkeys(item.reason for item in self.items))
        more = f" ({len(reasons) - 1} other reasons are in the log)" if len(reasons) > 1 else ""
        raise UserError(f"{reasons[0]}{more}")
