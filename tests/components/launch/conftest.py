"""A small API server with one job that can refuse requests; the real one is in tests/services/launch."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

FORBIDDEN = 'pytorchjobs.kubeflow.org is forbidden: User "launcher" cannot list resource "pytorchjobs"'
_WATCH_S = 0.1


class ApiServer(ThreadingHTTPServer):
    """An API server with one job.

    Attributes:
        job: The job's object; None if there is none.
        creates: Condition of a new job.
        refusals: Status codes of the next answers, in order.
        always: Status code of all answers; None to answer requests.
        nonsense: Answer reads with JSON that is not from an API server, as a proxy may.
        posts: How many jobs were created.
        deleted: Whether a job was deleted.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.job: dict[str, Any] | None = None
        self.creates = "Running"
        self.refusals: list[int] = []
        self.always: int | None = None
        self.nonsense = False
        self.posts = 0
        self.deleted = False
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def set_condition(self, name: str) -> None:
        """Gives the job one condition."""
        assert self.job is not None
        self.job = {**self.job, "status": {"conditions": [{"type": name, "status": "True"}]}}


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        if self._is_refused():
            return
        if self.server.nonsense:
            self._answer(200, {"title": "one moment, please"})
            return
        parts = urlsplit(self.path)
        is_job = "pytorchjobs" in parts.path
        if "watch" in parse_qs(parts.query):
            event = {"type": "MODIFIED", "object": self.server.job} if is_job and self.server.job else None
            self._answer(200, event)
            time.sleep(_WATCH_S)
        elif parts.path.endswith("pytorchjobs") or parts.path.endswith("pods"):
            items = [self.server.job] if is_job and self.server.job else []
            self._answer(200, {"items": items, "metadata": {"resourceVersion": "1"}})
        elif is_job and self.server.job:
            self._answer(200, self.server.job)
        else:
            self._answer(404, {"message": "not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._is_refused():
            return
        if self.server.job:
            self._answer(409, {"message": "already exists"})
            return
        body["metadata"] |= {"resourceVersion": "1", "uid": "1"}
        self.server.job = body
        self.server.set_condition(self.server.creates)
        self.server.posts += 1
        self._answer(201, body)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._is_refused():
            return
        self.server.job = None
        self.server.deleted = True
        self._answer(200, {})

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""

    def _is_refused(self) -> bool:
        status = self.server.refusals.pop(0) if self.server.refusals else self.server.always
        if status:
            self._answer(status, {"message": FORBIDDEN if status == 403 else "injected"})
        return bool(status)

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode() + b"\n" if body is not None else b""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


@pytest.fixture
def api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """The server of the current kubeconfig."""
    with ApiServer() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        settings = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "current-context": "c",
        }
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(settings), encoding="utf-8")
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
        monkeypatch.setattr("compaware.components.launch.api._LONGEST_PAUSE_S", 0.05)
        yield server
        server.shutdown()
