"""A fake Model Registry with the parts of its API v1alpha3 that publish uses."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

_API = "/api/model_registry/v1alpha3"


class Registry(ThreadingHTTPServer):
    """Responds as the registry does; `created` holds the path and body of every POST request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.created: list[tuple[str, dict[str, Any]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        (name,) = parse_qs(url.query)["name"]
        if url.path == f"{_API}/registered_model":
            models = [item for item in self.server.models if item["name"] == name]
            self._respond(200, models[0]) if models else self._respond(404, {"code": "", "message": "no model"})
        else:
            items = [item for item in self.server.versions if item["name"] == name]
            self._respond(200, {"items": items, "size": len(items), "pageSize": 0, "nextPageToken": ""})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.removeprefix(f"{_API}/")
        resources = {"registered_models": self.server.models}.get(
            path, self.server.versions if "versions" in path else []
        )
        resource = {**body, "id": str(len(resources) + 1)}
        if "artifacts" not in path:
            resources.append(resource)
        self.server.created.append((path, body))
        self._respond(201, resource)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""

    def _respond(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def running_registry() -> Iterator[Registry]:
    """Starts a registry on loopback."""
    with Registry() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
