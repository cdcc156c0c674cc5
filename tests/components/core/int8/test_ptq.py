"""Post-training quantization stops at the first setting that is good enough, else it keeps the best one."""

from operator import attrgetter

import numpy as np
import pytest
import torch

from compaware.components.core.int8.ptq import ACTIVATION_ALGORITHMS, quantize_after_training, run_graph
from compaware.components.core.int8.saturation import HALF_RANGE, widest_pairs
from compaware.components.core.runtimes.export import graph_inputs
from compaware.components.core.runtimes.formats import TokenBatch
from tests.components.core.int8.small_models import batch, build

CALIBRATION = [batch(4, 6 + seed, seed) for seed in range(3)]


def weights_and_scales(graph: torch.fx.GraphModule) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights of the linear layers, with the scales that they are quantized by."""
    found = []
    for linear in graph.graph.find_nodes(op="call_function", target=torch.ops.aten.linear.default):
        quantize = linear.args[1].args[0]
        found.append(tuple(attrgetter(argument.target)(graph).detach() for argument in quantize.args[:2]))
    return found


def ranges(graph: torch.fx.GraphModule) -> list[tuple[float, int]]:
    """Scales and zero points of activations, in order."""
    target = torch.ops.quantized_decomposed.quantize_per_tensor.default
    return [node.args[1:3] for node in graph.graph.find_nodes(op="call_function", target=target)]


def test_the_first_setting_that_is_good_enough_ends_the_search() -> None:
    tuned = quantize_after_training(build("bert"), CALIBRATION, lambda graph: 0.89, lambda score: score > 0.88)
    assert tuned.trials == 1
    assert tuned.score == 0.89


@pytest.mark.parametrize("scores", [[0.8, 0.7], [0.7, 0.8], [float("nan"), 0.8]])
def test_without_a_setting_that_is_good_enough_the_best_graph_is_returned(scores: list[float]) -> None:
    inputs, scored = batch(16, 12, seed=7), []

    def score(graph: torch.fx.GraphModule) -> float:
        scored.append(run_graph(graph, inputs))
        return scores[len(scored) - 1]

    tuned = quantize_after_training(build("distilbert"), CALIBRATION, score, lambda score: False)
    assert len(scored) == tuned.trials == len(ACTIVATION_ALGORITHMS)
    assert not np.array_equal(*scored)
    assert (tuned.score, tuned.chosen) == (0.8, scores.index(0.8))
    np.testing.assert_array_equal(run_graph(tuned.graph, inputs), scored[tuned.chosen])
    pairs = weights_and_scales(tuned.graph)
    assert pairs and all((widest_pairs(weight) <= 1.001 * HALF_RANGE * scale).all() for weight, scale in pairs)


def test_every_calibration_row_has_the_same_weight_in_any_order_of_batches() -> None:
    model, batches = build("bert"), [batch(6, 30, 1), batch(6, 20, 2), batch(3, 5, 3)]
    seen: list[list[TokenBatch]] = [batches, batches[::-1]]
    there, back = (quantize_after_training(model, order, lambda graph: 1.0, bool).graph for order in seen)
    assert graph_inputs(there) == graph_inputs(back)
    for (scale, zero_point), (other, other_point) in zip(ranges(there), ranges(back), strict=True):
        assert scale == pytest.approx(other, rel=1e-5)
        assert zero_point == other_point
