"""Types of configuration fields for a path, a URI or a hub id."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import ERROR_TYPE
from compaware.components.storage.uri import SCHEMES, Location, parse

# Key of the validation context: keep `~`, because the home folder is that of another machine.
AS_WRITTEN = "as_written"
_MISSING_SLASHES = re.compile(rf"({'|'.join(SCHEMES)}|https?):(?!//)", re.IGNORECASE)


def parse_path_or_uri(text: str) -> Path | Location:
    """Parses a path, in which `~` is expanded, or a URI.

    Raises:
        UserError: The text is empty, an invalid URI, or the home folder of an unknown user.
    """
    if not text:
        raise UserError("it is empty: write a path or a URI")
    if match := _MISSING_SLASHES.match(text):
        raise UserError(f"a URI has two slashes after its scheme: write {match[1].lower()}://…")
    return parse(text)


def _check(text: str, info: ValidationInfo) -> str:
    try:
        path = parse_path_or_uri(text) if text else text
    except UserError as error:
        raise PydanticCustomError(ERROR_TYPE, "{reason}", {"reason": str(error)}) from error
    as_written = (info.context or {}).get(AS_WRITTEN)
    return str(path) if text.startswith("~") and not as_written else text


PATH_OR_URI = AfterValidator(_check)
PathOrUri = Annotated[str, Field(min_length=1), PATH_OR_URI]
OptionalPathOrUri = Annotated[str, PATH_OR_URI]
