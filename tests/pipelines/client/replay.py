"""A server that gives recorded answers of KFP 2.17: it stands in for one, which cannot be run here.

The files in `recorded` are requests and their answers, cut to what the tests need. What is not recorded follows the
server's source: pipeline versions (toApiPipelineVersion in api_converter.go), lists and their filters (list.go), logs
by any other id (ReadRunLogV1 in run_log_server.go), and the run of the older API (toApiRunDetailV1).
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from compaware.pipelines.client import catalog

RECORDED = Path(__file__).parent / "recorded"
PIPELINE = "distillation"


def recorded(name: str) -> dict[str, Any]:
    """Returns a recorded request with its answer."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def run(name: str) -> dict[str, Any]:
    """Returns the run of a recorded answer."""
    return recorded(name)["body"]


SUCCEEDED, FAILED, STOPPED, STOPPING, SCHEDULED = (
    run(f"run-{name}") for name in ("succeeded", "failed", "canceled", "canceling", "of-a-schedule")
)


class Replay:
    """Answers of a server.

    Attributes:
        address: Where it listens.
        runs: The runs that it has, by id; a list of them is given one after the other.
        schedules: Its recurring runs.
        logs: Logs by run and node.
        workflows: Workflows by run, which the older API gives.
        has_pipelines: Whether the pipelines of its runs are still there.
    """

    def __init__(self, *runs: dict[str, Any], port: int = 0):
        self.runs: dict[str, list[dict[str, Any]]] = {}
        for one in runs:
            self.runs.setdefault(one["run_id"], []).append(one)
        self.schedules: list[dict[str, Any]] = []
        self.logs: dict[tuple[str, str], str] = {}
        self.workflows: dict[str, dict[str, Any]] = {}
        self.has_pipelines = True
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self.server.shutdown()
        self.server.server_close()

    def answer(self, url: str) -> tuple[int, Any]:
        """Returns the status and the body of a request."""
        parts = urlsplit(url)
        match parts.path.strip("/").split("/"):
            case ["apis", "v2beta1", "healthz"]:
                return 200, {"multi_user": False}
            case ["apis", "v2beta1", "runs"]:
                found = [answers[0] for answers in self.runs.values() if _matches(answers[0], parts.query)]
                found.sort(key=lambda item: item["created_at"], reverse=True)
                return 200, {"runs": found, "total_size": len(found)} if found else {}
            case ["apis", "v2beta1", "recurringruns"]:
                found = [item for item in self.schedules if _matches(item, parts.query)]
                return 200, {"recurringRuns": found, "total_size": len(found)} if found else {}
            case ["apis", "v2beta1", "runs", run_id] if run_id in self.runs:
                answers = self.runs[run_id]
                return 200, answers.pop(0) if len(answers) > 1 else answers[0]
            case ["apis", "v1beta1", "runs", run_id] if run_id in self.workflows:
                manifest = json.dumps(self.workflows[run_id])
                return 200, {"run": {"id": run_id}, "pipeline_runtime": {"workflow_manifest": manifest}}
            case ["apis", "v2beta1", "pipelines", pipeline_id, "versions", version_id] if self.has_pipelines:
                return 200, {
                    "pipeline_id": pipeline_id,
                    "pipeline_version_id": version_id,
                    "pipeline_spec": {"pipeline_spec": catalog.spec(PIPELINE), "platform_spec": {}},
                }
            case ["apis", "v1alpha1", "runs", run_id, "nodes", node, "log"]:
                if (run_id, node) in self.logs:
                    return 200, self.logs[run_id, node]
                error = recorded("log-of-no-node")["body"]
                return 200, {key: text.replace("no-such-node", node) for key, text in error.items()}
        missing = recorded("run-not-found")
        return missing["status"], missing["body"]


@contextmanager
def serving(*runs: dict[str, Any]) -> Iterator[Replay]:
    """Yields a server and closes it afterwards."""
    server = Replay(*runs)
    try:
        yield server
    finally:
        server.close()


def _matches(item: dict[str, Any], query: str) -> bool:
    filters = parse_qs(query).get("filter")
    if not filters:
        return True
    predicates = json.loads(filters[0])["predicates"]
    # The JSON form of protobuf has field names in either case.
    return all(item.get(one["key"]) == one.get("stringValue", one.get("string_value")) for one in predicates)


def _handler(server: Replay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = server.answer(self.path)
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if self.path.endswith("/log") else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

    return Handler
