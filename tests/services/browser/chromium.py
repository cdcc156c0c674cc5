"""A headless Chromium, told what to do by its DevTools protocol, and a page that shows a file as the KFP UI does."""

import base64
import html
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from websocket import WebSocket, create_connection

Scheme = Literal["light", "dark"]
_TIMEOUT_S = 60.0
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--hide-scrollbars", "--remote-debugging-port=0"),
    # One process for page and frame, so that one connection sees what both do.
    "--disable-features=IsolateSandboxedIframes",
    # Refuses this machine's own programs, too, should one claim such a name.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class Page:
    """A page whose one frame is sandboxed and holds a file, as in the KFP UI.

    Attributes:
        requests: Addresses that page and frame asked for, the page itself left out.
        errors: What scripts and the browser complained of.
    """

    def __init__(self, connection: WebSocket):
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._connection = connection
        self._numbers = itertools.count(1)
        self._contexts: dict[str, int] = {}
        self._address = ""
        self._is_loaded = False

    def show(self, content: str, folder: Path, width: int, height: int, scheme: Scheme) -> None:
        """Shows HTML in a sandboxed frame that fills the window.

        Args:
            content: The HTML.
            folder: Where the page around it is written.
            width: Of the window, in CSS pixels; height likewise.
            scheme: What the user prefers.
        """
        file = folder / "page.html"
        frame = f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(content)}"></iframe>'
        style = "body { margin: 0; } iframe { border: 0; width: 100vw; height: 100vh; display: block; }"
        head = f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style>'
        file.write_text(f"<!doctype html>{head}{frame}", encoding="utf-8")
        self._address, self._is_loaded = file.as_uri(), False
        self.requests, self.errors = [], []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=self._address)
        while not self._is_loaded:
            self._receive()

    def ask(self, script: str) -> Any:
        """The value of a JavaScript expression in the frame."""
        tree = self.call("Page.getFrameTree")["frameTree"]
        frame = tree["childFrames"][0]["frame"]["id"]
        answer = self.call(
            "Runtime.evaluate",
            expression=script,
            contextId=self._contexts[frame],
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self, file: Path) -> None:
        """Saves what the window shows as PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv())
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.executionContextCreated":
            context = parameters["context"]
            self._contexts[context["auxData"]["frameId"]] = context["id"]
        elif method == "Network.requestWillBeSent" and parameters["request"]["url"] != self._address:
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(parameters["exceptionDetails"]["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])
        elif method == "Page.loadEventFired":
            self._is_loaded = True
        return message


@contextmanager
def opened(program: str, profile: Path) -> Iterator[Page]:
    """Starts Chromium with a fresh profile; ends it in the end."""
    command = [program, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        connection = create_connection(_page_address(profile), timeout=_TIMEOUT_S, suppress_origin=True)
        yield Page(connection)
        connection.close()
    finally:
        browser.terminate()
        browser.wait(timeout=_TIMEOUT_S)


def _page_address(profile: Path) -> str:
    """The WebSocket of the first page; Chromium writes its port into the profile."""
    import urllib.request

    file, deadline = profile / "DevToolsActivePort", time.monotonic() + _TIMEOUT_S
    while not (file.is_file() and file.read_text().count("\n")):
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.1)
    port = file.read_text().splitlines()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=_TIMEOUT_S) as answer:
        targets = json.load(answer)
    return str(next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"))
