"""Loading and building classifiers: safe weights only, the right layers, and heads that fit the data."""

import json
from pathlib import Path

import pytest
import torch

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.tokenizer import load_model_tokenizer, load_tokenizer
from compaware.components.core.models.build import new_classifier
from compaware.components.core.models.families import FAMILIES, limitation
from compaware.components.core.models.layers import encoder_layers, freeze_layers, keep_layers
from compaware.components.core.models.load import load_classifier, load_student
from compaware.components.core.runtimes.predictors import open_runtime
from tests.families.models import classifier, make_family
from tests.tiny import SMALL_BERT, make_dataset, make_model


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model", make_dataset(tmp_path / "data", 8, 8), num_hidden_layers=4)


def test_pickled_weights_are_refused_unread(model_folder: Path) -> None:
    (model_folder / "model.safetensors").rename(model_folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="only pickled weights"):
        load_classifier(model_folder)


def test_corrupt_weights_are_refused(model_folder: Path) -> None:
    file = model_folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(UserError, match="corrupt"):
        load_classifier(model_folder)


def test_a_missing_folder_or_one_without_a_model_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model folder"):
        load_classifier(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no config\.json"):
        load_classifier(tmp_path)


def test_kept_layers_hold_the_teachers_weights_in_order(model_folder: Path) -> None:
    teacher = load_classifier(model_folder)
    student = keep_layers(teacher, [0, 3])
    kept, whole = student.bert.encoder.layer, teacher.bert.encoder.layer
    assert len(kept) == student.config.num_hidden_layers == 2
    assert torch.equal(kept[1].intermediate.dense.weight, whole[3].intermediate.dense.weight)
    assert torch.equal(student.classifier.weight, teacher.classifier.weight)
    assert teacher.config.num_hidden_layers == 4
    with pytest.raises(UserError, match="different layers of the teacher, 0 to 3"):
        keep_layers(teacher, [1, 4])


@pytest.mark.parametrize("family", [family for family in FAMILIES if limitation(family, "kept_layers") is None])
def test_the_output_of_frozen_layers_cannot_change(family: str) -> None:
    model = classifier(family)
    freeze_layers(model, 1)
    output = model(input_ids=torch.arange(5, 29).reshape(2, 12), output_hidden_states=True)
    assert not output.hidden_states[1].requires_grad
    output.logits.square().sum().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    layers = encoder_layers(model)[0]
    assert any(name.startswith(f"{layers}.1.") for name in trained)
    assert not any(name.startswith(f"{layers}.0.") for name in trained)


def test_kept_layers_keep_their_own_kind_of_attention(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 8, 8)
    teacher = load_classifier(make_family("modernbert", tmp_path / "teacher", data))
    assert teacher.config.layer_types == ["full_attention", "sliding_attention"]
    assert keep_layers(teacher, [0]).config.layer_types == ["full_attention"]
    with pytest.raises(UserError, match="must begin with 0"):
        keep_layers(teacher, [1])


def test_a_family_without_a_classifier_and_a_tokenizer_without_padding_are_refused(
    tmp_path: Path, model_folder: Path
) -> None:
    tokenizer = load_tokenizer(model_folder)
    config = json.loads((model_folder / "config.json").read_text())
    (model_folder / "config.json").write_text(json.dumps({**config, "model_type": "vit"}))
    with pytest.raises(UserError, match="no text classifier for vit models: choose one of bert, "):
        load_classifier(model_folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(UserError, match="no padding token"):
        load_tokenizer(tmp_path / "tokenizer")


def test_a_student_with_the_wrong_number_of_labels_is_refused(tmp_path: Path, model_folder: Path) -> None:
    three = make_dataset(tmp_path / "three", 9, 9, kind="three_class")
    with pytest.raises(UserError, match="the student has 2 outputs, but the data has 3 classes"):
        load_student(model_folder, three.manifest)


def test_an_encoder_without_a_head_gets_one_for_the_data(tmp_path: Path, model_folder: Path) -> None:
    config = json.loads((model_folder / "config.json").read_text())
    (model_folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    three = make_dataset(tmp_path / "three", 9, 9, kind="three_class")
    weights = load_classifier(model_folder).bert.state_dict()
    from safetensors.torch import save_file

    save_file(weights, model_folder / "model.safetensors", metadata={"format": "pt"})
    student = load_student(model_folder, three.manifest)
    assert student.config.id2label == {0: "negative", 1: "neutral", 2: "positive"}
    assert student.fresh_parameters == ["classifier.bias", "classifier.weight"]
    with pytest.raises(UserError, match=r"is not fine-tuned: it has no weights for classifier\.bias, "):
        open_runtime(model_folder)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"hidden_size": 32}, "no 'model_type'"),
        ({"model_type": "no_such"}, "cannot build a model"),
        ({"model_type": "vit", "hidden_size": 32}, "no text classifier for vit models"),
        ({**SMALL_BERT, "vocab_size": 3}, "less than the tokenizer's"),
        ({**SMALL_BERT, "hidden_size": 33}, "cannot build a model"),
        ({**SMALL_BERT, "hidden_size": "32"}, "'hidden_size' in the model's config is '32': it must be a whole number"),
        ({**SMALL_BERT, "num_hidden_layers": 0}, "'num_hidden_layers' in the model's config is 0"),
        ({**SMALL_BERT, "intermediate_size": -64}, "'intermediate_size' in the model's config is -64"),
        ({**SMALL_BERT, "vocab_size": "many"}, "'vocab_size' in the model's config is 'many'"),
        ({**SMALL_BERT, "hiden_size": 32}, "no key 'hiden_size': did you mean hidden_size"),
        ({**SMALL_BERT, "hidden_act": "gelux"}, "gelux"),
        ({**SMALL_BERT, "layer_norm_eps": "small"}, "'layer_norm_eps' expected float"),
        ({**SMALL_BERT, "model_type": ["bert"]}, "unknown model_type"),
        ({**SMALL_BERT, "quantization_config": {"quant_method": "gptq"}}, "leave quantization_config out"),
    ],
)
def test_an_invalid_config_of_a_new_model_is_rejected_in_one_line(
    tmp_path: Path, model_folder: Path, config: dict, says: str
) -> None:
    data = make_dataset(tmp_path / "more", 8, 8)
    with pytest.raises(UserError, match=says) as caught:
        new_classifier(config, data.manifest, load_tokenizer(model_folder))
    assert "\n" not in str(caught.value)


def test_a_model_is_built_in_fp32_whatever_its_config_was_saved_in(tmp_path: Path, model_folder: Path) -> None:
    data = make_dataset(tmp_path / "more", 8, 8)
    half = {**SMALL_BERT, "dtype": "float16", "position_embedding_type": "absolute"}
    assert new_classifier(half, data.manifest, load_tokenizer(model_folder)).dtype == torch.float32


def test_a_model_does_not_get_the_tokenizer_of_another(tmp_path: Path, model_folder: Path) -> None:
    other = make_family("gpt2", tmp_path / "gpt2", make_dataset(tmp_path / "more", 8, 8))
    assert (
        load_model_tokenizer(model_folder, None).get_vocab()
        == load_model_tokenizer(model_folder, str(model_folder)).get_vocab()
    )
    with pytest.raises(UserError, match="does not fit"):
        load_model_tokenizer(model_folder, str(other))
    for file in model_folder.glob("tokenizer*"):
        file.unlink()
    assert len(load_model_tokenizer(model_folder, str(other))) == len(load_tokenizer(other))
