"""A model and its tokenizer are made to agree, or are rejected in one line before any work."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import processors
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from transformers.models.auto.configuration_auto import model_type_to_module_name
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.text import table_batches, tokenize
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier, save_classifier
from compaware.components.core.models.pairing import (
    _COUNT_FROM_PADDING,
    fit_tokenizer,
    input_names,
    max_sequence_tokens,
    require_padding_ignored,
)
from compaware.components.core.runtimes.predictors import convert_fp32, open_runtime
from tests.families.models import make_family
from tests.tiny import make_dataset, make_model

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 20,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
FAMILIES_BY_POSITIONS = {
    "absolute": ["bert", "distilbert", "electra", "albert", "deberta-v2", "gpt2", "nystromformer", "rembert", "opt"],
    "rotary or relative": ["modernbert", "qwen2", "roformer"],
    "from padding": ["camembert", "data2vec-text", "ibert", "mpnet", "roberta", "roberta-prelayernorm"],
    "from padding, several languages": ["xlm-roberta", "xlm-roberta-xl", "esm"],
}


@pytest.fixture
def data(tmp_path: Path) -> PreparedDataset:
    return make_dataset(tmp_path / "data", 24, 12)


def small(family: str, **more: int) -> PreTrainedModel:
    config = AutoConfig.for_model(family, **{**SIZES, **more})
    return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.mark.parametrize("family", [family for families in FAMILIES_BY_POSITIONS.values() for family in families])
@pytest.mark.parametrize("padding", [1, 3])
def test_a_model_takes_the_reported_number_of_tokens_and_no_more(family: str, padding: int) -> None:
    model = small(family, pad_token_id=padding)
    limit = max_sequence_tokens(model.config)
    ids = torch.arange(5, 5 + limit + 1)[None] % 40 + 5
    assert model(input_ids=ids[:, :limit], attention_mask=torch.ones(1, limit)).logits.isfinite().all()
    if "from padding" in next(kind for kind, families in FAMILIES_BY_POSITIONS.items() if family in families):
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=ids, attention_mask=torch.ones(1, limit + 1))


def test_all_families_that_count_from_padding_are_known() -> None:
    found = set()
    for family in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        folder = Path(transformers.__file__).parent / "models" / model_type_to_module_name(family)
        sources = [file.read_text(encoding="utf-8") for file in folder.glob("modeling_*.py")]
        if any("create_position_ids_from_input_ids" in source for source in sources):
            found.add(family)
    assert found == _COUNT_FROM_PADDING


def test_more_tokens_than_the_embedding_has_rows_are_refused(tmp_path: Path, data: PreparedDataset) -> None:
    folder = make_model(tmp_path / "model", data)
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    fit_tokenizer(tokenizer, model, 16)
    rows = model.get_input_embeddings().num_embeddings
    tokenizer.add_tokens(["@user"])
    for check in (lambda: fit_tokenizer(tokenizer, model, 16), lambda: require_padding_ignored(model, tokenizer)):
        with pytest.raises(UserError, match=f"token ids up to {rows}, the bert model's embedding has {rows} rows"):
            check()
    model.resize_token_embeddings(len(tokenizer))
    fit_tokenizer(tokenizer, model, 16)


def test_long_texts_are_truncated_to_the_model_with_a_warning(
    tmp_path: Path, data: PreparedDataset, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_family("roberta", tmp_path / "model", data)
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    fit_tokenizer(tokenizer, model, 1024)
    assert "max_length_tokens is 1024, but the roberta model takes 62 tokens" in caplog.text
    save_classifier(model, tokenizer, tmp_path / "saved")
    for kept in (tokenizer, AutoTokenizer.from_pretrained(tmp_path / "saved")):
        table = data.split("train").set_column(0, "text", [["good film " * 500] * 24])
        rows = tokenize(table, kept, 1024)
        assert {len(ids) for ids in rows["input_ids"]} == {62} and all(rows["cut"])


def test_the_tokenizers_own_shorter_limit_counts(tmp_path: Path, data: PreparedDataset) -> None:
    folder = make_model(tmp_path / "model", data)
    tokenizer = load_tokenizer(folder)
    tokenizer.model_max_length = 9
    fit_tokenizer(tokenizer, load_classifier(folder), 32)
    assert max(len(ids) for ids in tokenize(data.split("train"), tokenizer, 32)["input_ids"]) <= 9


def test_a_decoder_gets_the_padding_token_of_its_tokenizer(tmp_path: Path, data: PreparedDataset) -> None:
    folder = make_family("gpt2", tmp_path / "model", data)
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    right = tokenizer.pad_token_id
    tokenizer.padding_side = "left"
    for wrong in (None, tokenizer.convert_tokens_to_ids("</s>") + 5):
        model.config.pad_token_id = wrong
        with pytest.raises(UserError, match=r"cannot run a batch|change with the padding"):
            require_padding_ignored(model, tokenizer)
        fit_tokenizer(tokenizer, model, 16)
        require_padding_ignored(model, tokenizer)
        assert (model.config.pad_token_id, tokenizer.padding_side) == (right, "right")


def test_the_padding_token_is_kept_if_positions_depend_on_it(tmp_path: Path, data: PreparedDataset) -> None:
    folder = make_family("roberta", tmp_path / "model", data)
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    before = model.config.pad_token_id
    tokenizer.pad_token = "<mask>"
    fit_tokenizer(tokenizer, model, 16)
    assert model.config.pad_token_id == before
    require_padding_ignored(model, tokenizer)


def test_a_model_whose_logits_depend_on_padding_is_rejected(tmp_path: Path, data: PreparedDataset) -> None:
    tokenizer = load_tokenizer(make_model(tmp_path / "model", data))
    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model("xlnet", vocab_size=len(tokenizer), d_model=16, n_layer=1, n_head=2, d_inner=16)
    )
    with pytest.raises(UserError, match="logits for a text change with the padding"):
        require_padding_ignored(model, tokenizer)


def test_empty_and_long_texts_run_in_every_runtime_without_special_tokens(
    tmp_path: Path, data: PreparedDataset
) -> None:
    folder = make_family("gpt2", tmp_path / "model", data)
    tokenizer = load_tokenizer(folder)
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel()
    fit_tokenizer(tokenizer, load_classifier(folder), 1024)
    texts = ["", "good", "the film was very good " * 100, ""]
    assert tokenizer(texts[0])["input_ids"] == []
    table = data.split("train").slice(0, 4).set_column(0, "text", [texts])
    (tmp_path / "forms").mkdir()
    convert_fp32(folder, tmp_path / "forms")
    predictors = [open_runtime(tmp_path / "forms", runtime, threads=1) for runtime in ("onnxruntime", "openvino")]
    found = []
    for predictor in [open_runtime(folder, threads=1), *predictors]:
        for size in (1, 4):
            logits = np.empty((4, 2), np.float32)
            for rows, batch in table_batches(table, tokenizer, predictor.input_names, 1024, size):
                logits[rows] = predictor.predict(batch)
            found.append(logits)
    assert np.isfinite(found[0]).all() and np.array_equal(found[0][0], found[0][3])
    assert all(np.allclose(each, found[0], atol=1e-3) for each in found)


@pytest.mark.parametrize("family", ["gpt2", "distilbert", "roberta"])
def test_token_type_ids_are_an_input_only_of_models_with_segments(
    tmp_path: Path, data: PreparedDataset, family: str
) -> None:
    tokenizer = load_tokenizer(make_model(tmp_path / "model", data))
    assert "token_type_ids" in tokenizer("good")
    model = small(family, vocab_size=len(tokenizer), type_vocab_size=1)
    fit_tokenizer(tokenizer, model, 16)
    batch = tokenizer("good", return_tensors="pt")
    assert list(batch) == input_names(model) == ["input_ids", "attention_mask"]
    assert model(**batch).logits.isfinite().all()
    save_classifier(model, tokenizer, tmp_path / "saved")
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(tmp_path / "saved")("good")
