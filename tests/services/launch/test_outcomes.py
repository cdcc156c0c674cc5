"""Every outcome of a job is reported by the task with its reason."""

import logging

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.launch.errors import JobError
from compaware.components.launch.trainjob import TRAINJOB
from tests.services.launch.conftest import Site, Waiting
from tests.services.launch.operator import RUNNING, terminated
from tests.services.launch.waiting import eventually


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="compaware")


def test_a_successful_job(site: Site) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    for name in operator.run_pods():
        operator.set_pod(name, "Succeeded", terminated(0, "Completed"))
    operator.set_condition("Succeeded")
    waiting.end()
    assert operator.job()


def test_a_successful_trainjob(site: Site) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job, TRAINJOB), site.operator(job, TRAINJOB)
    operator.run_pods()
    operator.set_condition("Complete")
    waiting.end()


def test_a_failed_trainjob_is_reported_with_its_exit_code(site: Site) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job, TRAINJOB), site.operator(job, TRAINJOB)
    _, second = operator.run_pods()
    operator.set_pod(second, "Failed", terminated(1, message="ValueError: no such split"))
    operator.set_condition("Failed", "jobset failed due to one or more job failures")
    with pytest.raises(JobError, match=rf"pod {second} failed \(exit code 1\): ValueError: no such split$"):
        waiting.end()


def test_an_error_of_the_user_ends_the_job_at_once_with_its_line(site: Site) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    first, second = operator.run_pods()
    operator.set_pod(first, "Running", RUNNING, terminated(1, message="RuntimeError: connection closed by peer"), 1)
    state = terminated(2, message="error: 'epochs' is 0: input should be greater than 0")
    operator.set_pod(second, "Running", RUNNING, state, 1)
    with pytest.raises(UserError, match=r"^'epochs' is 0: input should be greater than 0$"):
        waiting.end()
    assert operator.job() is None, "the operator would restart it"


def test_a_bug_ends_the_job_at_once_with_its_exception(site: Site) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    first, second = operator.run_pods()
    operator.set_pod(first, "Running", RUNNING, terminated(1, message="RuntimeError: connection closed by peer"), 1)
    state = terminated(70, message="fault: TypeError: 'module' object is not callable")
    operator.set_pod(second, "Running", RUNNING, state, 1)
    with pytest.raises(JobError, match=r"exit code 70\): TypeError: 'module' object is not callable$"):
        waiting.end()
    assert operator.job() is None, "the operator would restart it"


def test_running_out_of_memory_names_the_pod_and_the_option_to_raise(site: Site) -> None:
    job = site.job(memory_per_node="8Gi")
    waiting, operator = Waiting(site, job), site.operator(job)
    first, second = operator.run_pods()
    operator.set_pod(first, "Running", RUNNING, terminated(1), 1)
    operator.set_pod(second, "Running", RUNNING, terminated(137, "OOMKilled"), 1)
    with pytest.raises(JobError, match=rf"pod {second} ran out of memory .*raise memory_per_node \(now 8Gi\)"):
        waiting.end()
    assert operator.job() is None


