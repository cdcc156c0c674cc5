"""Names of Kubernetes: objects, labels and environment variables.

The API server refuses other names too, but only when a pod or a job is created.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

_LABEL = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"


def _matching(pattern: str, rule: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        # An empty text stands for no value.
        if text and not compiled.fullmatch(text):
            raise ValueError(f"expected {rule}")
        return text

    return AfterValidator(check)


OBJECT_NAME = re.compile(_DOMAIN)
ObjectName = Annotated[str, _matching(_DOMAIN, "a-z, 0-9, '-' and '.'")]
LabelKey = Annotated[str, _matching(rf"(?:{_DOMAIN}/)?{_LABEL}", "at most 63 letters, digits, '-', '_' and '.'")]
LabelValue = Annotated[str, _matching(_LABEL, "at most 63 letters, digits, '-', '_' and '.'")]
VariableName = Annotated[str, _matching("[A-Za-z_][A-Za-z0-9_]*", "letters, digits and '_'")]
