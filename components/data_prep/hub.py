"""Data sets of the Hugging Face hub."""

import pyarrow as pa

from compaware.components.core.errors import UserError
from compaware.components.data_prep.readers import SPLIT_NAMES


def read_hub(hub_id: str, config: str | None, revision: str | None) -> tuple[dict[str, pa.Table], dict[str, list[str]]]:
    """Downloads a data set; `HF_HUB_OFFLINE=1` reads the local cache only.

    Args:
        hub_id: `owner/name`, or a folder in the hub's layout.
        config: The data set's configuration, where it has several.
        revision: Branch, tag or commit.

    Returns:
        A table for each split, and the class names of each column that has them.

    Raises:
        UserError: The data set, configuration or revision is not there, or the hub cannot be reached.
    """
    import datasets

    try:
        found = datasets.load_dataset(hub_id, config, revision=revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"'{hub_id}' is no file or folder here, nor can it be had from the hub: {reason}") from error
    splits = {split: next((name for name in names if name in found), None) for split, names in SPLIT_NAMES.items()}
    if splits["train"] is None:
        raise UserError(f"the data set '{hub_id}' has no split 'train': it has {', '.join(found)}")
    features = found[splits["train"]].features
    # A list of labels has their names inside.
    labels = {name: getattr(feature, "feature", feature) for name, feature in features.items()}
    label_names = {name: list(label.names) for name, label in labels.items() if isinstance(label, datasets.ClassLabel)}
    return {split: found[name].with_format("arrow")[:] for split, name in splits.items() if name}, label_names
