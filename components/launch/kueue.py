"""Finds out whether a job's Kueue queue exists, and why it does not admit the job."""

import logging
import time
from typing import Any, NamedTuple

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError
from compaware.components.launch.api import Api, summarize
from compaware.components.launch.job import JobKind

_GROUP = "/apis/kueue.x-k8s.io"
# Label of a Workload with the UID of its job (kueue, pkg/controller/constants/constants.go).
_JOB_UID_LABEL = "kueue.x-k8s.io/job-uid"
# Reasons of the condition QuotaReserved that waiting does not change: the queue is missing, misconfigured or stopped,
# or the job is larger than its quota (kueue, apis/kueue/v1beta2/workload_types.go). By default, Kueue uses only the
# first; then a job that is too large is `Pending`, with this in its message (kueue, pkg/scheduler/flavorassigner).
_BLOCKED = ("Inadmissible", "Misconfigured", "Suspended", "ExceedsMaxQuota")
_TOO_LARGE = "> maximum capacity"
_SECONDS_BETWEEN_LOOKS = 15.0
log = logging.getLogger(__name__)


class QueueState(NamedTuple):
    """Why a job waits in its queue.

    Attributes:
        reason: One line.
        is_blocked: Waiting alone does not help: the queue is stopped or missing, or the job is too large for it.
    """

    reason: str
    is_blocked: bool


class Queue:
    """The LocalQueue of a job; does nothing for a job without one."""

    def __init__(self, api: Api, name: str | None, kind: JobKind):
        self._api = api
        self._name = name
        group = kind.group_version.partition("/")[0]
        # Kueue's name for the support of a kind.
        self._integration = f"{group}/{kind.title.lower()}"
        # Kueue needs a moment to create the Workload of a new job.
        self._next_look_s = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        self._may_look = name is not None

    def require(self) -> None:
        """Checks that the queue exists; an account that may not read queues skips this check.

        Raises:
            UserError: There is no queue of this name, or no Kueue.
        """
        if not self._name:
            return
        try:
            path = self._collection("localqueues")
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, ApiException) and error.status == 404:
                raise UserError(f"queue_name is {self._name}, but this cluster has no Kueue: leave it out") from error
            log.info("cannot see which version of Kueue there is: %s", summarize(error))
            return
        try:
            self._api.get(f"{path}/{self._name}")
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, ApiException) and error.status == 404:
                raise UserError(
                    f"there is no LocalQueue {self._name} in namespace {self._api.namespace}: change queue_name, or "
                    "create the queue"
                ) from error
            log.info("cannot check the LocalQueue %s: %s", self._name, summarize(error))

    def look(self, job: dict[str, Any] | None) -> QueueState | None:
        """Returns why a suspended job is not admitted; None if there is no such job, or if nothing new is known."""
        if job is None or not self._may_look or time.monotonic() < self._next_look_s:
            return None
        self._next_look_s = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        try:
            selector = f"{_JOB_UID_LABEL}={job['metadata']['uid']}"
            workloads = self._api.get(self._collection("workloads"), labelSelector=selector)["items"]
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, ApiException) and error.status in (401, 403, 404):
                self._may_look = False
                log.warning("cannot see why Kueue does not admit the job: %s", summarize(error))
            return None
        return self._state(workloads)

    def _state(self, workloads: list[dict[str, Any]]) -> QueueState:
        if not workloads:
            return QueueState(f"Kueue manages no such job: enable its integration {self._integration}", True)
        workload = workloads[0]
        conditions = {item["type"]: item for item in workload.get("status", {}).get("conditions") or []}
        if workload["spec"].get("active") is False:
            evicted = conditions.get("Evicted", {})
            return QueueState(f"its Workload was deactivated: {evicted.get('message', 'no reason was given')}", True)
        reserved = conditions.get("QuotaReserved", {})
        if reserved.get("status") == "True":
            return QueueState("quota is reserved, admission checks are pending", False)
        reason, message = reserved.get("reason", "Pending"), " ".join(reserved.get("message", "").split())
        return QueueState(message or reason, reason in _BLOCKED or _TOO_LARGE in message)

    def _collection(self, plural: str) -> str:
        version = self._api.get(_GROUP)["preferredVersion"]["version"]
        return f"{_GROUP}/{version}/namespaces/{self._api.namespace}/{plural}"
