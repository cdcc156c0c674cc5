"""The Compose file, by a real Compose: a whole pipeline in one unprivileged container without a network."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipelines.conftest import INT8, SMALL, STUDENT, TEACHER
from tests.services.images.conftest import ROOT, Ended, Engine, docker

pytestmark = pytest.mark.timeout(2400)


def compose() -> list[str]:
    """Docker's plugin, or the program of its own that came before it."""
    if docker("compose", "version").returncode == 0:
        return ["docker", "compose"]
    if not shutil.which("docker-compose"):
        pytest.fail("there is neither `docker compose` nor docker-compose: this test needs one", pytrace=False)
    return ["docker-compose"]


@pytest.fixture
def run(engine: Engine, tmp_path: Path):
    """Runs the service with a config and more parameters, into a folder that anybody may write to."""
    output = tmp_path / "output"
    output.mkdir()
    output.chmod(0o777)

    def with_config(config: dict[str, Any], *words: str) -> Ended:
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        file.chmod(0o644)
        variables = {
            "IMAGE": engine.image("benchmark"),
            "CONFIG": os.path.relpath(file, ROOT),
            "OUTPUT": str(output),
            "NETWORK": "none",
        }
        command = [*compose(), "--file", "images/compose.yaml", "run", "--rm", "run", *words]
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )

    return with_config


def test_a_pipeline_runs_to_its_report_and_a_second_run_finds_it_done(run, tmp_path: Path):
    config = {**SMALL, **TEACHER, **STUDENT, **INT8}
    done = run(config)
    assert done.returncode == 0, done.stdout + done.stderr
    report = tmp_path / "output" / "runs" / "distillation_then_quantization" / "report.html"
    assert report.stat().st_uid == 1000
    again = run(config)
    assert again.stdout.count("finished earlier, reused") == 6, again.stdout + again.stderr


def test_a_mistake_in_the_words_after_run_ends_it_with_code_2_and_one_line(run):
    refused = run({**SMALL, **TEACHER, **STUDENT}, "tempature=2")
    assert refused.returncode == 2
    assert "error: unknown key 'tempature'" in refused.stdout + refused.stderr
