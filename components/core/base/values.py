"""Reads what a user wrote, in YAML, in JSON or on a command line: the type of the field decides what a scalar means.

YAML by itself makes `false` of a label `no`, 100000.0 of a revision `1e5` and nothing of a column `#label`. Here a
scalar stays the text that was written until it is known which field it is for; then only numbers, truth values, lists
and mappings are made of it, where the field wants one.
"""

import json
import re
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from compaware.components.core.base.errors import UserError

_NULLS = ("null", "~", "Null", "NULL")
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INTEGER = re.compile(r"[-+]?\d+(_\d+)*")
_INTEGER_OF_ANOTHER_BASE = re.compile(r"[-+]?0([xX][\da-fA-F]+|[oO][0-7]+|[bB][01]+)")
_FLOAT = re.compile(r"[-+]?(\d+(_\d+)*\.?|\.\d)[\d_]*([eE][-+]?\d+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = re.compile(r"[A-Za-z_][\w./-]*")
_CONTAINERS = (list, tuple, dict)
_YAML = "tag:yaml.org,2002:"


class Scalar(str):
    """A scalar that was written without quotes."""

    __slots__ = ()


def read_yaml(text: str, what: str) -> Any:
    """Reads one YAML document: mappings, lists, texts where there are quotes, else `Scalar`s.

    Raises:
        UserError: It is not YAML, has a key twice, or uses tags.
    """
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        return Scalar() if node is None else _from_node(node, what)
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{what} is not YAML: {' '.join(str(error).split())}{_quoting_hint(text)}") from error


def read_json(text: str, what: str) -> Any:
    """Reads JSON as `read_yaml` reads YAML.

    Raises:
        UserError: It is not JSON, or has a key twice.
    """
    try:
        return _from_json(json.loads(text, parse_int=Scalar, parse_float=Scalar, object_pairs_hook=_Pairs), what)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{what} is not JSON: {' '.join(str(error).split())}") from error


def read_word(text: str, kind: Any, key: str) -> Any:
    """Reads the value of a `key=value` word for a field of the type `kind`.

    A text is taken as it was typed, but for `null`; what begins with a bracket, a brace or a quote is read as JSON or
    YAML where the field can hold more than a text.

    Raises:
        UserError: It cannot be read.
    """
    what = f"the value of '{key}'"
    _check_text(text, key)
    if _is_text(kind):
        if not text and _nullable(kind):
            raise UserError(f"'{key}' is empty: write a value, or null for none")
        return Scalar(text) if text == "null" else str(text)
    stripped = text.strip()
    if not stripped:
        raise UserError(f"'{key}' is empty: write a value, or null for none")
    if stripped[0] in "[{\"'":
        try:
            return read_json(stripped, what)
        except UserError:
            return _read_yaml_word(stripped, what)
    return _read_yaml_word(stripped, what) if _plain(kind)[0] in _CONTAINERS else Scalar(stripped)


def _read_yaml_word(text: str, what: str) -> Any:
    value = read_yaml(text, what)
    if any(getattr(event, "anchor", None) for event in yaml.parse(text, Loader=yaml.BaseLoader)):
        raise UserError(f"{what} has a YAML anchor or alias: put words that begin with & or * in quotes")
    return value


def write_yaml(values: dict[str, Any]) -> str:
    """Writes what `read_yaml` reads as the same values: a text that may be taken for something else has quotes."""
    return yaml.dump(values, Dumper=_Quoting, sort_keys=False, allow_unicode=True)


class _Quoting(yaml.SafeDumper):
    """Writes texts that are no plain words in quotes."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        is_plain = _WORDS.fullmatch(data) and data.lower() not in (*_NULLS, *_TRUTH)
        return self.represent_scalar(f"{_YAML}str", data, style=None if is_plain else '"')


_Quoting.add_representer(str, _Quoting.represent_str)


def typed(value: Any, kind: Any, key: str = "") -> Any:
    """Gives what was read the types that a field wants; what does not fit is left for the field to refuse.

    Args:
        value: What `read_yaml`, `read_json` or `read_word` gave.
        kind: The field's type.
        key: Its name, for messages.

    Raises:
        UserError: A scalar is empty, or may mean two things.
    """
    if isinstance(value, dict):
        return {name: typed(item, _item_kind(kind, name), _join(key, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item, _item_kind(kind, None), _join(key, number)) for number, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    _check_text(value, key)
    return _typed_scalar(value, kind, key) if isinstance(value, Scalar) else value


def kind_of(field: FieldInfo) -> Any:
    """A field's type with what pydantic keeps apart from it."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def kind_at(model: type[BaseModel], path: list[str]) -> Any:
    """The type of what a dotted key reaches; Any where nothing is known."""
    kind: Any = model
    for name in path:
        kind = _item_kind(kind, name)
    return kind


def _typed_scalar(value: Scalar, kind: Any, key: str) -> Any:
    text = str(value)
    plain, *_ = _plain(kind)
    if plain in _CONTAINERS:
        return None if text in ("", *_NULLS) else _guess(text, key)
    if not text:
        raise UserError(f"'{key}' is empty: write null for none, and put what begins with # in quotes")
    if _is_text(kind):
        if text == "~" and _nullable(kind):
            raise UserError(f"'{key}' is ~, which may mean null or a text: write null, or \"~\"")
        # The other spellings may well be names, such as that of a column NULL.
        return None if text == "null" and _nullable(kind) else text
    if text in _NULLS and (_nullable(kind) or plain is Any):
        return None
    if plain is bool:
        return _TRUTH.get(text.lower(), text)
    if plain in (int, float):
        number = _number(text)
        return text if number is None else number
    return _guess(text, key)


def _guess(text: str, key: str) -> Any:
    """What a scalar is where any type will do: as in YAML 1.2, with `1_000`; leading zeros are no number's."""
    if text in _NULLS:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() in _TRUTH:
        raise UserError(f"'{key}' is {text}, which may mean true, false or a word: write true or false, or \"{text}\"")
    if re.match(r"[-+]?0\d", text):
        return text
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _INTEGER_OF_ANOTHER_BASE.fullmatch(text):
            return int(text, 0)
        if _INFINITE.fullmatch(text):
            return float(text.replace(".", "", 1))
        if _FLOAT.fullmatch(text):
            number = float(text)
            return number if abs(number) != float("inf") else None
    except ValueError:
        pass  # More digits than Python reads, or underscores at odd places.
    return None


def _plain(kind: Any) -> tuple[Any, ...]:
    """The type without what makes it optional or annotates it, then its arguments."""
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        members = [member for member in get_args(kind) if member is not types.NoneType]
        if get_origin(kind) is not Annotated and len(members) > 1:
            return (Any,)
        kind = members[0]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return (dict, kind)
    return (get_origin(kind) or kind, *get_args(kind))


def _nullable(kind: Any) -> bool:
    if get_origin(kind) is Annotated:
        return _nullable(get_args(kind)[0])
    return get_origin(kind) in (Union, types.UnionType) and types.NoneType in get_args(kind)


def _is_text(kind: Any) -> bool:
    plain, *choices = _plain(kind)
    return plain in (str, Path) or (plain is Literal and all(isinstance(choice, str) for choice in choices))


def _item_kind(kind: Any, name: str | None) -> Any:
    """The type of an item of a list (None) or of a mapping."""
    plain, *parts = _plain(kind)
    if name is None:
        return parts[0] if plain in (list, tuple) and parts else Any
    if plain is not dict or not parts:
        return Any
    if isinstance(parts[0], type) and issubclass(parts[0], BaseModel):
        field = parts[0].model_fields.get(name)
        return kind_of(field) if field else Any
    return parts[1]


def _from_node(node: yaml.Node, what: str, depth: int = 0) -> Any:
    if depth > 100:
        raise UserError(f"{what} is nested too deeply, or holds itself")
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_YAML}map":
        pairs = [(_from_node(key, what), _from_node(item, what, depth + 1)) for key, item in node.value]
        return _mapping(pairs, what)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_YAML}seq":
        return [_from_node(item, what, depth + 1) for item in node.value]
    if isinstance(node, yaml.ScalarNode) and node.tag == f"{_YAML}str":
        return Scalar(node.value) if node.style is None else _joined_surrogates(node.value)
    raise UserError(f"{what} has the tag '{node.tag.replace(_YAML, '!!')}': put a word that begins with ! in quotes")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object, before it is known whether its keys differ."""


def _from_json(value: Any, what: str) -> Any:
    if isinstance(value, _Pairs):
        return _mapping([(name, _from_json(item, what)) for name, item in value], what)
    if isinstance(value, list):
        return [_from_json(item, what) for item in value]
    if value is None or isinstance(value, bool):
        return Scalar(json.dumps(value))
    return value


def _mapping(pairs: list[tuple[Any, Any]], what: str) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, item in pairs:
        if not isinstance(key, str):
            raise UserError(f"{what} has a key that is no word: put a key that begins with a bracket in quotes")
        if key in mapping:
            raise UserError(f"{what} has the key '{key}' twice: leave one")
        mapping[str(key)] = item
    return mapping


def _joined_surrogates(text: str) -> str:
    r"""Makes one character of two escapes: JSON writes what lies beyond U+FFFF so, and PyYAML reads halves of it."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return text  # Half a character is refused where it is known which key it is of.


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _check_text(text: str, key: str) -> None:
    if _has_surrogates(text):
        raise UserError(f"'{key}' holds bytes that are not UTF-8: write it in UTF-8")
    if "\0" in text:
        raise UserError(f"'{key}' holds a zero byte: leave it out")


def _quoting_hint(text: str) -> str:
    odd = [character for character in "#&*!@%`|>" if re.search(rf"(^|[\s,\[{{]){re.escape(character)}", text)]
    return f"; put words that begin with {odd[0]} in quotes" if odd else ""


def _join(key: str, part: Any) -> str:
    return f"{key}.{part}" if key else str(part)
