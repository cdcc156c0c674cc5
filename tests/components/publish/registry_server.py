"""A stand-in for the Model Registry with the parts of its API v1alpha3 that publish uses.

It answers as Model Registry 0.3.8 was recorded to do (recorded_registry.json), above all 409 for a second resource of
the same name.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

_API = "/api/model_registry/v1alpha3"


class Registry(ThreadingHTTPServer):
    """Holds what was registered.

    Attributes:
        models, versions, artifacts: The resources.
        updates: Number of updates of artifacts.
        unseen: Kinds of which the next lookup finds nothing, as if another run created them just after it.
    """

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.updates = 0
        self.unseen: set[str] = set()
        self.token = token

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def list_at(self, path: str) -> tuple[str, list[dict[str, Any]]]:
        """Returns the kind of the resources at a path, and the resources."""
        if path.endswith("/versions"):
            return "model version", self.versions
        return ("model artifact", self.artifacts) if path.endswith("/artifacts") else ("model", self.models)


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        names = parse_qs(url.query).get("name")
        kind, resources = self.server.list_at(url.path)
        items = [item for item in resources if not names or item["name"] in names]
        if kind in self.server.unseen:
            self.server.unseen.remove(kind)
            items = []
        if not url.path.endswith("/registered_model"):
            self._respond(200, {"items": items, "nextPageToken": "", "pageSize": 0, "size": len(items)})
        elif items:
            self._respond(200, items[0])
        else:
            message = f"no registered models found for name={(names or [''])[0]}, externalId=: not found"
            self._respond(404, {"code": "Not Found", "message": message})

    def do_POST(self) -> None:
        body, (kind, resources) = self._body(), self.server.list_at(self.path)
        if any(item["name"] == body["name"] for item in resources):
            message = f"{kind} with name {body['name']} already exists: conflict"
            self._respond(409, {"code": "Conflict", "message": message})
            return
        # Models and versions are numbered together.
        number = len(resources) if kind == "model artifact" else len(self.server.models) + len(self.server.versions)
        resource = {**_DEFAULTS[kind], **body, "id": str(number + 1)}
        resources.append(resource)
        self._respond(201, resource)

    def do_PATCH(self) -> None:
        body, identifier = self._body(), self.path.rpartition("/")[2]
        if "name" in body or "/model_artifacts/" not in self.path:
            self._respond(400, {"code": "Bad Request", "message": "unknown field"})
            return
        (artifact,) = [item for item in self.server.artifacts if item["id"] == identifier]
        artifact.update(body)
        self.server.updates += 1
        self._respond(200, artifact)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self.server.token and self.headers["Authorization"] != f"Bearer {self.server.token}":
            self._respond(401, {"code": "Unauthorized", "message": "no valid token"})
            return False
        return True

    def _body(self) -> dict[str, Any]:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _respond(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


# Fields that the registry adds.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "model": {"customProperties": {}, "state": "LIVE"},
    "model version": {"customProperties": {}, "state": "LIVE"},
    "model artifact": {"customProperties": {}},
}


@contextmanager
def running_registry(token: str = "") -> Iterator[Registry]:
    """Starts a registry on loopback, which asks for a bearer token if one is given."""
    with Registry(token) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
