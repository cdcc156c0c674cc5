"""Work that was begun is found again by the settings that determine its result."""

import pytest

from compaware.components.core.base.settings import hash_settings

SETTINGS = {"output": "a", "seed": 1, "options": {"epochs": 2, "checkpoint_minutes": 5.0}}


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"output": "b"}, True),
        ({"work": "w"}, True),
        ({"options": {"checkpoint_minutes": 1.0, "epochs": 2}}, True),
        ({"options": {"checkpoint_minutes": 5.0, "epochs": 3}}, False),
        ({"seed": 2}, False),
    ],
)
def test_where_a_stage_works_and_how_often_it_saves_is_no_setting_of_its_result(change: dict, is_same: bool) -> None:
    assert (hash_settings(SETTINGS | change) == hash_settings(SETTINGS)) == is_same
