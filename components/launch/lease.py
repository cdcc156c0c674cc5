"""A lease on the job of a run: if no launcher renews it, Kubernetes deletes the job.

A launcher can die without ending its job, and its run can be terminated before the next try of the task. The job's
owner is therefore not the Workflow, which stays for hours, but a batch Job without pods, the lease. The launcher moves
the lease's deadline. At the deadline, the Job controller marks the lease as failed. Its time to live is 0 seconds, so
it is deleted, and the garbage collector deletes what it owns.
"""

import datetime
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError
from compaware.components.launch import pods
from compaware.components.launch.api import Api, retry, summarize
from compaware.components.launch.discovery import may_create
from compaware.components.launch.errors import UnansweredError
from compaware.components.launch.job import Job

# A job without a launcher ends after this time. A launcher waits less for an API server that does not answer.
LEASE_S = 1200.0
RENEW_S = 60.0
_LAST_PATIENCE_S = 20.0
_TICK_S = 0.5
log = logging.getLogger(__name__)


@contextmanager
def leased(api: Api, job: Job) -> Iterator[Job]:
    """Yields the job with a lease, which is renewed until the job has ended; then the job is kept for its time to live.

    There is no lease outside a run, or if the account may not create batch Jobs.
    """
    if not job.workflow:
        yield job
        return
    lease = Lease(api, job)
    owner = lease.acquire()
    if owner is None:
        yield job
        return
    lease.start()
    try:
        yield replace(job, lease=owner)
    except (SystemExit, UnansweredError):
        lease.stop()  # The next try renews it.
        raise
    except BaseException:
        lease.keep(job.ttl_s)
        raise
    lease.keep(job.ttl_s)


def has_expired(existing: dict[str, Any], job: Job) -> bool:
    """Whether the garbage collector is about to delete an existing job, because it belongs to an earlier lease."""
    owners = existing["metadata"].get("ownerReferences", [])
    return job.lease is not None and any(
        owner["kind"] == job.lease["kind"] and owner["uid"] != job.lease["uid"] for owner in owners
    )


class Lease(threading.Thread):
    """Creates the lease of a job, or takes over the one of an earlier try, and renews it."""

    def __init__(self, api: Api, job: Job):
        super().__init__(name="lease", daemon=True)
        self._api = api
        self._manifest = _manifest(job)
        self._collection = f"/apis/batch/v1/namespaces/{api.namespace}/jobs"
        self._path = f"{self._collection}/{self._manifest['metadata']['name']}"
        self._created = datetime.datetime.now(datetime.UTC)
        self._stopped = threading.Event()

    def acquire(self) -> dict[str, Any] | None:
        """Creates or renews the lease; returns its ownerReference, or None if the cluster refuses it.

        Raises:
            UnansweredError: The API server does not answer.
        """
        try:
            if not may_create(self._api, "batch", "jobs"):
                raise UserError("this account may not create batch Jobs")
            while True:
                lease = self._create() or self._take_over()
                if lease:
                    break
                time.sleep(_TICK_S)
        except UserError as error:
            log.warning("the job has no lease, so it runs on if its launcher is lost and its run terminated: %s", error)
            return None
        metadata = lease["metadata"]
        self._created = datetime.datetime.fromisoformat(metadata["creationTimestamp"])
        return {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}

    def run(self) -> None:
        """Renews the lease until `stop` is called."""
        while not self._stopped.wait(RENEW_S):
            try:
                self._extend(LEASE_S)
            except (ApiException, urllib3.exceptions.HTTPError) as error:
                log.warning("cannot renew the lease of the job: %s", summarize(error))

    def stop(self) -> None:
        """Stops renewing the lease."""
        self._stopped.set()

    def keep(self, seconds: float) -> None:
        """Keeps the ended job for this long."""
        self.stop()
        self.join(_LAST_PATIENCE_S)  # A renewal that is under way would shorten it.
        try:
            retry(lambda: self._extend(seconds), _LAST_PATIENCE_S, retry_refusals=True)
        except (ApiException, UnansweredError) as error:
            log.warning("the job is deleted in %d minutes: cannot renew its lease: %s", LEASE_S / 60, error)

    def _create(self) -> dict[str, Any] | None:
        try:
            return retry(lambda: self._api.create(self._collection, self._manifest))
        except ApiException as error:
            if error.status != 409:
                raise
            return None

    def _take_over(self) -> dict[str, Any] | None:
        """Renews the lease of an earlier try; returns None if it has expired."""
        try:
            lease = retry(lambda: self._api.get(self._path))
            if "deletionTimestamp" in lease["metadata"]:
                return None
            if any(condition["type"] == "Failed" for condition in lease.get("status", {}).get("conditions", [])):
                self._api.delete(self._path)
                return None
            self._created = datetime.datetime.fromisoformat(lease["metadata"]["creationTimestamp"])
            return retry(lambda: self._extend(LEASE_S))
        except ApiException as error:
            if error.status != 404:
                raise
            return None

    def _extend(self, seconds: float) -> dict[str, Any]:
        """Moves the deadline, which counts from the lease's start, to `seconds` from now."""
        age = datetime.datetime.now(datetime.UTC) - self._created
        deadline_s = max(1, round(age.total_seconds() + seconds))
        return self._api.patch(self._path, {"spec": {"activeDeadlineSeconds": deadline_s}})


def _manifest(job: Job) -> dict[str, Any]:
    # Policies of a cluster may look at the template, although no pod is made from it.
    container = {
        "name": "lease",
        "image": job.options.image,
        "command": ["true"],
        "resources": pods.resources(job),
        "securityContext": pods.container_security(),
    }
    template = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": pods.pod_security(job),
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{job.name}-lease", "labels": pods.APP_LABEL, "ownerReferences": list(job.owners)},
        "spec": {
            "parallelism": 0,
            "completions": 1,
            "activeDeadlineSeconds": round(LEASE_S),
            "ttlSecondsAfterFinished": 0,
            "template": {"spec": template},
        },
    }
