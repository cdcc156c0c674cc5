"""What a model's folder holds, looked at before a library reads it: each known mistake is one line with its remedy."""

import json
from pathlib import Path
from typing import Any

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import require_no_pointers

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_OTHER_FORMATS = {
    "a PEFT adapter alone": ("adapter_config.json", "adapter_model.*"),
    "only pickled weights, which can run code when read": ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt"),
    "only ONNX or OpenVINO files": ("*.onnx", "onnx/*.onnx", "openvino_model*.xml"),
    "only GGUF weights": ("*.gguf",),
    "only TensorFlow or Flax weights": ("*.h5", "*.msgpack"),
}
# What Trainer leaves beside the weights.
_NO_WEIGHTS = {"training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"}
_REMEDIES = {
    "a PEFT adapter alone": "merge it into its base model (merge_and_unload) and save that",
    "only ONNX or OpenVINO files": "give the PyTorch model that they were made from",
    "only GGUF weights": "give the PyTorch model that they were made from",
}


def check_model_folder(source: str | Path) -> None:
    """Checks that a folder has a configuration and whole safetensors weights; a hub id passes.

    Raises:
        UserError: It has not, or there is no such folder.
    """
    folder = Path(source)
    if folder.is_file():
        where = str(folder.parent) if (folder.parent / "config.json").is_file() else "which you may have to unpack"
        raise UserError(f"{folder} is a file: give the model's folder, {where}")
    if not folder.is_dir():
        local = str(source).startswith(("/", ".", "~")) or str(source).count("/") > 1
        if local or ("/" in str(source) and folder.parent.is_dir()):
            raise UserError(f"there is no model folder {source}")
        return
    require_no_pointers(folder)
    _require_config(folder)
    if (folder / "adapter_config.json").is_file():
        raise UserError(_holds(folder, "a PEFT adapter alone"))
    if (folder / _INDEX).is_file():
        _require_shards(folder)
    elif not (folder / _WEIGHTS).is_file():
        if any(folder.glob("model-*-of-*.safetensors")):
            raise UserError(f"{folder} has parts of weights and no {_INDEX}: download the model again")
        raise UserError(_holds(folder, _format(folder) or "no weights"))


def read_json_object(file: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        UserError: It does not.
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
        raise UserError(f"{folder} has no config.json, its folders do ({names}): give one of them, such as {models[0]}")
    found = _format(folder)
    if found:
        raise UserError(_holds(folder, found))
    raise UserError(f"{folder} has no config.json: give a folder that save_pretrained wrote")


def _require_shards(folder: Path) -> None:
    names = read_json_object(folder / _INDEX).get("weight_map")
    if not isinstance(names, dict):
        raise UserError(f"{folder / _INDEX} has no 'weight_map': download the model again")
    wanted = sorted({str(name) for name in names.values()})
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} of the {len(wanted)} files of weights that {_INDEX} names "
            f"({missing[0]}): download the model again"
        )


def _format(folder: Path) -> str | None:
    """What other format a folder without safetensors weights has."""
    for name, patterns in _OTHER_FORMATS.items():
        files = {file.name for pattern in patterns for file in folder.glob(pattern)} - _NO_WEIGHTS
        if files:
            return name
    return None


def _holds(folder: Path, what: str) -> str:
    remedy = _REMEDIES.get(what, "save the model as safetensors (save_pretrained does)")
    return f"{folder} holds {what}: {remedy}"
