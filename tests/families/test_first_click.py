"""A pipeline runs from nothing: Start in the KFP UI with an empty form does the same."""

import json
from pathlib import Path

from tests.pipelines.conftest import compaware


def test_a_pipeline_with_nothing_given_runs_the_sample_to_its_end(tmp_path: Path) -> None:
    done = compaware("run", "distillation_then_quantization", "--output", str(tmp_path / "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "run/benchmark.json").read_text(encoding="utf-8"))
    assert {candidate["role"] for candidate in measured["candidates"]} == {"teacher", "student", "int8", "floor"}
    assert (tmp_path / "run/config.yaml").read_text(encoding="utf-8").strip() == "{}"
