"""The work of one branch of a sweep: a student, its sparse forms, and the INT8 files of each; every stage once.

Each stage is the component of that name, in processes (in a cluster, a job) of its own: what one of them breaks is its
own member, and those that are made of it. They are listed as failed, and the others go on.
"""

import logging
import os
import shutil
from dataclasses import dataclass, field
from typing import Any

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.stage.workspace import Workspace
from compaware.components.launch import JobError, UnansweredError, attempt_component
from compaware.components.sweep_branch.config import SweepBranchConfig
from compaware.components.sweep_plan.attempts import note_attempt
from compaware.components.sweep_plan.grid import Member

_FP32 = "fp32"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """What became of a stage.

    Attributes:
        place: Folder or URI of its model.
        failure: Why there is none; empty where there is.
        again: Whether it failed for a reason that another try may mend: memory, preemption, a cluster that is full.
        metrics: What it measured.
    """

    place: str
    failure: str = ""
    again: bool = False
    metrics: dict[str, float] = field(default_factory=dict)


def run(config: SweepBranchConfig, workspace: Workspace) -> Summary:
    """Makes the branch's members and leaves each in a folder of the output; `facts["members"]` lists all.

    Raises:
        UnavailableError: The cluster does not answer; trying again goes on with what is done.
    """
    root = config.models_uri or str(workspace.work / "models")
    members: list[Member] = []
    again = False
    student = _distil(config, f"{root}/{config.branch.member_name(0, _FP32)}")
    for sparsity in config.target_sparsities:
        name = config.branch.member_name(sparsity, _FP32)
        plain = _sparsify(config, student, sparsity, f"{root}/{name}") if sparsity else student
        for precision in config.precisions:
            name = config.branch.member_name(sparsity, precision)
            made = plain if precision == _FP32 else _quantize(config, plain, f"{root}/{name}")
            members.append(_member(config, name, sparsity, precision, made))
            again = again or made.again
            if not made.failure and not config.models_uri:
                # Hard links: a run that is killed now finds the finished stages in the work folder.
                shutil.copytree(made.place, workspace.output / name, copy_function=os.link)
    if again and config.branch.attempts:
        note_attempt(config.branch.attempts, config.branch.attempt + 1)
        log.warning("the next run tries this branch again: members failed, and not by their options")
    counts = {
        "members": float(len(members)),
        "failed_members": float(sum(bool(member.failure) for member in members)),
    }
    return Summary.create("sweep_branch", config, counts, {"members": [member.model_dump() for member in members]})


def _distil(config: SweepBranchConfig, place: str) -> Made:
    choice = config.branch.choice.model_dump(exclude={"name"}, exclude_none=True)
    values = {"teacher": config.teacher, "epochs": config.epochs, "learning_rate": config.learning_rate, **choice}
    return _attempt(config, "distillation", place, values)


def _sparsify(config: SweepBranchConfig, student: Made, sparsity: float, place: str) -> Made:
    values = {
        "target_sparsity": sparsity,
        "pattern": config.sparsity_pattern,
        "score": config.sparsity_score,
        "scope": config.sparsity_scope,
        "epochs": config.sparsity_epochs,
        "learning_rate": config.sparsity_learning_rate,
    }
    return _attempt(config, "sparsity_aware_training", place, values, student)


def _quantize(config: SweepBranchConfig, plain: Made, place: str) -> Made:
    values = {
        "mode": config.quantization_mode,
        "max_metric_loss": config.max_metric_loss,
        "calibration_rows": config.calibration_rows,
        "epochs": config.qat_epochs,
        "learning_rate": config.qat_learning_rate,
    }
    return _attempt(config, "quantization_aware_training", place, values, plain)


def _attempt(
    config: SweepBranchConfig, component: str, place: str, values: dict[str, Any], after: Made | None = None
) -> Made:
    """Runs a stage on what the one before it made; a stage after a failed one fails for the same reason."""
    if after and after.failure:
        return after
    shared = config.model_dump(
        include={
            *("dataset", "soft_labels", "alpha", "batch_size", "max_length_tokens", "seed", "precision"),
            *("checkpoint_minutes", "training_arguments"),
        }
    )
    source = {"model": after.place} if after else {}
    stage = {"output": place, "temperature": config.branch.temperature, **shared, **source, **values}
    name = place.rpartition("/")[2]
    log.info("%s: %s", component, name)
    try:
        summary = attempt_component(component, stage, config.job, part=name)
    except UnansweredError as error:
        raise UnavailableError(str(error)) from error
    except (UserError, JobError) as error:
        log.warning("%s failed, and with it what is made of it: %s", name, error)
        return Made(place, failure=f"{component}: {error}", again=not isinstance(error, UserError))
    return Made(place, metrics=summary.metrics)


def _member(config: SweepBranchConfig, name: str, sparsity: float, precision: str, made: Made) -> Member:
    return Member(
        name=name,
        role="int8" if precision != _FP32 else "sparse" if sparsity else "student",
        student=config.branch.choice.title,
        temperature=config.branch.temperature,
        target_sparsity=sparsity,
        precision=precision,
        failure=made.failure,
        metrics=made.metrics,
    )
