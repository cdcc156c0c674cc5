"""Of several runs that replace a file, only those that have read its content succeed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compaware.components.storage import read_document, replace_document


def test_a_file_that_was_replaced_since_it_was_read_is_not_replaced(tmp_path: Path):
    uri = str(tmp_path / "prefix" / "latest.json")
    absent = read_document(uri)
    assert absent.content is None and replace_document(uri, "one", absent)
    assert not replace_document(uri, "two", absent)
    one = read_document(uri)
    assert replace_document(uri, "two", one) and not replace_document(uri, "three", one)
    assert read_document(uri).content == b"two"


def test_no_replacement_of_many_at_once_is_lost(tmp_path: Path):
    uri = str(tmp_path / "history.txt")

    def append(name: str) -> None:
        while True:
            seen = read_document(uri)
            if replace_document(uri, (seen.content or b"").decode() + name, seen):
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, "abcdefghijklmnop"))
    assert sorted((tmp_path / "history.txt").read_text()) == sorted("abcdefghijklmnop")
