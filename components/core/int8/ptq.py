"""Post-training quantization by neural-compressor: calibrate, score, and keep the first setting that is good enough."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from compaware.components.core.int8.export import export_classifier, graph_inputs
from compaware.components.core.int8.quantizers import quantize_embeddings
from compaware.components.core.int8.saturation import avoid_saturation

# How activation ranges are found, tried in this order: a moving average of minimum and maximum, then a histogram.
ACTIVATION_ALGORITHMS = ("minmax", "kl")
Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class TunedGraph:
    """The outcome of post-training quantization.

    Attributes:
        graph: Converted, weights not folded (see `convert.convert_graph`).
        score: What `score` gave for it.
        trials: Settings tried, at most one for each of `ACTIVATION_ALGORITHMS`.
    """

    graph: torch.fx.GraphModule
    score: float
    trials: int


def quantize_after_training(
    model: PreTrainedModel,
    calibration: Sequence[Batch],
    score: Callable[[torch.fx.GraphModule], float],
    baseline: float,
    allowed_loss: float,
) -> TunedGraph:
    """Quantizes a classifier without training it.

    neural-compressor's accuracy-aware `autotune` calibrates a copy with `StaticQuantConfig`, scores it, and goes on
    to the next way to find ranges only while the loss is larger than allowed; the best copy stays. It leaves
    embeddings in FP32, so their tables are quantized first, by torchao.

    Args:
        model: The FP32 classifier; not changed.
        calibration: Batches of typical inputs, each int64 (batch, sequence).
        score: Scores a converted graph; higher is better.
        baseline: Score of the FP32 model on the same data.
        allowed_loss: Absolute loss of score that ends the search.
    """
    # neural-compressor reads its log level when it is imported, and says a great deal at INFO.
    os.environ.setdefault("LOGLEVEL", "ERROR")
    from neural_compressor.torch.quantization import StaticQuantConfig, TuningConfig, autotune

    graph = _with_int8_embeddings(export_classifier(model))
    scores: list[float] = []

    def calibrate(prepared: torch.fx.GraphModule) -> None:
        for batch in calibration:
            run_graph(prepared, batch)

    def score_trial(candidate: torch.fx.GraphModule) -> float:
        if not getattr(candidate, "is_quantized", False):
            return 1.0  # autotune begins with the model as it came, whose score is known.
        avoid_saturation(candidate)
        scores.append(score(candidate))
        return 1.0 + scores[-1] - baseline

    settings = [StaticQuantConfig(act_algo=algorithm) for algorithm in ACTIVATION_ALGORITHMS]
    # autotune divides losses by the baseline, which may be 0; on this scale, where it is 1, they are absolute.
    tuning = TuningConfig(config_set=settings, tolerable_loss=allowed_loss, max_trials=len(settings))
    tuned = autotune(graph, tuning, eval_fn=score_trial, run_fn=calibrate)
    return TunedGraph(tuned, max(scores), len(scores))


def run_graph(graph: torch.fx.GraphModule, batch: Batch) -> np.ndarray:
    """Runs an exported graph on a batch, without gradients: logits, float32 (batch, labels)."""
    with torch.no_grad():
        return graph(**{name: torch.from_numpy(batch[name]) for name in graph_inputs(graph)}).numpy()


def _with_int8_embeddings(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    converted: Any = quantize_embeddings(graph)
    # What neural-compressor's own `export` would have set.
    converted._exported = True
    converted.dynamic_shapes = None
    return converted