def test_a_lost_node_is_restarted(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    job = site.job(max_restarts=1)
    waiting, operator = Waiting(site, job), site.operator(job)
    first, second = operator.run_pods()
    operator.set_pod(second, "Failed", terminated(137), reason="NodeLost", message="node-7 is gone")
    eventually(lambda: f"pod {second} failed (exit code 137, NodeLost)" in caplog.text)
    operator.delete_pod(second)
    operator.set_pod(first, "Running", RUNNING, terminated(1), 1)
    eventually(lambda: f"pod {first} failed (exit code 1" in caplog.text)
    operator.set_pod(operator.create_pod(1), "Running", RUNNING)
    operator.set_condition("Restarting")
    operator.set_condition("Succeeded")
    waiting.end()


def test_a_node_that_fails_more_often_than_max_restarts_fails_the_job(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    job = site.job(max_restarts=1)
    waiting, operator = Waiting(site, job), site.operator(job)
    first, second = operator.run_pods()
    for restarts in (1, 2):
        operator.set_pod(first, "Running", RUNNING, terminated(1), restarts)
        operator.set_pod(second, "Running", RUNNING, terminated(139), restarts)
        eventually(lambda seen=restarts: caplog.text.count(f"pod {second} failed (exit code 139") == seen)
    with pytest.raises(JobError, match=rf"after 1 restarts: pod {second} was killed by signal 11 \(exit code 139\)"):
        waiting.end()
    assert operator.job() is None, "the operator would restart it"


def test_an_evicted_pod_is_named_with_the_kubelets_reason(site: Site) -> None:
    job = site.job(max_restarts=0)
    waiting, operator = Waiting(site, job), site.operator(job)
    _, second = operator.run_pods()
    operator.set_pod(second, "Failed", reason="Evicted", message="The node was low on resource: memory.")
    with pytest.raises(JobError, match=rf"pod {second} failed: Evicted: The node was low on resource: memory\."):
        waiting.end()


def test_the_last_lines_of_every_failed_pod_are_shown(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    job = site.job(max_restarts=0)
    waiting, operator = Waiting(site, job), site.operator(job)
    names = operator.run_pods()
    for name in names:
        site.proxy.write(name, *(f"line {number}" for number in range(30)))
        site.proxy.close_log(name)
        operator.set_pod(name, "Failed", terminated(1))
    operator.set_condition("Failed", "failed because 2 replicas failed")
    with pytest.raises(JobError):
        waiting.end()
    shown = capsys.readouterr().out.splitlines()
    for name in names:
        assert [line for line in shown if line.startswith(f"[{name}]")] == [
            f"[{name}] line {number}" for number in range(10, 30)
        ]


def test_an_image_that_cannot_be_pulled_fails_the_job_after_the_limit(site: Site) -> None:
    job = site.job(pending_limit_minutes=0.02)
    waiting, operator = Waiting(site, job), site.operator(job)
    first, _ = operator.create_pods()
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nowhere/x:1"'}}
    operator.set_pod(first, "Pending", waits)
    with pytest.raises(JobError, match=r'did not start within .*: pod .*ImagePullBackOff: Back-off .*"nowhere/x:1"'):
        waiting.end()
    assert operator.job() is None


def test_a_pod_that_cannot_be_scheduled_fails_the_job_after_the_limit(site: Site) -> None:
    job = site.job(pending_limit_minutes=0.02)
    waiting, operator = Waiting(site, job), site.operator(job)
    first, second = operator.create_pods()
    operator.set_pod(first, "Running", RUNNING)
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    operator.set_pod(second, "Pending", conditions=[full])
    with pytest.raises(JobError, match=rf"did not start .*: pod {second}, Unschedulable: 0/3 nodes are available"):
        waiting.end()


def test_a_missing_operator_is_reported(site: Site) -> None:
    job = site.job(pending_limit_minutes=0.02)
    with pytest.raises(JobError, match="no pod was created: is the operator running"):
        Waiting(site, job).end()


def test_pods_over_the_quota_are_reported_with_the_event(site: Site) -> None:
    job = site.job(pending_limit_minutes=0.02)
    waiting = Waiting(site, job)
    created = eventually(site.operator(job).job)
    about = {"kind": "PyTorchJob", "name": job.name, "namespace": site.api.namespace, "uid": created["metadata"]["uid"]}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "refused"}, "involvedObject": about}
    event |= {"type": "Warning", "reason": "FailedCreatePod", "message": "exceeded quota: team-a"}
    site.direct.create(f"/api/v1/namespaces/{site.api.namespace}/events", event)
    with pytest.raises(JobError, match=r"no pod was created.*FailedCreatePod: exceeded quota: team-a"):
        waiting.end()


def test_waiting_in_a_queue_is_reported_and_has_no_limit(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    job = site.job(queue_name="team-a", pending_limit_minutes=0.01)
    waiting, operator = Waiting(site, job), site.operator(job)
    created = eventually(operator.job)
    assert created["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert created["spec"]["runPolicy"]["suspend"] is True
    operator.set_condition("Suspended")
    waiting.join(4)
    assert waiting.is_alive()
    assert "suspended, waiting in queue team-a" in caplog.text
    operator.set_suspend(False)
    operator.set_condition("Suspended", status="False")
    operator.run_pods()
    operator.set_condition("Succeeded")
    waiting.end()


def test_preempted_pods_are_not_a_failure(site: Site) -> None:
    job = site.job(queue_name="team-a", max_restarts=0)
    waiting, operator = Waiting(site, job), site.operator(job)
    eventually(operator.job)
    operator.set_suspend(False)
    names = operator.run_pods()
    operator.set_suspend(True)
    for name in names:
        operator.preempt_pod(name)
    operator.set_condition("Suspended")
    waiting.join(4)
    assert waiting.is_alive()
    operator.set_suspend(False)
    operator.run_pods()
    operator.set_condition("Succeeded")
    waiting.end()


def test_a_job_that_someone_deletes_fails_the_task(site: Site) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    master, _ = operator.run_pods()
    site.proxy.close_log(master)
    site.direct.delete(operator.path)
    with pytest.raises(JobError, match="was deleted by someone else"):
        waiting.end()


def test_a_job_past_its_deadline_says_which_option_to_raise(site: Site) -> None:
    job = site.job(timeout_hours=0.5)
    waiting, operator = Waiting(site, job), site.operator(job)
    operator.run_pods()
    operator.set_condition("Failed", f"Job {job.name} has failed because it was active longer than specified deadline")
    with pytest.raises(JobError, match=r"did not finish within timeout_hours \(0\.5\): raise it"):
        waiting.end()
