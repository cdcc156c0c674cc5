"""Configuration of one branch of a sweep."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from compaware.components.core.sparsity.patterns import parse_pattern, resolve_sparsity
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.sweep_plan.grid import Branch, number


class SweepBranchConfig(ComponentConfig, TrainingOptions):
    """Distils one student of a sweep and compresses it in every way that is asked for."""

    # Text, not Path: they are handed on to the trainings, which alone read them.
    dataset: str = Field(description="Folder or URI of the dataset that data_prep wrote.")
    teacher: str = Field(description="Folder or URI of the teacher that teacher_check wrote.")
    soft_labels: str = Field(description="Folder or URI of the soft labels that teacher_check wrote.")
    models_uri: str | None = Field(
        default=None, description="URI that trainings in a cluster send the models to; the output folder without it."
    )
    branch: Branch = Field(description="Name, temperature and student (choice), as sweep_plan writes them.")
    # Before the sparsities, which are checked against it.
    sparsity_pattern: str = Field(
        default="unstructured", description="Where zeros may lie; see sparsity_aware_training."
    )
    target_sparsities: list[float] = Field(
        default=[0.0], min_length=1, description="Fractions of zeros to try, such as 0.8; 0 is the dense student."
    )
    precisions: list[Literal["fp32", "int8"]] = Field(
        default=["fp32", "int8"], min_length=1, description="Precisions to try: fp32, int8."
    )
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="Weight of the soft labels in all trainings; the rest is the true labels'."
    )
    sparsity_score: Literal["magnitude", "movement", "snip_momentum"] = Field(
        default="magnitude", description="What a weight is worth; the least are pruned."
    )
    sparsity_scope: Literal["layer", "global"] = Field(
        default="layer", description="Whether every layer has the target sparsity, or all of them together."
    )
    sparsity_epochs: float = Field(default=3.0, gt=0, description="Passes over the training split while pruning.")
    sparsity_learning_rate: float = Field(default=5e-5, gt=0, lt=1, description="Peak learning rate of that.")
    quantization_mode: Literal["auto", "ptq", "qat"] = Field(
        default="auto", description="ptq never trains, qat always, auto only where ptq misses the criterion."
    )
    max_metric_loss: float = Field(
        default=0.005, ge=0, lt=1, description="Largest loss of the primary metric by quantizing, absolute."
    )
    calibration_rows: int = Field(
        default=256, ge=8, description="Training sentences that ptq takes activation ranges from."
    )
    qat_epochs: float = Field(default=2.0, gt=0, description="Passes over the training split while quantizing.")
    qat_learning_rate: float = Field(default=2e-5, gt=0, lt=1, description="Peak learning rate of that.")
    job: dict[str, Any] = Field(
        default={"launcher": "torchrun"}, description="JobOptions of components/launch for each of the trainings."
    )

    @field_validator("target_sparsities", "precisions")
    @classmethod
    def _differ(cls, values: list[Any]) -> list[Any]:
        # As names of members have them: 0.8 and 0.80000001 are one.
        if len({number(100 * value) if isinstance(value, float) else value for value in values}) < len(values):
            raise ValueError("each may be named only once")
        return values

    # Not on the model, which is complete only where the branch is known: this is to be found before anything runs.
    @field_validator("target_sparsities")
    @classmethod
    def _possible(cls, values: list[float], known: ValidationInfo) -> list[float]:
        pattern = parse_pattern(known.data.get("sparsity_pattern", "unstructured"))
        for sparsity in values:
            if sparsity:
                resolve_sparsity(pattern, sparsity)
        return values
