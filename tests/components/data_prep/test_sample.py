"""The built-in corpus is the same on every machine and cannot be classified by counting words."""

import os
import subprocess
import sys

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from compaware.components.data_prep.sample import LABEL_NAMES, Example, sample_corpus
from compaware.components.teacher_check.wordpiece import train_tokenizer

DIGEST = """
import hashlib
from compaware.components.data_prep.sample import sample_corpus
print(hashlib.sha256(repr(sample_corpus()).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[Example]]:
    return sample_corpus()


def test_it_is_large_enough_and_balanced(corpus: dict[str, list[Example]]) -> None:
    assert len(corpus["train"]) >= 4000
    assert len(corpus["validation"]) >= 800
    for rows in corpus.values():
        for label in range(len(LABEL_NAMES)):
            assert sum(row.label == label for row in rows) == len(rows) // 2


def test_no_sentence_occurs_twice_in_any_split(corpus: dict[str, list[Example]]) -> None:
    texts = [row.text.lower() for rows in corpus.values() for row in rows]
    assert len(set(texts)) == len(texts)


def test_every_process_generates_the_same_corpus() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_another_seed_gives_other_sentences(corpus: dict[str, list[Example]]) -> None:
    assert sample_corpus(seed=1)["train"][0] != corpus["train"][0]


@pytest.mark.parametrize("longest_phrase", [1, 2])
def test_counting_words_is_not_enough(corpus: dict[str, list[Example]], longest_phrase: int) -> None:
    texts, labels = zip(*corpus["train"], strict=True)
    model = make_pipeline(CountVectorizer(ngram_range=(1, longest_phrase)), LogisticRegression(max_iter=1000))
    model.fit(texts, labels)
    score = model.score(*zip(*corpus["validation"], strict=True))
    # Words help, but are far from enough.
    assert 0.6 < score < 0.9


def test_the_tokenizer_is_deterministic_and_covers_the_corpus(corpus: dict[str, list[Example]]) -> None:
    texts = [row.text for row in corpus["train"]]
    tokenizer, again = train_tokenizer(texts, 1500), train_tokenizer(texts, 1500)
    assert tokenizer.get_vocab() == again.get_vocab()
    assert len(tokenizer) <= 1500
    encoded = tokenizer([row.text for row in corpus["validation"]])["input_ids"]
    assert not any(tokenizer.unk_token_id in ids for ids in encoded)


def test_the_tokenizer_lower_cases_and_marks_pairs_as_bert_does() -> None:
    tokenizer = train_tokenizer(["good food", "bad food"], 100)
    pair = tokenizer("Good food", "BAD food")
    tokens = tokenizer.convert_ids_to_tokens(pair["input_ids"])
    second = tokens.index("[SEP]") + 1
    assert tokens[0] == "[CLS]"
    assert tokens[-1] == "[SEP]"
    assert tokenizer.decode(pair["input_ids"], skip_special_tokens=True) == "good food bad food"
    assert pair["token_type_ids"] == [0] * second + [1] * (len(tokens) - second)
