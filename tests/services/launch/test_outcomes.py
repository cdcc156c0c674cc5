"""Every outcome of a job is reported by the task with its reason, whatever kind of job it is."""

import logging
from typing import Any

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.errors import JobError
from compaware.components.launch.job import Job, JobKind
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.trainjob import TRAINJOB
from tests.services.launch.conftest import Site, Waiting
from tests.services.launch.operator import RUNNING, terminated
from tests.services.launch.queues import LocalQueue
from tests.services.launch.waiting import eventually

TWO_NODES = [PYTORCHJOB, TRAINJOB]
ALL = [*TWO_NODES, BATCHJOB]
# What the API server answers where Pod Security or a quota refuses a pod, as recorded.
DENIED = 'pods "a-node-0-0-s4jjv" is forbidden: exceeded quota: team-a'


def title(kind: JobKind) -> str:
    return kind.title


@pytest.fixture(params=TWO_NODES, ids=title)
def kind(request: pytest.FixtureRequest) -> JobKind:
    """A kind of job; tests of one node take `ALL` instead."""
    return request.param


def of_any_kind(site: Site, kind: JobKind, **options: Any) -> Job:
    """A job of one node for batch Jobs, and of two nodes for the others."""
    return site.job(**{"num_nodes": 1 if kind is BATCHJOB else 2, **options})


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="compaware")


@pytest.mark.parametrize("kind", ALL, ids=title)
def test_a_successful_job(site: Site, kind: JobKind) -> None:
    job = of_any_kind(site, kind)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    for name in operator.run_pods():
        operator.set_pod(name, "Succeeded", terminated(0, "Completed"))
    operator.succeed()
    waiting.end()
    assert operator.job()


def test_an_error_of_the_user_ends_the_job_at_once_with_its_line(site: Site, kind: JobKind) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, second = operator.run_pods()
    operator.set_pod(first, "Running", RUNNING, terminated(1, message="RuntimeError: connection closed by peer"), 1)
    state = terminated(2, message="error: 'epochs' is 0: input should be greater than 0")
    operator.set_pod(second, "Running", RUNNING, state, 1)
    with pytest.raises(UserError, match=r"^'epochs' is 0: input should be greater than 0$"):
        waiting.end()
    assert operator.job() is None, "the operator would restart it"


def test_a_bug_ends_the_job_at_once_with_its_exception(site: Site, kind: JobKind) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, second = operator.run_pods()
    operator.set_pod(first, "Running", RUNNING, terminated(1, message="RuntimeError: connection closed by peer"), 1)
    state = terminated(70, message="fault: TypeError: 'module' object is not callable")
    operator.set_pod(second, "Running", RUNNING, state, 1)
    with pytest.raises(JobError, match=r"exit code 70\): TypeError: 'module' object is not callable$"):
        waiting.end()
    assert operator.job() is None, "the operator would restart it"


def test_running_out_of_memory_names_the_pod_and_the_option_to_raise(site: Site, kind: JobKind) -> None:
    job = site.job(memory_per_node="8Gi")
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, second = operator.run_pods()
    operator.set_pod(first, "Running", RUNNING, terminated(1), 1)
    operator.set_pod(second, "Running", RUNNING, terminated(137, "OOMKilled"), 1)
    with pytest.raises(JobError, match=rf"pod {second} ran out of memory .*raise memory_per_node \(now 8Gi\)"):
        waiting.end()
    assert operator.job() is None


def test_a_lost_node_is_restarted(site: Site, kind: JobKind, caplog: pytest.LogCaptureFixture) -> None:
    job = site.job(max_restarts=1)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, second = operator.run_pods()
    operator.set_pod(second, "Failed", terminated(137), reason="NodeLost", message="node-7 is gone")
    eventually(lambda: f"pod {second} failed (exit code 137, NodeLost)" in caplog.text)
    operator.delete_pod(second)
    operator.set_pod(first, "Running", RUNNING, terminated(1), 1)
    eventually(lambda: f"pod {first} failed (exit code 1" in caplog.text)
    operator.set_pod(operator.create_pod(1), "Running", RUNNING)
    operator.succeed()
    waiting.end()


