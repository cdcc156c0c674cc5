"""Chooses the kind of job by what the cluster serves, and runs a job as that kind."""

import logging

from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError
from compaware.components.launch.api import Api, retry
from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.cluster import ClusterLauncher
from compaware.components.launch.discovery import may_create, serves
from compaware.components.launch.errors import OldKindError
from compaware.components.launch.job import Job, JobKind
from compaware.components.launch.launcher import launch
from compaware.components.launch.lease import leased
from compaware.components.launch.options import AUTOMATIC, Launcher
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.trainjob import (
    TRAINJOB,
    TrainJobLauncher,
    may_create_runtimes,
    why_not_on_stock_runtime,
)

KINDS: dict[Launcher, JobKind] = dict(zip(AUTOMATIC, (TRAINJOB, PYTORCHJOB, BATCHJOB), strict=True))
log = logging.getLogger(__name__)


def launch_in_cluster(api: Api, job: Job) -> None:
    """Runs a job until it ends, as the kind that its options name or, with `auto`, as the first kind that is possible.

    Raises:
        UserError: As `launch`, or no kind of job is possible.
        JobError: As `launch`.
    """
    choices = choose(api, job)
    with leased(api, job) as job:
        for number, kind in enumerate(choices, 1):
            try:
                launch(job, cluster_launcher(kind, api))
                return
            except OldKindError as error:
                if number == len(choices):
                    raise
                log.warning("%s; launcher auto tries %s", error, choices[number].title)


def cluster_launcher(kind: JobKind, api: Api) -> ClusterLauncher:
    """Returns the launcher for a kind of job."""
    return TrainJobLauncher(api) if kind is TRAINJOB else ClusterLauncher(kind, api)


def choose(api: Api, job: Job) -> list[JobKind]:
    """Returns the kinds of jobs that are possible, the preferred one first; only the kind of a job that exists.

    Raises:
        UserError: No kind is possible.
    """
    if job.options.launcher != "auto":
        return [KINDS[job.options.launcher]]
    reasons = {kind.title: _reason_against(api, job, launcher) for launcher, kind in KINDS.items()}
    possible = [kind for kind in KINDS.values() if not reasons[kind.title]]
    refused = ", ".join(f"no {title} ({reason})" for title, reason in reasons.items() if reason)
    if not possible:
        raise UserError(f"launcher auto found {refused}: install {TRAINJOB.requirement}, or grant the permission")
    for kind in possible:
        if _exists(api, job, kind):
            log.info("launcher auto: an earlier try of this task created a %s", kind.title)
            return [kind]
    log.info("launcher auto: %s%s", possible[0].title, f"; {refused}" if refused else "")
    return possible


def _reason_against(api: Api, job: Job, launcher: Launcher) -> str:
    kind = KINDS[launcher]
    if reason := job.options.unsupported_by(launcher):
        return reason
    if not serves(api, kind):
        return "not served by this cluster"
    if not may_create(api, kind.group, kind.plural):
        return "this account may not create it"
    if kind is TRAINJOB and job.options.runtime is None and not may_create_runtimes(api):
        return why_not_on_stock_runtime(job.options)
    return ""


def _exists(api: Api, job: Job, kind: JobKind) -> bool:
    try:
        retry(lambda: api.get(f"{kind.path(api.namespace)}/{job.name}"))
    except ApiException as error:
        if error.status != 404:
            raise
        return False
    return True
