"""A relay of TCP connections that counts bytes and can hold them back."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 2**16


class Proxy:
    """Relays connections from a free port to a server.

    Attributes:
        sent_bytes: Passed on to the server so far.
        received_bytes: Passed back so far.
    """

    def __init__(self, host: str, port: int):
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Condition()
        self._hold_after_bytes = float("inf")
        self.sent_bytes = 0
        self.received_bytes = 0

    @property
    def address(self) -> str:
        """The relay's address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def hold_after(self, more_bytes: float) -> None:
        """Passes this many more bytes, in both directions together, and then none."""
        with self._lock:
            self._hold_after_bytes = self.sent_bytes + self.received_bytes + more_bytes
            self._lock.notify_all()

    def release(self) -> None:
        """Passes all bytes again."""
        self.hold_after(float("inf"))

    def wait_until_held(self, timeout_s: float = 60) -> None:
        """Returns when bytes are being held."""
        with self._lock:
            assert self._lock.wait_for(self._is_full, timeout_s), "too little went through"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._listener.close()

    def _is_full(self) -> bool:
        return self.sent_bytes + self.received_bytes >= self._hold_after_bytes

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._server)
        except OSError:
            near.close()
            return
        threading.Thread(target=self._relay, args=(near, far, "sent_bytes"), daemon=True).start()
        self._relay(far, near, "received_bytes")

    def _relay(self, source: socket.socket, target: socket.socket, counter: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                with self._lock:
                    self._lock.wait_for(lambda: not self._is_full())
                    setattr(self, counter, getattr(self, counter) + len(data))
                    self._lock.notify_all()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
