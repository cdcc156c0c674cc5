"""Configuration of one branch of a sweep."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from compaware.components.core.sparsity.patterns import parse_pattern, resolve_sparsity
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import GIVEN, MAIN, Input, Interface, OptionsOf, Output
from compaware.components.core.stage.options import SharedTrainingOptions
from compaware.components.distillation.config import DistillationConfig
from compaware.components.quantization_aware_training.config import QuantizationAwareTrainingConfig
from compaware.components.sparsity_aware_training.config import SparsityAwareTrainingConfig
from compaware.components.sweep_plan.grid import Branch, number

StudentOptions = Annotated[dict[str, Any], OptionsOf(DistillationConfig)]
SparsityOptions = Annotated[dict[str, Any], OptionsOf(SparsityAwareTrainingConfig)]
QuantizationOptions = Annotated[dict[str, Any], OptionsOf(QuantizationAwareTrainingConfig)]
TrainingOptions = Annotated[dict[str, Any], OptionsOf(SharedTrainingOptions)]


class SweepBranchConfig(ComponentConfig):
    """Distil one student of a sweep, prune it to each sparsity, and quantize the results.

    The student is trained once, then pruned to each sparsity, and each result is quantized. Every stage runs the
    component of that name in a separate job. If a stage fails, its member and the members that depend on it are listed
    with the reason, and the task continues with the others and succeeds. It fails only if the cluster does not respond.
    If a stage failed for a reason other than its options (out of memory, preempted, no free node), the next run of the
    pipeline repeats the branch.
    """

    interface: ClassVar = Interface(
        "LAUNCHER",
        {
            "models": Output(
                "Artifact",
                "A folder for each member, and summary.json, which lists all members including those that failed.",
                field="output",
            ),
            "metrics": Output("Metrics", "Number of members, and number of failed members."),
        },
    )

    # Text instead of Path, because only the trainings read them.
    dataset: Annotated[str, Input("Dataset")] = Field(description="Folder or URI of the dataset that data_prep wrote.")
    teacher: Annotated[str, Input("Model")] = Field(
        description="Folder or URI of the teacher that teacher_check wrote."
    )
    soft_labels: Annotated[str, Input("Artifact")] = Field(
        description="Folder or URI of the soft labels that teacher_check wrote."
    )
    models_uri: str | None = Field(
        default=None, description="URI that trainings in a cluster upload the models to; by default the output folder."
    )
    branch: Annotated[Branch, GIVEN] = Field(
        description="Name, temperature and student (choice), as sweep_plan writes them."
    )
    # Stands before the sparsities, which are validated against its pattern.
    sparsity_options: Annotated[SparsityOptions, MAIN] = Field(
        default_factory=dict, description="Options of sparsity_aware_training."
    )
    target_sparsities: Annotated[list[float], MAIN] = Field(
        default=[0.0], min_length=1, description="Fractions of zeros to try, such as 0.8; 0 is the dense student."
    )
    precisions: Annotated[list[Literal["fp32", "int8"]], MAIN] = Field(
        default=["fp32", "int8"], min_length=1, description="Precisions to try: fp32, int8."
    )
    student_options: Annotated[StudentOptions, MAIN] = Field(
        default_factory=dict, description="Options of distillation."
    )
    quantization_options: Annotated[QuantizationOptions, MAIN] = Field(
        default_factory=dict, description="Options of quantization_aware_training."
    )
    training_options: Annotated[TrainingOptions, MAIN] = Field(
        default_factory=dict, description="Options of all trainings; the options of a single stage override them."
    )
    max_length_tokens: Annotated[int, MAIN] = Field(
        default=128, ge=4, le=8192, description="Longer inputs are cut to this many tokens."
    )
    seed: Annotated[int, MAIN] = Field(default=42, ge=0, description="Seed of weights, shuffling and dropout.")
    job: Annotated[dict[str, Any], MAIN] = Field(
        default_factory=dict, description="JobOptions of components/launch for each training."
    )

    @field_validator("sparsity_options", "student_options", "quantization_options", "training_options")
    @classmethod
    def _without_temperature(cls, options: dict[str, Any]) -> dict[str, Any]:
        if "temperature" in options:
            raise ValueError("options of a sweep cannot hold a temperature: list the temperatures in temperatures")
        return options

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
        pattern = parse_pattern(known.data.get("sparsity_options", {}).get("pattern", "unstructured"))
        for sparsity in values:
            if sparsity:
                resolve_sparsity(pattern, sparsity)
        return values
