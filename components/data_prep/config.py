"""Configuration of the data_prep component."""

import codecs
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import GIVEN, MAIN, Interface, Output
from compaware.components.storage.path_or_uri import PathOrUri

# The task of own data, about which only the configuration says anything.
CUSTOM = "custom"


class ReadOptions(BaseModel):
    """Format of the files of own data, for when the guesses are wrong.

    Attributes:
        delimiter: Separator of the columns of CSV and similar files: one character, or `tab`.
        encoding: Encoding of text files, by a name that Python knows; by default UTF-8, or UTF-16 or UTF-32 if the
            file is marked so.
        quoting: `double` (quotes enclose cells, and quotes inside are doubled), `backslash` (quotes inside are
            escaped by a backslash), or `none` (quotes are text).
        column_names: Column names of delimited files without a header.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: str | None = None
    encoding: str | None = None
    quoting: Literal["double", "backslash", "none"] | None = None
    column_names: list[str] | None = None

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str | None) -> str | None:
        character = "\t" if delimiter in ("tab", "\\t") else delimiter
        if character is not None and (len(character) != 1 or not character.isascii() or character in '"\\\r\n\0'):
            raise ValueError("use one character, or tab")
        return character

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            try:
                "".encode(encoding)
                codecs.getincrementaldecoder(encoding)
            except LookupError:
                raise ValueError("unknown encoding: use a name that Python knows, such as cp1252 or utf-16") from None
        return encoding

    @field_validator("column_names")
    @classmethod
    def _different_names(cls, names: list[str] | None) -> list[str] | None:
        if names is not None and (not names or len(set(names)) < len(names)):
            raise ValueError("give each column a different name")
        return names


class DataPrepConfig(ComponentConfig):
    """Turn a task or a data set into Parquet splits with a manifest and a data card.

    All choices are made on validation; test is only reported. If there is no validation split, one is taken from the
    training rows, and with `test_fraction` a test split, too: copies of a text stay in one split, and each class with
    enough texts is in all. These splits and row limits are stratified and seeded. Training rows whose text is also in
    validation or test are dropped, as are test rows whose text is also in validation. Test rows whose label is withheld
    (-1 or empty) become the split `unlabelled`. Class names are in a stable order. Data may be larger than memory:
    texts stay on disk, uncompressed, and a row takes about 50 bytes of memory, or 80 if a split is taken.
    """

    interface: ClassVar = Interface(
        "DATA",
        {
            "dataset": Output("Dataset", "The splits as Parquet, with their manifest.", field="output"),
            "card_html": Output("HTML", "Data card with class balance, lengths, notes and examples.", file="card.html"),
            "card_markdown": Output("Markdown", "The data card as Markdown.", file="card.md"),
            "metrics": Output("Metrics", "Numbers of rows, classes and duplicates, and lengths of texts."),
        },
    )

    task: Annotated[str, MAIN] = Field(
        default="sample",
        description="A known task (sample, cola, emotion, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli), or custom for "
        "own data; with `data`, the default means custom.",
    )
    data: Annotated[PathOrUri | None, MAIN] = Field(
        default=None,
        description="Own data: a file or folder (CSV, TSV, JSON, JSONL, Parquet, Arrow; gzip, bz2, xz, zstd), a URI "
        "(file, s3, minio), or a hub id. By default the task's own hub data set. A JSON list may have up to 512 MB.",
    )
    hub_config: str | None = Field(default=None, description="Configuration of a hub data set.")
    hub_revision: str | None = Field(default=None, description="Branch, tag or commit of a hub data set.")
    read_options: ReadOptions = Field(
        default_factory=ReadOptions,
        description="Format of the files, if the guesses are wrong: delimiter, encoding, quoting (double, backslash, "
        "none), column_names (of files without a header).",
    )
    text_columns: Annotated[list[str], MAIN] = Field(
        default_factory=list, max_length=2, description="The one or two columns of text; the task's by default."
    )
    label_column: Annotated[str | None, MAIN] = Field(
        default=None,
        description="The label column; 'label' by default. Lists, also written as text, and vectors of 0 and 1 are "
        "multi-label data.",
    )
    label_names: list[str] | None = Field(
        default=None,
        min_length=2,
        description="Class names in index order; by default the task's, or the labels themselves, sorted. For "
        "multi-label data without label_column: columns of these names that hold 0 or 1.",
    )
    problem_type: Literal["classification", "multi_label_classification", "regression"] | None = Field(
        default=None,
        description="By default the task's. In own data, lists mean multi-label, fractions regression and anything "
        "else classes. With multi_label_classification, one text may hold labels separated by |, ; or commas.",
    )
    max_train_rows: int | None = Field(default=None, ge=1, description="Keep at most this many rows, stratified.")
    max_validation_rows: int | None = Field(default=None, ge=1, description="Keep at most this many rows, stratified.")
    max_test_rows: int | None = Field(default=None, ge=1, description="Keep at most this many rows, stratified.")
    validation_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="Share of training rows to move to validation if there is none."
    )
    test_fraction: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of training rows to move to test if there is no labelled test split; 0: none.",
    )
    keep_duplicates: bool = Field(
        default=False, description="Keep rows whose text is also in another split; they are reported anyway."
    )
    metric: Literal["accuracy", "f1", "f1_macro", "f1_micro", "matthews_correlation", "pearson", "spearman"] | None = (
        Field(
            default=None,
            description="Metric by which models are chosen and judged: accuracy, f1 (of the second of two classes), "
            "f1_macro or matthews_correlation; for multi-label data f1_micro or f1_macro; for regression pearson or "
            "spearman. By default the task's, or the first of these.",
        )
    )
    slice_columns: list[str] = Field(
        default_factory=list,
        description="Columns by which reports divide the rows of validation and test, such as a language or a source.",
    )
    tokenizer: PathOrUri | None = Field(
        default=None,
        description="Tokenizer (hub id, folder or URI) for the lengths on the card; by default words are counted.",
    )
    seed: Annotated[int, MAIN] = Field(
        default=42, ge=0, lt=2**32, description="Seed of the samples and of the splits that are taken from training."
    )
    inputs_fingerprint: Annotated[str, GIVEN] = Field(
        default="", description="Fingerprint of data and models from change_check; if it differs, the step runs again."
    )

    @model_validator(mode="after")
    def _known_data(self) -> Self:
        if self.task == CUSTOM and self.data is None:
            raise ValueError("task=custom needs data: a file, a folder, a URI or a hub id")
        if len(set(self.text_columns)) < len(self.text_columns):
            raise ValueError("text_columns has a column twice: name different columns")
        if len(set(self.slice_columns)) < len(self.slice_columns):
            raise ValueError("slice_columns has a column twice: name different columns")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction leave no training rows: lower them")
        if self.label_names and len(set(self.label_names)) != len(self.label_names):
            raise ValueError("label_names has a name twice: give each class its own")
        given = [name for name in ("text_columns", "label_column", "label_names", "problem_type", "hub_config",
                 "slice_columns") if getattr(self, name)]  # fmt: skip
        if self.task == "sample" and self.data is None and given:
            raise ValueError(f"{given[0]} is for own data: also set data")
        return self