def test_a_node_that_fails_more_often_than_max_restarts_fails_the_job(
    site: Site, kind: JobKind, caplog: pytest.LogCaptureFixture
) -> None:
    job = site.job(max_restarts=1)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, second = operator.run_pods()
    for restarts in (1, 2):
        operator.set_pod(first, "Running", RUNNING, terminated(1), restarts)
        operator.set_pod(second, "Running", RUNNING, terminated(139), restarts)
        eventually(lambda seen=restarts: caplog.text.count(f"pod {second} failed (exit code 139") == seen)
    with pytest.raises(JobError, match=rf"after 1 restarts: pod {second} was killed by signal 11 \(exit code 139\)"):
        waiting.end()
    assert operator.job() is None, "the operator would restart it"


def test_an_evicted_pod_is_named_with_the_kubelets_reason(site: Site, kind: JobKind) -> None:
    job = site.job(max_restarts=0)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    _, second = operator.run_pods()
    operator.set_pod(second, "Failed", reason="Evicted", message="The node was low on resource: memory.")
    with pytest.raises(JobError, match=rf"pod {second} failed: Evicted: The node was low on resource: memory\."):
        waiting.end()


def test_the_last_lines_of_every_failed_pod_are_shown(
    site: Site, kind: JobKind, capsys: pytest.CaptureFixture[str]
) -> None:
    job = site.job(max_restarts=0)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    names = operator.run_pods()
    for name in names:
        site.proxy.write(name, *(f"line {number}" for number in range(30)))
        site.proxy.close_log(name)
        operator.set_pod(name, "Failed", terminated(1))
    operator.fail("failed because 2 replicas failed")
    with pytest.raises(JobError):
        waiting.end()
    shown = capsys.readouterr().out.splitlines()
    for name in names:
        assert [line for line in shown if line.startswith(f"[{name}]")] == [
            f"[{name}] line {number}" for number in range(10, 30)
        ]


def test_an_image_that_cannot_be_pulled_fails_the_job_after_the_limit(site: Site, kind: JobKind) -> None:
    job = site.job(pending_limit_minutes=0.02)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, _ = operator.create_pods()
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nowhere/x:1"'}}
    operator.set_pod(first, "Pending", waits)
    with pytest.raises(JobError, match=r'did not start within .*: pod .*ImagePullBackOff: Back-off .*"nowhere/x:1"'):
        waiting.end()
    assert operator.job() is None


def test_a_pod_that_cannot_be_scheduled_fails_the_job_after_the_limit(site: Site, kind: JobKind) -> None:
    job = site.job(pending_limit_minutes=0.02)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, second = operator.create_pods()
    operator.set_pod(first, "Running", RUNNING)
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    operator.set_pod(second, "Pending", conditions=[full])
    with pytest.raises(JobError, match=rf"did not start .*: pod {second}, Unschedulable: 0/3 nodes are available"):
        waiting.end()


def test_a_missing_operator_is_reported(site: Site, kind: JobKind) -> None:
    job = site.job(pending_limit_minutes=0.02)
    with pytest.raises(JobError, match=r"no pod was created \(no event says why: is its operator running\?\)$"):
        Waiting(site, job, kind).end()


@pytest.mark.parametrize("kind", ALL, ids=title)
def test_denied_pods_are_reported_with_the_event(site: Site, kind: JobKind) -> None:
    job = of_any_kind(site, kind, pending_limit_minutes=0.02)
    waiting = Waiting(site, job, kind)
    site.operator(job, kind).deny_pods(DENIED)
    with pytest.raises(JobError, match=r"no pod was created \(FailedCreate(Pod)?: Error creating: .* quota: team-a\)$"):
        waiting.end()


