"""Post-training quantization by neural-compressor: calibrates and scores settings until one is good enough."""

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

# Methods for activation ranges in the order of trials: mean minimum and maximum of the batches, then a histogram.
ACTIVATION_ALGORITHMS = ("minmax", "kl")


@dataclass(frozen=True)
class TunedGraph:
    """The result of post-training quantization.

    Attributes:
        graph: The converted graph that was scored; weights are not folded (see `convert.convert_graph`).
        score: Score of the graph.
        chosen: Index of its method in `ACTIVATION_ALGORITHMS`.
        trials: Number of methods that were tried.
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

    neural-compressor calibrates a copy with one `StaticQuantConfig` after another until a score passes; the best copy
    is returned. (Its own `autotune` quantizes again with the best setting, and so returns another graph than the one
    that was scored.) It leaves embeddings in FP32, so torchao quantizes their tables first.

    Args:
        model: The FP32 classifier; not changed.
        calibration: Batches of typical inputs, each int64 (batch, sequence); all rows have the same weight.
        score: Scores a converted graph; higher is better.
        passes: Returns whether a score is good enough to end the search.
    """
    # neural-compressor reads its log level on import, and logs a lot at INFO.
    os.environ.setdefault("LOGLEVEL", "ERROR")
    from neural_compressor.torch.quantization import StaticQuantConfig, quantize

    exported = quantize_embeddings(export_classifier(model))
    best: TunedGraph | None = None
    for number, algorithm in enumerate(ACTIVATION_ALGORITHMS):
        graph: Any = copy.deepcopy(exported)
        # neural-compressor's own `export` would set these.
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

    With torchao's constant of 0.01, the first of eight batches has 93 % of the weight in the moving average; here the
    average is the mean over all rows.
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
    """Runs an exported graph on a batch without gradients and returns the logits, float32 (batch, labels)."""
    with torch.no_grad():
        return graph(**{name: torch.from_numpy(batch[name]) for name in graph_inputs(graph)}).numpy()
