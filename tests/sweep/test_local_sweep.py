"""A sweep on this machine with the real command; it takes minutes and is not part of `make test`."""

import json
from pathlib import Path

from transformers import AutoModelForSequenceClassification

from tests.pipelines.conftest import SMALL, TEACHER, run_pipeline

LOST = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 3}


def test_a_sweep_lists_failed_members_recommends_another_and_is_reused(tmp_path: Path):
    parameters = {
        **SMALL,
        **TEACHER,
        "benchmark_batch_sizes": [1],
        # 32 hidden units cannot be divided among 3 heads, which fails when the student is built.
        "students": [{"student_layers": [0]}, {"name": "lost", "student_config": LOST}],
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
    assert failures["lost_t2"].startswith("distillation: cannot build a model from its config: The hidden size (32)")
    assert sweep["is_met"] and sweep["chosen"].startswith("layers_0_t2")
    report = (done.output / "report.md").read_text(encoding="utf-8").replace("\\_", "_")
    assert "lost_t2_int8" in report and "(serve)" in report and "# Serve layers_0_t2" in report
    models = done.output / "models"
    assert {folder.name for folder in models.iterdir()} == {"teacher", "layers_0_t2", "layers_0_t2_int8"}
    assert AutoModelForSequenceClassification.from_pretrained(models / "layers_0_t2").config.num_hidden_layers == 1

    again = run_pipeline("compression_sweep", tmp_path, **parameters)
    assert again.code == 0, again.err
    assert again.out.count("finished earlier, reused") == 5
