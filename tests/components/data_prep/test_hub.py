"""A data set that cannot be loaded from the hub gives one line with the reason and the remedy.

The tests need no hub: they raise the exceptions of its client.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.hub import read_hub


def _answer(kind: Any, status: int) -> Exception:
    request = httpx.Request("GET", "https://huggingface.co/api/datasets/owner/name")
    return kind(f"{status} Client Error.\n\nRepository Not Found", response=httpx.Response(status, request=request))


def _unreachable() -> Exception:
    error = LocalEntryNotFoundError("An error happened while trying to locate the file on the Hub")
    error.__cause__ = httpx.ConnectError("[Errno -2] Name or service not known")
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (lambda: _answer(GatedRepoError, 401), "'owner/name' is gated: request access on its page, and set HF_TOKEN"),
        (lambda: _answer(GatedRepoError, 403), "'owner/name' is gated"),
        (lambda: _answer(RepositoryNotFoundError, 401), "nor a readable data set on the hub: check the name"),
        (lambda: _answer(RevisionNotFoundError, 404), "has no revision 'v9': set hub_revision"),
        (_unreachable, "the hub cannot be reached: check the network"),
        (lambda: httpx.ReadTimeout("timed out"), "the hub cannot be reached: check the network"),
        (lambda: httpx.RemoteProtocolError("peer closed"), "cannot be loaded from the hub: RemoteProtocolError: peer"),
    ],
)
def test_each_error_of_the_hub_gives_one_line(
    error: Callable[[], Exception], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error()

    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(HfApi, "hf_hub_download", refuse)
    _refused("owner/name", None, "v9", expected)


def test_a_data_set_script_on_the_hub_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HfApi, "hf_hub_download", lambda *_, **options: f"/cache/abc/{options['filename']}")
    _refused(
        "owner/name", None, None, "'owner/name' needs a Python script, which compaware does not run: give its files"
    )


def test_the_offline_mode_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    _refused("owner/name", None, None, "HF_HUB_OFFLINE is set and the data set is not in the cache")


def test_the_name_of_a_format_does_not_load_files_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.csv").write_text("text,label\na,0\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    _refused("csv", None, None, "'csv' is a format, not a data set")


@pytest.mark.parametrize("config", [None, "zh"])
def test_the_configurations_are_named(config: str | None, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    configs = "\n".join(f"- config_name: {name}\n  data_files: {name}.csv" for name in ("de", "fr"))
    (tmp_path / "set/README.md").write_text(f"---\nconfigs:\n{configs}\n---\n", encoding="utf-8")
    for name in ("de", "fr"):
        (tmp_path / f"set/{name}.csv").write_text("text,label\na,0\n", encoding="utf-8")
    _refused(str(tmp_path / "set"), config, None, "set hub_config to one of the configurations of .*: de, fr$")


def test_splits_that_are_not_used_are_noted(tmp_path: Path) -> None:
    names = ("train", "unsupervised")
    entries = "\n".join(f"  - split: {name}\n    path: {name}.csv" for name in names)
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{entries}\n---\n")
    for name in names:
        (tmp_path / f"{name}.csv").write_text("text,label\na,0\n", encoding="utf-8")
    notes: list[str] = []
    assert list(read_hub(str(tmp_path), None, None, notes.append)[0]) == ["train"]
    assert notes == ["Splits that are not used: unsupervised."]


def _refused(hub_id: str, config: str | None, revision: str | None, expected: str) -> None:
    with pytest.raises(UserError, match=expected) as caught:
        read_hub(hub_id, config, revision)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
