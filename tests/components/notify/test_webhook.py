"""The outcome of a run is posted to a webhook, whose address is never logged."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from compaware.components.launch.site import UI_VARIABLE, WEBHOOK_VARIABLE
from compaware.components.notify.webhook import Outcome, post

SECRET = "T0-a-secret-path"
FAILED = Outcome("a1b2", "nightly", "FAILED", "benchmark failed:\nthe accuracy gate\tstopped it")


class Receiver:
    """A webhook that keeps the messages it receives; it returns the given status codes, then 200 at its path."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = receiver.answers.pop(0) if receiver.answers else 200 if self.path == f"/{SECRET}" else 404
                if status == 200:
                    receiver.received.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/{SECRET}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    monkeypatch.setenv(WEBHOOK_VARIABLE, receiver.address)
    monkeypatch.delenv(UI_VARIABLE, raising=False)
    yield receiver
    receiver.close()


def test_the_webhook_gets_status_reason_and_link(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(UI_VARIABLE, "https://kubeflow.example.com/pipeline/")
    post(FAILED)
    link = "https://kubeflow.example.com/pipeline/#/runs/details/a1b2"
    assert receiver.received == [
        {
            "text": f"`nightly` failed: `benchmark failed: the accuracy gate stopped it`\n{link}",
            "run": "nightly",
            "run_id": "a1b2",
            "state": "FAILED",
            "reason": "benchmark failed: the accuracy gate stopped it",
            "link": link,
        }
    ]


def test_without_a_ui_the_text_says_how_to_get_the_report(receiver: Receiver):
    post(Outcome("a1b2", "nightly", "SUCCEEDED", ""))
    assert receiver.received[0]["text"] == "`nightly` succeeded\ncompaware report a1b2"


def test_a_failed_post_is_retried(receiver: Receiver):
    receiver.answers = [503]
    post(FAILED)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("answer", [301, 404])
def test_a_webhook_that_refuses_is_a_warning(receiver: Receiver, caplog: pytest.LogCaptureFixture, answer: int):
    receiver.answers = [answer]
    post(FAILED)
    assert receiver.received == []
    assert f"the webhook was not notified: it answered {answer}" in caplog.text


def test_an_address_from_a_file_may_end_with_a_newline(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(WEBHOOK_VARIABLE, f"{receiver.address}\n")
    post(FAILED)
    assert len(receiver.received) == 1


def test_a_missing_file_of_certificates_is_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv(WEBHOOK_VARIABLE, f"https://127.0.0.1:1/{SECRET}")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/ca.crt")
    post(FAILED)
    assert "the webhook was not notified: OSError" in caplog.text


def test_without_a_webhook_nothing_is_done(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.delenv(WEBHOOK_VARIABLE, raising=False)
    with caplog.at_level(logging.INFO):
        post(FAILED)
    assert "no webhook is configured" in caplog.text


@pytest.mark.parametrize(
    "address", ["{host}", "nonsense/{path}", "http://[{path}", "http://127.0.0.1:1/{path}", "http://a..b/{path}"]
)
def test_the_address_is_never_logged(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
):
    # Retries without a pause.
    monkeypatch.setattr("compaware.components.notify.webhook._RETRIES.backoff_factor", 0)
    monkeypatch.setenv(WEBHOOK_VARIABLE, address.format(host=receiver.address, path=SECRET))
    receiver.answers = [503]
    with caplog.at_level(logging.DEBUG):
        post(FAILED)
    assert caplog.text and SECRET not in caplog.text
