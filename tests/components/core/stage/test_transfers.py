"""Inputs are downloaded from URIs and outputs uploaded to them; errors name the URIs."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.output_checks import require_separate_outputs
from compaware.components.core.stage.transfers import Transfers
from compaware.components.core.stage.workspace import Workspace, run_stage
from compaware.components.storage import delete, show_uris, upload


class Candidate(BaseModel):
    """A nested configuration."""

    name: str
    folder: Path


class StageConfig(ComponentConfig):
    """A stage with paths at every depth."""

    dataset: Path
    branches: tuple[Path, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    teacher: str = ""
    side_output: Path = Path("side")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tmp_path: Path) -> str:
    (tmp_path / "rows").write_text("good film")
    uri = f"file://{tmp_path}/data"
    upload(tmp_path / "rows", f"{uri}/rows")
    return uri


def run(values: dict[str, object]) -> Summary | None:
    """Runs a stage as the entry point does; returns None if it was finished already."""
    transfers = Transfers.plan(StageConfig, values)
    config = transfers.download_inputs(validate(StageConfig, transfers.values))
    if transfers.finished_summary(config):
        return None

    def work(workspace: Workspace) -> Summary:
        (workspace.output / "model").write_text((config.dataset / "rows").read_text())
        return Summary.create("stage", config, {})

    summary = run_stage(config, work)
    transfers.upload_outputs(config)
    return summary


def test_a_uri_output_that_its_owner_emptied_can_be_used_again(tmp_path: Path, data: str, cache: Path) -> None:
    output = f"file://{tmp_path}/out"
    assert run({"output": output, "dataset": data})
    assert list((cache / "compaware/runs").iterdir()) == []
    with pytest.raises(UserError, match=rf"^{output} is not empty: choose another output"):
        run({"output": output, "dataset": data})
    assert run({"output": output, "dataset": data, "existing_output": "resume"}) is None
    delete(output)
    assert run({"output": output, "dataset": data})
    for existing_output in ("error", "resume"):
        for file in (tmp_path / "out").glob("[!.]*"):  # As `rm out/*` does, which leaves the hidden manifest.
            file.unlink()
        assert run({"output": output, "dataset": data, "existing_output": existing_output})


def test_other_files_at_a_uri_output_are_not_replaced(tmp_path: Path, data: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("precious")
    output = f"file://{tmp_path}/out"
    with pytest.raises(UserError, match="out is not empty"):
        run({"output": output, "dataset": data})
    with pytest.raises(UserError, match="out contains files that no component wrote"):
        run({"output": output, "dataset": data, "existing_output": "overwrite"})
    with pytest.raises(UserError, match="out contains files that no component wrote"):
        run({"output": output, "dataset": data, "existing_output": "resume"})
    assert (tmp_path / "out/thesis.txt").read_text() == "precious"


def test_a_tilde_in_a_path_is_expanded(tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    values = Transfers.plan(StageConfig, {"output": "~/out", "dataset": "~/data", "branches": ["~/a"]}).values
    assert values == {"output": f"{tmp_path}/out", "dataset": f"{tmp_path}/data", "branches": [f"{tmp_path}/a"]}
    assert run({"output": "~/out", "dataset": "~/data"})
    assert (tmp_path / "out/model").read_text() == "good film"
    for output, says in (("", "it is empty"), ("s3:/b/k", "two slashes"), ("~nobody-of-that-name/x", "unknown user")):
        with pytest.raises(UserError, match=f"^'output': .*{says}"):
            Transfers.plan(StageConfig, {"output": output, "dataset": "d"})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"output": "data"}, r"'output' \(.*data\) would replace the input .*/data"),
        ({"output": "out", "dataset": "out/data"}, "would replace the input"),
        ({"output": "out", "candidates": [{"name": "a", "folder": "out"}]}, "would replace the input"),
        ({"output": "out", "teacher": "file://{cwd}/out"}, "would replace the input"),
        ({"output": "file://{cwd}/data"}, "would replace the input"),
        ({"output": "out", "work": "data"}, "'work' .* would replace the input"),
        ({"output": "out", "side_output": "out/soft"}, "'side_output' is in 'output'"),
        ({"output": "s3://b/out", "side_output": "s3://b/out/"}, "is in 'output'|is in 'side_output'"),
        ({"output": "s3://b/out/model", "work_uri": "s3://b/out"}, "'output' is in 'work_uri'"),
        ({"output": "."}, r"'output' \(.*\) contains the current folder"),
        ({"output": "/"}, r"'output' \(/\) contains the current folder"),
    ],
)
def test_an_output_that_would_replace_an_input_or_another_output_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        name: value.format(cwd=tmp_path) if isinstance(value, str) else value
        for name, value in {"dataset": "data", "side_output": "side", **values}.items()
    }
    transfers = Transfers.plan(StageConfig, given)
    with pytest.raises(UserError, match=says):
        require_separate_outputs(validate(StageConfig, transfers.values), transfers.uris)


def test_data_changed_at_its_uri_is_noticed(tmp_path: Path, data: str) -> None:
    values = {"output": f"file://{tmp_path}/out", "dataset": data, "existing_output": "resume"}
    run(values)
    (tmp_path / "data/rows").write_text("poor film")
    with pytest.raises(UserError, match="out was made with other settings or inputs"):
        run(values)


def test_uris_in_lists_and_nested_configs_are_downloaded_and_hub_ids_are_not(tmp_path: Path, data: str) -> None:
    values = {
        "output": str(tmp_path / "out"),
        "dataset": data,
        "branches": [data, "here"],
        "candidates": [{"name": "int8", "folder": data}],
        "teacher": data,
    }
    transfers = Transfers.plan(StageConfig, values)
    config = transfers.download_inputs(validate(StageConfig, transfers.values))
    here = tmp_path / "data"
    assert (config.dataset, config.branches, config.candidates[0].folder) == (here, (here, Path("here")), here)
    assert (config.output, config.teacher) == (tmp_path / "out", data)


def test_an_error_names_the_uri_and_not_the_cache(tmp_path: Path, data: str, cache: Path) -> None:
    transfers = Transfers.plan(StageConfig, {"output": "s3://bucket/out", "dataset": data})
    assert str(transfers.values["output"]).startswith(str(cache))
    assert show_uris(f"{transfers.values['output']}/model is too large") == "s3://bucket/out/model is too large"
