"""The pipelines run on this machine, like `make run`."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification

from compaware.components.data_prep.sample import LABEL_NAMES, sample_corpus
from tests.docs.reading import GUIDES, OTHERS, blocks
from tests.pipelines.conftest import INT8, SMALL, Finished, Killed, run_pipeline, run_two_steps


def history(prefix: Path) -> list[dict[str, Any]]:
    return json.loads((prefix / "history.json").read_text(encoding="utf-8"))


FP32_RUNTIMES = ("torch", "openvino", "onnxruntime")
RUNTIMES = {"teacher": FP32_RUNTIMES, "student": FP32_RUNTIMES, "int8": ("openvino", "onnxruntime")}
SERVED = [f"{model}_{runtime}" for model, runtimes in RUNTIMES.items() for runtime in runtimes]
SPEEDS = ("p50_ms", "samples_per_s")
SPLITS = ("", "test_")
REFERENCES = ("teacher", "best_teacher", "best_fp32")
# Metrics of each component: the KFP UI compares runs by these names.
METRICS = {
    "data_prep": {
        *("train_rows", "validation_rows", "test_rows", "classes", "mean_length_tokens", "max_length_tokens"),
        *("duplicates_found", "duplicates_dropped", "conflicting_labels"),
    },
    "teacher_check": {"teacher_accuracy", "teacher_test_accuracy", "majority_score", "fine_tuned", "soft_labels_s"},
    "distillation": {
        *("student_accuracy", "teacher_accuracy", "student_parameters", "teacher_parameters", "student_size_bytes"),
        *("student_test_accuracy", "teacher_test_accuracy", "training_s", "training_samples_per_s", "cut_rows"),
    },
    "quantization_aware_training": {
        *("baseline_accuracy", "ptq_accuracy", "int8_accuracy", "int8_openvino_accuracy", "int8_onnxruntime_accuracy"),
        *("baseline_test_accuracy", "int8_test_accuracy", "int8_difference_low", "int8_difference_high"),
        *("openvino_agreement", "onnxruntime_agreement", "openvino_size_bytes", "onnxruntime_size_bytes"),
        *("size_bytes", "baseline_size_bytes", "criterion_passed", "made_in_s", "trained"),
    },
    "benchmark": {
        *(f"{model}_{split}accuracy{end}" for model in RUNTIMES for split in SPLITS for end in ("", "_low", "_high")),
        *(f"{model}_ece" for model in RUNTIMES),
        *(f"{served}_{figure}_bytes" for served in SERVED for figure in ("size", "loaded_memory", "peak_memory")),
        *(f"{served}_batch{size}_{speed}" for served in SERVED for size in (1, 4) for speed in (*SPEEDS, "p99_ms")),
        *(f"{model}_best_batch{size}_{speed}" for model in RUNTIMES for size in (1, 4) for speed in SPEEDS),
        *(f"best_int8_speedup_vs_{other}_batch{size}" for other in REFERENCES for size in (1, 4)),
        *("best_int8_fp32_agreement", "unmeasured"),
    },
    "accuracy_gate": {"passed", "loss", "loss_low", "loss_high", "test_loss"},
}


def roles(finished: Finished) -> set[str]:
    measured = json.loads((finished.output / "benchmark.json").read_text(encoding="utf-8"))
    return {candidate["role"] for candidate in measured["candidates"]}


def test_distillation_then_quantization_writes_report_and_models_and_prints_a_table(two_step_run: Finished):
    assert two_step_run.code == 0, two_step_run.out + two_step_run.err
    assert roles(two_step_run) == {"teacher", "student", "int8"}
    for name in ("report.html", "report.md"):
        assert "int8" in (two_step_run.output / name).read_text(encoding="utf-8").lower()
    assert f"report: {two_step_run.output}/report.html" in two_step_run.out
    assert "[7/8] accuracy_gate" in two_step_run.out
    assert "candidate" in two_step_run.out


def test_the_models_load_without_compaware(two_step_run: Finished):
    models = two_step_run.output / "models"
    for role in ("teacher", "student"):
        assert AutoModelForSequenceClassification.from_pretrained(models / role).config.num_labels == 2
    assert (models / "int8" / "openvino_model.xml").is_file()
    assert (models / "int8" / "model_quantized.onnx").is_file()


def test_code_in_the_documentation_works_on_the_output_of_a_run(two_step_run: Finished):
    examples = [block for file in [*GUIDES, *OTHERS] for block in blocks(file) if block.uses_a_run]
    assert len(examples) >= 2
    # One process imports the libraries once for all examples; each has names of its own.
    texts = [re.sub(r"runs/\w+", str(two_step_run.output), example.text) for example in examples]
    code = "\n".join(f"exec({text!r}, {{}})" for text in texts)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_kfps_messages_are_only_in_the_log(two_step_run: Finished):
    assert "executorInput" not in two_step_run.out
    assert "KFP Executor" not in two_step_run.out
    assert "\x1b[" not in two_step_run.out
    log = (two_step_run.output / "run.log").read_text(encoding="utf-8")
    assert "KFP Executor" in log
    assert "progress: step" in log
    assert "\x1b[" not in log


def test_metrics_have_their_documented_names(two_step_run: Finished):
    metrics = {}
    for file in (two_step_run.output / "artifacts").rglob("summary.json"):
        summary = json.loads(file.read_text(encoding="utf-8"))
        # INT8 is compared with BF16 only if the CPU has it.
        metrics[summary["component"]] = {name for name in summary["metrics"] if "best_bf16" not in name}
    assert {component: metrics[component] for component in METRICS} == METRICS


def test_a_finished_run_is_neither_repeated_nor_published_again(two_step_run: Finished, two_step_folder: Path):
    before = (two_step_run.output / "benchmark.json").read_text(encoding="utf-8")
    (entry,) = history(two_step_folder / "published")
    again = run_two_steps(two_step_folder, job={"memory_per_node": "64Gi", "timeout_hours": 48, "queue_name": "night"})
    assert again.code == 0, again.err
    assert again.out.count("finished earlier, reused") == 6, "a run with more memory or time repeats nothing"
    assert f"data, models and compaware have not changed since {entry['version']}" in again.out
    assert f"nothing changed since {entry['version']}" in again.out
    assert entry["version"] in (again.output / "history.html").read_text(encoding="utf-8")
    assert (again.output / "benchmark.json").read_text(encoding="utf-8") == before
    assert history(two_step_folder / "published") == [entry]


def test_a_model_for_new_data_is_compared_with_the_published_one(
    two_step_run: Finished, two_step_folder: Path, tmp_path: Path
):
    prefix = tmp_path / "published"
    shutil.copytree(two_step_folder / "published", prefix)
    data = tmp_path / "data"
    data.mkdir()
    for split, count in (("train", 200), ("validation", 100)):
        lines = [f"{LABEL_NAMES[row.label]}\t{row.text}\n" for row in sample_corpus()[split][-count:]]
        (data / f"{split}.tsv").write_text("".join(["label\ttext\n", *lines]), encoding="utf-8")
    own = {**SMALL, **INT8, "data": str(data), "teacher": str(two_step_run.output / "models" / "teacher")}
    done = run_pipeline("quantization_aware_training", tmp_path, **own, publish_uri=str(prefix))
    assert done.code == 0, done.out + done.err
    assert roles(done) == {"teacher", "int8"}
    first, second = history(prefix)
    assert f"changed since {first['version']}: data, teacher" in done.out
    assert second["earlier_version"] == first["version"] and "data" in second["changed"]
    assert second["published"] is (100 * (second["earlier_metric"] - second["metric"]) <= 0.5 + 1e-9)
    latest = json.loads((prefix / "latest.json").read_text(encoding="utf-8"))
    assert latest == (second if second["published"] else first)
    provenance = json.loads((prefix / first["version"] / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["run_id"] and "{{" not in provenance["run_id"]


def test_sparsity_aware_training_reads_a_local_model(two_step_run: Finished, tmp_path: Path):
    sparse = {"target_sparsity": 0.5, "sparsity_pattern": "4x1", "sparsity_epochs": 1}
    own = {**SMALL, **sparse, "max_train_rows": 200, "teacher": str(two_step_run.output / "models" / "teacher")}
    done = run_pipeline("sparsity_aware_training", tmp_path, **own)
    assert done.code == 0, done.out + done.err
    assert roles(done) == {"teacher", "sparse"}
    assert {folder.name for folder in (done.output / "models").iterdir()} == {"teacher", "sparse"}
    assert "nothing is published" in done.out


def test_a_killed_run_ends_its_stages_and_resumes(two_step_kills: tuple[Killed, Killed], two_step_run: Finished):
    assert [killed.code for killed in two_step_kills] == [130, -signal.SIGKILL]
    assert [killed.survivors for killed in two_step_kills] == [[], []]
    assert two_step_run.code == 0, two_step_run.out + two_step_run.err
    assert two_step_run.out.count("finished earlier, reused") == 2
    assert "resuming from the work folder" in two_step_run.out


def test_a_failed_stage_gives_its_reason_in_one_line(tmp_path: Path):
    (tmp_path / "train.csv").write_text("text,label\n" + "good film,1\nbad film,0\n" * 20, encoding="utf-8")
    done = run_pipeline("distillation", tmp_path, data=str(tmp_path), label_column="stars", teacher="t", student="s")
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    assert line.startswith("error: data_prep failed: ")
    assert "stars" in line
    assert str(done.output / "run.log") in line
