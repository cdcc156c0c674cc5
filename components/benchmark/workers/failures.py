"""Records which candidates cannot be measured, and why, so that the others still are."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from compaware.components.benchmark.config import Candidate
from compaware.components.benchmark.results import Unmeasured
from compaware.components.benchmark.workers.worker_process import Worker
from compaware.components.core.base.errors import UserError

_LONGEST_REASON = 250
Response = TypeVar("Response")
log = logging.getLogger(__name__)


class Failures:
    """Collects the candidates that cannot be measured.

    Attributes:
        items: The candidates, or some of their runtimes, with the reason.
    """

    def __init__(self) -> None:
        self.items: list[Unmeasured] = []

    @contextmanager
    def recording(self, candidate: Candidate, runtime: str = "", precision: str = "") -> Iterator[None]:
        """Catches any exception of the block, which concerns this candidate alone, and records it.

        Args:
            candidate: The candidate that the block works on.
            runtime: The runtime that cannot be measured; empty for all.
            precision: The precision that cannot be measured.
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

    def request(self, workers: Iterable[Worker], send: Callable[[Worker], Response]) -> dict[Worker, Response]:
        """Sends a request to one worker after another; records and ends those that fail.

        Returns:
            The responses of the others, in the same order.
        """
        responses = {}
        for worker in workers:
            variant = worker.variant
            with self.recording(variant.candidate, variant.runtime, variant.precision):
                responses[worker] = send(worker)
            if worker not in responses:
                worker.end()
        return responses

    def require_any(self, measured: bool) -> None:
        """Checks that something can be measured.

        Raises:
            UserError: Nothing can.
        """
        if measured:
            return
        reasons = list(dict.fromkeys(item.reason for item in self.items))
        more = f" ({len(reasons) - 1} other reasons are in the log)" if len(reasons) > 1 else ""
        raise UserError(f"{reasons[0]}{more}")
