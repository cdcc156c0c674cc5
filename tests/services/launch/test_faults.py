"""Faults of the API server do not affect the job."""

import logging
import time

import pytest

from compaware.components.launch.cluster import ClusterLauncher
from compaware.components.launch.errors import JobError
from compaware.components.launch.pytorchjob import PYTORCHJOB
from tests.services.launch.conftest import Site, Waiting
from tests.services.launch.operator import RUNNING, terminated
from tests.services.launch.waiting import eventually


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="compaware")


def watches(site: Site) -> int:
    return sum("watch=true" in path for _, path in site.proxy.requests)


def lists(site: Site) -> int:
    return sum("Selector=" in path and "watch=true" not in path for _, path in site.proxy.requests)


def test_errors_of_the_server_are_retried(site: Site) -> None:
    site.proxy.failures = 3
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    operator.run_pods()
    assert site.proxy.met == 3
    site.proxy.await_watches()
    site.proxy.failures = 3
    site.proxy.drop_watches()
    eventually(lambda: site.proxy.met == 6)
    operator.set_condition("Succeeded")
    waiting.end()


def test_broken_watches_are_resumed(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    operator.run_pods()
    for _ in range(3):
        site.proxy.await_watches()
        before = watches(site)
        site.proxy.drop_watches()
        eventually(lambda before=before: watches(site) == before + 2)
    operator.set_condition("Succeeded")
    waiting.end()
    assert "lost the watch of the job" in caplog.text


def test_an_expired_version_is_listed_again(site: Site) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    operator.run_pods()
    site.proxy.await_watches()
    before = lists(site)
    site.proxy.expire_watches = True
    site.proxy.drop_watches()
    eventually(lambda: lists(site) >= before + 2)
    assert site.proxy.met >= 2
    operator.set_condition("Succeeded")
    waiting.end()


def test_an_outage_of_the_server_is_waited_for(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    job = site.job(max_restarts=1)
    waiting, operator = Waiting(site, job), site.operator(job)
    _, second = operator.run_pods()
    eventually(lambda: "running" in caplog.text)
    site.proxy.await_watches()
    site.proxy.away = True
    site.proxy.drop_watches()
    operator.set_pod(second, "Running", RUNNING, terminated(137), 1)
    time.sleep(6)
    assert waiting.is_alive() and site.proxy.met > 2
    site.proxy.away = False
    eventually(lambda: f"pod {second} failed (exit code 137" in caplog.text)
    operator.set_condition("Succeeded")
    waiting.end()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_job_survives_a_server_that_refuses_all_requests_for_a_while(site: Site, status: int) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    operator.run_pods()
    site.proxy.await_watches()
    site.proxy.refuses = status
    site.proxy.drop_watches()
    operator.set_condition("Succeeded")
    waiting.join(3)
    assert waiting.is_alive() and site.proxy.met > 2
    site.proxy.refuses = None
    waiting.end()
    assert operator.job()


def test_a_job_is_created_once_after_an_outage(site: Site) -> None:
    site.proxy.away = True
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    time.sleep(2)
    assert site.proxy.met >= 2
    site.proxy.away = False
    operator.run_pods()
    operator.set_condition("Succeeded")
    waiting.end()
    assert ClusterLauncher(PYTORCHJOB, site.api).exists(job)


def test_a_long_outage_ends_the_task_but_not_the_job(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compaware.components.launch.watcher.SILENCE_LIMIT_S", 2.0)
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    operator.run_pods()
    site.proxy.await_watches()
    site.proxy.away = True
    site.proxy.drop_watches()
    with pytest.raises(JobError, match="may still run: run this task again to resume it"):
        waiting.end()
    assert site.proxy.met >= 2 and operator.job()
