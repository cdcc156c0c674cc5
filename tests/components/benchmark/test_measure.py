"""Real runs, with a process for every runtime."""

import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compaware.components.benchmark import measure
from compaware.components.benchmark.config import BenchmarkConfig, Candidate
from compaware.components.benchmark.floor import tfidf
from compaware.components.benchmark.results import FILE_NAME, Benchmark
from compaware.components.benchmark.workers import worker_process
from compaware.components.benchmark.workers.failures import Failures
from compaware.components.benchmark.workers.pinning import Affinity
from compaware.components.benchmark.workers.scoring import logits_file
from compaware.components.benchmark.workers.variants import prepare_variants
from compaware.components.benchmark.workers.worker_process import Worker
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.evaluate import evaluate_folder
from compaware.components.core.stage.workspace import run_stage
from tests.components.benchmark.synthetic import benchmark, family, measured
from tests.tiny import make_dataset, make_model

Run = tuple[Path, Summary]


def results(run: Run) -> Benchmark:
    return Benchmark.model_validate_json((run[0] / FILE_NAME).read_text(encoding="utf-8"))


def test_every_model_is_measured_in_the_runtimes_that_serve_it_or_that_were_named(benchmark_run: Run) -> None:
    ids = {item.id for item in results(benchmark_run).candidates}
    assert {f"student_{runtime}" for runtime in ("torch", "openvino", "onnxruntime")} <= ids
    assert {"int8_openvino", "int8_onnxruntime", "teacher_torch", "sparse_torch"} <= ids
    assert "teacher_openvino" not in ids


def test_benchmark_json_has_the_promised_fields(benchmark_run: Run) -> None:
    found = json.loads((benchmark_run[0] / FILE_NAME).read_text(encoding="utf-8"))
    assert {"cpu", "flags", "threads", "versions"} <= set(found["machine"])
    for item in found["candidates"]:
        assert {"name", "role", "precision", "runtime", "metric_name", "metric", "path"} <= set(item)
        assert item["size_bytes"] > item["compressed_bytes"] > 0
        assert item["peak_memory_bytes"] >= item["loaded_memory_bytes"] > item["size_bytes"]
        assert set(item["batches"]) == {"1", "8"}
        for batch in item["batches"].values():
            assert 0 < batch["p50_ms"] <= batch["p90_ms"] <= batch["p99_ms"]
            assert batch["samples_per_s"] > 0
            for field in ("ratio_to_teacher", "ratio_to_fp32_student"):
                low, high = batch["spread"][field]
                assert low <= batch[field] <= high


@pytest.mark.parametrize("identifier", ["tfidf_sklearn", "static_numpy"])
def test_a_floor_is_measured_like_the_others(identifier: str, benchmark_run: Run, dataset: PreparedDataset) -> None:
    found, summary = results(benchmark_run), benchmark_run[1]
    floor, student = found.by_id(identifier), found.by_id("student_torch")
    name = floor.name
    assert (floor.role, floor.precision, floor.path) == ("floor", "fp32", "")
    assert {size: batch.calls for size, batch in floor.batches.items()} == {
        size: batch.calls for size, batch in student.batches.items()
    }
    assert found.recommended is not None and identifier not in found.recommended.by_batch.values()
    assert found.floors[name].rows == 256
    assert summary.metrics[f"{name}_accuracy"] == floor.metric > 0.9
    for split in ("validation", "test"):
        logits = np.load(benchmark_run[0].with_name("logits") / f"{identifier}-{split}.npy")
        accuracy = (logits.argmax(axis=1) == dataset.labels(split)).mean()
        assert accuracy == floor.metric if split == "validation" else accuracy > 0.9
    assert any("keeps the accuracy of the FP32 student" in words for words in found.words)


def test_the_references_have_ratio_one_to_themselves(benchmark_run: Run) -> None:
    measured = results(benchmark_run)
    assert all(batch.ratio_to_teacher == 1 for batch in measured.by_id("teacher_torch").batches.values())
    assert all(batch.ratio_to_fp32_student == 1 for batch in measured.by_id("student_torch").batches.values())


