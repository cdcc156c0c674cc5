"""The cache of downloads: entries are complete, within the limit, and not evicted while in use."""

import subprocess
import sys
from pathlib import Path

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.storage.cache import Cache, Download

CODE = """
import sys
from pathlib import Path
from compaware.components.storage.cache import Cache, Download
name = sys.argv[2]
def fill(target, parts):
    target.write_bytes(bytes(1000))
print(Cache(Path(sys.argv[1])).get(Download(name, "1", name, 1000, fill)), flush=True)
input()
"""


class Filler:
    """Writes a file and counts its calls."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, target: Path, parts: Path) -> None:
        self.times += 1
        target.write_bytes(bytes(1000))


def download(name: str, fill: Filler, content: str = "1", size_bytes: int = 1000) -> Download:
    return Download(name, content, name, size_bytes, fill)


def fetch_in_another_process(cache: Path, name: str) -> Path:
    """Fetches into the cache in another process, which then ends."""
    with subprocess.Popen(
        [sys.executable, "-c", CODE, cache, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        return Path(child.communicate("\n", timeout=60)[0].strip())


def test_the_same_content_is_downloaded_once_and_new_content_again(tmp_path: Path) -> None:
    fill = Filler()
    first = Cache(tmp_path).get(download("a", fill))
    assert Cache(tmp_path).get(download("a", fill)) == first
    assert fill.times == 1
    assert Cache(tmp_path).get(download("a", fill, content="2")) != first
    assert fill.times == 2


def test_a_changed_or_deleted_file_is_downloaded_again(tmp_path: Path) -> None:
    fill = Filler()
    path = Cache(tmp_path).get(download("a", fill))
    path.write_bytes(b"changed")
    assert Cache(tmp_path).get(download("a", fill)).read_bytes() == bytes(1000)
    path.unlink()
    assert Cache(tmp_path).get(download("a", fill)).read_bytes() == bytes(1000)
    assert fill.times == 3


def test_a_failed_download_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    def fail(target: Path, parts: Path) -> None:
        target.write_bytes(b"half")
        raise UserError("cut off")

    with pytest.raises(UserError, match="cut off"):
        Cache(tmp_path).get(Download("a", "1", "a", 1000, fail))
    assert not [path for path in tmp_path.rglob("a") if "incoming" not in path.parts]
    fill = Filler()
    assert Cache(tmp_path).get(download("a", fill)).read_bytes() == bytes(1000)


def test_the_least_recently_used_entry_is_evicted_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, older = fetch_in_another_process(tmp_path, "old"), fetch_in_another_process(tmp_path, "older")
    assert fetch_in_another_process(tmp_path, "old") == old
    monkeypatch.setenv("COMPAWARE_CACHE_MAX_BYTES", "2500")
    new = Cache(tmp_path).get(download("new", Filler()))
    assert old.exists() and new.exists() and not older.exists()


def test_older_content_of_the_same_source_is_evicted_unless_in_use(tmp_path: Path) -> None:
    old = fetch_in_another_process(tmp_path, "a")
    new = Cache(tmp_path).get(download("a", Filler(), content="2"))
    assert new.exists() and not old.exists()


def test_an_entry_in_use_by_another_process_is_not_evicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CODE, tmp_path, "used"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        used = Path(user.stdout.readline().strip())
        monkeypatch.setenv("COMPAWARE_CACHE_MAX_BYTES", "1500")
        with pytest.raises(UserError, match="COMPAWARE_CACHE_MAX_BYTES=1500: raise it"):
            Cache(tmp_path).get(download("new", Filler()))
        assert used.exists()
        user.communicate("\n", timeout=60)
    assert Cache(tmp_path).get(download("new", Filler())).exists()
    assert not used.exists()


def test_too_little_disk_space_is_reported_before_the_download(tmp_path: Path) -> None:
    fill = Filler()
    with pytest.raises(UserError, match="no space left"):
        Cache(tmp_path).get(download("a", fill, size_bytes=10**18))
    assert fill.times == 0


@pytest.mark.parametrize("limit", ["much", "0", "nan"])
def test_an_invalid_limit_is_named(limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAWARE_CACHE_MAX_BYTES", limit)
    with pytest.raises(UserError, match="COMPAWARE_CACHE_MAX_BYTES"):
        Cache(tmp_path)
