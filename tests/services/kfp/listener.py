"""The HTTP side of the stand-in for KFP's server, which can go away and come back as a server that is restarted."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Method, URL, token, content type and body of a request; status, content type and text of the answer.
Respond = Callable[[str, str, str | None, str, bytes], tuple[int, str, str]]


class Listener:
    """Listens on a port of this machine.

    Attributes:
        port: The port, which stays the same.
    """

    def __init__(self, respond: Respond):
        self._handler = _handler(respond)
        self.port = 0
        self.resume()

    def pause(self) -> None:
        """Stops listening: connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def resume(self) -> None:
        """Listens."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


def _handler(respond: Respond) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = self.headers.get("Content-Type") or ""
            status, kind, text = respond(self.command, self.path, self.headers.get("authorization"), kind, body)
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

    for method in ("GET", "POST", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.respond)
    return Handler
