"""A small API server with one job that can refuse requests; the real one is in tests/services/launch.

It also plays the webhook and the strict validation that the real one lacks: `_refusal_of_trainjob`.
"""

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
SERVED = {
    "trainjobs": "trainer.kubeflow.org/v1alpha1",
    "pytorchjobs": "kubeflow.org/v1",
    "jobs": "batch/v1",
}


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
        served: Plural and group/version of the kinds of jobs that are served.
        denied: Resources that this account may not create.
        old_fields: Fields of a TrainJob's spec that its definition does not have; Trainer 2.1 lacks two.
        is_strict: Whether strict validation is known, as in Kubernetes 1.25 or newer.
        runtimes: Names of the TrainingRuntimes in the namespace, and of the ClusterTrainingRuntimes.
        refuses_jobs: Answer to the creation of a job.
        late_reads: How many of the next reads of a runtime by the webhook find none, as its cache lags behind.
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
        self.plural = "pytorchjobs"
        self.served = dict(SERVED)
        self.denied: set[str] = set()
        self.old_fields: list[str] = []
        self.is_strict = True
        self.runtimes = {"torch-distributed"}
        self.late_reads = 0
        self.refuses_jobs: tuple[int, Any] | None = None
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
        is_job = f"/{self.server.plural}" in parts.path
        group_version = parts.path.removeprefix("/apis/")
        if group_version in SERVED.values():
            resources = [{"name": plural} for plural, served in self.server.served.items() if served == group_version]
            self._answer(200 if resources else 404, {"resources": resources, "message": "not found"})
        elif "watch" in parse_qs(parts.query):
            event = {"type": "MODIFIED", "object": self.server.job} if is_job and self.server.job else None
            self._answer(200, event)
            time.sleep(_WATCH_S)
        elif parts.path.endswith((*SERVED, "pods")):
            items = [self.server.job] if is_job and self.server.job else []
            self._answer(200, {"items": items, "metadata": {"resourceVersion": "1"}})
        elif is_job and self.server.job:
            self._answer(200, self.server.job)
        else:
            self._answer(404, {"message": "not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = urlsplit(self.path)
        plural = parts.path.rpartition("/")[2]
        if plural == "selfsubjectaccessreviews":
            resource = body["spec"]["resourceAttributes"]["resource"]
            self._answer(201, {"status": {"allowed": resource not in self.server.denied}})
            return
        if self._is_refused():
            return
        if plural == "trainingruntimes":
            name = body["metadata"]["name"]
            self._answer(409 if name in self.server.runtimes else 201, {"message": "already exists"})
            self.server.runtimes.add(name)
            return
        if self.server.job:
            self._answer(409, {"message": "already exists"})
            return
        if self.server.refuses_jobs:
            self._answer(*self.server.refuses_jobs)
            return
        if plural == "trainjobs" and (refusal := self._refusal_of_trainjob(body, parse_qs(parts.query))):
            self._answer(*refusal)
            return
        self.server.plural = plural
        body["metadata"] |= {"resourceVersion": "1", "uid": "1"}
        self.server.job = body
        self.server.set_condition(self.server.creates)
        self.server.posts += 1
        self._answer(201, body)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._is_refused():
            return
        path, _, name = self.path.partition("?")[0].rpartition("/")
        if path.endswith("trainingruntimes"):
            self.server.runtimes.discard(name)
            self._answer(200, {})
            return
        self.server.job = None
        self.server.deleted = True
        self._answer(200, {})

    def _refusal_of_trainjob(self, job: dict[str, Any], query: dict[str, list[str]]) -> tuple[int, Any] | None:
        """Decodes a TrainJob as the API server does, and validates it as Trainer 2.3's webhook does.

        Messages: apimachinery's `NewStrictDecodingError`; Trainer's `ValidateObjects` in pkg/runtime/core.
        """
        unknown = [field for field in self.server.old_fields if field in job["spec"]]
        if unknown and self.server.is_strict and query.get("fieldValidation") == ["Strict"]:
            fields = ", ".join(f'unknown field "spec.{field}"' for field in unknown)
            message = 'TrainJob in version "v1alpha1" cannot be handled as a TrainJob: strict decoding error: '
            return 400, {"message": message + fields, "reason": "BadRequest"}
        for field in unknown:
            del job["spec"][field]
        runtime = job["spec"]["runtimeRef"]
        if self.server.late_reads or runtime["name"] not in self.server.runtimes:
            self.server.late_reads = max(0, self.server.late_reads - 1)
            kind = runtime["kind"]
            message = (
                'admission webhook "validator.trainjob.trainer.kubeflow.org" denied the request: spec.RuntimeRef: '
                f"Invalid value: {json.dumps(runtime)}: {kind}.trainer.kubeflow.org "
                f'"{runtime["name"]}" not found: specified {kind[0].lower()}{kind[1:]} must be created before the '
                "TrainJob is created"
            )
            return 403, {"message": message, "reason": "Forbidden"}
        return None

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