def test_denied_pods_are_in_the_log_while_the_launcher_waits(
    site: Site, kind: JobKind, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compaware.components.launch.events._SECONDS_BETWEEN_LOOKS", 0.5)
    job = site.job()
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    operator.deny_pods(DENIED)
    eventually(lambda: "waiting for its pods: FailedCreate" in caplog.text)
    assert "exceeded quota: team-a" in caplog.text
    operator.run_pods()
    operator.succeed()
    waiting.end()


@pytest.mark.parametrize("kind", ALL, ids=title)
def test_waiting_in_a_queue_is_reported_and_has_no_limit(
    site: Site, kind: JobKind, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compaware.components.launch.kueue._SECONDS_BETWEEN_LOOKS", 1.0)
    queue = LocalQueue(site, "team-a")
    job = of_any_kind(site, kind, queue_name="team-a", pending_limit_minutes=0.05)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    created = eventually(operator.job)
    queue.add_workload(
        created, reason="Pending", message="insufficient unused quota for cpu in flavor all, 6 more needed"
    )
    assert created["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    operator.set_suspend(True)
    waiting.join(6)
    assert waiting.is_alive()
    assert "suspended, waiting in queue team-a: insufficient unused quota for cpu" in caplog.text
    operator.set_suspend(False)
    operator.run_pods()
    operator.succeed()
    waiting.end()


@pytest.mark.parametrize("kind", ALL, ids=title)
def test_preempted_pods_are_not_a_failure(site: Site, kind: JobKind) -> None:
    LocalQueue(site, "team-a")
    job = of_any_kind(site, kind, queue_name="team-a", max_restarts=0)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    eventually(operator.job)
    operator.set_suspend(False)
    names = operator.run_pods()
    operator.set_suspend(True)
    for name in names:
        operator.preempt_pod(name)
    waiting.join(4)
    assert waiting.is_alive()
    operator.set_suspend(False)
    operator.run_pods()
    operator.succeed()
    waiting.end()


@pytest.mark.parametrize("kind", ALL, ids=title)
def test_a_job_that_someone_deletes_fails_the_task(site: Site, kind: JobKind) -> None:
    job = of_any_kind(site, kind)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, *_ = operator.run_pods()
    site.proxy.close_log(first)
    site.direct.delete(operator.path)
    with pytest.raises(JobError, match="was deleted by someone else"):
        waiting.end()


@pytest.mark.parametrize("kind", ALL, ids=title)
def test_a_job_past_its_deadline_says_which_option_to_raise(site: Site, kind: JobKind) -> None:
    job = of_any_kind(site, kind, timeout_hours=0.5)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    operator.run_pods()
    operator.exceed_deadline()
    with pytest.raises(JobError, match=r"did not finish within timeout_hours \(0\.5\): raise it"):
        waiting.end()


@pytest.mark.parametrize("kind", ALL, ids=title)
def test_a_job_that_fails_while_nobody_watches_is_reported_with_its_pods_reason(site: Site, kind: JobKind) -> None:
    """The operator may end the job before the launcher does, for example while no launcher runs."""
    job = of_any_kind(site, kind)
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    first, *_ = operator.run_pods()
    operator.set_pod(first, "Failed", terminated(1, message="ValueError: no such split"))
    operator.fail()
    with pytest.raises(JobError, match=rf"pod {first} failed \(exit code 1\): ValueError: no such split$"):
        waiting.end()


def test_restarts_of_a_batch_job_are_counted(site: Site) -> None:
    job = site.job(num_nodes=1, max_restarts=1)
    waiting, operator = Waiting(site, job, BATCHJOB), site.operator(job, BATCHJOB)
    [only] = operator.run_pods()
    operator.set_pod(only, "Running", RUNNING, terminated(139), 1)
    waiting.join(3)
    assert waiting.is_alive()
    operator.set_pod(only, "Running", RUNNING, terminated(139), 2)
    with pytest.raises(JobError, match=rf"after 1 restarts: pod {only} was killed by signal 11"):
        waiting.end()
    assert operator.job() is None, "the Job controller would restart it"
