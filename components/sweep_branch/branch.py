"""Work of sweep_branch: trains a student, prunes it, and quantizes the results, each stage once.

Each stage runs the component of that name in its own processes, or in a job in a cluster. If a stage fails, its member
and the members that depend on it are listed as failed, and the other stages still run.
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
from compaware.components.sweep_plan.attempts import write_attempt
from compaware.components.sweep_plan.grid import Member

_FP32 = "fp32"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageResult:
    """The result of a stage.

    Attributes:
        model: Folder or URI of its model.
        failure: Why it failed; empty if it did not.
        worth_repeating: Whether another attempt may succeed, for example after preemption or in a full cluster.
        metrics: Its metrics.
    """

    model: str
    failure: str = ""
    worth_repeating: bool = False
    metrics: dict[str, float] = field(default_factory=dict)


def run(config: SweepBranchConfig, workspace: Workspace) -> Summary:
    """Trains the members of the branch and writes each to a folder of the output; `facts["members"]` lists them all.

    Raises:
        UnavailableError: The cluster does not respond; another attempt reuses the finished stages.
    """
    root = config.models_uri or str(workspace.work / "models")
    members: list[Member] = []
    repeat = False
    student = _distil(config, f"{root}/{config.branch.member_name(0, _FP32)}")
    for sparsity in config.target_sparsities:
        name = config.branch.member_name(sparsity, _FP32)
        fp32 = _sparsify(config, student, sparsity, f"{root}/{name}") if sparsity else student
        for precision in config.precisions:
            name = config.branch.member_name(sparsity, precision)
            result = fp32 if precision == _FP32 else _quantize(config, fp32, f"{root}/{name}")
            members.append(_member(config, name, sparsity, precision, result))
            repeat = repeat or result.worth_repeating
            if not result.failure and not config.models_uri:
                # Hard links keep the finished stages in the work folder, where a run that is killed finds them again.
                shutil.copytree(result.model, workspace.output / name, copy_function=os.link)
    if repeat and config.branch.attempts:
        write_attempt(config.branch.attempts, config.branch.attempt + 1)
        log.warning("the next run repeats this branch: members failed for reasons that another attempt may fix")
    counts = {
        "members": float(len(members)),
        "failed_members": float(sum(bool(member.failure) for member in members)),
    }
    return Summary.create("sweep_branch", config, counts, {"members": [member.model_dump() for member in members]})


def _distil(config: SweepBranchConfig, output: str) -> StageResult:
    choice = config.branch.choice.model_dump(exclude={"name"}, exclude_none=True)
    values = {"teacher": config.teacher, **config.student_options, **choice}
    return _run_stage(config, "distillation", output, values)


def _sparsify(config: SweepBranchConfig, student: StageResult, sparsity: float, output: str) -> StageResult:
    values = {**config.sparsity_options, "target_sparsity": sparsity}
    return _run_stage(config, "sparsity_aware_training", output, values, student)


def _quantize(config: SweepBranchConfig, fp32: StageResult, output: str) -> StageResult:
    return _run_stage(config, "quantization_aware_training", output, config.quantization_options, fp32)


def _run_stage(
    config: SweepBranchConfig, component: str, output: str, values: dict[str, Any], source: StageResult | None = None
) -> StageResult:
    """Runs a stage on the model of an earlier one; if that failed, returns its failure."""
    if source and source.failure:
        return source
    shared = config.model_dump(include={"dataset", "soft_labels", "max_length_tokens", "seed", "training_options"})
    model = {"model": source.model} if source else {}
    stage = {"output": output, "temperature": config.branch.temperature, **shared, **model, **values}
    name = output.rpartition("/")[2]
    log.info("%s: %s", component, name)
    try:
        summary = attempt_component(component, stage, config.job, part=name)
    except UnansweredError as error:
        raise UnavailableError(str(error)) from error
    except (UserError, JobError) as error:
        log.warning("%s failed, and so do the members that depend on it: %s", name, error)
        return StageResult(output, f"{component}: {error}", worth_repeating=not isinstance(error, UserError))
    return StageResult(output, metrics=summary.metrics)


def _member(config: SweepBranchConfig, name: str, sparsity: float, precision: str, result: StageResult) -> Member:
    return Member(
        name=name,
        role="int8" if precision != _FP32 else "sparse" if sparsity else "student",
        student=config.branch.choice.title,
        temperature=config.branch.temperature,
        target_sparsity=sparsity,
        precision=precision,
        failure=result.failure,
        metrics=result.metrics,
    )
