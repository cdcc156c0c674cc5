"""Prepares a data set: reads and checks the rows, encodes labels, splits, and writes the artifact and its data card."""

import logging
from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.progress import Progress
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import MISMATCHED, SLICED, TEST, UNLABELLED, Manifest, ProblemType
from compaware.components.core.data.dataset_writer import write_dataset_folder
from compaware.components.core.data.label_names import match_names
from compaware.components.core.data.tasks import Task, get_task
from compaware.components.core.evaluation.metrics import suitable_metrics
from compaware.components.core.stage.workspace import Workspace
from compaware.components.data_prep.card import describe, write_card
from compaware.components.data_prep.columns import choose_columns, name_row, select_columns
from compaware.components.data_prep.config import CUSTOM, DataPrepConfig
from compaware.components.data_prep.held_out import take_split
from compaware.components.data_prep.labels import Labels, encode_labels, reorder_labels
from compaware.components.data_prep.lengths import Lengths, measure_lengths
from compaware.components.data_prep.messages import escape_name
from compaware.components.data_prep.rows import (
    Duplicates,
    Rows,
    check_classes,
    drop_duplicates,
    find_missing_classes,
    limit_rows,
)
from compaware.components.data_prep.slices import name_classes, select_slices
from compaware.components.data_prep.sources import Source, read_source
from compaware.components.data_prep.split import Split, TextRows

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
    slices = select_slices(source.tables, columns, config)
    tables, notes = select_columns(source.tables, columns)
    labels = _encode(tables, config, task, source, columns.label)
    notes += labels.notes
    texts = {
        name: table.select([column for column in table.column_names if column != "label"])
        for name, table in tables.items()
    }
    splits = {
        name: Split(texts[name], labels.rows.get(name, np.arange(len(array))), array, slices.get(name))
        for name, array in labels.arrays.items()
    }
    unlabelled = _unlabelled_rows(texts, splits)
    check_classes(splits, labels.names, "add training rows of this class")
    metric = _metric(config, task, labels)
    had_test = TEST in splits
    splits, duplicates = drop_duplicates(splits, keep=config.keep_duplicates)
    notes += duplicates.notes()
    if had_test and TEST not in splits:
        notes.append("No test row is left, so the test split is left out.")
    check_classes(splits, labels.names, "set keep_duplicates=true, since its rows are all in validation or test")
    notes += _take_splits(splits, config)
    splits, unlabelled = _limit(splits, config, notes), _limit(unlabelled, config, notes)
    check_classes(splits, labels.names, "raise max_train_rows, or add training rows of this class")
    notes += find_missing_classes(splits, labels.names)
    if metric == "f1":
        positive = escape_name(labels.names[1])
        notes.append(f"F1 is that of the class '{positive}', the second; set label_names to change that.")
    rows: dict[str, TextRows] = {**splits, **unlabelled}
    lengths = measure_lengths(rows, config.tokenizer, workspace.work / "downloads", config.seed)
    kept_slices = [name for name in SLICED if slices and name in splits]
    manifest = write_dataset_folder(
        workspace.output,
        {name: _with_progress(name, rows[name]) for name in sorted(rows, key=_split_order)},
        task=CUSTOM if task is None else config.task,
        problem_type=labels.problem_type,
        text_columns=columns.text,
        label_column=columns.label,
        label_names=labels.names,
        metric=metric,
        source=source.description,
        notes=[*source.notes, *notes],
        slices={name: name_classes(splits[name].slice_tables(), source.class_names) for name in kept_slices},
    )
    facts = describe(manifest, splits, lengths)
    write_card(facts, workspace.output)
    for note in notes:
        log.info("note: %s", note)
    return Summary.create("data_prep", config, _flat_metrics(manifest, duplicates, lengths), facts)


def _encode(
    tables: dict[str, pa.Table], config: DataPrepConfig, task: Task | None, source: Source, column: str
) -> Labels:
    """Encodes the labels; the configuration takes precedence over the task, and the task over the source."""
    problem_type: ProblemType | None = config.problem_type or (task.problem_type if task else None)
    names = config.label_names or (list(task.label_names) if task else None) or None
    columns = {split: table.column("label") for split, table in tables.items() if "label" in table.column_names}
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


