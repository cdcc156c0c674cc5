"""Reads values from YAML, JSON and the command line; the type of the field determines how a scalar is read.

Plain YAML turns the label `no` into `false`, the revision `1e5` into 100000.0, and drops the column `#label`. Here, a
scalar stays text until its field is known. It is then converted only if the field is a number, a boolean, a list or a
mapping.
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
    """A scalar written without quotes."""

    __slots__ = ()


def read_yaml(text: str, source: str) -> Any:
    """Reads one YAML document; a quoted scalar becomes a `str`, any other a `Scalar`.

    Args:
        text: The document.
        source: Where it is from, for messages.

    Raises:
        UserError: The text is not YAML, has a duplicate key, or uses tags.
    """
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        return Scalar() if node is None else _from_node(node, source)
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{source} is not YAML: {' '.join(str(error).split())}{_quoting_hint(text)}") from error


def read_json(text: str, source: str) -> Any:
    """Reads JSON as `read_yaml` reads YAML.

    Raises:
        UserError: The text is not JSON, or has a duplicate key.
    """
    try:
        return _from_json(json.loads(text, parse_int=Scalar, parse_float=Scalar, object_pairs_hook=_Pairs), source)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source} is not JSON: {' '.join(str(error).split())}") from error


def read_word(text: str, kind: Any, key: str) -> Any:
    """Reads the value of a `key=value` word for a field of the type `kind`.

    A text field takes the text as typed, except for `null`. For other fields, a value that begins with a bracket, a
    brace or a quote is read as JSON or YAML.

    Raises:
        UserError: The value cannot be read.
    """
    source = f"the value of '{key}'"
    _check_text(text, key)
    if _is_text(kind):
        if not text and is_nullable(kind):
            raise UserError(f"'{key}' is empty: write a value, or null for none")
        return Scalar(text) if text == "null" else str(text)
    stripped = text.strip()
    if not stripped:
        raise UserError(f"'{key}' is empty: write a value, or null for none")
    if stripped[0] in "[{\"'":
        try:
            return read_json(stripped, source)
        except UserError:
            return _read_yaml_word(stripped, source)
    return _read_yaml_word(stripped, source) if plain_kind(kind)[0] in _CONTAINERS else Scalar(stripped)


def _read_yaml_word(text: str, source: str) -> Any:
    value = read_yaml(text, source)
    if any(getattr(event, "anchor", None) for event in yaml.parse(text, Loader=yaml.BaseLoader)):
        raise UserError(f"{source} has a YAML anchor or alias: put words that begin with & or * in quotes")
    return value


def write_yaml(values: dict[str, Any]) -> str:
    """Writes YAML that `read_yaml` reads as the same values; ambiguous texts are quoted."""
    return yaml.dump(values, Dumper=_Quoting, sort_keys=False, allow_unicode=True)


class _Quoting(yaml.SafeDumper):
    """Quotes all texts but plain words."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        is_plain = _WORDS.fullmatch(data) and data.lower() not in (*_NULLS, *_TRUTH)
        return self.represent_scalar(f"{_YAML}str", data, style=None if is_plain else '"')


_Quoting.add_representer(str, _Quoting.represent_str)


def typed(value: Any, kind: Any, key: str = "") -> Any:
    """Converts the scalars in a value to the types of their fields; invalid values are left for pydantic to reject.

    Args:
        value: Result of `read_yaml`, `read_json` or `read_word`.
        kind: The field's type.
        key: Its name, for messages.

    Raises:
        UserError: A scalar is empty or ambiguous.
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
    """Returns a field's type together with its metadata, which pydantic stores separately."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def kind_at(model: type[BaseModel], path: list[str]) -> Any:
    """Returns the type of the field at a dotted key; Any if it is unknown."""
    kind: Any = model
    for name in path:
        kind = _item_kind(kind, name)
    return kind


def _typed_scalar(value: Scalar, kind: Any, key: str) -> Any:
    text = str(value)
    plain, *_ = plain_kind(kind)
    if plain in _CONTAINERS:
        return None if text in ("", *_NULLS) else _guess(text, key)
    if not text:
        raise UserError(f"'{key}' is empty: write null for none, and put what begins with # in quotes")
    if _is_text(kind):
        if text == "~" and is_nullable(kind):
            raise UserError(f"'{key}' is ~, which may mean null or a text: write null, or \"~\"")
        # The other spellings may be names, such as a column NULL.
        return None if text == "null" and is_nullable(kind) else text
    if text in _NULLS and (is_nullable(kind) or plain is Any):
        return None
    if plain is bool:
        return _TRUTH.get(text.lower(), text)
    if plain in (int, float):
        number = _number(text)
        return text if number is None else number
    return _guess(text, key)


