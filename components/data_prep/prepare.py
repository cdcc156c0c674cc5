"""The work of data_prep: from rows as they are found to a Dataset artifact with its data card."""

import logging

import pyarrow as pa

from compaware.components.core.dataset import ProblemType, write_dataset_folder
from compaware.components.core.summary import Summary
from compaware.components.core.tasks import Task, get_task
from compaware.components.core.workspace import Workspace
from compaware.components.data_prep.card import describe, write_card
from compaware.components.data_prep.columns import choose_columns, take_columns
from compaware.components.data_prep.config import CUSTOM, DataPrepConfig
from compaware.components.data_prep.labels import Labels, encode_labels
from compaware.components.data_prep.lengths import measure_lengths
from compaware.components.data_prep.rows import check_classes, drop_duplicates, limit_rows, split_validation
from compaware.components.data_prep.sources import Source, read_source

log = logging.getLogger(__name__)


def run(config: DataPrepConfig, workspace: Workspace) -> Summary:
    """Reads, checks, splits and writes the data, and describes it in a card.

    Raises:
        UserError: The data or the configuration cannot be used; the message says what to change.
    """
    own_data = config.task == CUSTOM or (config.task == "sample" and config.data is not None)
    task = None if own_data else get_task(config.task)
    source = read_source(config, task, workspace.work / "downloads")
    columns = choose_columns(source.tables["train"], config, task)
    tables, notes = take_columns(source.tables, columns)
    labels = _encode(tables, config, task, source, columns.label)
    tables = {split: _with_labels(tables[split], array) for split, array in labels.arrays.items()}
    notes += labels.notes
    if "validation" not in tables:
        tables |= split_validation(tables["train"], config.validation_fraction, config.seed)
        rows = tables["validation"].num_rows
        notes.append(f"There was no validation split: {rows} rows of training became one (seed {config.seed}).")
    tables, duplicates = drop_duplicates(tables, keep=config.keep_duplicates)
    notes += duplicates.notes()
    tables, limited = _limit(tables, config)
    notes += limited
    check_classes(tables, labels.names)
    manifest = write_dataset_folder(
        workspace.output,
        {split: [tables[split]] for split in sorted(tables, key=_split_order)},
        task=CUSTOM if task is None else config.task,
        problem_type=labels.problem_type,
        text_columns=columns.text,
        label_column=columns.label,
        label_names=labels.names,
        metric=_metric(task, labels),
        source=source.description,
        notes=notes,
    )
    lengths = measure_lengths(tables, config.tokenizer, workspace.work / "downloads")
    facts = describe(manifest, tables, lengths)
    write_card(facts, workspace.output)
    for note in notes:
        log.info("note: %s", note)
    metrics = {
        **{f"{split}_rows": float(rows) for split, rows in manifest.splits.items()},
        "classes": float(len(manifest.label_names)),
        "duplicates_found": float(duplicates.found),
        "duplicates_dropped": float(duplicates.dropped),
        "conflicting_labels": float(duplicates.conflicting),
        "mean_length_tokens": lengths.mean["train"],
        "max_length_tokens": float(lengths.longest["train"]),
    }
    return Summary.create("data_prep", config, metrics, facts)


def _encode(
    tables: dict[str, pa.Table], config: DataPrepConfig, task: Task | None, source: Source, column: str
) -> Labels:
    """Encodes the labels; what the configuration says goes before the task, and that before the source."""
    problem_type: ProblemType | None = config.problem_type or (task.problem_type if task else None)
    names = config.label_names
    if names is None and problem_type != "regression":
        names = list(task.label_names) if task and task.label_names else source.class_names.get(column)
    return encode_labels({split: table.column("label") for split, table in tables.items()}, problem_type, names)


def _with_labels(table: pa.Table, labels: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index("label"), "label", labels)


def _limit(tables: dict[str, pa.Table], config: DataPrepConfig) -> tuple[dict[str, pa.Table], list[str]]:
    limits = {
        "train": config.max_train_rows,
        "validation": config.max_validation_rows,
        "validation_mismatched": config.max_validation_rows,
        "test": config.max_test_rows,
    }
    limited = {split: limit_rows(table, limits[split], config.seed) for split, table in tables.items()}
    notes = [
        f"{limited[split].num_rows} of {table.num_rows} {split} rows were kept, stratified (seed {config.seed})."
        for split, table in tables.items()
        if limited[split].num_rows < table.num_rows
    ]
    return limited, notes


def _metric(task: Task | None, labels: Labels) -> str:
    """The task's metric where it fits what the labels turned out to be."""
    if labels.problem_type == "regression":
        return "pearson"
    fits = (
        task is not None
        and task.problem_type == "classification"
        and (task.metric != "f1" or len(labels.names) == len(task.label_names))
    )
    return task.metric if task is not None and fits else "accuracy"


def _split_order(split: str) -> int:
    return ["train", "validation", "validation_mismatched", "test"].index(split)
