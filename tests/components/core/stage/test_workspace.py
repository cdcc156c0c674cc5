"""A stage's folders when it is killed, resumed or overwritten; an output is never partial."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.identity import content_of
from compaware.components.core.stage.workspace import Workspace, run_stage


class StageConfig(ComponentConfig):
    """A stage with one knob and a second output."""

    knob: int = 1
    checkpoint_minutes: float = 5
    side_output: Path


class KilledError(Exception):
    """Stands for a kill of the process during its work."""


def config(tmp_path: Path, **values: object) -> StageConfig:
    return StageConfig.model_validate({"output": tmp_path / "out", "side_output": tmp_path / "side", **values})


def run_to_the_end(stage: StageConfig) -> Summary:
    def run(workspace: Workspace) -> Summary:
        (workspace.output / "model").write_text("whole")
        (workspace.extra(stage.side_output) / "labels").write_text("whole")
        return Summary.create("stage", stage, {"score": 1.0})

    return run_stage(stage, run)


def run_and_get_killed(stage: StageConfig) -> None:
    def run(workspace: Workspace) -> Summary:
        (workspace.output / "model").write_text("half")
        (workspace.work / "checkpoint").write_text("step 5")
        raise KilledError

    with pytest.raises(KilledError):
        run_stage(stage, run)


def test_outputs_appear_whole_with_their_summary_and_the_work_is_cleared(tmp_path: Path) -> None:
    run_to_the_end(config(tmp_path))
    assert Summary.load(tmp_path / "out").metrics == {"score": 1.0}
    assert (tmp_path / "side/labels").read_text() == "whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "side"]


def test_a_killed_stage_leaves_no_output_and_resumes_with_its_checkpoint_only(tmp_path: Path) -> None:
    run_and_get_killed(config(tmp_path))
    assert not (tmp_path / "out").exists()
    seen = []

    def run(workspace: Workspace) -> Summary:
        seen.append(((workspace.work / "checkpoint").read_text(), list(workspace.output.iterdir())))
        return Summary.create("stage", config(tmp_path), {})

    run_stage(config(tmp_path, existing_output="resume", checkpoint_minutes=1), run)
    assert seen == [("step 5", [])]


def test_a_finished_stage_is_not_done_again_when_resumed(tmp_path: Path) -> None:
    run_to_the_end(config(tmp_path))
    again = run_stage(config(tmp_path, existing_output="resume"), lambda workspace: pytest.fail("ran again"))
    assert again.metrics == {"score": 1.0}


@pytest.mark.parametrize("begin", [run_to_the_end, run_and_get_killed])
def test_an_earlier_run_is_not_replaced_by_default_and_not_resumed_with_other_settings(tmp_path: Path, begin) -> None:
    begin(config(tmp_path))
    with pytest.raises(UserError, match=r"not empty: choose another output|not finished: set existing_output"):
        run_to_the_end(config(tmp_path))
    with pytest.raises(UserError, match="other settings"):
        run_to_the_end(config(tmp_path, knob=2, existing_output="resume"))
    run_to_the_end(config(tmp_path, knob=2, existing_output="overwrite"))
    assert Summary.load(tmp_path / "out").config["knob"] == 2


def test_a_folder_of_other_files_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("precious")
    with pytest.raises(UserError, match=r"no summary\.json"):
        run_to_the_end(config(tmp_path, existing_output="resume"))
    assert (tmp_path / "out/thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("folder", ["out", "side", "out.work"])
def test_a_folder_of_other_files_is_not_overwritten(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "thesis.txt").write_text("precious")
    for existing_output in ("error", "overwrite"):
        with pytest.raises(UserError, match=rf"{folder} (is not empty|contains files that no|contains other files)"):
            run_to_the_end(config(tmp_path, existing_output=existing_output))
    assert (tmp_path / folder / "thesis.txt").read_text() == "precious"


def test_a_stage_that_failed_at_its_start_can_be_started_again(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        run_stage(config(tmp_path, knob=2), lambda workspace: (_ for _ in ()).throw(KilledError))
    (tmp_path / "out.work/trace-0.txt").touch()
    run_to_the_end(config(tmp_path))


class ReadingConfig(ComponentConfig):
    """A stage that reads a folder, a file by name, and folders in a list."""

    dataset: Path
    data: str
    branches: tuple[Path, ...]


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, object]:
    for name in ("dataset", "branch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_text("good film")
    (tmp_path / "reviews.csv").write_text("good film")
    return {
        "output": tmp_path / "out",
        "dataset": tmp_path / "dataset",
        "data": str(tmp_path / "reviews.csv"),
        "branches": [tmp_path / "branch"],
    }


@pytest.mark.parametrize("changed", ["dataset/part", "reviews.csv", "branch/part"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_result_of_changed_inputs_is_not_reused(
    tmp_path: Path, inputs: dict[str, object], changed: str, killed: bool
) -> None:
    stage = ReadingConfig.model_validate({**inputs, "existing_output": "resume"})

    def run(workspace: Workspace) -> Summary:
        if killed:
            raise KilledError
        return Summary.create("stage", stage, {})

    with pytest.raises(KilledError) if killed else nullcontext():
        run_stage(stage, run)
    before = (tmp_path / changed).stat()
    (tmp_path / changed).write_text("poor film")
    os.utime(tmp_path / changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # As `cp -p` and `rsync` do.
    with pytest.raises(UserError, match="settings or inputs: set existing_output=overwrite"):
        run_stage(stage, lambda workspace: pytest.fail("ran"))


def test_a_moved_input_is_the_same_input(tmp_path: Path, inputs: dict[str, object]) -> None:
    stage = ReadingConfig.model_validate(inputs)
    summary = run_stage(stage, lambda workspace: Summary.create("stage", stage, {}))
    (tmp_path / "dataset").rename(tmp_path / "moved")
    moved = ReadingConfig.model_validate({**inputs, "dataset": tmp_path / "moved", "existing_output": "resume"})
    assert run_stage(moved, lambda workspace: pytest.fail("ran again")) == summary


def test_two_runs_of_the_same_stage_give_the_same_input(tmp_path: Path, inputs: dict[str, object]) -> None:
    for number, place in enumerate(("first", "second")):
        stage = ReadingConfig.model_validate({**inputs, "output": tmp_path / place})
        run_stage(stage, lambda workspace, n=number, s=stage: Summary.create("stage", s, {"seconds": float(n)}))
    assert content_of(str(tmp_path / "first")) == content_of(str(tmp_path / "second"))


HOLD = (
    "import os, sys, time; from pathlib import Path; from compaware.components.core.base.lock import lock_folder\n"
    "held = lock_folder(Path(sys.argv[1]), 'out')\n"
    "child = os.fork()\n"
    "if child: print(child, flush=True)\n"
    "time.sleep(60)\n"
)


def test_a_second_command_is_refused_until_the_first_ends_or_is_killed(tmp_path: Path) -> None:
    stage = config(tmp_path, existing_output="overwrite")
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out.work")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        child = int(first.stdout.readline())
        with pytest.raises(UserError, match=rf"process {first.pid} on \S+ is writing \S*out: wait for it"):
            run_to_the_end(stage)
        first.kill()
        first.wait()
        run_to_the_end(stage)  # Although a child that it forked is still there.
        os.kill(child, signal.SIGKILL)
