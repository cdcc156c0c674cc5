"""A configuration is read as intended or refused in one line that names the key."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import load_config
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.distillation.config import DistillationConfig

REQUIRED = {"output": "out", "dataset": "d", "teacher": "t", "soft_labels": "s", "student_layers": [0]}


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_json_and_yaml_load_the_same(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"config{suffix}"
    values = {**REQUIRED, "learning_rate": 1e-4}
    file.write_text(json.dumps(values) if suffix == ".json" else yaml.safe_dump(values))
    config = load_config(DistillationConfig, file, ["epochs=2", "learning_rate=2e-4", "training_arguments.max_steps=3"])
    assert (config.epochs, config.learning_rate, config.student_layers) == (2.0, 2e-4, [0])
    assert config.training_arguments == {"max_steps": 3}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("temprature=2", "did you mean 'temperature'"),
        ("zzz=2", "choose from"),
        ("epochs=many", "'epochs'"),
        ("epochs=-1", "greater than 0"),
        ("precision=int4", "'auto', 'fp32' or 'bf16'"),
        ("student=x", "exactly one of student, student_layers and student_config"),
        ("epochs", "expected key=value"),
        ("alpha=[", "not YAML"),
    ],
)
def test_an_error_is_one_line_that_names_the_key(word: str, says: str) -> None:
    words = [f"{key}={value}" for key, value in REQUIRED.items()]
    with pytest.raises(UserError) as caught:
        load_config(DistillationConfig, None, [*words, word])
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("read_options.data=x", "unknown key 'read_options.data': did you mean 'data'?"),
        ("delimiter=;", "unknown key 'delimiter': did you mean 'read_options.delimiter'?"),
        ("read_options.delimeter=;", "did you mean 'read_options.delimiter'?"),
        ("read_options={sep: ;}", "choose from column_names, delimiter, encoding, quoting"),
        ("zzz=2", "choose from data, "),
    ],
)
def test_an_unknown_key_is_suggested_from_nested_mappings(word: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(DataPrepConfig, None, ["output=x", word])
    assert says in str(caught.value) and len(str(caught.value)) < 300


def test_a_tilde_in_a_path_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    config = load_config(DataPrepConfig, None, ["output=x", "data=~/reviews", "tokenizer=org/name"])
    assert (config.data, config.tokenizer) == ("/home/ann/reviews", "org/name")


def test_fresh_weights_are_never_frozen() -> None:
    words = ["output=o", "dataset=d", "teacher=t", "soft_labels=s", "student_config={model_type: bert}"]
    with pytest.raises(UserError, match="frozen_layers would freeze the fresh weights"):
        load_config(DistillationConfig, None, [*words, "frozen_layers=1"])


def test_the_error_for_a_missing_key_has_its_description() -> None:
    with pytest.raises(UserError, match="'teacher' is missing: Teacher folder"):
        load_config(DistillationConfig, None, ["output=o", "dataset=d", "soft_labels=s", "student=x"])


@given(st.text())
def test_any_config_file_is_read_or_refused_with_one_line(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(text, encoding="utf-8", newline="")
        with pytest.raises(UserError) as caught:
            load_config(DistillationConfig, file, [])
        assert "\n" not in str(caught.value)
