"""Quantization-aware training: a classifier whose graph rounds weights and activations to INT8 values."""

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
    """A fake-quantized copy of a Hugging Face classifier; Trainer trains and saves it like any model.

    Its parameters are called `graph.model.<name in the Hugging Face model>`; ranges are buffers, so checkpoints hold
    them, too. It starts in training mode.

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
        """Turns dropout and the observers of ranges on or off.

        torchao's own function would set every dropout to 0.5, ignore dropout in attention, and observe in evaluation.
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
        observes = mode and not self._observers_are_frozen
        self.graph.apply(enable_observer if observes else disable_observer)
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Moves the graph's constants, which were exported for the CPU, to the device of the weights."""
        super()._apply(fn, recurse)
        device = next(self.parameters()).device
        for module in self.graph.modules():
            if isinstance(module, torch.fx.GraphModule):
                for node in module.graph.nodes:
                    node.args, node.kwargs = _on_device((node.args, node.kwargs), device)
                module.recompile()
        return self

    def freeze_observers(self) -> None:
        """Fixes the ranges from now on, in training as well."""
        self._observers_are_frozen = True
        self.graph.apply(disable_observer)

    def _find_dropouts(self) -> list[tuple[torch.fx.Node, float]]:
        """Returns dropout operators and their probabilities; attention's comes from the config, not from the graph."""
        attributes = ("attention_probs_dropout_prob", "attention_dropout")
        attention = next((float(getattr(self.config, name)) for name in attributes if hasattr(self.config, name)), 0.0)
        dropouts = []
        for node in self.graph.graph.nodes:
            if node.target == _DROPOUT:
                dropouts.append((node, float(node.args[1])))
            elif node.target == _ATTENTION and attention > 0:
                dropouts.append((node, attention))
        return dropouts


def _on_device(arguments: Any, device: torch.device) -> Any:
    """Returns the arguments of an operator with any device in them replaced."""
    return map_aggregate(arguments, lambda value: device if isinstance(value, torch.device) else value)


class FreezeObservers(TrainerCallback):
    """Freezes the ranges for the last part of the training, so that the weights adapt to fixed ranges.

    Args:
        model: The model in training.
        fraction: Fraction of the optimizer steps with frozen ranges.
    """

    def __init__(self, model: FakeQuantizedClassifier, fraction: float):
        self._model = model
        self._fraction = fraction

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Freezes the ranges at the planned step; the first step always observes, since ranges start empty."""
        if state.global_step >= max(1, round(state.max_steps * (1 - self._fraction))):
            self._model.freeze_observers()