def test_the_model_to_serve_comes_with_its_confusion_matrix_and_curve(benchmark_run: Run) -> None:
    measured, facts = results(benchmark_run), benchmark_run[1].facts
    matrix = np.array(facts["confusion_matrix"]["matrix"])
    assert measured.recommended is not None
    assert np.trace(matrix) == round(90 * measured.by_id(measured.recommended.id).metric)
    assert matrix.sum() == 90 and facts["roc"]["tpr"][-1] == 1


def test_metric_names_do_not_depend_on_the_cpu_but_for_the_comparison_with_bf16() -> None:
    plain = family()
    bf16 = measured(
        "student", "openvino", role="student", precision="bf16", metric=0.89, milliseconds={1: 1, 8: 4, 32: 9}
    )
    with_bf16 = benchmark([*plain.candidates, bf16.model_copy(update={"id": "student_openvino_bf16"})])
    slow, fast = measure.flat_metrics(plain), measure.flat_metrics(with_bf16)
    assert fast.keys() - slow.keys() == {f"best_int8_speedup_vs_best_bf16_batch{size}" for size in (1, 8, 32)}
    assert slow.keys() <= fast.keys()
    assert fast["student_best_batch1_p50_ms"] < 1.1 < slow["student_best_batch1_p50_ms"]


def test_test_and_unlabelled_rows_are_scored_by_every_candidate_but_not_timed(
    benchmark_run: Run, dataset: PreparedDataset, models: dict[str, Path]
) -> None:
    measured, work = results(benchmark_run), benchmark_run[0].with_name("logits")
    for item in measured.candidates:
        for split, rows in (("validation", 90), ("test", 60), ("unlabelled", 20)):
            assert np.load(logits_file(work, item.id, split)).shape == (rows, 2)
    alone = evaluate_folder(models["student"], dataset.path, split="test", threads=1)
    np.testing.assert_allclose(np.load(logits_file(work, "student_torch", "test")), alone.logits, atol=1e-5)
    assert measured.data["split"] == "validation" and measured.data["rows"] == 90
    assert measured.by_id("student_torch").test.metric == alone.metrics["accuracy"]
    assert measured.by_id("student_torch").test.rows == measured.data["test_rows"] == 60
    assert measured.by_id("int8_openvino").differences.keys() == {"teacher_torch", "student_torch"}


def test_figures_of_the_predictions_are_of_the_test_rows(benchmark_run: Run, dataset: PreparedDataset) -> None:
    found, work = results(benchmark_run), benchmark_run[0].with_name("logits")
    quality = found.quality
    assert quality and found.recommended
    assert (quality.split, quality.rows, quality.served) == ("test", 60, found.recommended.id)
    assert set(quality.classes) == set(quality.calibration) == set(quality.forms) == {i.name for i in found.candidates}
    assert sum(item.rows for item in quality.slices if item.column == "length") == 60
    labels = dataset.labels("test")
    int8, fp32 = (np.load(logits_file(work, name, "test")) for name in (quality.int8, quality.reference))
    for name, identifier in quality.forms.items():
        decided = np.load(logits_file(work, identifier, "test")).argmax(axis=1)
        recalls = [score.recall.value for score in quality.classes[name].values() if score.recall]
        assert recalls == pytest.approx([(decided[labels == label] == label).mean() for label in (0, 1)])
    assert [(item.split, item.rows) for item in quality.drift] == [("test", 60), ("unlabelled", 20)]
    assert quality.drift[0].agreement == (int8.argmax(axis=1) == fp32.argmax(axis=1)).mean()
    texts = dataset.split("test")["text"].to_pylist()
    page, data = ((benchmark_run[0] / name).read_text(encoding="utf-8") for name in ("report.html", FILE_NAME))
    for item in quality.disagreements:
        assert texts[item.row] in page and texts[item.row] not in data
    assert benchmark_run[1].metrics["int8_ece"] == quality.calibration["int8"].errors.ece


