"""Loads data sets of the Hugging Face Hub."""

import logging
import os
import pkgutil
import re

import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.messages import list_names
from compaware.components.data_prep.tables.decoding import Note
from compaware.components.data_prep.tables.folders import splits_by_name

log = logging.getLogger(__name__)


def read_hub(
    hub_id: str, config: str | None, revision: str | None, note: Note = log.info
) -> tuple[dict[str, pa.Table], dict[str, list[str]]]:
    """Downloads a data set; with `HF_HUB_OFFLINE=1`, reads it from the local cache.

    Args:
        hub_id: `owner/name`, or a folder in the hub's layout.
        config: The data set's configuration, if it has several.
        revision: Branch, tag or commit.
        note: Called with a sentence about the splits that are not used.

    Returns:
        A table for each split, and the class names of each column that has them.

    Raises:
        UserError: The data set, configuration or revision does not exist, or the hub cannot be reached.
    """
    import datasets

    if hub_id in (module.name for module in pkgutil.iter_modules(datasets.packaged_modules.__path__)):
        # The library would load files of this format from the working folder.
        raise UserError(f"'{hub_id}' is a format, not a data set: give a file, a folder or a hub id")
    try:
        dataset = datasets.load_dataset(hub_id, config, revision=revision)
    # datasets passes on exceptions of httpx, fsspec and pyarrow, and raises RuntimeError for data set scripts.
    except Exception as error:
        raise UserError(_explain(error, hub_id, revision)) from error
    splits = splits_by_name(dataset, note)
    if "train" not in splits:
        raise UserError(f"the data set '{hub_id}' has no split 'train' with rows: it has {list_names(dataset)}")
    features = splits["train"].features
    # For a list of labels, the inner feature has the names.
    labels = {name: getattr(feature, "feature", feature) for name, feature in features.items()}
    label_names = {name: list(label.names) for name, label in labels.items() if isinstance(label, datasets.ClassLabel)}
    return {split: rows.with_format("arrow")[:] for split, rows in splits.items()}, label_names


def _explain(error: Exception, hub_id: str, revision: str | None) -> str:
    """Returns one line that says why a data set cannot be loaded and what to change."""
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    reason = " ".join(str(error).split())
    if "Dataset scripts are no longer supported" in reason:
        return (
            f"the data set '{hub_id}' needs a Python script, which compaware does not run: give its files (CSV, "
            "Parquet), or try hub_revision=refs/convert/parquet"
        )
    if isinstance(error, DatasetNotFoundError) and "gated" in reason:
        return f"the data set '{hub_id}' is gated: request access on its page, and set HF_TOKEN in the environment"
    if isinstance(error, DatasetNotFoundError) and reason.startswith("Revision"):
        return f"the data set '{hub_id}' has no revision '{revision}': set hub_revision to a branch, tag or commit"
    if isinstance(error, DatasetNotFoundError):
        return (
            f"'{hub_id}' is neither a local file or folder nor a readable data set on the hub: check the name, or set "
            "HF_TOKEN in the environment if it is private"
        )
    if match := re.search(r"(?:available configs|Available(?: configs in the cache)?): \[(.*?)\]", reason):
        names = [name.strip("' ") for name in match[1].split(",")]
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        return f"set hub_config to one of the configurations of '{hub_id}': {', '.join(names[:10])}{more}"
    if isinstance(error, ConnectionError):
        remedy = "check the network, or give files"
        if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
            remedy = "HF_HUB_OFFLINE is set and the data set is not in the cache: download it first, or give files"
        return f"'{hub_id}' is not a local file or folder, and the hub cannot be reached: {remedy}"
    if isinstance(error, datasets.exceptions.DatasetGenerationError) and error.__cause__:
        error, reason = error.__cause__, " ".join(str(error.__cause__).split())
    return f"the data set '{hub_id}' cannot be loaded from the hub: {type(error).__name__}: {reason[:160]}"
