"""Post-training quantization by neural-compressor: calibrate, score, and keep the first setting that is good enough."""

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torchao.quantization.pt2e import MovingAverageMinMaxObserver
from transformers import PreTrainedModel

from compaware.components.core.evaluation.criterion import sort_key
from compaware.components.core.int8.quantizers import quantize_embeddings
from compaware.components.core.int8.saturation import avoid_saturation
from compaware.components.core.runtimes.export import export_classifier, graph_inputs
from compaware.components.core.runtimes.formats import TokenBatch

# How activation ranges are found, tried in this order: the mean of the batches' minimum and maximum, then a histogram.
ACTIVATION_ALGORITHMS = ("minmax", "kl")


@dataclass(frozen=True)
class TunedGraph:
    """The outcome of post-training quantization.

    Attributes:
        graph: The graph that was scored, converted, weights not folded (see `convert.convert_graph`).
        score: What `score` gave for it.
        chosen: Which of `ACTIVATION_ALGORITHMS` made it.
        trials: Settings tried, at most one for each of `ACTIVATION_ALGORITHMS`.
    """

    graph: torch.fx.GraphModule
    score: float
    chosen: int
    trials: int


def quantize_after_training(
    model: PreTrainedModel,
    calibration: Sequence[TokenBatch],
    score: Callable[[torch.fx.GraphModule], float],
    passes: Callable[[float], bool],
) -> TunedGraph:
    """Quantizes a classifier without training it.

    neural-compressor calibrates a copy with `StaticQuantConfig`, one setting after another, until the score of one
    passes; the best copy stays. (Its own `autotune` would quantize anew with the best setting at the end, and so give
    another graph than the one that was scored.) It leaves embeddings in FP32, so their tables are quantized first, by
    torchao.

    Args:
        model: The FP32 classifier; not changed.
        calibration: Batches of typical inputs, each int64 (batch, sequence). All their rows count alike.
        score: Scores a converted graph; higher is better.
        passes: Whether a score is good enough to end the search.
    """
    # neural-compressor reads its log level when it is imported, and says a great deal at INFO.
    os.environ.setdefault("LOGLEVEL", "ERROR")
    from neural_compressor.torch.quantization import StaticQuantConfig, quantize

    exported = quantize_embeddings(export_classifier(model))
    best: TunedGraph | None = None
    for number, algorithm in enumerate(ACTIVATION_ALGORITHMS):
        graph: Any = copy.deepcopy(exported)
        # What neural-compressor's own `export` would have set.
        graph._exported, graph.dynamic_shapes = True, None
        graph = quantize(graph, StaticQuantConfig(act_algo=algorithm), run_fn=partial(_calibrate, batches=calibration))
        avoid_saturation(graph)
        value = score(graph)
        if best is None or sort_key(value) > sort_key(best.score):
            best = TunedGraph(graph, value, chosen=number, trials=number + 1)
        else:
            best = replace(best, trials=number + 1)
        if passes(value):
            break
    assert best is not None
    return best


def _calibrate(prepared: torch.fx.GraphModule, batches: Sequence[TokenBatch]) -> None:
    """Runs the batches through a graph that observes ranges.

    A moving average with torchao's constant of 0.01 would leave the first of eight batches 93 % of the weight; here it
    is the mean over all rows.
    """
    observers = [module for module in prepared.modules() if isinstance(module, MovingAverageMinMaxObserver)]
    seen = 0
    for batch in batches:
        rows = len(batch["input_ids"])
        seen += rows
        for observer in observers:
            observer.averaging_constant = rows / seen
        run_graph(prepared, batch)


def run_graph(graph: torch.fx.GraphModule, batch: TokenBatch) -> np.ndarray:
    """Runs an exported graph on a batch, without gradients: logits, float32 (batch, labels)."""
    with torch.no_grad():
        return graph(**{name: torch.from_numpy(batch[name]) for name in graph_inputs(graph)}).numpy()
