"""A row's range is set by its largest pair of neighbours."""

import pytest
import torch

from compaware.components.core.int8.saturation import widest_pairs


@pytest.mark.parametrize(
    ("row", "widest"),
    [
        ([3.0, 4.0, 1.0, 0.0], 7.0),
        ([3.0, -4.0, 1.0, 0.0], 4.0),
        ([-3.0, -4.0, 6.0, 0.5], 7.0),
        ([0.0, 5.0, 5.0, 0.0], 5.0),
        ([1.0, 1.0, 9.0], 9.0),
        ([0.0, 0.0], 0.0),
    ],
)
def test_only_neighbours_of_one_sign_add_up(row: list[float], widest: float) -> None:
    assert widest_pairs(torch.tensor([row, [0.0] * len(row)])).tolist() == [widest, 0.0]
