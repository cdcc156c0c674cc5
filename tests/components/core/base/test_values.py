"""The type of the field determines how a value is read: text fields keep the text as written."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import load_config
from compaware.components.core.base.values import write_yaml

# All texts that a process can have as arguments, without surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
# Words that YAML converts to other types.
_TRAPS = """no Yes on y NULL ~ 1.0 1e5 007 0x10 1_000 2:4 1:30 2024-01-01 1e-4 True nan .inf << = --- ... $$ $(HOME)
#label a\u00a0#b a: [a {a} @a %a *a &a !a 'a' "a" `a` , \U0001f600 \x7f \ufeff"""
NAMES = st.sampled_from([*_TRAPS.split(), "a #b", "a: b", "a\tb", " a ", "- a", "? a", "\x85", "\u2028"])


class Nested(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    number: int = 0


class Config(BaseModel):
    """A field of each kind."""

    model_config = ConfigDict(extra="forbid")
    text: str = "default"
    optional: str | None = None
    place: Path | None = None
    names: list[str] | None = None
    labels: dict[str, str] = {}
    number: float = 0.0
    count: int | None = None
    flag: bool = False
    layers: list[int] | None = None
    layer_map: dict[int, int] | None = None
    anything: dict[str, Any] = {}
    nested: list[Nested] = []


def read(tmp_path: Path, text: str, name: str = "config.yaml", *words: str) -> Config:
    file = tmp_path / name
    file.write_bytes(text.encode("utf-8"))
    return load_config(Config, file, words)


@settings(deadline=None, max_examples=60)
@given(text=TEXTS | NAMES)
def test_a_text_is_read_as_written_from_files_and_words(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    values = {"text": text, "optional": text, "names": [text, "b"], "labels": {"k": text}, "nested": [{"name": text}]}
    expected = Config.model_validate(values)
    written = [
        (write_yaml(values), "config.yaml"),
        (yaml.safe_dump(values), "config.yaml"),
        (json.dumps(values), "config.yaml"),
        (json.dumps(values), "config.json"),
        (json.dumps(values, ensure_ascii=False), "config.json"),
    ]
    for content, name in written:
        assert read(folder, content, name) == expected, content
    for dump in (json.dumps, lambda value: json.dumps(value, ensure_ascii=False)):
        words = [f"{key}={value if isinstance(value, str) else dump(value)}" for key, value in values.items()]
        # For an optional field, the word `null` means None.
        if text != "null":
            assert load_config(Config, None, words) == expected


@settings(deadline=None, max_examples=60)
@given(st.from_regex(r"[\w.+:/-]+", fullmatch=True) | NAMES.filter(lambda name: name.isalnum()))
def test_names_in_a_list_need_no_quotes(name: str) -> None:
    try:
        yaml.safe_load(f"[{name}, b]")
    except (yaml.YAMLError, ValueError):
        return  # YAML syntax, such as a trailing colon.
    if name.endswith(":") or name in ("-", ":"):
        return
    assert load_config(Config, None, [f"names=[{name}, b]"]).names == [name, "b"]


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("number=1e-4", "number", 1e-4),
        ("number=1_000.5", "number", 1000.5),
        ("number=.inf", "number", float("inf")),
        ("count=1_000", "count", 1000),
        ("count=0x10", "count", 16),
        ("count=007", "count", 7),
        ("count=null", "count", None),
        ("flag=yes", "flag", True),
        ("flag=off", "flag", False),
        ("optional=null", "optional", None),
        ("optional=NULL", "optional", "NULL"),
        ("optional=~", "optional", "~"),
        ("text=", "text", ""),
        ("text=null", "text", "null"),
        ("place=run #2/train.csv", "place", Path("run #2/train.csv")),
        ("names=[no, 1.0, null]", "names", ["no", "1.0", "null"]),
        ("names=[C#, C++, -1, +1]", "names", ["C#", "C++", "-1", "+1"]),
        ("names=null", "names", None),
        ("layers=[0, 2]", "layers", [0, 2]),
        ("layer_map={0: 1}", "layer_map", {0: 1}),
        ("labels={team: 5, on: no}", "labels", {"team": "5", "on": "no"}),
        ("labels.team=5", "labels", {"team": "5"}),
        ("anything={a: 1, b: 1e-4, c: 1.5.2, d: null, e: true, f: [007, 2024-01-01]}", "anything",
         {"a": 1, "b": 1e-4, "c": "1.5.2", "d": None, "e": True, "f": ["007", "2024-01-01"]}),
        ("anything.run=a #2", "anything", {"run": "a #2"}),
        ('anything.save_strategy="no"', "anything", {"save_strategy": "no"}),
        ("nested=[{name: 1.0, number: 1}]", "nested", [Nested(name="1.0", number=1)]),
    ],
)  # fmt: skip
def test_the_field_determines_the_type_of_a_word(word: str, key: str, value: Any) -> None:
    assert getattr(load_config(Config, None, [word]), key) == value


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("optional=", "'optional' is empty"),
        ("count=", "'count' is empty"),
        ("names=", "'names' is empty"),
        ("anything.save_strategy=no", "may mean true, false or a word"),
        ("names=[#a, b]", "put words that begin with # in quotes"),
        ("names=[&a b, c]", "put words that begin with & or * in quotes"),
        ("names=[*a, b]", "put words that begin with * in quotes"),
        ("names=[!a b, c]", "put a word that begins with ! in quotes"),
        ("names=[a: b]", "may need quotes"),
        ("anything={a: 1, a: 2}", "the key 'a' twice"),
        ("count=2024-01-01", "valid integer"),
        ("number=1:30", "valid number"),
        ("text=\udcff", "not UTF-8"),
    ],
)
def test_an_ambiguous_word_is_refused_in_one_line(word: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(Config, None, [word])
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("optional: ~", "write null, or"),
        ("optional: #label", "put what begins with # in quotes"),
        ("number:", "'number' is empty"),
        ("text: a\ntext: b", "the key 'text' twice"),
        ("names: [a, !!binary aGk=]", "put a word that begins with ! in quotes"),
        ("names: &a [*a]", "nested too deeply"),
        ("[a]", "not a list"),
        ('{"text": "\\ud83d"}', "not UTF-8"),
        ("text: a\n---\ntext: b", "is not YAML"),
    ],
)
def test_a_file_that_would_lose_values_is_refused(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        read(tmp_path, text)


def test_a_file_may_have_empty_lists_and_mappings_and_a_byte_order_mark(tmp_path: Path) -> None:
    config = read(tmp_path, "\ufeffnames:\n  # - one\noptional: null\nanything: {}\ntext: 2024-01-01\n")
    assert config == Config(text="2024-01-01")


def test_words_set_keys_of_an_empty_mapping_in_a_file(tmp_path: Path) -> None:
    assert read(tmp_path, "anything:\n", "config.yaml", "anything.max_steps=3").anything == {"max_steps": 3}
