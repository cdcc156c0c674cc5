"""Finds the files of each split in a folder, in the layouts of the hub, of `datasets`, of Spark and of people."""

import fnmatch
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.class_names import class_names_from_features
from compaware.components.data_prep.messages import list_names, shorten
from compaware.components.data_prep.tables.decoding import Note
from compaware.components.data_prep.tables.formats import COMPRESSED_ENDINGS, ENDINGS, ending_of

# Names of each split in folders and on the hub, the preferred one first.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "validation_matched", "dev", "dev_matched", "val", "valid", "eval", "evaluation"),
    "validation_mismatched": ("validation_mismatched", "dev_mismatched"),
    "test": ("test", "test_matched", "testing"),
}
# Files that accompany data: documentation, and metadata of datasets and the hub.
_NOT_DATA = re.compile(
    r"[._].*|(readme|license|licence|citation|changelog)\b.*|dataset_infos?\.json|dataset_dict\.json|state\.json",
    re.IGNORECASE,
)
_SHARD = re.compile(r"-\d.*$")
_NUMBERED = re.compile(r"-(\d+)-of-(\d+)")
_TRAIN = re.compile(r"(?<![a-z])(training|train)(?![a-z])")
_FRONT_MATTER = re.compile(r"---\s*\n(.*?)\n---", re.DOTALL)

Files = dict[str, list[Path]]
Rows = TypeVar("Rows")


def find_splits(folder: Path, config: str | None, note: Note) -> Files:
    """Finds the files of each split.

    Args:
        folder: A folder with a file or a folder for each split, a clone of a hub repository, or the output of Spark or
            of datasets' `save_to_disk`.
        config: The data set to read, if a hub repository has several.
        note: Called with a sentence about each guess and about unused files.

    Raises:
        UserError: There is no training split, a split exists twice, or a shard is missing.
    """
    files = _saved(folder, note) or _from_readme(folder, config, note) or _by_name(folder, config, note)
    if not files.get("train"):
        raise _no_training_split(folder)
    for split, split_files in files.items():
        _check_shards(split_files, split, folder)
    return files


def _saved(folder: Path, note: Note) -> Files | None:
    """Returns the files of a data set that `save_to_disk` wrote; None if it is another folder."""
    if (folder / "state.json").is_file():
        return {"train": _saved_files(folder)}
    if not (folder / "dataset_dict.json").is_file():
        return None
    names = _load(folder / "dataset_dict.json").get("splits", [])
    return splits_by_name({name: _saved_files(folder / name) for name in names}, note)


def _saved_files(folder: Path) -> list[Path]:
    return [folder / entry["filename"] for entry in _load(folder / "state.json").get("_data_files", [])]


def _load(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}, which save_to_disk wrote: {error}") from error


def splits_by_name(source: Mapping[str, Rows], note: Note) -> dict[str, Rows]:
    """Renames the source's splits that have rows to `train`, `validation` and so on; notes the unused ones."""
    splits = {split: next((name for name in names if source.get(name)), None) for split, names in SPLIT_NAMES.items()}
    if unused := [name for name in source if name not in splits.values()]:
        note(f"Splits that are not used: {list_names(unused)}.")
    return {split: source[name] for split, name in splits.items() if name}


def described_class_names(folder: Path, config: str | None) -> dict[str, list[str]]:
    """Returns the class names in the README of a hub repository, for each column that has them."""
    entry = _front_matter(folder / "README.md").get("dataset_info")
    infos = [info for info in (entry if isinstance(entry, list) else [entry]) if isinstance(info, dict)]
    chosen = [info for info in infos if config is None or info.get("config_name", "default") == config]
    return class_names_from_features(chosen[0].get("features")) if len(chosen) == 1 else {}


