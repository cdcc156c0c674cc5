"""The type of a configuration's text that names a place: a path, a URI, or an id of the hub."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import ERROR_TYPE
from compaware.components.storage.uri import SCHEMES, Location, parse

# In the context of a validation: leave `~` in places, whose home folder is that of another machine.
AS_WRITTEN = "as_written"
_MISSING_SLASHES = re.compile(rf"({'|'.join(SCHEMES)}|https?):(?!//)", re.IGNORECASE)


def read_place(place: str) -> Path | Location:
    """Reads a path, which has no `~` then, or a URI.

    Raises:
        UserError: It is empty, a URI of an unknown kind or not whole, or names the home folder of nobody.
    """
    if not place:
        raise UserError("it is empty: write a path or a URI")
    if match := _MISSING_SLASHES.match(place):
        raise UserError(f"a URI has two slashes after its scheme: write {match[1].lower()}://…")
    return parse(place)


def _check(place: str, info: ValidationInfo) -> str:
    try:
        path = read_place(place) if place else place
    except UserError as error:
        raise PydanticCustomError(ERROR_TYPE, "{reason}", {"reason": str(error)}) from error
    as_written = (info.context or {}).get(AS_WRITTEN)
    return str(path) if place.startswith("~") and not as_written else place


PLACE = AfterValidator(_check)
Place = Annotated[str, Field(min_length=1), PLACE]
PlaceOrNowhere = Annotated[str, PLACE]
