"""Checks a model's folder before a library reads it: reports each known mistake in one line with its remedy."""

import json
from pathlib import Path
from typing import Any

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import require_no_pointers

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_OTHER_FORMATS = {
    "only a PEFT adapter": ("adapter_config.json", "adapter_model.*"),
    "only pickled weights, which can run code when read": ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt"),
    "only ONNX or OpenVINO files": ("*.onnx", "onnx/*.onnx", "openvino_model*.xml"),
    "only GGUF weights": ("*.gguf",),
    "only TensorFlow or Flax weights": ("*.h5", "*.msgpack"),
}
# Files that Trainer writes beside the weights.
_NO_WEIGHTS = {"training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"}
_REMEDIES = {
    "only a PEFT adapter": "merge it into its base model (merge_and_unload) and save that",
    "only ONNX or OpenVINO files": "give the PyTorch model that they were made from",
    "only GGUF weights": "give the PyTorch model that they were made from",
}


def check_model_folder(source: str | Path) -> None:
    """Checks that a folder has a configuration and complete safetensors weights; a hub id passes.

    Raises:
        UserError: The folder does not exist, or lacks the configuration or weights.
    """
    folder = Path(source)
    if folder.is_file():
        remedy = f", {folder.parent}" if (folder.parent / "config.json").is_file() else " (unpack an archive first)"
        raise UserError(f"{folder} is a file: give the model's folder{remedy}")
    if not folder.is_dir():
        local = str(source).startswith(("/", ".", "~")) or str(source).count("/") > 1
        if local or ("/" in str(source) and folder.parent.is_dir()):
            raise UserError(f"there is no model folder {source}")
        return
    require_no_pointers(folder)
    _require_config(folder)
    if (folder / "adapter_config.json").is_file():
        raise UserError(_describe_contents(folder, "only a PEFT adapter"))
    if (folder / _INDEX).is_file():
        _require_shards(folder)
    elif not (folder / _WEIGHTS).is_file():
        if any(folder.glob("model-*-of-*.safetensors")):
            raise UserError(f"{folder} has parts of the weights but no {_INDEX}: download the model again")
        raise UserError(_describe_contents(folder, _find_other_format(folder) or "no weights"))


def read_json_object(file: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        UserError: The file is not JSON, or holds something else.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{file} must hold a JSON object, not a {type(values).__name__}")
    return values


def _require_config(folder: Path) -> None:
    if (folder / "config.json").is_file():
        read_json_object(folder / "config.json")
        return
    below = sorted(folder.glob("*/config.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    models = [file.parent for file in below if any(file.parent.glob("*.safetensors"))]
    if models:
        names = ", ".join(folder.name for folder in models[:3])
        raise UserError(
            f"{folder} has no config.json, but its folders have ({names}): give one of them, such as {models[0]}"
        )
    other_format = _find_other_format(folder)
    if other_format:
        raise UserError(_describe_contents(folder, other_format))
    raise UserError(f"{folder} has no config.json: give a folder that save_pretrained wrote")


def _require_shards(folder: Path) -> None:
    names = read_json_object(folder / _INDEX).get("weight_map")
    if not isinstance(names, dict):
        raise UserError(f"{folder / _INDEX} has no 'weight_map': download the model again")
    expected = sorted({str(name) for name in names.values()})
    missing = [name for name in expected if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} of the {len(expected)} weight files that {_INDEX} lists "
            f"({missing[0]}): download the model again"
        )


def _find_other_format(folder: Path) -> str | None:
    """Returns the format of a folder without safetensors weights; None if it is not known."""
    for name, patterns in _OTHER_FORMATS.items():
        files = {file.name for pattern in patterns for file in folder.glob(pattern)} - _NO_WEIGHTS
        if files:
            return name
    return None


def _describe_contents(folder: Path, contents: str) -> str:
    remedy = _REMEDIES.get(contents, "save the model as safetensors (save_pretrained does)")
    return f"{folder} holds {contents}: {remedy}"
