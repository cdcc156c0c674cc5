"""KFP interface of data_prep."""

# Generated from config.py by `make compile`: change that, not this file.

from typing import List

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def data_prep(
    dataset: dsl.Output[dsl.Dataset],
    card_html: dsl.Output[dsl.HTML],
    card_markdown: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    inputs_fingerprint: str = "",
    task: str = "sample",
    data: str = "",
    text_columns: List[str] = [],
    label_column: str = "",
    seed: int = 42,
    options: dict = {},
) -> None:
    """Turn a task or a data set into Parquet splits with a manifest and a data card.

    All choices are made on validation; test is only reported. If there is no validation split, one is taken from the
    training rows, and with `test_fraction` a test split, too: copies of a text stay in one split, and each class with
    enough texts is in all. These splits and row limits are stratified and seeded. Training rows whose text is also in
    validation or test are dropped, as are test rows whose text is also in validation. Test rows whose label is withheld
    (-1 or empty) become the split `unlabelled`. Class names are in a stable order. Data may be larger than memory:
    texts stay on disk, uncompressed, and a row takes about 50 bytes of memory, or 80 if a split is taken.

    Args:
        dataset: The splits as Parquet, with their manifest.
        card_html: Data card with class balance, lengths, notes and examples.
        card_markdown: The data card as Markdown.
        metrics: Numbers of rows, classes and duplicates, and lengths of texts.
        inputs_fingerprint: Fingerprint of data and models from change_check; if it differs, the step runs again.
        task: A known task (sample, cola, emotion, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli), or custom for own
            data; with `data`, the default means custom.
        data: Own data: a file or folder (CSV, TSV, JSON, JSONL, Parquet, Arrow; gzip, bz2, xz, zstd), a URI (file, s3,
            minio), or a hub id. By default the task's own hub data set. A JSON list may have up to 512 MB.
        text_columns: The one or two columns of text; the task's by default.
        label_column: The label column; 'label' by default. Lists, also written as text, and vectors of 0 and 1 are
            multi-label data.
        seed: Seed of the samples and of the splits that are taken from training.
        options: Further configuration: hub_config, hub_revision, read_options, label_names, problem_type,
            max_train_rows, max_validation_rows, max_test_rows, validation_fraction, test_fraction, keep_duplicates,
            metric, slice_columns, tokenizer.
    """
    from compaware.components.launch import copy_file, log_metrics, run_component

    summary = run_component(
        "data_prep",
        {
            "output": dataset,
            "inputs_fingerprint": inputs_fingerprint,
            "task": task,
            "data": data,
            "text_columns": text_columns,
            "label_column": label_column,
            "seed": seed,
            "options": options,
        },
    )
    copy_file(dataset, "card.html", card_html)
    copy_file(dataset, "card.md", card_markdown)
    log_metrics(summary, metrics)
