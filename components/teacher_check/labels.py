"""Does a teacher's head fit the data? Labels are matched by name, and the head's rows put in the data's order."""

import logging
import re

import torch
from transformers import PreTrainedModel

from compaware.components.core.dataset import Manifest
from compaware.components.core.errors import UserError
from compaware.components.core.models import check_head, set_labels

log = logging.getLogger(__name__)


def align_labels(teacher: PreTrainedModel, manifest: Manifest, label_order: list[str] | None) -> str:
    """Makes output i of the teacher mean label i of the data.

    Args:
        teacher: Changed in place: the rows of its head are permuted, its config gets the data's label names.
        manifest: Names the data's labels.
        label_order: The teacher's label names in the data's order, to settle what names cannot.

    Returns:
        How the labels were matched, for the report.

    Raises:
        UserError: The head has another width, or the labels cannot be matched.
    """
    check_head(teacher.config, manifest, "teacher")
    if manifest.problem_type == "regression":
        set_labels(teacher.config, manifest)
        return "one output, regression"
    names = [str(teacher.config.id2label[index]) for index in range(manifest.num_labels)]
    order, how = _match(names, manifest.label_names, label_order)
    if order != list(range(len(order))):
        _permute_head(teacher, order)
    set_labels(teacher.config, manifest)
    log.info("labels: %s", how)
    return how


def _match(names: list[str], wanted: list[str], label_order: list[str] | None) -> tuple[list[int], str]:
    """Finds, for each label of the data, the teacher's output that means it."""
    if label_order is not None:
        if sorted(label_order) != sorted(names):
            raise UserError(f"label_order {label_order} must hold the teacher's labels {names}, each once")
        return [names.index(name) for name in label_order], "in the order given by label_order"
    plain_names, plain_wanted = [_plain(name) for name in names], [_plain(name) for name in wanted]
    if sorted(plain_names) == sorted(plain_wanted):
        order = [plain_names.index(name) for name in plain_wanted]
        same = order == list(range(len(order)))
        return order, "matched by name" if same else f"matched by name and permuted {order}"
    if _is_generic(plain_names) or _is_generic(plain_wanted):
        nameless = "the teacher" if _is_generic(plain_names) else "the data"
        return list(range(len(names))), f"by index, since {nameless} has no label names"
    raise UserError(
        f"the teacher's labels {names} do not match the data's {wanted}: choose a teacher for this data, or give its "
        "labels in the data's order as label_order"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_generic(names: list[str]) -> bool:
    return all(re.fullmatch(r"(label)?\d+", name) for name in names)


def _permute_head(model: PreTrainedModel, order: list[int]) -> None:
    head = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == model.config.num_labels
    ][-1]
    with torch.no_grad():
        head.weight.copy_(head.weight[order])
        if head.bias is not None:
            head.bias.copy_(head.bias[order])
