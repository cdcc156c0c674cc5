"""Commands of `compaware` against recorded answers of a server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compaware.components.storage.connection import ENDPOINT_VARIABLES
from compaware.pipelines.client.main import main
from tests.pipelines.client.replay import FAILED, SCHEDULED, STOPPED, SUCCEEDED, Replay, recorded, serving

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Replay]:
    """A server with the recorded runs, which the commands use by default."""
    with serving(SUCCEEDED, FAILED, STOPPED, SCHEDULED) as replay:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", replay.address)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("TZ", "UTC")
        for name in (*ENDPOINT_VARIABLES["s3"], *ENDPOINT_VARIABLES["minio"], "KUBERNETES_SERVICE_HOST", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        replay.schedules = recorded("schedules")["body"]["recurringRuns"]
        yield replay


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs `compaware WORDS` and returns its exit code, output and errors."""

    def ask(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        return ended.value.code, *capsys.readouterr()

    return ask
