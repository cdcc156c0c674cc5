"""Configuration of one branch of a sweep."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from compaware.components.core.sparsity.patterns import parse_pattern, resolve_sparsity
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.sweep_plan.grid import Branch, number


class SweepBranchConfig(ComponentConfig, TrainingOptions):
    """Distils one student of a sweep, prunes it to each sparsity, and quantizes the results."""

    # Text instead of Path, because only the trainings read them.
    dataset: str = Field(description="Folder or URI of the dataset that data_prep wrote.")
    teacher: str = Field(description="Folder or URI of the teacher that teacher_check wrote.")
    soft_labels: str = Field(description="Folder or URI of the soft labels that teacher_check wrote.")
    models_uri: str | None = Field(
        default=None, description="URI that trainings in a cluster upload the models to; by default the output folder."
    )
    branch: Branch = Field(description="Name, temperature and student (choice), as sweep_plan writes them.")
    # Stands before the sparsities, which are validated against it.
    sparsity_pattern: str = Field(
        default="unstructured", description="Pattern of the zeros; see sparsity_aware_training."
    )
    target_sparsities: list[float] = Field(
        default=[0.0], min_length=1, description="Fractions of zeros to try, such as 0.8; 0 is the dense student."
    )
    precisions: list[Literal["fp32", "int8"]] = Field(
        default=["fp32", "int8"], min_length=1, description="Precisions to try: fp32, int8."
    )
    alpha: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Weight of the soft labels in all trainings, 0 to 1; the true labels get the rest.",
    )
    sparsity_score: Literal["magnitude", "movement", "snip_momentum"] = Field(
        default="magnitude", description="Importance score of a weight; the weights with the lowest scores are pruned."
    )
    sparsity_scope: Literal["layer", "global"] = Field(
        default="layer", description="Whether every layer has the target sparsity, or all of them together."
    )
    sparsity_epochs: float = Field(default=3.0, gt=0, description="Passes over the training split while pruning.")
    sparsity_learning_rate: float = Field(default=5e-5, gt=0, lt=1, description="Peak learning rate for that training.")
    quantization_mode: Literal["auto", "ptq", "qat"] = Field(
        default="auto", description="ptq never trains, qat always does, auto only if ptq misses the criterion."
    )
    max_metric_loss: float = Field(
        default=0.005, ge=0, lt=1, description="Maximum absolute loss of the primary metric by quantization."
    )
    calibration_rows: int = Field(
        default=256, ge=8, description="Training sentences that ptq calibrates activation ranges with."
    )
    qat_epochs: float = Field(default=2.0, gt=0, description="Passes over the training split while quantizing.")
    qat_learning_rate: float = Field(default=2e-5, gt=0, lt=1, description="Peak learning rate for that training.")
    job: dict[str, Any] = Field(
        default={"launcher": "torchrun"}, description="JobOptions of components/launch for each training."
    )

    @field_validator("target_sparsities", "precisions")
    @classmethod
    def _differ(cls, values: list[Any]) -> list[Any]:
        # Compared as in the members' names, in which 0.8 and 0.80000001 are equal.
        if len({number(100 * value) if isinstance(value, float) else value for value in values}) < len(values):
            raise ValueError("the values must differ: remove the duplicates")
        return values

    # Not a model validator: a pipeline checks this before anything runs, when the branches are not known yet.
    @field_validator("target_sparsities")
    @classmethod
    def _possible(cls, values: list[float], known: ValidationInfo) -> list[float]:
        pattern = parse_pattern(known.data.get("sparsity_pattern", "unstructured"))
        for sparsity in values:
            if sparsity:
                resolve_sparsity(pattern, sparsity)
        return values
