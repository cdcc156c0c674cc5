"""KFP interface of data_prep."""

from typing import List, Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def data_prep(
    dataset: dsl.Output[dsl.Dataset],
    card_html: dsl.Output[dsl.HTML],
    card_markdown: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    task: str = "sample",
    data: Optional[str] = None,
    hub_config: Optional[str] = None,
    hub_revision: Optional[str] = None,
    read_options: Optional[dict] = None,
    text_columns: Optional[List[str]] = None,
    label_column: Optional[str] = None,
    label_names: Optional[List[str]] = None,
    problem_type: Optional[str] = None,
    max_train_rows: Optional[int] = None,
    max_validation_rows: Optional[int] = None,
    max_test_rows: Optional[int] = None,
    validation_fraction: float = 0.1,
    keep_duplicates: bool = False,
    tokenizer: Optional[str] = None,
    seed: int = 42,
    inputs_fingerprint: str = "",
) -> None:
    """Turn a task or a data set into Parquet splits with a manifest and a data card.

    Training rows whose text is in validation, too, are dropped; limits and a validation split that has to be made are
    stratified and seeded, with copies of a text on one side and each class of two texts on both; class names are in a
    stable order. Test rows whose label is withheld (-1 or empty) are left out. Data may be larger than memory: texts
    stay on disk, which needs room for them uncompressed, and a row takes some 50 bytes of memory, 80 where a validation
    split is made.

    Args:
        dataset: The splits as Parquet and their manifest.
        card_html: Data card: class balance, lengths, notes, examples.
        card_markdown: The same as Markdown.
        metrics: Rows of each split, classes, duplicates, lengths.
        task: sample, cola, emotion, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli, or custom for own data.
        data: Own data: file or folder (CSV, TSV, JSON, JSONL, Parquet, Arrow), URI (file, s3, minio) or hub id.
        hub_config: Configuration of a hub data set.
        hub_revision: Branch, tag or commit of a hub data set.
        read_options: How files are written, where guessed wrong: delimiter, encoding, quoting and column_names.
        text_columns: The one or two columns of text.
        label_column: The column of labels; lists of labels, also as text, and vectors of 0 and 1 are multi-label data.
        label_names: Class names in index order; for multi-label data without label_column, columns of 0 and 1.
        problem_type: classification, multi_label_classification or regression.
        max_train_rows: Keep at most these, stratified.
        max_validation_rows: Keep at most these, stratified.
        max_test_rows: Keep at most these, stratified.
        validation_fraction: Share of the training rows that become validation where there is none.
        keep_duplicates: Keep training rows whose text is in validation, too.
        tokenizer: Hub id, folder or URI of the tokenizer that the card's lengths are counted with.
        seed: Of limits and of the validation split.
        inputs_fingerprint: Of data and models as change_check found them; another one does the work anew.
    """
    from pathlib import Path

    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "data_prep",
        {
            "output": dataset.path,
            "task": task,
            "data": data,
            "hub_config": hub_config,
            "hub_revision": hub_revision,
            "read_options": read_options,
            "text_columns": text_columns,
            "label_column": label_column,
            "label_names": label_names,
            "problem_type": problem_type,
            "max_train_rows": max_train_rows,
            "max_validation_rows": max_validation_rows,
            "max_test_rows": max_test_rows,
            "validation_fraction": validation_fraction,
            "keep_duplicates": keep_duplicates,
            "tokenizer": tokenizer,
            "seed": seed,
            "inputs_fingerprint": inputs_fingerprint,
        },
    )
    folder = Path(dataset.path)
    Path(card_html.path).write_text((folder / "card.html").read_text(encoding="utf-8"), encoding="utf-8")
    Path(card_markdown.path).write_text((folder / "card.md").read_text(encoding="utf-8"), encoding="utf-8")
    log_metrics(summary, metrics)
