"""Post-training quantization ends at the first setting that is good enough, and keeps the best where none is."""

import numpy as np

from compaware.components.core.int8.ptq import ACTIVATION_ALGORITHMS, quantize_after_training, run_graph
from tests.components.core.int8.small_models import batch, build, logits_of

CALIBRATION = [batch(4, 6 + seed, seed) for seed in range(3)]


def test_the_first_setting_that_is_good_enough_ends_the_search() -> None:
    tuned = quantize_after_training(build("bert"), CALIBRATION, lambda graph: 0.89, baseline=0.9, allowed_loss=0.02)
    assert tuned.trials == 1
    assert tuned.score == 0.89


def test_where_no_setting_is_good_enough_the_best_is_kept() -> None:
    model, inputs = build("distilbert"), batch(16, 12, seed=7)
    expected = logits_of(model, inputs, ["input_ids", "attention_mask"])
    errors = []

    def score(graph) -> float:
        errors.append(float(np.abs(run_graph(graph, inputs) - expected).mean()))
        return -errors[-1]

    tuned = quantize_after_training(model, CALIBRATION, score, baseline=0.0, allowed_loss=0.0)
    assert len(errors) == tuned.trials == len(ACTIVATION_ALGORITHMS)
    assert tuned.score == -min(errors)
    assert np.isclose(float(np.abs(run_graph(tuned.graph, inputs) - expected).mean()), min(errors), rtol=1e-3)
    assert min(errors) < np.abs(expected).mean()
