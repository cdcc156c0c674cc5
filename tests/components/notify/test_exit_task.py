"""The exit task of a pipeline, run by kfp.local as the pipelines are."""

from pathlib import Path

import pytest
from kfp import dsl, local

from compaware.components.launch.site import WEBHOOK_VARIABLE
from compaware.pipelines.definition import notifying
from tests.components.notify.test_webhook import Receiver


@dsl.component(base_image="python", install_kfp_package=False)
def stage(fails: bool) -> None:
    """Fails on request."""
    if fails:
        raise SystemExit("error: the accuracy gate stopped it")


@dsl.pipeline(name="of-one-stage")
def pipeline(fails: bool) -> None:
    stage(fails=fails)


def test_the_webhook_is_notified_of_a_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    receiver = Receiver()
    monkeypatch.setenv(WEBHOOK_VARIABLE, receiver.address)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path), raise_on_error=False)
    notifying(pipeline)(fails=True)
    receiver.close()
    (message,) = receiver.received
    assert message["state"] == "FAILED" and message["run_id"] and "of-one-stage" in message["run"]
