"""A job's pod exits with the component's exit code and reason, which torchrun does not pass on."""

import socket
import sys
from pathlib import Path

import pytest

from compaware.components.launch import JobOptions, worker
from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.job import Job
from compaware.components.launch.torchrun import follow_child, start_child


def test_an_error_of_the_user_under_torchrun_exits_with_2_and_is_not_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reason = tmp_path / "termination-log"
    reason.touch()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PET_MASTER_PORT", str(free.getsockname()[1]))
    monkeypatch.setenv("PET_NPROC_PER_NODE", "2")
    monkeypatch.setenv("PET_MAX_RESTARTS", "1")
    monkeypatch.setattr(worker, "TERMINATION_FILE", reason)
    monkeypatch.setattr(sys, "argv", ["worker", "distillation"])
    with pytest.raises(SystemExit) as ended:
        worker.main()
    assert ended.value.code == 2
    assert reason.read_text(encoding="utf-8").startswith("error: '")
    assert capfd.readouterr().out.count("\nerror: ") <= 2


def test_the_processes_of_a_batch_job_need_no_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("job", "distillation", {"output": "s3://b/out"}, JobOptions(launcher="job", processes_per_node=2))
    [container] = BATCHJOB.manifest(job)["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if variable["name"].startswith("PET_"):
            monkeypatch.setenv(variable["name"], variable["value"])
    program = tmp_path / "program.py"
    program.write_text(
        "import os, pathlib\n"
        f"pathlib.Path({str(tmp_path)!r}, os.environ['RANK']).write_text(os.environ['WORLD_SIZE'])\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "compaware.components.launch.ranks", str(program)]
    assert follow_child(start_child(command)) == (0, "")
    assert [(tmp_path / rank).read_text(encoding="utf-8") for rank in ("0", "1")] == ["2", "2"]


@pytest.mark.parametrize(
    ("program", "exit_code", "reason"),
    [
        ("print('fine')", 0, ""),
        ("raise ValueError('no such split')", 1, "ValueError: no such split"),
        ("import os; os.kill(os.getpid(), 9)", 137, ""),
        ("print('error: epochs is 0'); raise SystemExit(1)", 2, "error: epochs is 0"),
        ("print('unavailable: no store'); raise SystemExit(1)", 75, "unavailable: no store"),
    ],
)
def test_exit_code_and_reason_of_a_child(program: str, exit_code: int, reason: str) -> None:
    assert follow_child(start_child([sys.executable, "-c", program])) == (exit_code, reason)


def test_a_pod_whose_gpus_pytorch_does_not_find_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("COMPAWARE_GPUS", "2")
    command = [sys.executable, "-m", "compaware.components.launch.ranks", "-m", "compaware.components.distillation"]
    result = follow_child(start_child(command))
    assert result.exit_code == 2
    assert "gpus_per_node is 2, but PyTorch" in result.reason and "finds 0 GPUs: set job.image" in result.reason
