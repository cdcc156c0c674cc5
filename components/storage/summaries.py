"""Reads a stage's summary from its uploaded output."""

from compaware.components.core.base.summary import FILE_NAME, Summary
from compaware.components.storage.folders import read_text


def load_uploaded_summary(uri: str, *, just_uploaded: bool = False) -> Summary:
    """Reads the summary of an output that was sent, without the rest of it.

    Args:
        uri: The output.
        just_uploaded: Another process has just sent it: a store that does not answer is waited for.

    Raises:
        UserError: The output is not complete, or access is refused.
        UnavailableError: The store does not answer.
    """
    return Summary.model_validate_json(read_text(uri, FILE_NAME, address_works=just_uploaded))
