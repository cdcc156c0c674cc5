"""Changed inputs of a run are detected by their content."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from compaware.components.change_check import check
from compaware.components.change_check.config import ChangeCheckConfig
from compaware.components.core.base.summary import Summary
from compaware.components.core.stage.workspace import run_stage
from compaware.components.publish.history_files import Entry, Published


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, str]:
    """Data, a teacher, a student and a prefix on this machine."""
    sources = ("data", "teacher", "student")
    for name in sources:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("one", encoding="utf-8")
    return {name: str(tmp_path / name) for name in sources} | {"publish_uri": str(tmp_path / "prefix")}


def run_check(folder: Path, **values: str) -> Summary:
    config = ChangeCheckConfig.model_validate({"output": folder / "state", "existing_output": "overwrite", **values})
    return run_stage(config, lambda workspace: check.run(config, workspace))


def publish(prefix: str, fingerprints: dict[str, str]) -> None:
    entry = {
        "version": "v1",
        "time": "2026-01-01T00:00:00+00:00",
        "published": True,
        "reason": "nothing was published before",
        "changed": [],
        "role": "int8",
        "runtime": "onnxruntime",
        "precision": "int8",
        "metric_name": "accuracy",
        "metric": 0.9,
        "earlier_version": None,
        "earlier_metric": None,
        "size_bytes": 1,
        "p50_ms": 1.0,
        "model_fingerprint": "a",
        "fingerprints": fingerprints,
    }
    assert Published.read(prefix).write([], Entry.model_validate(entry))


def test_new_contents_under_the_same_names_are_detected(
    inputs: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    before = run_check(tmp_path, **inputs)
    assert before.metrics["changed"] == 1.0 and "nothing is published" in caplog.text
    publish(inputs["publish_uri"], before.facts["fingerprints"])

    same = run_check(tmp_path, **inputs)
    assert same.metrics["changed"] == 0.0 and "have not changed since v1" in caplog.text
    assert same.facts["fingerprint"] == before.facts["fingerprint"]

    # The size stays, so that only the content differs.
    (tmp_path / "data" / "file").write_text("two", encoding="utf-8")
    after = run_check(tmp_path, **inputs)
    assert after.facts["changed"] == ["data"] and "changed since v1: data" in caplog.text
    assert after.facts["fingerprint"] != before.facts["fingerprint"]

    (tmp_path / "teacher" / "file").write_text("two", encoding="utf-8")
    (tmp_path / "student" / "file").write_text("two", encoding="utf-8")
    publish(inputs["publish_uri"], before.facts["fingerprints"] | {"version": "0.0.1"})
    assert run_check(tmp_path, **inputs).facts["changed"] == ["data", "teacher", "student", "version"]


def test_a_version_without_a_fingerprint_of_the_student_is_no_change(inputs: dict[str, str], tmp_path: Path):
    del inputs["student"]
    found = run_check(tmp_path, **inputs).facts["fingerprints"]
    publish(inputs["publish_uri"], {name: value for name, value in found.items() if name != "student"})
    assert run_check(tmp_path, **inputs).metrics["changed"] == 0.0


def test_an_unavailable_hub_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    found = [run_check(tmp_path, task="sst2", teacher="someone/model") for _ in range(2)]
    assert found[0].facts == found[1].facts
    assert found[0].facts["fingerprints"]["teacher"] == "someone/model@unknown"


class Hub(ThreadingHTTPServer):
    """A hub with one repository; stands for huggingface.co, which tests cannot reach."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 200
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps({"id": "someone/model", "sha": "c0ffee"}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""


@pytest.mark.parametrize("status", [None, 503, 429])
def test_a_hub_that_does_not_answer_is_as_last_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int | None
):
    monkeypatch.delenv("COMPAWARE_WORK_ROOT", raising=False)

    def run_of_a_pipeline(run_id: str) -> dict[str, Any]:
        state_uri = f"file://{tmp_path}/root/compaware-distillation/{run_id}/change-check/0a/state"
        return run_check(tmp_path, teacher="someone/model", run_id=run_id, state_uri=state_uri).facts

    with Hub() as hub:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{hub.server_port}")
        first = run_of_a_pipeline("first")
        assert first["fingerprints"]["teacher"] == "someone/model@c0ffee"
        hub.status = status or 200
        if status is None:
            hub.shutdown()
            hub.server_close()
        assert run_of_a_pipeline("second") == first
        if status:
            hub.status = 404
            gone = run_of_a_pipeline("third")
            assert gone["fingerprints"]["teacher"] == "someone/model@unknown", "the hub has answered"
            hub.shutdown()


def test_it_starts_without_torch():
    code = "import sys; import compaware.components.change_check.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
