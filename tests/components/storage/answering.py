"""A server with one answer for each path, which keeps the requests and can be used as a proxy."""

import select
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

NO_SUCH_KEY = (404, "<Error><Code>NoSuchKey</Code><Message>not there</Message></Error>")


@dataclass
class Answering:
    """A running server.

    Attributes:
        address: Its URL.
        requests: Method, path (with the host, if it is used as a proxy) and headers of each request.
    """

    address: str
    requests: list[tuple[str, str, Message]] = field(default_factory=list)

    def paths(self) -> list[str]:
        """Method and path of each request, without queries."""
        return [f"{method} {path.partition('?')[0]}" for method, path, _ in self.requests]


@contextmanager
def answering(
    answers: Mapping[str, tuple[int, str]] | None = None, certificate: Path | None = None
) -> Iterator[Answering]:
    """Runs a server.

    Args:
        answers: The beginning of a path, to status and body. Any other path is answered as a store without objects.
        certificate: Certificate, with its key next to it, for TLS.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.command, self.path, self.headers))
            path = self.path.partition("?")[0]
            status, body = next((answers[key] for key in answers or {} if path.startswith(key)), NO_SUCH_KEY)
            self.send_response(status)
            self.send_header("Content-Type", "application/xml" if body.startswith("<") else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815

        def do_CONNECT(self) -> None:
            state.requests.append((self.command, self.path, self.headers))
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as target:
                self.send_response(200)
                self.end_headers()
                while True:
                    for source in select.select([self.connection, target], [], [], 10)[0]:
                        data = source.recv(65536)
                        if not data:
                            return
                        (target if source is self.connection else self.connection).sendall(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state = Answering(f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
