"""Quantities of Kubernetes, such as 500m or 16Gi."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS: dict[str, int | str] = {"": 1, "m": "0.001", "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_FACTORS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text: str) -> Decimal:
    """Returns the value of a Kubernetes quantity: 0.5 for 500m, 2**30 for 1Gi, 0 for an invalid text."""
    match = _QUANTITY.fullmatch(text)
    return Decimal(match[1]) * Decimal(_FACTORS[match[2] or ""]) if match else Decimal(0)


def _read(value: Any) -> Any:
    # KFP and YAML turn "4" into a number.
    text = (
        f"{Decimal(str(value)).normalize():f}"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else value
    )
    if not isinstance(text, str) or quantity(text) <= 0:
        raise ValueError("expected a quantity above zero, such as 4, 500m or 16Gi")
    return text


def _read_bytes(value: Any) -> Any:
    text = _read(value)
    if quantity(text) < 2**20:
        raise ValueError("this means bytes: add a unit, such as 16Gi")
    return text


Quantity = Annotated[str, BeforeValidator(_read)]
Bytes = Annotated[str, BeforeValidator(_read_bytes)]
