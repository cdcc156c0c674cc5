"""A proxy in front of the real API server that serves pod logs itself and causes faults on request.

The test cluster has no kubelet to serve the log of a pod, so the proxy serves that endpoint with the kubelet's
parameters. Everything else is forwarded unchanged.
"""

import datetime
import json
import socket
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3

from tests.services.launch.waiting import eventually


class ContainerRun:
    """The log of one run of a container."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.open = True


class Proxy(ThreadingHTTPServer):
    """Forwards to `upstream`.

    Attributes:
        away: Drop every connection, as during an outage.
        failures: Answer this many requests with status 503.
        refuses: Answer all requests with this status, as a server with empty RBAC caches does.
        hides: Answer requests whose address contains this text with status `hides_with`.
        expire_watches: Answer watches with 410 Gone.
        cut_log_after: Break the connection of a followed log after this many lines, once.
        impersonate: User to impersonate in requests.
        met: How many requests met one of these faults.
        requests: Method and path of all requests.
    """

    daemon_threads = True

    def __init__(self, upstream: str, ca_file: str, token: str):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.token = token
        self.pool = urllib3.PoolManager(ca_certs=ca_file, retries=False, maxsize=16)
        self.away = False
        self.failures = 0
        self.refuses: int | None = None
        self.hides = ""
        self.hides_with = 503
        self.expire_watches = False
        self.cut_log_after: int | None = None
        self.impersonate = ""
        self.met = 0
        self.requests: list[tuple[str, str]] = []
        self.logs: dict[str, list[ContainerRun]] = defaultdict(lambda: [ContainerRun()])
        self._watches: set[socket.socket] = set()
        self._clock = datetime.datetime(2030, 1, 1)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def write(self, pod: str, *lines: str, step_s: float = 1.0) -> None:
        """Prints lines in a pod's container and advances its clock by `step_s` for each."""
        for line in lines:
            self._clock += datetime.timedelta(seconds=step_s)
            self.logs[pod][-1].lines.append((self._clock.isoformat(timespec="microseconds") + "000Z", line))

    def end_run(self, pod: str) -> None:
        """Ends a pod's container; later lines are from its restart."""
        self.logs[pod][-1].open = False
        self.logs[pod].append(ContainerRun())

    def close_log(self, pod: str) -> None:
        """Ends a pod's container for good."""
        self.logs[pod][-1].open = False

    def await_watches(self) -> None:
        """Waits until a launcher's two watches are open: a fault before that would keep them from opening."""
        eventually(lambda: len(self._watches) == 2)

    def drop_watches(self) -> None:
        """Breaks a launcher's two watches in mid-stream, as soon as both are open."""
        self.await_watches()
        while self._watches:
            self._watches.pop().shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that close their connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self) -> None:
        proxy = self.server
        proxy.requests.append((self.command, self.path))
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        if proxy.away:
            proxy.met += 1
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if proxy.failures > 0:
            proxy.failures -= 1
            proxy.met += 1
            self._answer(503, json.dumps({"message": "injected"}).encode())
            return
        if proxy.refuses:
            proxy.met += 1
            self._answer(proxy.refuses, json.dumps({"message": 'forbidden: User "launcher" cannot do that'}).encode())
            return
        if proxy.hides and proxy.hides in self.path:
            proxy.met += 1
            self._answer(proxy.hides_with, json.dumps({"message": "injected"}).encode())
            return
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path.endswith("/log") and not proxy.impersonate:
            self._serve_log(parts.path.split("/")[-2], query)
        elif query.get("watch") == "true" and proxy.expire_watches:
            proxy.met += 1
            gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
            self._answer(200, json.dumps(gone).encode() + b"\n")
        else:
            self._forward(body, is_watch="watch" in query)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, body: bytes | None, is_watch: bool) -> None:
        proxy = self.server
        headers = {"Authorization": f"Bearer {proxy.token}", "Accept": "application/json"}
        if self.headers.get("Content-Type"):
            headers["Content-Type"] = self.headers["Content-Type"]
        if proxy.impersonate:
            headers["Impersonate-User"] = proxy.impersonate
        answer = proxy.pool.request(
            self.command, proxy.upstream + self.path, body=body, headers=headers, preload_content=False
        )
        if not is_watch:
            self._answer(answer.status, answer.data)
            return
        self._begin_chunks(answer.status)
        proxy._watches.add(self.connection)
        try:
            for chunk in answer.stream(65536, decode_content=False):
                self._chunk(chunk)
            self._chunk(b"")
        finally:
            proxy._watches.discard(self.connection)
            answer.close()

    def _begin_chunks(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _serve_log(self, pod: str, query: dict[str, str]) -> None:
        proxy = self.server
        runs = proxy.logs[pod]
        run = runs[-2] if query.get("previous") == "true" and len(runs) > 1 else runs[-1]
        lines = [line for line in run.lines if line[0][:19] >= query.get("sinceTime", "")[:19]]
        lines = lines[-int(query["tailLines"]) :] if "tailLines" in query else lines
        first_new = len(run.lines)
        self._begin_chunks(200)
        self._lines(lines, query)
        sent = len(lines)
        while query.get("follow") == "true":
            is_open = run.open
            fresh = run.lines[first_new:]
            first_new += len(fresh)
            self._lines(fresh, query)
            sent += len(fresh)
            if proxy.away or (proxy.cut_log_after is not None and sent >= proxy.cut_log_after):
                proxy.cut_log_after = None
                proxy.met += 1
                self.wfile.write(b"40\r\n2030-01-01T")  # The beginning of a line, then nothing more.
                self.close_connection = True
                return
            if not is_open:
                break
            time.sleep(0.02)
        self._chunk(b"")

    def _lines(self, lines: list[tuple[str, str]], query: dict[str, str]) -> None:
        for stamp, text in lines:
            shown = f"{stamp} {text}" if query.get("timestamps") == "true" else text
            self._chunk(shown.encode() + b"\n")