def test_at_least_three_rounds_whatever_the_budget(benchmark_run: Run) -> None:
    for item in results(benchmark_run).candidates:
        assert all(len(batch.round_ms) >= 3 for batch in item.batches.values())


def test_the_model_to_serve_and_the_dense_one_are_measured_as_servers(benchmark_run: Run) -> None:
    measured, metrics = results(benchmark_run), benchmark_run[1].metrics
    assert measured.serving is not None and measured.recommended is not None and not measured.serving.failures
    ids = [form.id for form in measured.serving.forms]
    assert ids[0] == measured.recommended.id and 1 <= len(ids) <= 3
    assert measured.serving.reference in ids and measured.serving.reference.startswith("student_")
    for form in measured.serving.forms:
        assert form.single_stream.queries >= 30
        assert 0 < form.single_stream.p50_ms <= form.single_stream.p90_ms <= form.single_stream.p99_ms
        assert form.offline.samples_per_s > 0 and form.offline.batch_size in (1, 8) and form.offline.streams == 1
        assert all(probe.queries >= 200 and 1 <= probe.queries_per_call <= 8 for probe in form.server.probes)
    served = measured.serving.forms[0]
    assert metrics["serving_single_stream_p99_ms"] == served.single_stream.p99_ms
    assert metrics["serving_offline_samples_per_s"] == served.offline.samples_per_s
    assert metrics["serving_server_queries_per_s"] == (served.server.best.queries_per_s if served.server.best else 0)
    for name in ("report.html", "report.md"):
        assert "Speed as a server" in (benchmark_run[0] / name).read_text(encoding="utf-8")


