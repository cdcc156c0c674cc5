"""Runs a job in the cluster: creates or adopts it, waits for it, and reports its outcome."""

import hashlib
import json
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError
from compaware.components.launch import workflow
from compaware.components.launch.api import PATIENCE_S, Api, message_of, retry
from compaware.components.launch.checks import check
from compaware.components.launch.discovery import serves
from compaware.components.launch.errors import JobError, OldKindError, UnansweredError
from compaware.components.launch.job import Job, JobKind
from compaware.components.launch.kueue import Queue
from compaware.components.launch.lease import has_expired
from compaware.components.launch.watcher import JobWatcher, title_of

SPEC_HASH = "compaware.io/spec-hash"
REPORTED = "compaware.io/reported-failure"
CANCEL_PATIENCE_S = 20.0
_TICK_S = 0.5
log = logging.getLogger(__name__)


class ClusterLauncher:
    """Launcher for one kind of job."""

    def __init__(self, kind: JobKind, api: Api):
        self._kind = kind
        self._api = api
        self._collection = kind.path(api.namespace)

    def exists(self, job: Job) -> bool:
        """Whether the job is in the cluster."""
        return self._read(job) is not None

    def create(self, job: Job) -> None:
        """Creates the job, or adopts the job of an earlier try of this task.

        A job whose failure was reported already is replaced, because this is a retry.

        Raises:
            UserError: The job is invalid, the cluster refuses it, or a job with other settings has its name.
            UnansweredError: The API server does not answer.
        """
        manifest = self._kind.manifest(job)
        check(manifest)
        self._require_kind()
        self._require_permissions(job)
        Queue(self._api, job.options.queue_name, self._kind).require()
        spec_hash = _hash_spec(manifest)
        manifest["metadata"]["annotations"][SPEC_HASH] = spec_hash
        while not self._post(job, manifest):
            existing = self._read(job)
            if existing is None:
                continue
            annotations = existing["metadata"].get("annotations", {})
            is_deleted = "deletionTimestamp" in existing["metadata"] or has_expired(existing, job)
            if not is_deleted and annotations.get(SPEC_HASH) != spec_hash:
                raise UserError(
                    f"{self._title(job)} exists with other settings: delete it (kubectl delete "
                    f"{self._kind.plural} {job.name}) or start a new run"
                )
            if not is_deleted and REPORTED not in annotations:
                log.info("%s exists: adopting it", self._title(job))
                return
            if not is_deleted:
                log.info("replacing %s, which failed before: %s", self._title(job), annotations[REPORTED])
                # In the foreground, so that the old job's objects are deleted before the new job exists. Otherwise an
                # operator would use their state for the new job, which has the same name, and this launcher their pods.
                self._delete(f"{self._collection}/{job.name}", propagationPolicy="Foreground")
            time.sleep(_TICK_S)
        log.info("created %s: %d nodes of %s CPUs", self._title(job), job.options.num_nodes, job.options.cpu_per_node)

    def wait(self, job: Job) -> None:
        """Waits until the job ends; shows rank 0's log, and the last lines of every pod that fails.

        Raises:
            UserError: The component reported an error that the user can fix.
            JobError: The job failed for another reason.
        """
        verdict = JobWatcher(self._kind, self._api, job, self._watched(job), self.cancel).verdict()
        if verdict.outcome == "succeeded":
            log.info("%s succeeded", self._title(job))
            return
        try:
            if verdict.must_stop:
                self.cancel(job, PATIENCE_S)
            else:
                self._mark_reported(job, verdict.reason)
        except UnansweredError as error:
            log.warning("cannot delete or mark %s: %s", self._title(job), error)
        raise UserError(verdict.reason) if verdict.outcome == "user error" else JobError(verdict.reason)

    def cancel(self, job: Job, patience_s: float = CANCEL_PATIENCE_S) -> None:
        """Deletes the job and its pods, if it is there.

        Raises:
            UnansweredError: The API server does not answer, or refuses, for all of `patience_s`.
        """
        if self._delete(f"{self._collection}/{job.name}", patience_s):
            log.info("deleted %s", self._title(job))

    def _delete(self, path: str, patience_s: float = CANCEL_PATIENCE_S, **query: str) -> bool:
        """Deletes an object; returns False if there is none."""
        try:
            retry(lambda: self._api.delete(path, **query), patience_s, retry_refusals=True)
        except ApiException as error:
            if error.status != 404:
                raise
            return False
        return True

    def stop(self, job: Job) -> None:
        """Deletes the job if its run is over or it has no run; otherwise leaves it to the next try of the task.

        Raises:
            UnansweredError: As `cancel`.
        """
        if job.workflow:
            reason = workflow.ask_why_over(self._api, job)
            if not reason:
                workflow.delete_own_pod(self._api)
                log.info("this task is interrupted: its next try adopts %s", self._title(job))
                return
            log.info("%s: deleting %s", reason, self._title(job))
        self.cancel(job)

    def _title(self, job: Job) -> str:
        return title_of(self._kind, self._api, job)

    def _require_kind(self) -> None:
        """Checks the kind, because the server refuses an unknown kind with 403 if the account has no rights on it.

        Raises:
            UserError: The cluster does not serve this kind of job.
        """
        if not serves(self._api, self._kind):
            raise UserError(
                f"this cluster has no {self._kind.title} ({self._kind.group_version}): choose another launcher"
            )

    def _require_permissions(self, job: Job) -> None:
        """Reads the lists that will be watched, because refusals are retried once the job exists.

        Raises:
            UserError: A permission is missing.
        """
        for _, path, selector in self._watched(job):
            try:
                retry(partial(self._api.get, path, limit="1", **selector))
            except ApiException as error:
                if error.status != 404:
                    raise  # `_post` reports a namespace that does not exist.

    def _watched(self, job: Job) -> list[tuple[str, str, dict[str, str]]]:
        """Returns name, path and selector of the lists that show the state of a job."""
        pods = f"/api/v1/namespaces/{self._api.namespace}/pods"
        return [
            ("job", self._collection, {"fieldSelector": f"metadata.name={job.name}"}),
            ("pods", pods, {"labelSelector": f"{self._kind.name_label}={job.name}"}),
        ]

    def _post(self, job: Job, manifest: dict[str, Any]) -> bool:
        """Creates the object; returns False if one with its name exists."""
        try:
            retry(lambda: self._create(job, manifest))
        except ApiException as error:
            if error.status == 404:
                raise UserError(
                    f"there is no namespace {self._api.namespace}: create it, or correct the kubeconfig"
                ) from error
            if error.status != 409:
                raise
            return False
        return True

    def _create(self, job: Job, manifest: dict[str, Any]) -> None:
        """Creates the object, unless the server does not know all required fields.

        A server of Kubernetes 1.25 or newer refuses unknown fields under strict validation, an older one drops them.

        Raises:
            OldKindError: The server does not know a required field.
        """
        required = self._kind.required_fields
        query = {"fieldValidation": "Strict"} if required else {}
        try:
            # A signal between the creation of the job and the server's answer would leave the job behind.
            with _deferred_signals():
                created = self._api.create(self._collection, manifest, **query)
            unknown = [field for field in required if field not in created["spec"]]
            if unknown:
                self.cancel(job)
        except ApiException as error:
            unknown = [field for field in required if f'unknown field "spec.{field}"' in message_of(error)]
            if not unknown:
                raise
        if unknown:
            raise OldKindError(
                f"this cluster's {self._kind.title} has no {' and no '.join(unknown)}: install "
                f"{self._kind.requirement}, or choose another launcher"
            )

    def _read(self, job: Job) -> dict[str, Any] | None:
        try:
            return retry(lambda: self._api.get(f"{self._collection}/{job.name}"), retry_refusals=True)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def _mark_reported(self, job: Job, reason: str) -> None:
        body = {"metadata": {"annotations": {REPORTED: reason}}}
        try:
            retry(lambda: self._api.patch(f"{self._collection}/{job.name}", body), retry_refusals=True)
        except ApiException as error:
            if error.status != 404:
                raise


def _hash_spec(manifest: dict[str, Any]) -> str:
    settings = {"labels": manifest["metadata"]["labels"], "spec": manifest["spec"]}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def _deferred_signals() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
