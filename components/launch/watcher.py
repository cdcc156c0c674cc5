"""Watches a job and its pods until the job has ended, and shows their logs."""

import logging
import queue
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from compaware.components.launch import workflow
from compaware.components.launch.api import Api
from compaware.components.launch.errors import JobError, UnansweredError
from compaware.components.launch.events import Warnings
from compaware.components.launch.failure import NO_POD, Tracker, Verdict
from compaware.components.launch.job import Job, JobKind
from compaware.components.launch.kueue import Queue
from compaware.components.launch.logs import LogFollower, last_lines
from compaware.components.launch.watch import Snapshot, Watch

# If the API server does not answer for this long, the task fails. A retry adopts the job while its lease lasts.
SILENCE_LIMIT_S = 900.0
_TICK_S = 0.5
# Time to read the rest of the log of a finished container, and of one that runs until its job is deleted.
_LOG_PATIENCE_S = 10.0
_RUNNING_LOG_PATIENCE_S = 0.5
log = logging.getLogger(__name__)


class JobWatcher:
    """Watches one job.

    Args:
        kind: Kind of the job.
        api: The API server.
        job: The job, which exists.
        watched: Name, path and selector of the lists that show its state.
        cancel: Deletes the job.
    """

    def __init__(
        self,
        kind: JobKind,
        api: Api,
        job: Job,
        watched: Sequence[tuple[str, str, dict[str, str]]],
        cancel: Callable[[Job], None],
    ):
        self._kind = kind
        self._api = api
        self._job = job
        self._watched = watched
        self._cancel = cancel
        self._title = title_of(kind, api, job)

    def verdict(self) -> Verdict:
        """Returns how the job has ended; shows rank 0's log, and the last lines of every pod that fails.

        Raises:
            JobError: The run is over.
            UnansweredError: The API server does not answer.
        """
        snapshots: queue.Queue[Snapshot] = queue.Queue()
        watches = [Watch(self._api, *watched, snapshots) for watched in self._watched]
        # The state of the job is known without that of the run, so this watch may be refused.
        run_watches = [Watch(self._api, *watched, snapshots) for watched in workflow.watched(self._api, self._job)]
        follower = LogFollower(self._api, self._api.namespace, self._kind.container, _show)
        for thread in (*watches, *run_watches, follower):
            thread.start()
        patience_s = 0.0  # At SIGTERM, there is no time for the log.
        try:
            verdict = self._decide(snapshots, watches, follower)
            patience_s = _RUNNING_LOG_PATIENCE_S if verdict.must_stop else _LOG_PATIENCE_S
            return verdict
        finally:
            for watch in (*watches, *run_watches):
                watch.stop()
            follower.finish(patience_s)

    def _decide(self, snapshots: "queue.Queue[Snapshot]", watches: list[Watch], follower: LogFollower) -> Verdict:
        job = self._job
        tracker = Tracker(self._kind, job.name, job.options)
        queue_of_job = Queue(self._api, job.options.queue_name, self._kind)
        warnings = Warnings(self._api, [f"{job.name}{suffix}" for suffix in self._kind.event_suffixes])
        situation = ""
        while True:
            # While a watch is broken, the job's time stands still: its pods may have started in the meantime.
            known_until_s = [watch.broken_since_s for watch in watches if watch.broken_since_s is not None]
            verdict = tracker.verdict(min(known_until_s, default=time.monotonic()))
            if verdict:
                return _explained(verdict, warnings)
            self._check_contact(watches)
            tracker.update_queue(queue_of_job.look(tracker.suspended_job()))
            if tracker.lacks_pods():
                tracker.update_warning(warnings.look())
            with suppress(queue.Empty):
                self._apply(snapshots.get(timeout=_TICK_S), tracker, follower)
            if tracker.situation() not in ("", situation):
                situation = tracker.situation()
                log.info("%s: %s", self._title, situation)

    def _apply(self, snapshot: Snapshot, tracker: Tracker, follower: LogFollower) -> None:
        if snapshot.source == "job":
            tracker.update_job(snapshot.objects.get(self._job.name))
        elif snapshot.source == "run":
            self._require_run(snapshot)
        else:
            self._update_pods(snapshot, tracker, follower)

    def _require_run(self, snapshot: Snapshot) -> None:
        """Deletes the job at once if its run is over, because SIGTERM and SIGKILL follow within seconds.

        Raises:
            JobError: The run is over.
        """
        reason = workflow.why_over(snapshot.objects.get(self._job.workflow))
        if reason:
            self._cancel(self._job)
            raise JobError(f"{reason}: {self._title} is deleted")

    def _update_pods(self, snapshot: Snapshot, tracker: Tracker, follower: LogFollower) -> None:
        for pod in snapshot.objects.values():
            if self._kind.is_main(pod):
                follower.update(pod)
        for failure in tracker.update_pods(snapshot.objects):
            code = "no exit code" if failure.exit_code is None else f"exit code {failure.exit_code}"
            log.error("pod %s failed (%s, %s); its last lines:", failure.pod, code, failure.reason or "no reason")
            for line in last_lines(self._api, self._api.namespace, failure.pod, failure.container, failure.previous):
                _show(f"[{failure.pod}] {line}")

    def _check_contact(self, watches: list[Watch]) -> None:
        for watch in watches:
            if time.monotonic() - watch.last_contact_s > SILENCE_LIMIT_S:
                raise UnansweredError(
                    f"the API server has not reported the state of the {watch.source} for {SILENCE_LIMIT_S / 60:.0f} "
                    f"minutes ({watch.trouble}); {self._title} may still run: run this task again to resume it"
                )


def title_of(kind: JobKind, api: Api, job: Job) -> str:
    """Returns a job's kind, namespace and name for messages."""
    return f"{kind.title} {api.namespace}/{job.name}"


def _explained(verdict: Verdict, warnings: Warnings) -> Verdict:
    """Adds the cluster's last warning about the job to a verdict that no pod was created."""
    if verdict.outcome != "failed" or NO_POD not in verdict.reason:
        return verdict
    hint = warnings.last() or "no event says why: is its operator running?"
    return verdict._replace(reason=f"{verdict.reason} ({hint})")


def _show(line: str) -> None:
    print(line, flush=True)
