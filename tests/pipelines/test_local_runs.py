"""The pipelines on this machine, as `make run` runs them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForSequenceClassification

from tests.pipelines.conftest import INT8, SMALL, STUDENT, TEACHER, Finished, run_pipeline


def roles(finished: Finished) -> set[str]:
    measured = json.loads((finished.output / "benchmark.json").read_text(encoding="utf-8"))
    return {candidate["role"] for candidate in measured["candidates"]}


def test_distillation_then_quantization_leaves_report_models_and_a_table(two_step_run: Finished):
    assert two_step_run.code == 0, two_step_run.out + two_step_run.err
    assert roles(two_step_run) == {"teacher", "student", "int8"}
    for name in ("report.html", "report.md"):
        assert "int8" in (two_step_run.output / name).read_text(encoding="utf-8").lower()
    assert f"report: {two_step_run.output}/report.html" in two_step_run.out
    assert "[6/6] accuracy_gate" in two_step_run.out
    assert "candidate" in two_step_run.out


def test_the_models_load_without_our_code(two_step_run: Finished):
    models = two_step_run.output / "models"
    for role in ("teacher", "student"):
        assert AutoModelForSequenceClassification.from_pretrained(models / role).config.num_labels == 2
    assert (models / "int8" / "openvino_model.xml").is_file()
    assert (models / "int8" / "model_quantized.onnx").is_file()


def test_what_kfp_says_stays_in_the_log(two_step_run: Finished):
    assert "executorInput" not in two_step_run.out
    assert "KFP Executor" not in two_step_run.out
    assert "\x1b[" not in two_step_run.out
    log = (two_step_run.output / "run.log").read_text(encoding="utf-8")
    assert "KFP Executor" in log
    assert "progress: step" in log
    assert "\x1b[" not in log


def test_a_finished_run_is_not_done_again(two_step_run: Finished, two_step_folder: Path):
    before = (two_step_run.output / "benchmark.json").read_text(encoding="utf-8")
    again = run_pipeline("distillation_then_quantization", two_step_folder, **SMALL, **TEACHER, **STUDENT, **INT8)
    assert again.code == 0, again.err
    assert again.out.count("finished earlier, reused") == 6
    assert (again.output / "benchmark.json").read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("pipeline", "own", "expected"),
    [
        ("quantization_aware_training", INT8, {"teacher", "int8"}),
        (
            "sparsity_aware_training",
            {"target_sparsity": 0.5, "sparsity_pattern": "4x1", "sparsity_epochs": 1},
            {"teacher", "sparse"},
        ),
    ],
)
def test_the_other_pipelines_take_a_model_by_path(pipeline, own, expected, two_step_run: Finished, tmp_path: Path):
    small = {**SMALL, "max_train_rows": 200}
    done = run_pipeline(pipeline, tmp_path, **small, teacher=str(two_step_run.output / "models" / "teacher"), **own)
    assert done.code == 0, done.out + done.err
    assert roles(done) == expected
    assert {folder.name for folder in (done.output / "models").iterdir()} == expected


def test_a_sweep_lists_what_failed_recommends_of_the_rest_and_is_not_done_again(two_step_run: Finished, tmp_path: Path):
    parameters = {
        **SMALL,
        "max_train_rows": 200,
        "benchmark_batch_sizes": [1],
        "teacher": str(two_step_run.output / "models" / "teacher"),
        # The teacher has no eighth layer.
        "students": [{"student_layers": [0]}, {"name": "lost", "student_layers": [7]}],
        "temperatures": [2],
        "precisions": ["fp32", "int8"],
        "student_epochs": 1,
        "quantization_mode": "ptq",
        "calibration_rows": 16,
        "max_size_mb": 1000,
    }
    del parameters["temperature"]
    done = run_pipeline("compression_sweep", tmp_path, **parameters)
    assert done.code == 0, done.out + done.err
    assert "[4/5] sweep_branch 2" in done.out and "[5/5] sweep_benchmark" in done.out
    sweep = json.loads((done.output / "sweep.json").read_text(encoding="utf-8"))
    failures = {member["name"]: member["failure"] for member in sweep["members"]}
    assert {name for name, failure in failures.items() if not failure} == {"layers_0_t2", "layers_0_t2_int8"}
    assert failures["lost_t2"] == failures["lost_t2_int8"]
    assert failures["lost_t2"].startswith("distillation: student_layers [7] must name different layers")
    assert sweep["is_met"] and sweep["chosen"].startswith("layers_0_t2")
    report = (done.output / "report.md").read_text(encoding="utf-8")
    assert "lost t2 INT8" in report and "(serve)" in report and "# Serve layers 0 t2" in report
    models = done.output / "models"
    assert {folder.name for folder in models.iterdir()} == {"teacher", "layers_0_t2", "layers_0_t2_int8"}
    assert AutoModelForSequenceClassification.from_pretrained(models / "layers_0_t2").config.num_hidden_layers == 1

    again = run_pipeline("compression_sweep", tmp_path, **parameters)
    assert again.code == 0, again.err
    assert again.out.count("finished earlier, reused") == 6


def test_a_killed_distillation_goes_on_where_it_was(two_step_run: Finished, tmp_path: Path):
    parameters = {
        **SMALL,
        "max_train_rows": 1600,
        "teacher": str(two_step_run.output / "models" / "teacher"),
        **STUDENT,
        "training_arguments": {"save_steps": 5, "save_strategy": "steps", "eval_strategy": "steps", "eval_steps": 5},
    }
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(parameters), encoding="utf-8")
    output = tmp_path / "output"
    command = [sys.executable, "-m", "compaware.pipelines.client.main", "run", "distillation"]
    with subprocess.Popen(
        [*command, "--config", str(config), "--output", str(output)], stdout=subprocess.PIPE, text=True
    ) as running:
        lines = iter(running.stdout)
        assert any("[3/4] distillation" in line for line in lines)
        assert any("progress: step" in line for line in lines)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert not (output / "report.html").exists()

    again = run_pipeline("distillation", tmp_path, **parameters)
    assert again.code == 0, again.out + again.err
    assert again.out.count("finished earlier, reused") == 2
    assert "going on with the work" in again.out
    assert (output / "report.html").is_file()
    assert roles(again) == {"teacher", "student"}


def test_a_failed_stage_gives_its_reason_in_one_line(tmp_path: Path):
    (tmp_path / "train.csv").write_text("text,label\n" + "good film,1\nbad film,0\n" * 20, encoding="utf-8")
    done = run_pipeline("distillation", tmp_path, data=str(tmp_path), label_column="stars", teacher="t", student="s")
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    assert line.startswith("error: data_prep failed: ")
    assert "stars" in line
    assert str(done.output / "run.log") in line
