"""A headless Chromium, named by CHROMIUM."""

import os
from collections.abc import Iterator

import pytest

from tests.services.browser.chromium import Page, opened


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that shows HTML as the KFP UI does."""
    program = os.environ.get("CHROMIUM")
    if not program:
        pytest.fail("set CHROMIUM to the program of that name: these tests need a real browser", pytrace=False)
    with opened(program, tmp_path_factory.mktemp("chromium")) as found:
        yield found
