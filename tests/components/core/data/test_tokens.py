"""Tokens on disk: each row has its label and logits, and files are made once for the same inputs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compaware.components.core.data.dataset import GROUP_ROWS, PreparedDataset
from compaware.components.core.data.soft_labels import SoftLabels, load_soft_labels
from compaware.components.core.data.text import Collator, tokenize
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.data.tokens import tokenize_split
from tests.tiny import make_dataset, make_model, make_soft_labels


def soft_labels_for(data: PreparedDataset, folder: Path, teacher: str) -> tuple[np.ndarray, SoftLabels]:
    rows = data.manifest.splits["train"]
    logits = np.random.default_rng(len(teacher)).normal(size=(rows, 2)).astype(np.float32)
    make_soft_labels(folder, data, logits, teacher_fingerprint=teacher)
    return logits, load_soft_labels(folder, data)


def test_every_row_has_its_tokens_label_and_logits(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", GROUP_ROWS + 50, 8)
    tokenizer = load_tokenizer(make_model(tmp_path / "model", data))
    logits, soft_labels = soft_labels_for(data, tmp_path / "soft", "teacher")
    rows = tokenize_split(data, "train", tokenizer, 8, tmp_path / "tokens", soft_labels)
    assert len(rows) == GROUP_ROWS + 50
    table = data.split("train")
    for number in (0, 7, GROUP_ROWS - 1, GROUP_ROWS, GROUP_ROWS + 49):
        row = rows[number]
        assert row["input_ids"] == tokenizer(table["text"][number].as_py(), truncation=True, max_length=8)["input_ids"]
        assert row["length"] == len(row["input_ids"]) <= 8
        assert row["labels"] == table["label"][number].as_py()
        assert np.array_equal(np.float32(row["teacher_logits"]), logits[number])


def test_any_text_is_tokenized_and_truncated_rows_are_counted(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 8, 8)
    tokenizer = load_tokenizer(make_model(tmp_path / "model", data))
    word = data.split("train")["text"][0].as_py().split()[0]
    texts = [
        "",
        " ".join([word] * 6),
        " ".join([word] * 7),
        " ".join([word] * 5000),
        "Привет, 世界! नमस्ते 👍🏽",
        "\x00\u200d\n",
    ]
    columns = tokenize(pa.table({"text": texts}), tokenizer, 8)
    assert columns["cut"][:4] == [False, False, True, True]
    assert [len(ids) for ids in columns["input_ids"][:4]] == [2, 8, 8, 8]
    assert all(2 <= len(ids) <= 8 for ids in columns["input_ids"])


@pytest.mark.parametrize("side", ["right", "left"])
def test_pairs_of_very_long_texts_are_truncated_like_short_ones(tmp_path: Path, side: str) -> None:
    data = make_dataset(tmp_path / "data", 8, 8, kind="similarity")
    tokenizer = load_tokenizer(make_model(tmp_path / "model", data))
    tokenizer.truncation_side = side
    first, second = "good bad film story " * 50, "the actor was sad " * 50
    short = pa.table({"text": [first], "text_pair": [second]})
    blanks = " " * 300_000
    books = pa.table({"text": [first * 4000, blanks + first], "text_pair": [second * 4000, second + blanks]})
    expected = tokenizer(first, second, truncation=True, max_length=17)["input_ids"]
    assert tokenize(short, tokenizer, 17)["input_ids"] == [expected]
    assert tokenize(books, tokenizer, 17)["input_ids"] == [expected, expected]
    assert tokenize(books, tokenizer, 17)["cut"] == [True, True]


def test_batches_equal_those_of_the_tokenizer(tmp_path: Path) -> None:
    pairs = make_dataset(tmp_path / "data", 20, 8, kind="similarity")
    tokenizer = load_tokenizer(make_model(tmp_path / "model", pairs))
    rows = tokenize_split(pairs, "train", tokenizer, 32, tmp_path / "tokens")
    batch = Collator(tokenizer)([rows[number] for number in range(20)])
    table = pairs.split("train")
    expected = tokenizer(table["text"].to_pylist(), table["text_pair"].to_pylist(), padding=True, return_tensors="pt")
    assert batch.keys() - {"labels"} == expected.keys() == {"input_ids", "token_type_ids", "attention_mask"}
    assert all(batch[name].equal(values) for name, values in expected.items())
    assert batch["labels"].tolist() == table["label"].to_pylist()


def test_tokens_are_made_once_and_again_for_other_inputs(tmp_path: Path) -> None:
    data, other = make_dataset(tmp_path / "data", 20, 8), make_dataset(tmp_path / "other", 20, 8, seed=4)
    model = make_model(tmp_path / "model", data)
    soft, softer = (soft_labels_for(data, tmp_path / name, name)[1] for name in ("one", "another"))
    tokens = tmp_path / "tokens"

    def files_after(*inputs: object) -> set[tuple[str, int]]:
        tokenize_split(inputs[0], "train", load_tokenizer(model), inputs[1], tokens, *inputs[2:])
        return {(file.name, file.stat().st_mtime_ns) for file in tokens.iterdir()}

    files = files_after(data, 32, soft)
    assert files_after(data, 32, soft) == files and len(files) == 1
    for inputs in ((data, 32, softer), (data, 16, soft), (data, 32), (other, 32)):
        more = files_after(*inputs)
        assert files < more
        files = more


def test_tokenizing_does_not_change_the_tokenizer(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 20, 8)
    tokenizer = load_tokenizer(make_model(tmp_path / "model", data))
    tokenize_split(data, "train", tokenizer, 4, tmp_path / "tokens")
    assert tokenizer.backend_tokenizer.truncation is None


def test_a_killed_run_leaves_no_file_that_looks_complete(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", GROUP_ROWS + 50, 8)
    tokenizer = load_tokenizer(make_model(tmp_path / "model", data))
    file = data.files("train")[0]
    whole = file.read_bytes()
    second = pq.ParquetFile(file).metadata.row_group(1).column(0).data_page_offset
    file.write_bytes(whole[:second] + bytes(20) + whole[second + 20 :])
    with pytest.raises(OSError, match=r"(?i)thrift"):
        tokenize_split(data, "train", tokenizer, 8, tmp_path / "tokens")
    file.write_bytes(whole)
    assert len(tokenize_split(data, "train", tokenizer, 8, tmp_path / "tokens")) == GROUP_ROWS + 50


@pytest.mark.parametrize("saved_with", [None, 5])
def test_a_used_tokenizer_has_the_same_fingerprint(tmp_path: Path, saved_with: int | None) -> None:
    data = make_dataset(tmp_path / "data", 8, 8)
    tokenizer = load_tokenizer(make_model(tmp_path / "model", data))
    if saved_with:
        tokenizer.backend_tokenizer.enable_truncation(saved_with, strategy="only_first", direction="left")
        tokenizer.backend_tokenizer.enable_padding(length=saved_with, pad_id=3, pad_token="[PAD]")
    before = tokenizer.backend_tokenizer.to_str()
    tokenize_split(data, "train", tokenizer, 8, tmp_path / "tokens")
    tokenize(data.split("train"), tokenizer, 8)
    assert tokenizer.backend_tokenizer.to_str() == before
    tokenize_split(data, "train", tokenizer, 8, tmp_path / "tokens")
    assert len(list((tmp_path / "tokens").iterdir())) == 1
