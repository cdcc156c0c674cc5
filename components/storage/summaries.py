"""Loads a stage's summary from its uploaded output."""

from compaware.components.core.base.summary import FILE_NAME, Summary
from compaware.components.storage.inspection import read_text


def load_uploaded_summary(uri: str, *, just_uploaded: bool = False) -> Summary:
    """Loads the summary of an uploaded output; downloads no other file.

    Args:
        uri: The output.
        just_uploaded: Another process has just uploaded it, so retry a store that does not answer.

    Raises:
        UserError: The output is incomplete, or access is denied.
        UnavailableError: The store does not answer.
    """
    return Summary.model_validate_json(read_text(uri, FILE_NAME, address_works=just_uploaded))
