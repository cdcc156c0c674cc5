"""Exports a classifier as the graph that is calibrated, trained and served: tensors in, logits out."""

import copy

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compaware.components.core.models.first_token import use_first_token_only
from compaware.components.core.models.pairing import input_names, max_sequence_tokens

_MAX_BATCH = 4096


class LogitsOnly(torch.nn.Module):
    """Calls a Hugging Face classifier and returns only the logits, so that its graph has one output.

    Args:
        model: A sequence classifier; parameters of the graph are called `model.<name>`.
        bidirectional: Whether each token attends to all tokens but the padding. The mask for that is made here by four
            operators, in place of twenty in transformers.
    """

    def __init__(self, model: PreTrainedModel, bidirectional: bool = False):
        super().__init__()
        self.model = model
        self._bidirectional = bidirectional

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Token ids, mask and segment ids, each (batch, sequence) int64 → logits (batch, labels) float32."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        if self._bidirectional:
            # onnxruntime needs a row of the mask for each query.
            attention_mask = attention_mask[:, None, None, :].bool().expand(-1, -1, input_ids.shape[1], -1)
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **segments).logits


def example_inputs(names: list[str]) -> dict[str, torch.Tensor]:
    """Returns a batch of two sequences of eight tokens, one of them padded, to trace a model with."""
    mask = torch.ones(2, 8, dtype=torch.int64)
    mask[0, 4:] = 0
    values = {"input_ids": mask.clone(), "attention_mask": mask, "token_type_ids": torch.zeros_like(mask)}
    return {name: values[name] for name in names}


def dynamic_shapes(names: list[str], max_tokens: int) -> dict[str, dict[int, torch.export.Dim]]:
    """Returns shapes with any batch size and any sequence length up to `max_tokens`, the same for all inputs."""
    batch = torch.export.Dim("batch", min=1, max=_MAX_BATCH)
    sequence = torch.export.Dim("sequence", min=2, max=max_tokens)
    return {name: {0: batch, 1: sequence} for name in names}


def export_program(model: PreTrainedModel) -> torch.export.ExportedProgram:
    """Exports a copy of a classifier for inference in FP32, with dynamic batch size and sequence length.

    Its keyword inputs are `input_names(model)`, and its output is the logits (batch, labels).
    """
    names = input_names(model)
    copied = copy.deepcopy(model).float().eval()
    _use_linear_layers(copied)
    # Decoders would cache keys and values for the next token, which a classifier does not need.
    copied.config.use_cache = False
    # The models that this changes mask nothing but the padding.
    bidirectional = use_first_token_only(copied) and copied.config._attn_implementation == "sdpa"
    wrapper = LogitsOnly(copied, bidirectional)
    shapes = dynamic_shapes(names, max_sequence_tokens(model.config))
    return torch.export.export(wrapper, (), kwargs=example_inputs(names), dynamic_shapes=shapes)


def _use_linear_layers(model: PreTrainedModel) -> None:
    """Replaces Conv1D, GPT-2's linear layer with transposed weights, which no quantizer supports."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv1D):
                linear = torch.nn.Linear(child.nx, child.nf, device="meta")
                linear.weight = torch.nn.Parameter(child.weight.detach().T.contiguous())
                linear.bias = child.bias
                setattr(module, name, linear)


def export_classifier(model: PreTrainedModel) -> torch.fx.GraphModule:
    """Exports a classifier as a graph that can be quantized.

    The guards of `torch.export` are removed: they only check shapes, and do not belong to the model.
    """
    graph = export_program(model).module()
    assert isinstance(graph, torch.fx.GraphModule)
    for node in list(graph.graph.nodes):
        if node.op == "call_module" and node.target == "_guards_fn":
            graph.graph.erase_node(node)
    graph.recompile()
    return graph


def export_graph(graph: torch.fx.GraphModule, max_tokens: int) -> torch.export.ExportedProgram:
    """Exports a (quantized) graph again for saving; its shapes stay dynamic."""
    names = graph_inputs(graph)
    with torch.no_grad():
        return torch.export.export(
            graph, (), kwargs=example_inputs(names), dynamic_shapes=dynamic_shapes(names, max_tokens)
        )


def graph_inputs(graph: torch.fx.GraphModule) -> list[str]:
    """Returns the names of an exported graph's inputs, in order."""
    return [str(node.target) for node in graph.graph.nodes if node.op == "placeholder"]
