"""Quantization-aware training: a classifier whose graph rounds weights and activations to INT8 as it trains."""

from typing import Any, Self

import torch
from torch.fx.node import map_aggregate
from torchao.quantization.pt2e import disable_observer, enable_observer
from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.modeling_outputs import SequenceClassifierOutput

from compaware.components.core.int8.quantizers import add_lookup_rounding, training_quantizer
from compaware.components.core.runtimes.export import export_classifier, graph_inputs

_DROPOUT = torch.ops.aten.dropout.default
_ATTENTION = torch.ops.aten.scaled_dot_product_attention.default


class FakeQuantizedClassifier(torch.nn.Module):
    """A copy of a Hugging Face classifier, fake-quantized; Trainer trains and saves it like any model.

    Its parameters are called `graph.model.<name in the Hugging Face model>`; ranges are buffers, so a checkpoint holds
    them too. It is made in training mode.

    Args:
        model: The FP32 classifier to start from.
    """

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.config = model.config
        self.graph = prepare_qat_pt2e(export_classifier(model), training_quantizer())
        add_lookup_rounding(self.graph)
        self._inputs = graph_inputs(self.graph)
        self._dropouts = self._find_dropouts()
        self._dropout_is_on: bool | None = None
        self._observers_are_frozen = False
        self.train()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """Token ids, mask and segment ids, each (batch, sequence) int64 → an output with logits (batch, labels)."""
        values = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        if token_type_ids is None:
            values["token_type_ids"] = torch.zeros_like(input_ids)
        return SequenceClassifierOutput(logits=self.graph(**{name: values[name] for name in self._inputs}))

    def train(self, mode: bool = True) -> Self:
        """Switches dropout and the moving of ranges on or off.

        torchao's own switch would set every dropout to 0.5, forget attention's, and let evaluation move the ranges.
        """
        self.training = mode
        if mode != self._dropout_is_on:
            for node, probability in self._dropouts:
                if node.target == _DROPOUT:
                    node.args = (node.args[0], probability, mode)
                else:
                    node.update_kwarg("dropout_p", probability if mode else 0.0)
            self.graph.recompile()
            self._dropout_is_on = mode
        moves = mode and not self._observers_are_frozen
        self.graph.apply(enable_observer if moves else disable_observer)
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Where the weights move, tensors that the graph makes follow: it was exported on the CPU."""
        super()._apply(fn, recurse)
        device = next(self.parameters()).device
        for module in self.graph.modules():
            if isinstance(module, torch.fx.GraphModule):
                for node in module.graph.nodes:
                    node.args, node.kwargs = _on_device((node.args, node.kwargs), device)
                module.recompile()
        return self

    def freeze_observers(self) -> None:
        """Keeps the ranges as they are, also in training, from now on."""
        self._observers_are_frozen = True
        self.graph.apply(disable_observer)

    def _find_dropouts(self) -> list[tuple[torch.fx.Node, float]]:
        """Dropout operators and their probabilities; attention has its own in the config, not in an inference graph."""
        attributes = ("attention_probs_dropout_prob", "attention_dropout")
        attention = next((float(getattr(self.config, name)) for name in attributes if hasattr(self.config, name)), 0.0)
        found = []
        for node in self.graph.graph.nodes:
            if node.target == _DROPOUT:
                found.append((node, float(node.args[1])))
            elif node.target == _ATTENTION and attention > 0:
                found.append((node, attention))
        return found


def _on_device(arguments: Any, device: torch.device) -> Any:
    """The same arguments of an operator, any device among them replaced."""
    return map_aggregate(arguments, lambda value: device if isinstance(value, torch.device) else value)


class FreezeObservers(TrainerCallback):
    """Freezes the ranges for the last part of the training, so that weights settle on a grid that stands still.

    Args:
        model: The model in training.
        fraction: Part of the optimizer steps that are taken with frozen ranges.
    """

    def __init__(self, model: FakeQuantizedClassifier, fraction: float):
        self._model = model
        self._fraction = fraction

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Freezes when the time has come; the first step always observes, since ranges start empty."""
        if state.global_step >= max(1, round(state.max_steps * (1 - self._fraction))):
            self._model.freeze_observers()
