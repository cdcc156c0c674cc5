"""The exported graph has the model's logits for any shape of the batch."""

import numpy as np
import pytest
import torch

from compaware.components.core.int8.ptq import run_graph
from compaware.components.core.models.pairing import input_names
from compaware.components.core.runtimes.export import export_classifier, graph_inputs
from tests.components.core.int8.small_models import ARCHITECTURES, batch, build, logits_of


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_exported_graph_has_the_models_logits_for_any_batch_and_length(architecture: str) -> None:
    model = build(architecture)
    graph = export_classifier(model)
    assert graph_inputs(graph) == input_names(model)
    for rows, tokens in ((1, 2), (3, 17), (5, 64)):
        inputs = batch(rows, tokens)
        np.testing.assert_allclose(run_graph(graph, inputs), logits_of(model, inputs, input_names(model)), atol=1e-5)


def test_only_models_with_segments_take_segment_ids() -> None:
    assert "token_type_ids" in input_names(build("bert"))
    assert "token_type_ids" not in input_names(build("distilbert"))
    assert "token_type_ids" not in input_names(build("roberta"))


def test_export_does_not_change_the_model() -> None:
    model = build("bert").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = export_classifier(model)
    with torch.no_grad():
        for weight in graph.parameters():
            weight.zero_()
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
