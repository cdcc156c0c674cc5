"""`tools/lock.py` writes lock files only if its command line is right."""

import importlib
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.mark.parametrize(("word", "code"), [("--help", 0), ("--upgade", 2), ("torch", 2)])
def test_a_word_other_than_upgrade_locks_nothing(word: str, code: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(TOOLS)  # lock.py imports the file beside it.
    lock = importlib.import_module("tools.lock")
    monkeypatch.setattr(sys, "argv", ["lock.py", word])
    monkeypatch.setattr(lock, "resolve", lambda *_: pytest.fail("the packages were resolved"))
    with pytest.raises(SystemExit) as stopped:
        lock.main()
    assert stopped.value.code == code