def _unlabelled_rows(texts: dict[str, pa.Table], splits: dict[str, Split]) -> dict[str, TextRows]:
    """Returns the test rows without a label as the split `unlabelled`, if there are any."""
    if TEST not in texts:
        return {}
    is_unlabelled = np.ones(texts[TEST].num_rows, dtype=bool)
    if TEST in splits:
        is_unlabelled[splits[TEST].rows] = False
    rows = np.flatnonzero(is_unlabelled)
    return {UNLABELLED: TextRows(texts[TEST], rows)} if len(rows) else {}


def _take_splits(splits: dict[str, Split], config: DataPrepConfig) -> list[str]:
    """Takes a validation split and, if asked for, a test split from the training rows, where the data has none.

    Validation comes first, so that its rows do not depend on `test_fraction`. `splits` is changed in place, so that
    memory does not hold the training rows twice.

    Returns:
        Notes about the new splits.
    """
    notes = []
    if TEST in splits and config.test_fraction:
        notes.append("The data has a labelled test split, so none was taken from training (test_fraction).")
    rows = splits["train"].num_rows
    for name, fraction in (("validation", config.validation_fraction), (TEST, config.test_fraction)):
        if name not in splits and fraction:
            taken, note = take_split(splits["train"], name, max(1, round(rows * fraction)), config.seed)
            splits.update(taken)
            notes.append(note)
    return notes


def _limit(splits: dict[str, Rows], config: DataPrepConfig, notes: list[str]) -> dict[str, Rows]:
    limits = {
        "train": config.max_train_rows,
        "validation": config.max_validation_rows,
        MISMATCHED: config.max_validation_rows,
        TEST: config.max_test_rows,
        UNLABELLED: config.max_test_rows,
    }
    limited = {name: limit_rows(split, limits[name], config.seed) for name, split in splits.items()}
    notes += [
        f"{limited[name].num_rows} of {split.num_rows} {name} rows were kept "
        f"({'random' if name == UNLABELLED else 'stratified'} sample, seed {config.seed})."
        for name, split in splits.items()
        if limited[name].num_rows < split.num_rows
    ]
    return limited


def _with_progress(name: str, split: TextRows) -> Iterator[pa.Table]:
    progress = Progress("row", split.num_rows)
    done = 0
    for table in split.tables():
        yield table
        done += table.num_rows
        progress.update(done, f"{name} written")


def _metric(config: DataPrepConfig, task: Task | None, labels: Labels) -> str:
    """Returns the metric of the configuration, or the task's if it suits the labels, or the usual one.

    Raises:
        UserError: The metric of the configuration does not suit the labels.
    """
    suitable = suitable_metrics(labels.problem_type, len(labels.names))
    if config.metric is None:
        return task.metric if task is not None and task.metric in suitable else suitable[0]
    if config.metric not in suitable:
        noun = "labels" if labels.problem_type == "multi_label_classification" else "classes"
        kind = f"{len(labels.names)} {noun}" if labels.names else "numbers"
        raise UserError(f"metric={config.metric} does not suit {kind}: choose from {', '.join(suitable)}")
    return config.metric


def _split_order(split: str) -> int:
    return ["train", "validation", MISMATCHED, TEST, UNLABELLED].index(split)


def _flat_metrics(manifest: Manifest, duplicates: Duplicates, lengths: Lengths) -> dict[str, float]:
    return {
        **{f"{split}_rows": float(count) for split, count in manifest.splits.items()},
        "classes": float(len(manifest.label_names)),
        "duplicates_found": float(duplicates.found),
        "duplicates_dropped": float(duplicates.dropped),
        "conflicting_labels": float(duplicates.conflicting),
        "mean_length_tokens": lengths.mean["train"],
        "max_length_tokens": float(lengths.longest["train"]),
    }
