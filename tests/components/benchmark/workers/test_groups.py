"""Groups fit in memory, all contain the reference, and there is one group if all variants fit."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.benchmark.workers.groups import available_memory_bytes, plan_groups
from compaware.components.benchmark.workers.rounds import Figures, scaled
from tests.components.benchmark.synthetic import benchmark, measured


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(0, 400))
def test_every_variant_is_in_one_group_beside_the_reference(needed: list[int], available: int) -> None:
    groups = plan_groups(needed, available)
    assert all(group[0] == 0 for group in groups)
    assert [place for group in groups for place in group[1:]] == list(range(1, len(needed)))
    for group in groups:
        assert len(group) <= 2 or sum(needed[place] for place in group) <= available
    assert len(groups) == 1 or sum(needed) > available


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 900_000),
        ({"memory.max": "max", "memory.current": "5", "memory.stat": "anon 1\ninactive_file 2"}, 900_000),
        ({"memory.max": "1000", "memory.current": "500", "memory.stat": "anon 1\ninactive_file 200"}, 700),
        (
            {
                "memory/memory.limit_in_bytes": "1000",
                "memory/memory.usage_in_bytes": "500",
                "memory/memory.stat": "total_inactive_file 100",
            },
            600,
        ),
    ],
)
def test_the_limit_of_a_container_counts_less_what_is_used(tmp_path: Path, files: dict[str, str], left: int) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 1000 kB\n", encoding="ascii")
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="ascii")
    found = available_memory_bytes(tmp_path, tmp_path / "meminfo")
    assert found == pytest.approx(0.9 * (1_024_000 if left == 900_000 else left))


def test_the_times_of_a_group_are_scaled_and_ratios_between_groups_have_as_many_rounds_as_both() -> None:
    figures = Figures(0.9, {}, 1, 1, {1: [[1.0, 2.0]], 8: [[4.0]]})
    assert scaled(figures, {1: 0.5}).seconds == {1: [[0.5, 1.0]], 8: [[4.0]]}
    found = benchmark(
        [
            measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 10.0}, rounds=10),
            measured("student", "torch", role="student", metric=0.9, milliseconds={1: 5.0}, rounds=4),
        ]
    )
    assert found.by_id("student_torch").batches[1].ratio_to_teacher == pytest.approx(2.0, rel=0.05)
