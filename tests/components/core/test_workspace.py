"""The life of a stage's folders: killed, resumed, overwritten, and never half-way under its final name."""

from pathlib import Path

import pytest

from compaware.components.core.config import ComponentConfig
from compaware.components.core.errors import UserError
from compaware.components.core.summary import Summary
from compaware.components.core.workspace import Workspace, run_stage


class StageConfig(ComponentConfig):
    """A stage with one knob and a second output."""

    knob: int = 1
    side_output: Path


class KilledError(Exception):
    """Stands for the process's end in the middle of its work."""


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

    run_stage(config(tmp_path, existing_output="resume"), run)
    assert seen == [("step 5", [])]


def test_a_finished_stage_is_not_done_again_when_resumed(tmp_path: Path) -> None:
    run_to_the_end(config(tmp_path))
    again = run_stage(config(tmp_path, existing_output="resume"), lambda workspace: pytest.fail("ran again"))
    assert again.metrics == {"score": 1.0}


@pytest.mark.parametrize("begin", [run_to_the_end, run_and_get_killed])
def test_what_is_there_is_neither_touched_by_default_nor_mixed_with_other_settings(tmp_path: Path, begin) -> None:
    begin(config(tmp_path))
    with pytest.raises(UserError, match="not empty: choose another output"):
        run_to_the_end(config(tmp_path))
    with pytest.raises(UserError, match="other settings"):
        run_to_the_end(config(tmp_path, knob=2, existing_output="resume"))
    run_to_the_end(config(tmp_path, knob=2, existing_output="overwrite"))
    assert Summary.load(tmp_path / "out").config["knob"] == 2


def test_a_strangers_folder_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("precious")
    with pytest.raises(UserError, match=r"no summary\.json"):
        run_to_the_end(config(tmp_path, existing_output="resume"))
    assert (tmp_path / "out/thesis.txt").read_text() == "precious"
