"""The task shows rank 0's log: every line once, and progress lines at a limited rate."""

import pytest

from tests.services.launch.conftest import Site, Waiting
from tests.services.launch.operator import RUNNING, Operator, terminated
from tests.services.launch.waiting import eventually


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("[")]


def finish(site: Site, waiting: Waiting, operator: Operator, master: str) -> None:
    site.proxy.close_log(master)
    operator.set_pod(master, "Succeeded", terminated(0, "Completed"))
    operator.set_condition("Succeeded")
    waiting.end()


def follows(site: Site, pod: str) -> int:
    return sum(f"/{pod}/log" in path and "follow=true" in path for _, path in site.proxy.requests)


def test_rank_0_is_shown_and_other_ranks_are_not(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    master, worker = operator.run_pods()
    site.proxy.write(master, "teacher: 6 layers")
    site.proxy.write(worker, "nobody reads this")
    site.proxy.write(master, "done")
    finish(site, waiting, operator, master)
    assert shown(capsys) == ["teacher: 6 layers", "done"]


def test_a_broken_connection_neither_loses_nor_repeats_lines(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    master, _ = operator.run_pods()
    expected = []
    for start in range(0, 60, 20):
        lines = [f"step {number}" for number in range(start, start + 20)]
        # Several lines within one second, some with the same time stamp: the API can resume only from a full second.
        site.proxy.cut_log_after = 13
        site.proxy.write(master, *lines[:10], step_s=0.25)
        site.proxy.write(master, *lines[10:], step_s=0.0)
        expected += lines
        connections = follows(site, master)
        eventually(lambda connections=connections: follows(site, master) > connections)
    assert site.proxy.met == 3
    finish(site, waiting, operator, master)
    assert shown(capsys) == expected


def test_the_log_continues_after_a_restart_in_the_same_pod(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    master, _ = operator.run_pods()
    site.proxy.write(master, "first life")
    eventually(lambda: follows(site, master))
    site.proxy.end_run(master)
    operator.set_pod(master, "Running", RUNNING, terminated(137), 1)
    site.proxy.write(master, "second life")
    eventually(lambda: any("previous=true" in path for _, path in site.proxy.requests))
    finish(site, waiting, operator, master)
    assert shown(capsys) == ["first life", "second life"]


def test_the_log_continues_with_the_replacement_of_a_lost_pod(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    master, _ = operator.run_pods()
    site.proxy.write(master, "before")
    eventually(lambda: follows(site, master))
    site.proxy.end_run(master)
    operator.delete_pod(master)
    operator.set_pod(operator.create_pod(0), "Running", RUNNING)
    site.proxy.write(master, "after")
    finish(site, waiting, operator, master)
    assert shown(capsys) == ["before", "after"]


def test_progress_is_shown_at_most_every_ten_seconds(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    job = site.job()
    waiting, operator = Waiting(site, job), site.operator(job)
    master, _ = operator.run_pods()
    for step in range(50):
        site.proxy.write(master, f"12:00:00 INFO    progress: training {step}/50", f"fact {step}", step_s=0.5)
    finish(site, waiting, operator, master)
    lines = shown(capsys)
    assert [line for line in lines if "fact" in line] == [f"fact {step}" for step in range(50)]
    assert [line.split()[-1] for line in lines if "progress" in line] == ["0/50", "10/50", "20/50", "30/50", "40/50"]
