"""Prepares a data set: reads and checks the rows, encodes labels, splits, and writes the artifact and its data card."""

import logging
from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from compaware.components.core.base.progress import Progress
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import UNLABELLED, ProblemType, write_dataset_folder
from compaware.components.core.data.label_names import match_names
from compaware.components.core.data.tasks import Task, get_task
from compaware.components.core.stage.workspace import Workspace
from compaware.components.data_prep.card import describe, write_card
from compaware.components.data_prep.columns import choose_columns, name_row, select_columns
from compaware.components.data_prep.config import CUSTOM, DataPrepConfig
from compaware.components.data_prep.labels import Labels, encode_labels, reorder_labels
from compaware.components.data_prep.lengths import measure_lengths
from compaware.components.data_prep.rows import check_classes, drop_duplicates, find_missing_classes, limit_rows
from compaware.components.data_prep.sources import Source, read_source
from compaware.components.data_prep.split import Split
from compaware.components.data_prep.validation import split_validation

log = logging.getLogger(__name__)


def run(config: DataPrepConfig, workspace: Workspace) -> Summary:
    """Reads, checks, splits and writes the data, and writes its data card.

    Raises:
        UserError: The data or the configuration cannot be used; the message says what to change.
    """
    own_data = config.task == CUSTOM or (config.task == "sample" and config.data is not None)
    task = None if own_data else get_task(config.task)
    source = read_source(config, task, workspace.work)
    columns = choose_columns(source.tables["train"], config, task)
    tables, notes = select_columns(source.tables, columns)
    labels = _encode(tables, config, task, source, columns.label)
    splits = {
        name: Split(tables[name].drop_columns("label"), array, labels.rows.get(name, np.arange(len(array))))
        for name, array in labels.arrays.items()
    }
    notes += labels.notes
    check_classes(splits, labels.names, "add training rows of this class")
    if "validation" not in splits:
        new_splits, note = split_validation(splits["train"], config.validation_fraction, config.seed)
        splits |= new_splits
        notes.append(note)
    splits, duplicates = drop_duplicates(splits, keep=config.keep_duplicates)
    notes += duplicates.notes()
    check_classes(splits, labels.names, "set keep_duplicates=true, since its rows are all in validation")
    splits, limit_notes = _limit(splits, config)
    notes += limit_notes
    check_classes(splits, labels.names, "raise max_train_rows, or add training rows of this class")
    notes += find_missing_classes(splits, labels.names)
    lengths = measure_lengths(splits, config.tokenizer, workspace.work / "downloads", config.seed)
    manifest = write_dataset_folder(
        workspace.output,
        {name: _with_progress(name, splits[name]) for name in sorted(splits, key=_split_order)},
        task=CUSTOM if task is None else config.task,
        problem_type=labels.problem_type,
        text_columns=columns.text,
        label_column=columns.label,
        label_names=labels.names,
        metric=_metric(task, labels),
        source=source.description,
        notes=[*source.notes, *notes],
    )
    facts = describe(manifest, splits, lengths)
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
    """Encodes the labels; the configuration takes precedence over the task, and the task over the source."""
    problem_type: ProblemType | None = config.problem_type or (task.problem_type if task else None)
    names = config.label_names or (list(task.label_names) if task else None) or None
    columns = {split: table.column("label") for split, table in tables.items()}
    source_names = source.class_names.get(column) if problem_type != "regression" else None
    encode = partial(
        encode_labels, columns, problem_type, name_row=lambda split, row: name_row(source.tables[split], split, row)
    )
    if source_names is None:
        return encode(names, numbers_are_names=config.label_names is not None)
    log.info("class names of '%s' in the data: %s", column, ", ".join(source_names))
    order = match_names(source_names, names) if names else None
    if order is None:
        # The configuration renames the classes, in the order of their ids.
        return encode(config.label_names or source_names)
    assert names is not None
    labels = reorder_labels(encode(source_names), names, order)
    if order != sorted(order):
        labels.notes.append(f"Class ids follow label_names: {', '.join(source_names)} became {', '.join(names)}.")
    return labels


def _limit(splits: dict[str, Split], config: DataPrepConfig) -> tuple[dict[str, Split], list[str]]:
    limits = {
        "train": config.max_train_rows,
        "validation": config.max_validation_rows,
        "validation_mismatched": config.max_validation_rows,
        "test": config.max_test_rows,
    }
    limited = {name: limit_rows(split, limits[name], config.seed) for name, split in splits.items()}
    notes = [
        f"{limited[name].num_rows} of {split.num_rows} {name} rows were kept (stratified sample, seed {config.seed})."
        for name, split in splits.items()
        if limited[name].num_rows < split.num_rows
    ]
    return limited, notes


def _with_progress(name: str, split: Split) -> Iterator[pa.Table]:
    progress = Progress("row", split.num_rows)
    done = 0
    for table in split.tables():
        yield table
        done += table.num_rows
        progress.update(done, f"{name} written")


def _metric(task: Task | None, labels: Labels) -> str:
    """Returns the task's metric if it suits the labels."""
    if labels.problem_type == "regression":
        return "pearson"
    if labels.problem_type == "multi_label_classification":
        return "f1_micro"
    suits = (
        task is not None
        and task.problem_type == "classification"
        and (task.metric != "f1" or len(labels.names) == len(task.label_names))
    )
    return task.metric if task is not None and suits else "accuracy"


def _split_order(split: str) -> int:
    return ["train", "validation", "validation_mismatched", "test", UNLABELLED].index(split)
