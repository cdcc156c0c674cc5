"""Progress reaches the status of a TrainJob, and a status server that hangs does not delay the training."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.trainer import train
from tests.tiny import make_dataset, make_model

PATH = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs/job/status"


class StatusServer(ThreadingHTTPServer):
    """A stand-in for the status server of Kubeflow Trainer 2.3 (pkg/statusserver/server.go), without TLS."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reports: list[dict[str, Any]] = []
        self.hangs = False
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: StatusServer

    def do_POST(self) -> None:
        if self.server.hangs:
            time.sleep(20)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        authorized = self.path == PATH and self.headers["Authorization"] == "Bearer secret"
        if authorized:
            self.server.reports.append(body["trainerStatus"])
        self.send_response(200 if authorized else 403)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatusServer]:
    """The server of a TrainJob, with the variables that the controller gives its pods."""
    token = tmp_path / "token"
    token.write_text("secret", encoding="utf-8")
    with StatusServer() as server:
        monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_URL", f"http://127.0.0.1:{server.server_port}{PATH}")
        monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_TOKEN", str(token))
        yield server
        server.shutdown()


def run(folder: Path) -> None:
    data = make_dataset(folder / "data", 64, 16)
    path = make_model(folder / "model", data)
    options = TrainingOptions(epochs=5, max_length_tokens=16)
    workspace = Workspace(ComponentConfig(output=folder / "out"))
    train(load_classifier(path), load_tokenizer(path), data, options, workspace)


def test_progress_is_in_the_status(server: StatusServer, tmp_path: Path) -> None:
    run(tmp_path)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (not server.reports or server.reports[-1]["progressPercentage"] < 100):
        time.sleep(0.02)
    first, *_, last = server.reports
    assert first["progressPercentage"] == 0
    assert last["progressPercentage"] == 100 and last["estimatedRemainingSeconds"] == 0
    assert all(isinstance(metric["value"], str) for metric in last["metrics"])


def test_a_status_server_that_hangs_does_not_delay_the_training(server: StatusServer, tmp_path: Path) -> None:
    """A report is given up after 5 s, so reports at the beginning, at the end and at each step would take 15 s."""
    server.hangs = True
    started = time.monotonic()
    run(tmp_path)
    assert time.monotonic() - started < 10
