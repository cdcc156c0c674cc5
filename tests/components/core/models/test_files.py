"""Model folders are loaded, or rejected in one line that says what to give instead."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, DebertaV2Config

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.tokenizer import load_tokenizer, tokenizer_fingerprint
from compaware.components.core.models.load import load_classifier
from tests.tiny import make_dataset, make_model

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 437955512\n"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    return make_model(root / "model", make_dataset(root / "data", 8, 8))


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))


def configure(folder: Path, **values: Any) -> None:
    file = folder / "config.json"
    config = {**json.loads(file.read_text(encoding="utf-8")), **values}
    file.write_text(json.dumps({name: value for name, value in config.items() if value != "gone"}), encoding="utf-8")


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def sharded(folder: Path, kept: int = 2) -> None:
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(weights)}
    for shard in sorted(set(names.values()))[:kept]:
        part = {name: weights[name] for name in weights if names[name] == shard}
        save_file(part, folder / shard, metadata={"format": "pt"})
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


def only(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / name).write_bytes(b"0")

    return change


def inside(name: str) -> Callable[[Path], None]:
    """What was in the folder is in one of its folders."""

    def change(folder: Path) -> None:
        files = list(folder.iterdir())
        (folder / name).mkdir()
        for file in files:
            file.rename(folder / name / file.name)
        (folder / "training_args.bin").write_bytes(b"0")

    return change


def adapter(folder: Path) -> None:
    inside("base")(folder)
    shutil.rmtree(folder / "base")
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"0")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "pointer for weights": (lambda f: (f / WEIGHTS).write_text(POINTER) and None, "Git LFS pointer.*git lfs pull"),
    "pointer for config": (lambda f: (f / "config.json").write_text(POINTER) and None, "Git LFS pointer"),
    "missing shard": (lambda f: sharded(f, kept=1), "lacks 1 of the 2 weight files.*model-00002-of-00002.safetensors"),
    "shards without index": (
        lambda f: (f / WEIGHTS).rename(f / "model-00001-of-00002.safetensors") and None,
        "parts of the weights but no model.safetensors.index.json",
    ),
    "onnx": (only("model.onnx"), "only ONNX or OpenVINO files: give the PyTorch model"),
    "gguf": (only("model-q4.gguf"), "only GGUF weights"),
    "keras": (only("tf_model.h5"), "only TensorFlow or Flax weights: save the model as safetensors"),
    "trainer's remains": (only("training_args.bin"), "holds no weights"),
    "adapter": (adapter, r"only a PEFT adapter: merge it .*merge_and_unload"),
    "checkpoints": (inside("checkpoint-500"), r"its folders have \(checkpoint-500\): give one of them, such as /"),
    "sentence-transformers": (inside("0_Transformer"), "0_Transformer"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]") and None, "must hold a JSON object"),
    "newer": (lambda f: configure(f, model_type="superbert"), r"superbert model, which transformers 5\.\S+ does not"),
    "code": (
        lambda f: configure(f, model_type="superbert", auto_map={"AutoConfig": "a.B"}),
        "which needs code from the hub",
    ),
    "no model_type": (lambda f: configure(f, model_type="gone"), "no model_type"),
    "quantized": (lambda f: configure(f, quantization_config={"quant_method": "gptq"}), r"is quantized \(gptq\)"),
    "labels as list": (lambda f: configure(f, id2label=["a", "b"]), "id2label .* must map numbers to names"),
    "labels turned round": (lambda f: configure(f, id2label={"a": 0, "b": 1}), "id2label .* must map numbers"),
    "more labels than rows": (
        lambda f: configure(f, id2label={0: "a", 1: "b", 2: "c"}),
        r"has shape \(2,\), but should have \(3,\)",
    ),
    "fewer labels than rows": (lambda f: configure(f, id2label={1: "a"}), "requires `num_labels > 1`"),
    "two counts of labels": (lambda f: configure(f, num_labels=3), "num_labels 3 and 2 names in id2label"),
    "size as a word": (lambda f: configure(f, hidden_size="32"), "expected int, got str|hidden_size"),
    "unknown activation": (lambda f: configure(f, hidden_act="gelux"), "gelux"),
    "fewer positions": (
        lambda f: configure(f, max_position_embeddings=8),
        r"position_embeddings.weight has shape \(64, 32\)",
    ),
    "other names of weights": (
        lambda f: rewrite(f, lambda weights: {f"net.{name}": value for name, value in weights.items()}),
        r"no weights for \d+ parameters of its bert encoder",
    ),
    "more layers than weights": (lambda f: configure(f, num_hidden_layers=3), r"no weights for 16 parameters"),
    "NaN": (
        lambda f: rewrite(f, lambda weights: {**weights, "classifier.bias": torch.tensor([0.0, torch.nan])}),
        "hold NaN or infinite values",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_folders_without_a_model_are_rejected_in_one_line(folder: Path, kind: str) -> None:
    change, message = REFUSED[kind]
    change(folder)
    with pytest.raises(UserError, match=message) as caught:
        load_classifier(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value).replace(str(folder), "")) < 300


def same_as(model: Path, folder: Path, tolerance: float = 0.0) -> bool:
    expected = load_classifier(model).state_dict()
    found = load_classifier(folder).state_dict()
    return all(torch.allclose(found[name], value, atol=tolerance) for name, value in expected.items())


def test_shards_half_precision_and_unknown_keys_are_loaded(model: Path, folder: Path) -> None:
    configure(folder, some_newer_key={"a": 1}, dtype="bfloat16")
    sharded(folder)
    assert same_as(model, folder)
    shutil.copy(model / WEIGHTS, folder / WEIGHTS)
    (folder / f"{WEIGHTS}.index.json").unlink()
    for dtype in (torch.float16, torch.bfloat16):
        rewrite(folder, lambda weights: {name: value.to(dtype) for name, value in weights.items()})  # noqa: B023
        assert load_classifier(folder).dtype == torch.float32
        assert same_as(model, folder, tolerance=0.01)


def test_labels_are_numbered_from_zero_and_keep_their_names(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    configure(folder, id2label={"1": "bad", "2": "good"})
    assert load_classifier(folder).config.id2label == {0: "bad", 1: "good"}
    assert "has the numbers [1, 2]" in caplog.text
    for absent in ("gone", {"0": "LABEL_0", "1": "LABEL_1"}):
        configure(folder, id2label=absent, label2id={"good": 0, "bad": 1})
        assert load_classifier(folder).config.id2label == {0: "good", 1: "bad"}
    configure(folder, id2label={"0": "bad", "1": "good"})
    assert load_classifier(folder).config.id2label == {0: "bad", 1: "good"}
    assert "contradict each other" in caplog.text


def test_a_file_or_a_missing_folder_is_not_taken_for_a_hub_id(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=f"is a file: give the model's folder, {folder}"):
        load_classifier(folder / WEIGHTS)
    archive = folder.parent / "model.zip"
    archive.touch()
    with pytest.raises(UserError, match=r"is a file: give the model's folder \(unpack an archive first\)"):
        load_classifier(archive)
    monkeypatch.chdir(folder.parent.parent)
    with pytest.raises(UserError, match="there is no model folder"):
        load_classifier(f"{folder.parent.name}/missing")


def test_a_folder_without_a_tokenizer_is_rejected(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UserError, match=r"has no tokenizer \(tokenizer\.json"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    "text", [POINTER, "{", "[]", '{"version": "9", "model": {"type": "Newer", "vocab": {}}, "added_tokens": []}']
)
def test_an_unreadable_tokenizer_is_rejected_in_one_line(folder: Path, text: str) -> None:
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(UserError, match="tokenizer") as caught:
        load_tokenizer(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_sentencepiece_model_is_loaded_as_a_tokenizer(tmp_path: Path) -> None:
    """As microsoft/deberta-v3-small comes: spm.model, and no tokenizer.json."""
    from sentencepiece import SentencePieceTrainer

    (tmp_path / "texts").write_text("the film was good\nthe cast was bad\n" * 20)
    pieces = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    words = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    for name, vocabulary in (("one", 23), ("two", 25)):
        folder = tmp_path / name
        folder.mkdir()
        SentencePieceTrainer.train(
            input=str(tmp_path / "texts"), model_prefix=str(folder / "spm"), vocab_size=vocabulary, **pieces, **words
        )
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
        DebertaV2Config(vocab_size=40).save_pretrained(folder)
        tokenizer = load_tokenizer(folder)
        ids = tokenizer("the film was good")["input_ids"]
        assert tokenizer.unk_token_id not in ids and len(ids) > 4
        tokenizer.save_pretrained(folder / "saved")
        assert AutoTokenizer.from_pretrained(folder / "saved")("the film was good")["input_ids"] == ids
    assert tokenizer_fingerprint(tmp_path / "one") != tokenizer_fingerprint(tmp_path / "two")