def test_a_worker_keeps_to_its_cpus_with_all_its_threads(
    dataset: PreparedDataset, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.sched_getaffinity(0)
    monkeypatch.setattr(worker_process, "choose_affinity", lambda threads: Affinity((min(own),), ""))
    candidate = Candidate(name="int8", role="int8", folder=models["int8"], runtimes=("openvino",))
    config = BenchmarkConfig(output=tmp_path / "results", dataset=dataset.path, candidates=(candidate,))
    variant = prepare_variants(config, [candidate], dataset, 32, tmp_path, Failures())[0]
    with Worker(variant, 1, tmp_path / "worker.log") as worker:
        worker.start_loading("validation", None)
        worker.receive()
        tasks = [int(folder.name) for folder in Path(f"/proc/{worker._process.pid}/task").iterdir()]
        assert len(tasks) > 1 and all(os.sched_getaffinity(task) == {min(own)} for task in tasks)
    assert os.sched_getaffinity(0) == own


def test_the_metric_is_that_of_an_independent_evaluation(
    benchmark_run: Run, dataset: PreparedDataset, models: dict[str, Path]
) -> None:
    measured = results(benchmark_run)
    alone = evaluate_folder(models["int8"], dataset.path, runtime="onnxruntime", precision="int8", threads=1)
    assert measured.by_id("int8_onnxruntime").metric == alone.metrics["accuracy"]
    assert measured.by_id("student_openvino").metric == measured.by_id("student_torch").metric


def test_sizes_are_those_of_the_served_files(benchmark_run: Run, models: dict[str, Path]) -> None:
    measured = results(benchmark_run)
    graph = models["int8"] / "openvino_model.xml"
    assert measured.by_id("int8_openvino").size_bytes == sum(
        file.stat().st_size for file in (graph, graph.with_suffix(".bin"))
    )
    assert measured.by_id("student_torch").size_bytes == (models["student"] / "model.safetensors").stat().st_size
    sparse, dense = measured.by_id("sparse_torch"), measured.by_id("student_torch")
    assert sparse.compressed_bytes < dense.compressed_bytes and sparse.size_bytes == dense.size_bytes


def test_a_runtime_without_pytorch_does_not_pay_for_its_memory(benchmark_run: Run) -> None:
    measured = results(benchmark_run)
    served = measured.by_id("student_onnxruntime").peak_memory_bytes
    assert served < measured.by_id("student_torch").peak_memory_bytes


def test_the_quantized_models_own_criterion_decides_the_allowed_loss(benchmark_run: Run) -> None:
    measured = results(benchmark_run)
    dense = measured.by_id("student_torch").metric
    assert measured.criteria["int8"] == Criterion.create("accuracy", dense, absolute=0.0, relative=0.04)
    assert measured.criteria["sparse"] == Criterion.usual("accuracy", dense)
    assert measured.recommended and measured.words


def test_metrics_are_flat_numbers_with_stable_names(benchmark_run: Run) -> None:
    metrics = benchmark_run[1].metrics
    assert {
        "student_accuracy",
        "int8_openvino_batch1_p50_ms",
        "teacher_torch_batch8_samples_per_s",
        "int8_onnxruntime_size_bytes",
        "best_int8_speedup_vs_teacher_batch1",
        "best_int8_speedup_vs_best_fp32_batch8",
        "best_int8_speedup_vs_best_teacher_batch8",
        "student_accuracy_low",
        "int8_test_accuracy",
        "int8_test_accuracy_high",
    } <= set(metrics)
    assert all(math.isfinite(value) for value in metrics.values())


def test_metric_latency_and_throughput_are_printed(
    dataset: PreparedDataset, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_alone(dataset, "int8", models["int8"], tmp_path, padded=True)
    printed = capsys.readouterr().out
    assert "Batch size = 4\nFinal Eval Accuracy: 0." in printed
    assert (
        "\nRounds: 3, calls: " in printed
        and "\nLatency: " in printed
        and " ms\nThroughput: " in printed
        and " samples/sec\n" in printed
    )


def test_no_sentence_is_longer_than_the_candidate_with_the_fewest_positions_takes(
    dataset: PreparedDataset, models: dict[str, Path], tmp_path: Path
) -> None:
    run_alone(dataset, "int8", models["int8"], tmp_path, padded=True, max_length_tokens=1000)
    found = Benchmark.model_validate_json((tmp_path / "results" / FILE_NAME).read_text(encoding="utf-8"))
    assert found.settings["max_length_tokens"] == 64


def test_a_model_for_other_labels_is_refused_in_one_line(dataset: PreparedDataset, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", make_dataset(tmp_path / "other", kind="three_class"))
    with pytest.raises(UserError, match="candidate 'student' has 3 outputs, the data needs 2"):
        run_alone(dataset, "student", model, tmp_path)


def test_answers_are_scored_by_the_names_of_the_labels_in_whatever_order(
    dataset: PreparedDataset, models: dict[str, Path], tmp_path: Path
) -> None:
    renamed = shutil.copytree(models["int8"], tmp_path / "renamed")
    config = json.loads((renamed / "config.json").read_text(encoding="utf-8"))
    config["id2label"] = {"0": "POSITIVE", "1": "NEGATIVE"}
    (renamed / "config.json").write_text(json.dumps(config), encoding="utf-8")
    summaries = [run_alone(dataset, "int8", folder, tmp_path / folder.name) for folder in (models["int8"], renamed)]
    one, other = (summary.metrics["int8_accuracy"] for summary in summaries)
    assert other == pytest.approx(1 - one)
    matrices = [summary.facts["confusion_matrix"]["matrix"] for summary in summaries]
    assert matrices[0] != matrices[1] == [row[::-1] for row in matrices[0]]


def test_a_folder_without_a_model_is_refused_in_one_line(dataset: PreparedDataset, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"candidate 'student': .* is not a Model artifact"):
        run_alone(dataset, "student", tmp_path / "empty", tmp_path)


def test_a_split_without_labels_is_refused_before_any_model_is_read(dataset: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'unlabelled' of .* has no labels: choose a split that has labels"):
        run_alone(dataset, "student", tmp_path / "missing", tmp_path, split="unlabelled")


def test_a_runtime_that_cannot_serve_the_model_is_refused_in_one_line(
    dataset: PreparedDataset, models: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"cannot run in the requested runtimes: .* has .*int8 in onnxruntime"):
        run_alone(dataset, "int8", models["int8"], tmp_path, runtimes=["torch"])
    with pytest.raises(UserError, match=r"^ipex cannot run here: .* is not installed"):
        run_alone(dataset, "student", models["student"], tmp_path / "ipex", runtimes=["torch", "ipex"])


def test_a_corrupt_file_ends_in_one_line(dataset: PreparedDataset, models: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(models["int8"], broken)
    (broken / "model_quantized.onnx").write_bytes(b"not a model")
    with pytest.raises(UserError, match="onnxruntime cannot load"):
        run_alone(dataset, "int8", broken, tmp_path)


def test_candidates_that_cannot_be_measured_are_listed_and_the_others_take_turns_in_groups_that_fit_memory(
    dataset: PreparedDataset, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(models["int8"], broken)
    (broken / "model_quantized.onnx").write_bytes(b"not a model")
    other = make_model(tmp_path / "other", make_dataset(tmp_path / "o", 9, 9, kind="three_class"))
    candidates = [
        {"name": name, "role": role, "folder": folder, "runtimes": ["onnxruntime"]}
        for name, role, folder in (
            ("int8", "int8", models["int8"]),
            ("second", "int8", models["int8"]),
            ("killed", "int8", models["int8"]),
            ("broken", "int8", broken),
            ("gone", "int8", tmp_path / "gone"),
            ("other", "sparse", other),
        )
    ]
    request = Worker.request

    def kill_one(worker: Worker, **fields: object) -> dict[str, object]:
        if worker.variant.candidate.name == "killed" and "time" in fields:
            worker._process.kill()
        return request(worker, **fields)

    def run_out_of_memory(*_: object) -> None:
        raise MemoryError("no memory left")

    monkeypatch.setattr(Worker, "request", kill_one)
    monkeypatch.setattr(tfidf, "train", run_out_of_memory)
    monkeypatch.setattr(measure, "available_memory_bytes", lambda: 0.0)
    options = {"batch_sizes": [4], "rounds": 3, "time_budget_s": 0.2, "threads": 1, "max_length_tokens": 32}
    options["floor"] = ["tfidf"]
    config = BenchmarkConfig.model_validate(
        {"output": tmp_path / "results", "dataset": dataset.path, "candidates": candidates, **options}
    )
    run = tmp_path / "results", run_stage(config, lambda workspace: measure.run(config, workspace))
    found = results(run)
    assert [item.id for item in found.candidates] == ["int8_onnxruntime", "second_onnxruntime"]
    reasons = {item.name: item.reason for item in found.unmeasured}
    assert reasons.keys() == {"killed", "broken", "gone", "other", "tfidf"} and run[1].metrics["unmeasured"] == 5
    assert reasons["tfidf"] == "MemoryError: no memory left"
    assert "killed by signal 9" in reasons["killed"] and "onnxruntime cannot load" in reasons["broken"]
    assert "is not a Model artifact" in reasons["gone"] and "has 3 outputs" in reasons["other"]
    for name in ("report.html", "report.md"):
        text = (run[0] / name).read_text(encoding="utf-8")
        assert "Not measured" in text and "killed by signal 9" in text and "has 3 outputs" in text
    assert [group.candidates for group in found.groups] == [["int8_onnxruntime", "second_onnxruntime"]] + 2 * [
        ["int8_onnxruntime"]
    ]
    assert all(group.scales.keys() == {4} for group in found.groups[1:])


def run_alone(
    dataset: PreparedDataset,
    role: str,
    model: Path,
    folder: Path,
    runtimes: Sequence[str] = ("onnxruntime",),
    **options: object,
) -> Summary:
    """Benchmarks one model in one runtime."""
    candidate = {"name": role, "role": role, "folder": model, "runtimes": runtimes}
    given = {"batch_sizes": [4], "rounds": 3, "time_budget_s": 0.2, "threads": 1, **options}
    config = BenchmarkConfig.model_validate(
        {"output": folder / "results", "dataset": dataset.path, "candidates": [candidate], **given}
    )
    return run_stage(config, lambda workspace: measure.run(config, workspace))
