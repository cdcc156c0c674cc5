"""An HTTP server in front of a store that answers some requests itself, as other stores do."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """A request of a client.

    Attributes:
        method: `GET`, `PUT` and so on.
        target: Path and query as sent.
        headers: Its headers, with names in lower case.
        body: Its body.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def has_key(self) -> bool:
        """Whether it is about an object and not about the bucket."""
        return urlsplit(self.target).path.strip("/").count("/") > 0


@dataclass(frozen=True)
class Answer:
    """An answer to a client.

    Attributes:
        status: The status.
        body: The body.
        headers: The headers, with names in lower case.
        sent_bytes: How much of the body is sent before the connection is closed; None for all.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent_bytes: int | None = None

    @classmethod
    def error(cls, status: int, code: str, details: str = "", **headers: str) -> "Answer":
        """An error in the format of S3."""
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code>{details}</Error>"
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, body.encode(), {"content-type": "application/xml", **names})


Forward = Callable[[Request], Answer]
# Returns the answer to a request; the second argument asks the store.
Rule = Callable[[Request, Forward], Answer]


class Relay:
    """The server.

    Attributes:
        rule: Answers the requests.
        requests: All requests so far.
    """

    def __init__(self, store: str):
        self._store = store
        self.rule: Rule = lambda request, forward: forward(request)
        self.requests: list[Request] = []
        self.address = ""

    def forward(self, request: Request) -> Answer:
        """Sends a request to the store."""
        connection = http.client.HTTPConnection(self._store, timeout=60)
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in {**request.headers, "content-length": str(len(request.body))}.items():
            connection.putheader(name, value)
        connection.endheaders(request.body)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        headers.pop("transfer-encoding", None)
        body = answer.read()
        connection.close()
        return Answer(answer.status, body, headers)


@contextmanager
def relay_to(store: str) -> Iterator[Relay]:
    """Runs a relay in front of the store at a host and port."""
    relay = Relay(store)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            with lock:
                relay.requests.append(request)
            answer = relay.rule(request, relay.forward)
            self.send_response_only(answer.status)
            # An answer to HEAD has the length of a body that is not sent.
            length = {"content-length": str(len(answer.body))} if self.command != "HEAD" else {}
            for name, value in {**answer.headers, **length}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.sent_bytes])
            if answer.sent_bytes is not None:
                self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            """Logs nothing."""

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    relay.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()


def once(condition: Callable[[Request], bool], answer: Answer) -> Rule:
    """A rule that gives an answer to the first request that meets a condition."""
    left = [answer]

    def rule(request: Request, forward: Forward) -> Answer:
        return left.pop() if left and condition(request) else forward(request)

    return rule


def always(condition: Callable[[Request], bool], answer: Answer) -> Rule:
    """A rule that gives an answer to all requests that meet a condition."""
    return lambda request, forward: answer if condition(request) else forward(request)


def without_header(request: Request, name: str) -> Request:
    """Returns a request without a header."""
    return replace(request, headers={key: value for key, value in request.headers.items() if key != name})


def completes(request: Request) -> bool:
    """Whether a request joins the parts of an upload."""
    return request.method == "POST" and "uploadId" in request.query


def deletes(request: Request) -> bool:
    """Whether a request deletes several objects."""
    return request.method == "POST" and "delete" in request.query


def lists(request: Request) -> bool:
    """Whether a request lists objects."""
    return request.method == "GET" and "list-type" in request.query
