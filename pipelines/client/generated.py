"""Files that are made from others: written, or checked for being up to date."""

import sys
from pathlib import Path


def write_all(files: dict[Path, str], check: bool, command: str) -> int:
    """Writes generated files.

    Args:
        files: What each file should hold.
        check: Write nothing, and name those that differ.
        command: What writes them, for the message.

    Returns:
        Exit code: 1 when checking found a file out of date.
    """
    stale = [file for file, text in files.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    for file in stale:
        if check:
            print(f"error: {file} is out of date: run `{command}`", file=sys.stderr)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(files[file], encoding="utf-8")
            print(f"wrote {file}")
    return 1 if check and stale else 0