def _guess(text: str, key: str) -> Any:
    """Converts a scalar of a field of any type, as YAML 1.2 does; `1_000` is a number, `007` is text."""
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
        pass  # More digits than Python accepts, or misplaced underscores.
    return None


def plain_kind(kind: Any) -> tuple[Any, ...]:
    """Returns the type without Optional and Annotated, then its arguments."""
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        members = [member for member in get_args(kind) if member is not types.NoneType]
        if get_origin(kind) is not Annotated and len(members) > 1:
            return (Any,)
        kind = members[0]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return (dict, kind)
    return (get_origin(kind) or kind, *get_args(kind))


def is_nullable(kind: Any) -> bool:
    if get_origin(kind) is Annotated:
        return is_nullable(get_args(kind)[0])
    return get_origin(kind) in (Union, types.UnionType) and types.NoneType in get_args(kind)


def _is_text(kind: Any) -> bool:
    plain, *choices = plain_kind(kind)
    return plain in (str, Path) or (plain is Literal and all(isinstance(choice, str) for choice in choices))


def _item_kind(kind: Any, name: str | None) -> Any:
    """Returns the type of a mapping's item `name`, or of a list's items if `name` is None."""
    plain, *parts = plain_kind(kind)
    if name is None:
        return parts[0] if plain in (list, tuple) and parts else Any
    if plain is not dict or not parts:
        return Any
    if isinstance(parts[0], type) and issubclass(parts[0], BaseModel):
        field = parts[0].model_fields.get(name)
        return kind_of(field) if field else Any
    return parts[1]


def _from_node(node: yaml.Node, source: str, depth: int = 0) -> Any:
    if depth > 100:
        raise UserError(f"{source} is nested too deeply, or contains itself")
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_YAML}map":
        pairs = [(_from_node(key, source), _from_node(item, source, depth + 1)) for key, item in node.value]
        return _mapping(pairs, source)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_YAML}seq":
        return [_from_node(item, source, depth + 1) for item in node.value]
    if isinstance(node, yaml.ScalarNode) and node.tag == f"{_YAML}str":
        return Scalar(node.value) if node.style is None else _joined_surrogates(node.value)
    raise UserError(f"{source} has the tag '{node.tag.replace(_YAML, '!!')}': put a word that begins with ! in quotes")


class _Pairs(list[tuple[str, Any]]):
    """The pairs of a JSON object, whose keys may be duplicates."""


def _from_json(value: Any, source: str) -> Any:
    if isinstance(value, _Pairs):
        return _mapping([(name, _from_json(item, source)) for name, item in value], source)
    if isinstance(value, list):
        return [_from_json(item, source) for item in value]
    if value is None or isinstance(value, bool):
        return Scalar(json.dumps(value))
    return value


def _mapping(pairs: list[tuple[Any, Any]], source: str) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, item in pairs:
        if not isinstance(key, str):
            raise UserError(f"{source} has a key that is not text: put a key that begins with a bracket in quotes")
        if key in mapping:
            raise UserError(f"{source} has the key '{key}' twice: remove one")
        mapping[str(key)] = item
    return mapping


def _joined_surrogates(text: str) -> str:
    r"""Joins surrogate pairs, which JSON writes for characters beyond U+FFFF and PyYAML reads as two characters."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return text  # `_check_text` rejects a single surrogate; it knows the key for the message.


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _check_text(text: str, key: str) -> None:
    if _has_surrogates(text):
        raise UserError(f"'{key}' has bytes that are not UTF-8: write it in UTF-8")
    if "\0" in text:
        raise UserError(f"'{key}' has a zero byte: remove it")


def _quoting_hint(text: str) -> str:
    special = [character for character in "#&*!@%`|>" if re.search(rf"(^|[\s,\[{{]){re.escape(character)}", text)]
    return f"; put words that begin with {special[0]} in quotes" if special else ""


def _join(key: str, part: Any) -> str:
    return f"{key}.{part}" if key else str(part)
