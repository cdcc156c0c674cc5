"""Workers get one logical CPU of each physical core, where the container has cores of its own."""

import os
from pathlib import Path

import pytest

from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.benchmark.measure import measure
from compaware.components.benchmark.workers.pinning import choose_affinity, choose_threads, default_threads, pinned
from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    """Returns the topology of four cores with two threads each, numbered as on most servers."""
    for number in range(8):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{number % 4},{number % 4 + 4}\n", encoding="ascii")
    return tmp_path


@pytest.mark.parametrize(
    ("allowed", "threads", "cpus"),
    [(range(8), 4, (0, 1, 2, 3)), (range(8), 1, (0, 1, 2, 3)), ([2, 3, 6, 7], 2, (2, 3)), ([1, 6], 2, (1, 6))],
)
def test_one_logical_cpu_of_each_allowed_core_is_chosen(
    topology: Path, allowed: list[int], threads: int, cpus: tuple[int, ...]
) -> None:
    found = choose_affinity(threads, allowed, None, topology)
    assert found.cpus == cpus and found.reason == "one logical CPU of each physical core"


@pytest.mark.parametrize(
    ("allowed", "quota", "threads", "reason"),
    [
        (range(8), 4.0, 4, "a quota of 4 CPUs but none of its own"),
        (range(8), 1.5, 1, "a quota of 1.5 CPUs but none of its own"),
        (range(8), None, 8, "more threads than physical cores, of which there are 4"),
        ([3, 7], 2.0, 2, "more threads than physical cores, of which there are 1"),
        ([0, 9], None, 1, "the topology of the CPUs is unknown"),
    ],
)
def test_workers_are_not_pinned_without_cores_of_their_own(
    topology: Path, allowed: list[int], quota: float | None, threads: int, reason: str
) -> None:
    found = choose_affinity(threads, allowed, quota, topology)
    assert not found.cpus and reason in found.reason


def test_a_quota_as_wide_as_the_allowed_cpus_pins(topology: Path) -> None:
    assert choose_affinity(2, [2, 3], 2.0, topology).cpus == (2, 3)


@pytest.mark.parametrize(
    ("chosen", "limit", "quota", "threads"), [("", 8, None, 4), ("", 8, 8.0, 4), ("", 3, 3.0, 3), ("6", 8, None, 6)]
)
def test_by_default_there_is_one_thread_for_each_physical_core(
    topology: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, limit: int, quota: float | None, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    monkeypatch.setattr(cpu, "cpu_limit", lambda: limit)
    assert default_threads(range(8), quota, topology) == threads


def test_more_threads_than_cpus_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cpu, "cpu_limit", lambda: 2)
    assert [choose_threads(asked) for asked in (1, 2)] == [1, 2]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert choose_threads(None) == 3
    config = BenchmarkConfig.model_validate(
        {
            "output": tmp_path / "results",
            "dataset": tmp_path / "none",
            "candidates": [{"name": "student", "role": "student", "folder": tmp_path}],
            "threads": 3,
        }
    )
    # Nothing was read before.
    with pytest.raises(UserError, match=r"^threads=3 exceeds the number of CPUs that this process may use, 2: set"):
        measure(config, tmp_path)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_a_child_keeps_the_cpus_and_the_parent_gets_its_own_back() -> None:
    before = os.sched_getaffinity(0)
    one = min(before)
    with pinned([one]):
        assert os.sched_getaffinity(0) == {one}
    assert os.sched_getaffinity(0) == before
    with pinned([]):
        assert os.sched_getaffinity(0) == before