def _front_matter(readme: Path) -> dict[str, Any]:
    matter = _FRONT_MATTER.match(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else None
    try:
        facts = yaml.safe_load(matter[1]) if matter else None
    except yaml.YAMLError as error:
        raise UserError(f"the front matter of {readme} is not YAML: {shorten(str(error), 120)}") from error
    return facts if isinstance(facts, dict) else {}


def _from_readme(folder: Path, config: str | None, note: Note) -> Files | None:
    """Returns the files that the front matter of a hub repository's README names; None if it names none."""
    readme = folder / "README.md"
    configs = _front_matter(readme).get("configs")
    configs = [entry for entry in configs or [] if isinstance(entry, dict) and entry.get("data_files")]
    if not configs:
        return None
    names = [str(entry.get("config_name", "default")) for entry in configs]
    chosen = [entry for entry, name in zip(configs, names, strict=True) if name == config]
    if config is None:
        chosen = [entry for entry in configs if entry.get("default")] or configs
    if len(chosen) != 1:
        raise UserError(f"{folder} has the configurations {list_names(names)}: set hub_config to one of them")
    entries = chosen[0]["data_files"]
    if not (isinstance(entries, list) and isinstance(entries[0], dict)):
        entries = [{"split": "train", "path": entries}]
    root = folder / str(chosen[0].get("data_dir", ""))
    files = {str(entry.get("split")): _matching(root, entry.get("path"), readme) for entry in entries}
    return splits_by_name(files, note)


def _matching(folder: Path, patterns: Any, readme: Path) -> list[Path]:
    files: list[Path] = []
    for pattern in patterns if isinstance(patterns, list) else [patterns]:
        matches = sorted(file for file in folder.glob(str(pattern)) if file.is_file())
        if not matches:
            raise UserError(f"{readme} names the data files '{pattern}', but {folder} has none: download them, too")
        files += [file for file in matches if file not in files]
    return files


def _by_name(folder: Path, config: str | None, note: Note) -> Files:
    """Returns the files or folders that are named after splits, in the folder or in one below it."""
    inner = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _NOT_DATA.fullmatch(entry.name))
    data = [entry for entry in folder.iterdir() if entry.is_file() and ending_of(entry) in ENDINGS]
    usual = [folder, *([folder / config] if config else []), folder / "data"]
    only = inner if len(inner) == 1 and all(_NOT_DATA.fullmatch(entry.name) for entry in data) else []
    for candidate in [*usual, *only]:
        if candidate.is_dir() and (files := _in_folder(candidate, note)).get("train"):
            if candidate != folder:
                note(f"The data of {folder.name} is in its folder {candidate.name}.")
            return files
    if len(data) == 1 and not inner and _is_table(data[0]) and not _is_split(data[0]):
        note(f"The file {data[0].name} is the training split.")
        return {"train": data}
    return {}


def _in_folder(folder: Path, note: Note) -> Files:
    entries = sorted(entry for entry in folder.iterdir() if not _NOT_DATA.fullmatch(entry.name))
    stems = {entry: _stem(entry) for entry in entries}
    train = _train_name(folder, stems)
    if train is None:
        return _unnamed_shards(entries, note)
    files, used = {}, set()
    for split, names in SPLIT_NAMES.items():
        # The names of other splits follow the pattern of the training split's.
        candidates = [train.replace("\0", name) for name in names]
        name = next((name for name in candidates if name in stems.values()), None)
        if name is not None:
            chosen = [entry for entry in entries if stems[entry] == name]
            used.update(chosen)
            files[split] = _files_of(chosen, split, folder, note)
            if name not in names:
                note(f"The {split} split is {list_names(entry.name for entry in chosen)}.")
    _note_unused([entry for entry in entries if entry not in used], note)
    return files


def _stem(entry: Path) -> str:
    """Returns a name in lower case without extensions and shard number (`train-00000-of-00002.csv.gz`: `train`)."""
    name = entry.name.lower()
    for endings in (COMPRESSED_ENDINGS, None):
        base, dot, ending = name.rpartition(".")
        if dot and base and (not endings or f".{ending}" in endings):
            name = base
    return _SHARD.sub("", name)


