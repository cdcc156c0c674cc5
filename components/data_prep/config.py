"""Configuration of the data_prep component."""

from typing import Literal, Self

from pydantic import Field, model_validator

from compaware.components.core.config import ComponentConfig

# The task of own data: nothing is known about it but what the configuration says.
CUSTOM = "custom"


class DataPrepConfig(ComponentConfig):
    """Turns a task or a data set into Parquet splits with a manifest and a data card."""

    task: str = Field(
        default="sample",
        description="A known task (sample, cola, emotion, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli), or custom for "
        "own data; with `data`, the default means custom.",
    )
    data: str | None = Field(
        default=None,
        description="Own data: a file or folder (CSV, TSV, JSON, JSONL, Parquet), a URI (file, s3, minio), or a hub "
        "id. By default the task's own hub data set. Quotes mean nothing in TSV; a JSON list may have 512 MB.",
    )
    hub_config: str | None = Field(default=None, description="Configuration of a hub data set.")
    hub_revision: str | None = Field(default=None, description="Branch, tag or commit of a hub data set.")
    text_columns: list[str] = Field(
        default_factory=list, max_length=2, description="The one or two columns of text; the task's by default."
    )
    label_column: str | None = Field(
        default=None, description="The column of labels; 'label' by default. A column of lists is multi-label data."
    )
    label_names: list[str] | None = Field(
        default=None,
        min_length=2,
        description="Class names in index order; by default the task's, or the labels themselves, sorted. For "
        "multi-label data without label_column: columns of these names that hold 0 or 1.",
    )
    problem_type: Literal["classification", "multi_label_classification", "regression"] | None = Field(
        default=None,
        description="By default the task's; in own data, lists are multi-label, fractions regression and the rest "
        "classes.",
    )
    max_train_rows: int | None = Field(default=None, ge=1, description="Keep at most these rows, stratified.")
    max_validation_rows: int | None = Field(default=None, ge=1, description="Keep at most these rows, stratified.")
    max_test_rows: int | None = Field(default=None, ge=1, description="Keep at most these rows, stratified.")
    validation_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="Share of the training rows that become validation where there is none."
    )
    keep_duplicates: bool = Field(
        default=False, description="Keep training rows whose text is in validation, too; they are reported anyway."
    )
    tokenizer: str | None = Field(
        default=None, description="Tokenizer (hub id, folder or URI) for the card's lengths; words by default."
    )
    seed: int = Field(default=42, ge=0, lt=2**32, description="Seed of limits and of the validation split.")
    inputs_fingerprint: str = Field(
        default="", description="Of data and models as change_check found them; another one does the work anew."
    )

    @model_validator(mode="after")
    def _known_data(self) -> Self:
        if self.task == CUSTOM and self.data is None:
            raise ValueError("task=custom needs data: a file, a folder, a URI or a hub id")
        if self.label_names and len(set(self.label_names)) != len(self.label_names):
            raise ValueError("label_names has a name twice")
        given = [name for name in ("text_columns", "label_column", "label_names", "problem_type", "hub_config")
                 if getattr(self, name)]  # fmt: skip
        if self.task == "sample" and self.data is None and given:
            raise ValueError(f"{given[0]} is for own data: set data, too")
        return self
