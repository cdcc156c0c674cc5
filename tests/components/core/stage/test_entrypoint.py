"""An exception is reported in one line that names the file with its traceback, also under torchrun."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compaware.components.core.base import lifetime
from compaware.components.launch.torchrun import follow_child, start_child

STAGE = '''
"""A component that runs the given code."""
import os
from pathlib import Path
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.entrypoint import main

class StageConfig(ComponentConfig):
    """A stage with one knob."""
    raises: str

def run(config, workspace):
    if os.environ.get("RANK", "1") == "1":
        exec(config.raises)
    import time
    time.sleep(100)

if __name__ == "__main__":
    main("stage.work", StageConfig)
'''


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage/work.py").write_text(STAGE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return ["-m", "stage.work", f"output={tmp_path / 'out'}"]


def test_a_stage_ends_with_the_command_that_started_it(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["sleep", "100"]) as killed:
        monkeypatch.setenv(lifetime.VARIABLE, str(killed.pid))
        waits = f"from pathlib import Path; Path('{tmp_path}/begun').touch(); import time; time.sleep(100)"
        stage = subprocess.Popen([sys.executable, *command, f"raises={waits}"])
        while not (tmp_path / "begun").exists() and stage.poll() is None:
            time.sleep(0.02)
        killed.kill()
        assert stage.wait(timeout=60) == -signal.SIGTERM
    late = subprocess.run([sys.executable, *command, "raises=print('begun')"], capture_output=True, text=True)
    assert (late.returncode, late.stdout) == (128 + signal.SIGTERM, "")


@pytest.mark.parametrize(
    ("raises", "exit_code", "line"),
    [
        ("None()", 70, "fault: TypeError: 'NoneType' object is not callable; the full trace is in "),
        ("raise OSError(28, 'No space left')", 1, "failed: OSError: [Errno 28] No space left; the full trace is in "),
        ("raise MemoryError", 1, "failed: MemoryError; the full trace is in "),
        ("raise RuntimeError('many\\nlines ' * 99)", 1, "failed: RuntimeError: many lines many lines "),
    ],
)
def test_an_exception_is_one_line_that_names_the_file_with_its_traceback(
    tmp_path: Path, command: list[str], raises: str, exit_code: int, line: str
) -> None:
    done = subprocess.run([sys.executable, *command, f"raises={raises}"], capture_output=True, text=True)
    *_, last = done.stderr.splitlines()
    assert done.returncode == exit_code
    assert last.startswith(line)
    assert len(last) < 300
    assert "Traceback" not in done.stdout + done.stderr
    file = Path(last.rpartition(" is in ")[2])
    assert file == tmp_path / "out.work/trace-0.txt"
    assert file.read_text(encoding="utf-8").startswith("Traceback")


@pytest.mark.parametrize(
    ("raises", "exit_code"),
    [
        ("from compaware.components.core.base.errors import UserError; raise UserError('no')", 2),
        ("None()", 70),
        ("raise MemoryError", 1),
        ("raise KeyboardInterrupt", 130),
    ],
)
def test_a_library_that_aborts_at_exit_does_not_change_the_exit_code(
    command: list[str], raises: str, exit_code: int
) -> None:
    # Threads of Gloo may be destroyed before they have ended: "terminate called without an active exception".
    aborts = f"import atexit, os; atexit.register(os.abort); {raises}"
    done = subprocess.run([sys.executable, *command, f"raises={aborts}"], capture_output=True, text=True)
    assert done.returncode == exit_code, done.stderr


def test_without_a_work_folder_the_trace_is_in_the_temporary_folder(tmp_path: Path, command: list[str]) -> None:
    raises = "import shutil; shutil.rmtree(workspace.work); None()"
    done = subprocess.run([sys.executable, *command, f"raises={raises}"], capture_output=True, text=True)
    *_, last = done.stderr.splitlines()
    assert Path(last.rpartition(" is in ")[2]).parent == tmp_path


def test_in_a_pod_the_traceback_is_in_the_log(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    done = subprocess.run([sys.executable, *command, "raises=None()"], capture_output=True, text=True)
    *before, last = done.stderr.splitlines()
    assert "Traceback (most recent call last):" in before
    assert last == "fault: TypeError: 'NoneType' object is not callable; the full trace is in the log above"


@pytest.mark.parametrize(
    ("raises", "exit_code", "reason"),
    [
        ("None()", 70, "fault: TypeError: 'NoneType' object is not callable; "),
        ("raise RuntimeError('no peer')", 1, "RuntimeError: no peer; "),
        ("os.kill(os.getpid(), 9)", 137, "killed: rank 1 got SIGKILL, probably because of too little memory"),
    ],
)
def test_the_last_line_is_from_the_process_that_failed(
    command: list[str], capfd: pytest.CaptureFixture[str], raises: str, exit_code: int, reason: str
) -> None:
    ranks = ["-m", "compaware.components.launch.ranks", "--standalone", "--nproc-per-node", "2", "--max-restarts", "0"]
    ended = follow_child(start_child([sys.executable, *ranks, *command, f"raises={raises}"]))
    assert ended.exit_code == exit_code
    assert ended.reason.startswith(reason)
    shown = capfd.readouterr().out
    assert reason in shown.splitlines()[-1]
    assert "Traceback" not in shown
    assert "=====" not in shown
