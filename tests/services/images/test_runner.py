"""`compaware run --runner docker`: a pipeline whose tasks are containers of the cluster's images.

The runner takes the images by the names that the components have, so `make images` builds them under these here.
COMPAWARE_DOCKER_NETWORK is `none`: the sample needs no network, and not every engine has a bridge.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker import from_env

from compaware.components.images import DATA
from compaware.pipelines.client.containers import docker_runner
from tests.pipelines.conftest import INT8, SMALL, STUDENT, TEACHER
from tests.services.images.conftest import Ended, Engine, docker, make_images

pytestmark = pytest.mark.timeout(2400)
PIPELINE = "distillation_then_quantization"
DISTILLATION = {
    **SMALL,
    **TEACHER,
    **STUDENT,
    "training_arguments": {"save_steps": 10, "save_strategy": "steps", "eval_strategy": "steps", "eval_steps": 10},
}
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module", autouse=True)
def images(engine: Engine) -> None:
    """The images under the names that components have."""
    make_images("data", "trainer", "benchmark")


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a run of a pipeline with its output in `output`, from a folder of this test."""

    def run(pipeline: str, network: str = "none", **parameters: Any) -> subprocess.Popen[str]:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(parameters), encoding="utf-8")
        words = ["run", pipeline, "--config", "config.yaml", "--output", "output", "--runner", "docker"]
        return subprocess.Popen(
            [sys.executable, "-m", "compaware.pipelines.client.main", *words],
            cwd=tmp_path,
            env={**os.environ, "HF_HOME": str(tmp_path / "hub"), "COMPAWARE_DOCKER_NETWORK": network},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def ended(running: "subprocess.Popen[str]") -> Ended:
    """Waits for a run."""
    out, err = running.communicate()
    return subprocess.CompletedProcess(running.args, running.returncode, out, err)


def containers(folder: Path) -> list[str]:
    """Returns the containers of a run into `output` that still exist."""
    return docker("ps", "--quiet", "--filter", f"label=compaware.run={folder}/output/work").stdout.split()


def until(lines: Iterator[str], text: str) -> None:
    """Reads the output of a run until a line contains this text."""
    assert any(text in line for line in lines), f"the run ended before it said: {text}"


def test_a_pipeline_runs_to_its_report_and_a_second_run_finds_it_done(start: Start, tmp_path: Path):
    done = ended(start(PIPELINE, **SMALL, **TEACHER, **STUDENT, **INT8))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "output" / "report.html").is_file()
    assert {folder.name for folder in (tmp_path / "output" / "models").iterdir()} == {"teacher", "student", "int8"}
    assert containers(tmp_path) == []
    again = ended(start(PIPELINE, **SMALL, **TEACHER, **STUDENT, **INT8))
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("finished earlier, reused") == 6
    # The images have another user, but the files must belong to the user who runs the pipeline.
    owners = {path.stat().st_uid for path in tmp_path.rglob("*")}
    assert owners == {os.getuid()}


def test_killed_containers_and_interrupted_runs_leave_nothing_behind_and_the_next_run_goes_on(
    start: Start, tmp_path: Path
):
    with start("distillation", **DISTILLATION) as running:
        lines = iter(running.stdout)
        until(lines, "[3/4] distillation")
        until(lines, "progress: step")
        (container,) = containers(tmp_path)
        docker("kill", container)
        killed = ended(running)
    assert killed.returncode == 1
    (line,) = killed.stderr.strip().splitlines()
    assert line.startswith("error: distillation failed: ")
    assert not (tmp_path / "output" / "report.html").exists()

    with start("distillation", **DISTILLATION) as running:
        lines = iter(running.stdout)
        until(lines, "progress: step")
        assert len(containers(tmp_path)) == 1
        running.send_signal(signal.SIGTERM)
        interrupted = ended(running)
    assert interrupted.returncode == 130, interrupted.stderr
    assert containers(tmp_path) == []

    done = ended(start("distillation", **DISTILLATION))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("finished earlier, reused") == 2
    assert "resuming from the work folder" in done.stdout
    assert (tmp_path / "output" / "report.html").is_file()


def test_a_task_that_fails_gives_its_reason_in_one_line_and_sees_relative_paths(start: Start, tmp_path: Path):
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "train.csv").write_text("text,label\n" + "good,1\nbad,0\n" * 20, encoding="utf-8")
    failed = ended(start("distillation", data="films", label_column="stars", teacher="t", student="s"))
    assert failed.returncode == 1
    (line,) = failed.stderr.strip().splitlines()
    assert line.startswith("error: data_prep failed: ") and "stars" in line and "output/run.log" in line


def test_whoever_runs_it_may_write_where_tasks_write_and_owns_what_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for name in ("work", "hub"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("COMPAWARE_DOCKER_NETWORK", "none")
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 1234)
    options = docker_runner({}, tmp_path / "work").container_run_args
    script = "touch $HOME/file /tmp/file $HF_HOME/file $COMPAWARE_WORK_ROOT/file"
    from_env().containers.run(DATA, ["sh", "-ec", script], remove=True, **options)
    assert {(tmp_path / name / "file").stat().st_uid for name in ("work", "hub")} == {1234}


def test_what_docker_refuses_is_said_in_one_line(start: Start):
    refused = ended(start("distillation", network="nowhere", **DISTILLATION))
    assert refused.returncode == 2
    (line,) = refused.stderr.strip().splitlines()
    assert line.startswith("error: Docker failed: ") and "network nowhere not found" in line
