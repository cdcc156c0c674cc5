"""Scores follow their formulas."""

import torch

from compaware.components.core.sparsity.scores import SCORES


def two_steps(name: str) -> torch.Tensor:
    weight = torch.nn.Parameter(torch.tensor([[1.0, -2.0, 3.0]]))
    score = SCORES[name]()
    for gradient in ([[1.0, 1.0, -1.0]], [[1.0, 0.0, -3.0]]):
        weight.grad = torch.tensor(gradient)
        score.update({"w": weight})
    return score.value("w", weight)


def test_magnitude_is_the_weight_without_its_sign():
    assert two_steps("magnitude").tolist() == [[1.0, 2.0, 3.0]]


def test_movement_rewards_weights_that_grow():
    assert two_steps("movement").tolist() == [[-2.0, 2.0, 12.0]]


def test_snip_momentum_smooths_the_sensitivity():
    assert torch.allclose(two_steps("snip_momentum"), torch.tensor([[1.9, 1.8, 0.9 * 3 + 9]]))
