"""A job whose Kueue queue cannot admit it fails with Kueue's reason; one that waits for quota waits."""

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.launch.errors import JobError
from tests.services.launch.conftest import Site, Waiting
from tests.services.launch.queues import LocalQueue
from tests.services.launch.test_permissions import RULES, act_as_launcher
from tests.services.launch.waiting import eventually


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compaware.components.launch.kueue._SECONDS_BETWEEN_LOOKS", 0.5)


def test_a_queue_that_does_not_exist_is_refused_before_a_job_is_created(site: Site) -> None:
    job = site.job(queue_name="team-a")
    with pytest.raises(UserError, match=f"there is no LocalQueue team-a in namespace {site.api.namespace}"):
        Waiting(site, job).end()
    assert site.operator(job).job() is None


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("Inadmissible", "LocalQueue team-a is stopped"),
        ("Inadmissible", "ClusterQueue all is terminating or missing"),
        ("Suspended", "ClusterQueue all is stopped"),
        (
            "Pending",
            "couldn't assign flavors to pod set master: insufficient quota for cpu in flavor all, previously "
            "considered podsets requests (0) + current podset request (4) > maximum capacity (2)",
        ),
    ],
)
def test_a_queue_that_never_admits_the_job_fails_it_with_kueues_reason(site: Site, reason: str, message: str) -> None:
    queue = LocalQueue(site, "team-a")
    job = site.job(queue_name="team-a", pending_limit_minutes=0.02)
    waiting, operator = Waiting(site, job), site.operator(job)
    queue.add_workload(eventually(operator.job), reason, message)
    operator.set_condition("Suspended")
    with pytest.raises(JobError) as failed:
        waiting.end()
    assert f"did not start within pending_limit_minutes (0.02): queue team-a: {message}" in str(failed.value)
    assert operator.job() is None


def test_a_kind_that_kueue_does_not_manage_fails(site: Site) -> None:
    LocalQueue(site, "team-a")
    with pytest.raises(JobError, match=r"queue team-a: .*enable its integration kubeflow\.org/pytorchjob"):
        Waiting(site, site.job(queue_name="team-a", pending_limit_minutes=0.02)).end()


def test_an_account_that_may_not_read_queues_waits(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    act_as_launcher(site, [rule for rule in RULES if rule["apiGroups"] != ["kueue.x-k8s.io"]])
    waiting = Waiting(site, site.job(queue_name="team-a", pending_limit_minutes=0.01))
    waiting.join(5)
    assert waiting.is_alive()
    assert "cannot see why Kueue does not admit the job: 403 workloads.kueue.x-k8s.io is forbidden" in caplog.text