def _train_name(folder: Path, stems: dict[Path, str]) -> str | None:
    """Returns the name of the training split with NUL in place of `train`; None if there is none."""
    if any(stem in SPLIT_NAMES["train"] for stem in stems.values()):
        return "\0"
    named = {stem for entry, stem in stems.items() if _TRAIN.search(stem) and (entry.is_dir() or _is_table(entry))}
    if len(named) > 1:
        raise UserError(f"{folder} has several training splits ({list_names(sorted(named))}): rename one to train")
    return _TRAIN.sub("\0", named.pop(), count=1) if named else None


def _is_split(entry: Path) -> bool:
    return any(_stem(entry) in names for names in SPLIT_NAMES.values())


def _is_table(entry: Path) -> bool:
    """Whether a file is certainly data; a .txt file may be notes."""
    return _is_data(entry) and ending_of(entry) != ".txt"


def _is_data(entry: Path) -> bool:
    return ending_of(entry) in ENDINGS


def _files_of(chosen: list[Path], split: str, folder: Path, note: Note) -> list[Path]:
    """Returns the files of a split, given its files or its folder."""
    if len(chosen) == 1 and chosen[0].is_dir():
        folder = chosen[0]
        inside = [entry for entry in sorted(folder.iterdir()) if not _NOT_DATA.fullmatch(entry.name)]
        chosen = [entry for entry in inside if entry.is_file() and _is_data(entry)]
        if not chosen:
            content = list_names(entry.name for entry in inside) or "nothing"
            raise UserError(f"{folder} has no data file: add one ({', '.join(ENDINGS)}); it contains {content}")
        _note_unused([entry for entry in inside if entry not in chosen], note)
    bases = [_without_compression(file) for file in chosen]
    if len({ending_of(file) for file in chosen}) > 1 or len(set(bases)) < len(bases):
        names = " and ".join(file.name for file in chosen[:4])
        raise UserError(f"{folder} has the {split} split twice: keep one of {names}")
    return chosen


def _without_compression(file: Path) -> str:
    return file.stem if file.suffix.lower() in COMPRESSED_ENDINGS else file.name


def _unnamed_shards(entries: list[Path], note: Note) -> Files:
    """Returns shards without a split's name, as Spark and Dask write them, as the training split."""
    shards = [entry for entry in entries if entry.is_file() and _is_data(entry)]
    numbered = [re.match(r"(.*?)[-_.]?\d", entry.name) for entry in shards]
    names = {match[1] for match in numbered if match}
    if not shards or not all(numbered) or names - {"part", "data", "shard", "chunk"}:
        return {}
    note(f"The files {list_names(entry.name for entry in shards)} are the training split.")
    _note_unused([entry for entry in entries if entry not in shards], note)
    return {"train": shards}


def _note_unused(entries: list[Path], note: Note) -> None:
    if entries:
        note(f"Not used: {list_names(entry.name for entry in entries)}.")


def _check_shards(files: list[Path], split: str, folder: Path) -> None:
    numbers = [match for file in files if (match := _NUMBERED.search(file.name))]
    for total in {int(match[2]) for match in numbers}:
        present = {int(match[1]) for match in numbers if int(match[2]) == total}
        missing = sorted(set(range(total)) - present)
        # Some tools count from 1.
        if missing and present != set(range(1, total + 1)):
            raise UserError(
                f"{folder} has {len(present)} of the {total} files of the {split} split: number {missing[0]} is missing"
            )


def _no_training_split(folder: Path) -> UserError:
    entries = sorted(entry for entry in folder.iterdir() if not fnmatch.fnmatch(entry.name, ".*"))
    content = list_names(entry.name for entry in entries) or "nothing"
    data_sets = [
        entry for entry in entries if entry.is_dir() and any(_TRAIN.search(_stem(file)) for file in entry.iterdir())
    ]
    if data_sets:
        names = list_names(entry.name for entry in data_sets)
        return UserError(f"{folder} contains several data sets: set data to one of its folders {names}")
    archives = [
        entry.name for entry in entries if entry.name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".7z"))
    ]
    if archives:
        return UserError(f"{folder} has no training split: unpack {list_names(archives)}")
    return UserError(
        f"{folder} has no training split: name a file train.csv (or {', '.join(ENDINGS)}); it contains {content}"
    )
