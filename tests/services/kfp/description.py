"""KFP's own OpenAPI description, by which the stand-in for its server checks requests."""

import json
import re
from pathlib import Path
from typing import Any

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "number": float,
}


class RefusedError(Exception):
    """The server's answer is an error."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Description:
    """KFP's OpenAPI description: finds the operation of a request, and checks bodies and queries by it."""

    def __init__(self, file: Path):
        self._content = json.loads(file.read_text(encoding="utf-8"))

    def operation(self, method: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The operation, and the path's parameters."""
        for template, operations in self._content["paths"].items():
            # The name of a regular expression's group cannot contain the `.` of `pipeline.pipeline_id`.
            pattern = re.sub(r"\{([\w.]+)\}", lambda match: f"(?P<{match[1].replace('.', '_')}>[^/:]+)", template)
            match = re.fullmatch(pattern, path)
            if match and method.lower() in operations:
                return operations[method.lower()], match.groupdict()
        raise RefusedError(404, f"Not Found: {method} {path}")

    def check_query(self, operation: dict[str, Any], query: dict[str, str]) -> None:
        """Refuses query parameters that the operation does not have."""
        known = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
        for name in query.keys() - known:
            raise RefusedError(400, f"unknown query parameter '{name}'")

    def check(self, value: Any, schema: dict[str, Any], where: str) -> None:
        """Refuses a value of the wrong type, with an unknown field or with an unknown name in an enumeration."""
        schema = self._resolve(schema)
        if "enum" in schema and value not in schema["enum"]:
            raise RefusedError(400, f"{where} is {value!r}, not one of {schema['enum']}")
        kind = schema.get("type")
        # The JSON form of protobuf takes 64-bit integers as numbers or as text.
        is_long = schema.get("format") == "int64" and isinstance(value, int)
        if kind and not isinstance(value, _TYPES[kind]) and not is_long:
            raise RefusedError(400, f"{where} is {value!r}, which is not a {kind}")
        if kind == "array":
            for item in value:
                self.check(item, schema["items"], f"{where}[]")
        if kind == "object" and "properties" in schema:
            for name, item in value.items():
                if name not in schema["properties"]:
                    raise RefusedError(400, f"{where} has the unknown field '{name}'")
                self.check(item, schema["properties"][name], f"{where}.{name}")

    def check_named(self, value: Any, definition: str) -> None:
        """As `check`, by the name of a definition."""
        self.check(value, {"$ref": f"#/definitions/{definition}"}, definition)

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._content["definitions"][schema["$ref"].rpartition("/")[2]]
        return schema
