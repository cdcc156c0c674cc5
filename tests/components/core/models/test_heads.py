"""A classifier's outputs are put in the order of the data's labels, however the labels are named."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import Manifest, ProblemType
from compaware.components.core.data.label_names import match_names, order_labels
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.heads import align_labels
from compaware.components.core.models.load import load_aligned, load_classifier, load_student, load_with_new_head
from tests.families.models import MODELS, classifier
from tests.tiny import make_dataset, make_model

STARS = [f"{stars} star{'s' * (stars > 1)}" for stars in range(1, 6)]
IDS = torch.randint(4, 20, (64, 5), generator=torch.Generator().manual_seed(0))
# Letters that differ by case, width or marks alone, separators and signs: forms of names collide often.
CONFUSABLE = "aAäｂbßſİıi\u0301-_ +#.12²٣😀😡❤\ufe0f否的कि"


@pytest.mark.parametrize(
    ("names", "wanted", "order"),
    [
        (["否定的", "肯定的"], ["肯定的", "否定的"], [1, 0]),
        (["नकारात्मक", "सकारात्मक"], ["सकारात्मक", "नकारात्मक"], [1, 0]),
        (["İYİ", "KÖTÜ"], ["kötü", "iyi"], [1, 0]),
        (["-1", "1"], ["1", "-1"], [1, 0]),
        (["-1", "+1"], ["1", "-1"], [1, 0]),
        (["1.0", "0.0"], ["0", "1"], [1, 0]),
        (["C", "C++", "C#"], ["c#", "c", "c++"], [2, 0, 1]),
        (["😀", "😡"], ["😡", "😀"], [1, 0]),
        (["❤\ufe0f", "💔"], ["💔", "❤"], [1, 0]),
        (["US", "us"], ["us", "US"], [1, 0]),
        (["x2", "x²"], ["x²", "x2"], [1, 0]),
        (["ENTAILMENT", "NOT ENTAILMENT"], ["not_entailment", "entailment"], [1, 0]),
        (["Sci/Tech", "World"], ["world", "sci tech"], [1, 0]),
        (STARS[::-1], ["1", "2", "3", "4", "5"], [4, 3, 2, 1, 0]),
        (STARS, ["0", "1", "2", "3", "4"], [0, 1, 2, 3, 4]),
        ([f"LABEL_{index}" for index in range(12)], [f"{index} days" for index in range(12)], list(range(12))),
        (
            [f"{index}" for index in range(11, -1, -1)],
            [f"{index} days" for index in range(12)],
            list(range(11, -1, -1)),
        ),
        # Numbers are names where there are others of them, and indices where there are none.
        (["1", "0"], ["0", "1"], [1, 0]),
        (["LABEL_1", "LABEL_0"], ["0", "1"], [1, 0]),
        (["LABEL_0", "LABEL_1"], ["1", "0"], [0, 1]),
        (["LABEL_0", "LABEL_1"], ["-1", "1"], [0, 1]),
        (["LABEL_0", "LABEL_1"], ["good", "bad"], [0, 1]),
        (["good", "bad"], ["1", "2"], [0, 1]),
    ],
)
def test_labels_are_matched_as_a_person_would(names: list[str], wanted: list[str], order: list[int]) -> None:
    assert order_labels(names, wanted)[0] == order


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["C++", "Java"], ["C#", "Java"]),
        (["-1", "0"], ["1", "0"]),
        (["1-2", "3"], ["12", "3"]),
        (["😀", "fine"], ["😡", "fine"]),
        (["US", "us"], ["Us", "uS"]),
        (["LABEL_1", "LABEL_0"], ["bad", "good"]),
        (["bad", "good"], ["-1", "1"]),
        (["grade 1", "grade 2"], ["2 stars", "1 star"]),
        (["same", "same"], ["same", "other"]),
        ([f"intent number {index}" for index in range(150)], [f"another name {index}" for index in range(150)]),
    ],
)
def test_labels_that_only_seem_to_match_are_rejected_in_one_line(names: list[str], wanted: list[str]) -> None:
    with pytest.raises(UserError, match="label") as refused:
        order_labels(names, wanted)
    assert len(str(refused.value)) < 300 and "\n" not in str(refused.value)


def _manifest(names: list[str], problem_type: ProblemType = "classification") -> Manifest:
    facts = {"task": "custom", "text_columns": ["text"], "label_column": "label", "metric": "accuracy"}
    more = {"splits": {"train": 1}, "fingerprint": "", "source": {}, "notes": []}
    return Manifest.model_validate({**facts, **more, "problem_type": problem_type, "label_names": names})


def _teacher(names: list[str]) -> PreTrainedModel:
    torch.manual_seed(0)
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    return BertForSequenceClassification(BertConfig(**size, vocab_size=20, id2label=dict(enumerate(names)))).eval()


def _answers(model: PreTrainedModel) -> list[str]:
    with torch.no_grad():
        return [model.config.id2label[index] for index in model(IDS).logits.argmax(-1).tolist()]


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("problem_type", ["classification", "multi_label_classification"])
def test_aligning_a_teacher_with_any_label_order_keeps_its_predictions(
    problem_type: ProblemType, data: st.DataObject
) -> None:
    texts = st.one_of(st.text(min_size=1, max_size=6), st.text(CONFUSABLE, min_size=1, max_size=3))
    names = data.draw(st.lists(texts, min_size=2, max_size=6, unique=True))
    wanted = data.draw(st.permutations(names))
    teacher = _teacher(names)
    before = _answers(teacher)
    align_labels(teacher, _manifest(wanted, problem_type))
    assert _answers(teacher) == before
    assert teacher.config.id2label == dict(enumerate(wanted))
    assert teacher.config.label2id == {name: index for index, name in enumerate(wanted)}


@settings(deadline=None)
@given(st.data())
def test_another_spelling_gives_the_true_order_or_an_error(data: st.DataObject) -> None:
    spellings: list[Callable[[str], str]] = [str, str.swapcase, lambda name: f" {name}  ", lambda name: f"({name})"]
    names = data.draw(st.lists(st.text(CONFUSABLE, min_size=1, max_size=3), min_size=2, max_size=5, unique=True))
    order = data.draw(st.permutations(range(len(names))))
    wanted = [data.draw(st.sampled_from(spellings))(names[index]) for index in order]
    found = match_names(names, wanted)
    assert found is None or sorted(found) == sorted(order)
    simple = [unicodedata.normalize("NFKC", name).casefold().strip() for name in names]
    assume(found is not None and len({"".join(filter(str.isalnum, name)) for name in simple}) == len(names))
    assert found == list(order)


@settings(deadline=None)
@given(*[st.lists(st.text(CONFUSABLE, min_size=1, max_size=2), min_size=3, max_size=3)] * 2)
@example(["否定的", "肯定的", "a"], ["a", "b", "c"])
def test_any_two_lists_of_names_give_a_permutation_or_an_error(names: list[str], wanted: list[str]) -> None:
    try:
        order, _ = order_labels(names, wanted)
    except UserError:
        return
    assert sorted(order) == [0, 1, 2]


@pytest.mark.parametrize("family", MODELS)
def test_the_head_of_every_family_is_permuted_even_where_other_layers_are_as_wide(family: str) -> None:
    model = classifier(family, num_labels=32)
    with torch.no_grad():
        before = model(IDS).logits
        order = torch.randperm(32, generator=torch.Generator().manual_seed(0)).tolist()
        names = [f"class {chr(97 + index)}" for index in order]
        model.config.id2label = {index: f"class {chr(97 + index)}" for index in range(32)}
        align_labels(model, _manifest(names))
        torch.testing.assert_close(model(IDS).logits, before[:, order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("order", "expected"), [(["ham", "spam"], "label_order"), (["HAM", "Spam"], "label_order"), (["ham", "eggs"], None)]
)
def test_label_order_matches_labels_whose_names_do_not(order: list[str], expected: str | None) -> None:
    teacher, manifest = _teacher(["spam", "ham"]), _manifest(["negative", "positive"])
    before = ["negative" if answer == "ham" else "positive" for answer in _answers(teacher)]
    if expected is None:
        with pytest.raises(UserError, match="must list the labels of the teacher"):
            align_labels(teacher, manifest, order)
    else:
        assert expected in align_labels(teacher, manifest, order).how
        assert _answers(teacher) == before


def _rename(folder: Path, names: list[str], **changes: object) -> Path:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    (folder / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    return folder


@pytest.mark.parametrize("changes", [{}, {"architectures": None}])
def test_a_fine_tuned_student_is_put_in_the_datas_order(tmp_path: Path, changes: dict[str, object]) -> None:
    data = make_dataset(tmp_path / "data", 8, 8)
    folder = _rename(make_model(tmp_path / "student", data), ["POSITIVE", "NEGATIVE"], **changes)
    before = [answer.lower() for answer in _answers(load_classifier(folder).eval())]
    assert _answers(load_student(folder, data.manifest).eval()) == before
    model, copy = load_aligned(folder, data.manifest, tmp_path / "work")
    assert _answers(model.eval()) == _answers(load_classifier(copy).eval()) == before
    assert load_tokenizer(copy).get_vocab() == load_tokenizer(folder).get_vocab()


def test_a_model_in_the_datas_order_is_used_where_it_is(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 8, 8)
    folder = make_model(tmp_path / "model", data)
    assert load_aligned(folder, data.manifest, tmp_path / "work")[1] == folder


def test_a_student_of_other_labels_gets_a_new_head(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = make_dataset(tmp_path / "data", 8, 8)
    folder = _rename(make_model(tmp_path / "student", data), ["joy", "anger"])
    old, new = load_classifier(folder), load_student(folder, data.manifest)
    assert not torch.equal(old.classifier.weight, new.classifier.weight)
    assert torch.equal(old.bert.pooler.dense.weight, new.bert.pooler.dense.weight)
    assert new.config.id2label == {0: "negative", 1: "positive"}
    assert "it gets a new head" in caplog.text
    with pytest.raises(UserError, match="do not match"):
        load_aligned(folder, data.manifest, tmp_path / "work")


def test_a_new_head_has_fresh_weights_even_if_its_size_is_the_same(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 8, 8)
    folder = make_model(tmp_path / "teacher", data)
    old, new = load_classifier(folder), load_with_new_head(folder, data.manifest)
    assert not torch.equal(old.classifier.weight, new.classifier.weight)
