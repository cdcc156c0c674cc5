"""The type of a configuration's text that names a place: a path, a URI, or an id of the hub."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from compaware.components.core.errors import UserError
from compaware.components.storage.uri import SCHEMES, is_uri, parse

# Its message stands alone: what was given may hold a password.
ERROR_TYPE = "place"
_MISSING_SLASHES = re.compile(rf"({'|'.join(SCHEMES)}|https?):(?!//)", re.IGNORECASE)


def _check(place: str) -> str:
    try:
        if is_uri(place) or place.startswith("~"):
            parse(place)
        elif match := _MISSING_SLASHES.match(place):
            raise UserError(f"a URI has two slashes after its scheme: write {match[1].lower()}://…")
    except UserError as error:
        raise PydanticCustomError(ERROR_TYPE, "{reason}", {"reason": str(error)}) from error
    return place


PLACE = AfterValidator(_check)
Place = Annotated[str, Field(min_length=1), PLACE]
PlaceOrNowhere = Annotated[str, PLACE]
