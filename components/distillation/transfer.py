"""Hidden-state and attention transfer: the teacher runs at every step, since soft labels hold logits only."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.layers import encoder_layers
from compaware.components.core.models.load import load_classifier
from compaware.components.core.models.pairing import input_names, limit_length
from compaware.components.core.training.objectives import LogitObjective
from compaware.components.distillation.layer_losses import attention_loss, hidden_state_loss


class TransferObjective:
    """The logit objective plus losses between mapped layers of student and teacher (TinyBERT, arXiv:1909.10351).

    Args:
        logits: The loss on logits.
        student: The student; its attention is set to eager if attention probabilities are needed.
        student_tokenizer: Its tokenizer, which must be the teacher's.
        teacher_folder: Folder of the teacher.
        hidden_weight: Weight of the hidden-state loss, averaged over mapped layers.
        attention_weight: Weight of the attention loss, averaged over mapped layers.
        layer_map: Student layer to teacher layer, 0 is the first; spread evenly when None.

    Raises:
        UserError: Student and teacher have different vocabularies or (for the hidden-state loss) hidden sizes, or the
            map names a layer that does not exist.
    """

    def __init__(
        self,
        logits: LogitObjective,
        *,
        student: PreTrainedModel,
        student_tokenizer: PreTrainedTokenizerBase,
        teacher_folder: Path,
        hidden_weight: float,
        attention_weight: float,
        layer_map: dict[int, int] | None,
    ):
        teacher = load_classifier(teacher_folder, attn_implementation="eager").eval().requires_grad_(False)
        if student_tokenizer.get_vocab() != load_tokenizer(teacher_folder).get_vocab():
            raise UserError(
                "hidden_weight and attention_weight need a student with the teacher's tokenizer: leave "
                "student_tokenizer out, or use another student"
            )
        # Student and teacher must read the same tokens.
        limit_length(student_tokenizer, teacher.config)
        if hidden_weight and student.config.hidden_size != teacher.config.hidden_size:
            raise UserError(
                f"hidden_weight needs equal hidden sizes, the student has {student.config.hidden_size} and the teacher "
                f"{teacher.config.hidden_size}: use student_layers, or attention_weight alone"
            )
        if attention_weight:
            student.set_attn_implementation("eager")
        self._logits = logits
        self._teacher = teacher
        self._input_names = input_names(teacher)
        self._weights = (hidden_weight, attention_weight)
        self._map = _complete_layer_map(layer_map, encoder_layers(student)[1], encoder_layers(teacher)[1])

    def __call__(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        labels: torch.Tensor,
        teacher_logits: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Any]:
        """See `core.training.objectives.Objective`."""
        hidden_weight, attention_weight = self._weights
        options: dict[str, Any] = {"output_hidden_states": hidden_weight > 0, "output_attentions": attention_weight > 0}
        loss, output = self._logits(model, {**inputs, **options}, labels, teacher_logits)
        mask = inputs["attention_mask"]
        with torch.no_grad():
            teacher_inputs = {name: inputs[name] for name in self._input_names if name in inputs}
            teacher_output = self._teacher.to(mask.device)(**teacher_inputs, **options)
        for student_layer, teacher_layer in self._map.items():
            if hidden_weight:  # hidden_states[0] is the embedding's output.
                student_states = output.hidden_states[student_layer + 1]
                teacher_states = teacher_output.hidden_states[teacher_layer + 1]
                loss = loss + hidden_weight / len(self._map) * hidden_state_loss(student_states, teacher_states, mask)
            if attention_weight:
                student_map, teacher_map = output.attentions[student_layer], teacher_output.attentions[teacher_layer]
                loss = loss + attention_weight / len(self._map) * attention_loss(student_map, teacher_map, mask)
        return loss, output


def _complete_layer_map(layer_map: dict[int, int] | None, student_layers: int, teacher_layers: int) -> dict[int, int]:
    if layer_map is None:
        return {layer: round((layer + 1) * teacher_layers / student_layers) - 1 for layer in range(student_layers)}
    for student_layer, teacher_layer in layer_map.items():
        if not (0 <= student_layer < student_layers and 0 <= teacher_layer < teacher_layers):
            raise UserError(
                f"layer_map {student_layer}: {teacher_layer} is out of range: the student has layers 0 to "
                f"{student_layers - 1}, the teacher 0 to {teacher_layers - 1}"
            )
    return layer_map
