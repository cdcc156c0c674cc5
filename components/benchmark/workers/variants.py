"""Prepares the variants to measure: each candidate in each runtime and precision that can serve it on this CPU."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from transformers import AutoConfig, PreTrainedConfig

from compaware.components.benchmark.config import BenchmarkConfig, Candidate
from compaware.components.benchmark.splits import further_splits, inputs_file, rows_to_score
from compaware.components.benchmark.workers.failures import Failures
from compaware.components.benchmark.workers.tokenized_split import TokenizedSplit
from compaware.components.benchmark.workers.worker_process import Variant
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import FILE_NAME as SUMMARY_FILE
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.text import tokenize
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation.criterion import CriterionResult
from compaware.components.core.models.heads import find_order
from compaware.components.core.models.pairing import max_sequence_tokens
from compaware.components.core.runtimes import formats, ipex, predictors
from compaware.components.core.runtimes.formats import Precision, RuntimeName

# Training sentences that calibrate a runtime which quantizes FP32 weights itself.
_CALIBRATION_ROWS = 256
Pair = tuple[RuntimeName, Precision]
log = logging.getLogger(__name__)


def read_configs(
    config: BenchmarkConfig, dataset: PreparedDataset, failures: Failures
) -> dict[Candidate, PreTrainedConfig]:
    """Returns the model configurations of the candidates that fit the data; the others are added to `failures`."""
    configs = {}
    for candidate in config.models:
        with failures.recording(candidate):
            model_config = _model_config(candidate)
            if model_config.num_labels != dataset.manifest.num_labels:
                raise UserError(
                    f"candidate '{candidate.name}' has {model_config.num_labels} outputs, the data needs "
                    f"{dataset.manifest.num_labels}: measure models that were trained for this data"
                )
            output_order(candidate, dataset)
            if (candidate.folder / SUMMARY_FILE).is_file():
                # A damaged criterion is reported before anything is measured.
                CriterionResult.from_summary(Summary.load(candidate.folder))
            configs[candidate] = model_config
    return configs


def input_limit(config: BenchmarkConfig, configs: Mapping[Candidate, PreTrainedConfig]) -> int:
    """Returns the tokens that sentences are cut at: `max_length_tokens`, or fewer if a candidate takes fewer."""
    return min(config.max_length_tokens, *map(max_sequence_tokens, configs.values()))


def prepare_variants(
    config: BenchmarkConfig,
    candidates: Sequence[Candidate],
    dataset: PreparedDataset,
    max_length_tokens: int,
    work: Path,
    failures: Failures,
) -> list[Variant]:
    """Tokenizes the splits with each candidate's tokenizer and converts FP32 weights for the runtimes that need it.

    Args:
        config: The configuration of the benchmark.
        candidates: The candidates that fit the data.
        dataset: The data.
        max_length_tokens: Longer sentences are cut.
        work: Folder for inputs and converted models.
        failures: Records the candidates that cannot run in the requested runtimes.
    """
    variants = []
    for candidate in candidates:
        with failures.recording(candidate):
            pairs = _pairs(candidate)
            folder = work / candidate.name
            folder.mkdir(parents=True, exist_ok=True)
            for split in (config.split, *further_splits(config, dataset)):
                _save_inputs(candidate, rows_to_score(dataset, split), max_length_tokens, inputs_file(folder, split))
            calibration = folder / "calibration.npz"
            if ("ipex", "int8") in pairs:
                rows = next(dataset.groups("train")).slice(0, _CALIBRATION_ROWS)
                _save_inputs(candidate, rows, max_length_tokens, calibration)
            for runtime, precision in _convert(candidate, pairs, folder, failures):
                source = folder if _is_converted(runtime, precision) else candidate.folder
                files = _files(source, runtime, precision)
                ranges = calibration if (runtime, precision) == ("ipex", "int8") else None
                variants.append(Variant(candidate, runtime, precision, source, files, folder, ranges))
    return variants


def _convert(candidate: Candidate, pairs: list[Pair], folder: Path, failures: Failures) -> list[Pair]:
    """Converts FP32 weights for the runtimes that need it, and returns the pairs that can be measured."""
    converted = [pair for pair in pairs if _is_converted(*pair)]
    if not converted:
        return pairs
    log.info("converting %s for OpenVINO and onnxruntime", candidate.name)
    with failures.recording(candidate, " and ".join(dict.fromkeys(runtime for runtime, _ in converted)), "fp32"):
        predictors.convert_fp32(candidate.folder, folder)
        return pairs
    return [pair for pair in pairs if pair not in converted]


def output_order(candidate: Candidate, dataset: PreparedDataset) -> list[int]:
    """Returns the indices of the candidate's outputs in the order of the data's labels, matched by name.

    A floor was trained on these labels, so its outputs are in their order.

    Raises:
        UserError: The names do not match.
    """
    if candidate.role == "floor":
        return list(range(dataset.manifest.num_labels))
    return find_order(_model_config(candidate), dataset.manifest, role=f"candidate '{candidate.name}'")[0]


def _pairs(candidate: Candidate) -> list[Pair]:
    if "ipex" in (candidate.runtimes or ()):
        ipex.require()
    available = predictors.available(candidate.folder)
    pairs = [(name, precision) for name, precision in available if name in (candidate.runtimes or (name,))]
    if not pairs:
        text = ", ".join(f"{precision} in {name}" for name, precision in available) or "no model"
        raise UserError(
            f"candidate '{candidate.name}' cannot run in the requested runtimes: {candidate.folder} has {text}"
        )
    return pairs


def _is_converted(runtime: RuntimeName, precision: Precision) -> bool:
    """Whether the runtime needs FP32 weights in a format that is converted here."""
    return runtime in ("openvino", "onnxruntime") and precision in ("fp32", "bf16")


def _model_config(candidate: Candidate) -> PreTrainedConfig:
    try:
        if not candidate.folder.is_dir():
            raise OSError("not a folder")  # `from_pretrained` would look its name up on the hub.
        return AutoConfig.from_pretrained(candidate.folder)
    except (OSError, ValueError) as error:
        raise UserError(f"candidate '{candidate.name}': {candidate.folder} is not a Model artifact") from error


def _save_inputs(candidate: Candidate, split: pa.Table, max_length_tokens: int, file: Path) -> None:
    tokenizer = load_tokenizer(candidate.folder)
    rows = tokenize(split, tokenizer, max_length_tokens)
    names = [name for name in tokenizer.model_input_names if name in rows]
    cut = sum(rows["cut"])
    TokenizedSplit.from_rows({name: rows[name] for name in names}, cut, tokenizer.pad_token_id or 0).save(file)


def _files(folder: Path, runtime: RuntimeName, precision: Precision) -> tuple[Path, ...]:
    if runtime in ("torch", "ipex"):
        return (folder / "model.safetensors",)
    quantized = precision.startswith("int8")
    if runtime == "onnxruntime":
        return (folder / (formats.ONNX_FILE if quantized else formats.FP32_ONNX_FILE),)
    graph = folder / (formats.OPENVINO_FILE if quantized else formats.FP32_OPENVINO_FILE)
    return graph, graph.with_suffix(".bin")
