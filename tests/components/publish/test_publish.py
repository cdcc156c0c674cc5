"""Published versions are complete, documented, and not worse than the one before."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import urllib3
import yaml
from huggingface_hub import ModelCard
from scipy.special import softmax
from transformers import AutoModelForSequenceClassification

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.rendering import render
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.publish import publish
from compaware.components.publish.history_files import Entry, Published
from compaware.components.storage import exists
from tests.components.publish.conftest import Folders, Publish
from tests.components.publish.registry_server import running_registry
from tests.components.storage.answering import answering
from tests.tiny import make_dataset, with_test_labels_reversed


def answers(version: Path, *texts: str) -> list[list[str]]:
    """Runs the published script in a process that cannot import this repository and returns the columns it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-I", str(version / "load.py"), *texts]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=version.parent, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_a_published_student_is_complete_and_documented(folders: Folders, publish_model: Publish, tmp_path: Path):
    prefix = tmp_path / "Reviews EN"
    summary = publish_model(folders.good, prefix, run_id="run-7")
    latest = Published.read(str(prefix)).latest
    assert latest is not None and summary.metrics["accuracy"] == latest.metric and summary.metrics["published"] == 1.0
    version = prefix / latest.version
    assert exists(str(version))
    assert AutoModelForSequenceClassification.from_pretrained(version).config.num_labels == 2
    card = ModelCard.load(version / "README.md")
    assert (card.data.pipeline_tag, card.data.base_model) == ("text-classification", "someone/bert-reviews")
    figures = {result.dataset_split: (result.metric_type, result.metric_value) for result in card.data.eval_results}
    assert latest.test_metric is not None and summary.metrics["test_accuracy"] == latest.test_metric
    assert figures == {
        "validation": ("accuracy", round(latest.metric, 6)),
        "test": ("accuracy", round(latest.test_metric, 6)),
    }
    assert f"{latest.test_metric:.4f} on the test split ({latest.metric:.4f} on validation)" in card.text
    assert re.search(r"A text classifier for \S+ \(negative, positive\), distilled from", card.text)
    assert "| student | torch FP32 | 0.8960 | 0.8802 | 69.0 MB |" in card.text
    assert "was used to choose the checkpoint and this version; test (40 rows) was used for no choice." in card.text
    assert "It predicts 'negative' for every row of test." in card.text
    assert "On Example CPU, the benchmark recommends INT8 in onnxruntime instead of this model." in card.text
    assert latest.model_fingerprint in card.text and "temperature=2.0" in card.text
    provenance = json.loads((version / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["run_id"] == "run-7"
    assert [stage["component"] for stage in provenance["stages"]] == ["data_prep", "teacher_check", "distillation"]
    assert (version / "report.html").read_text(encoding="utf-8") == "<html>report</html>"
    service = yaml.safe_load((version / "inference-service.yaml").read_text(encoding="utf-8"))
    model = service["spec"]["predictor"]["model"]
    assert service["metadata"]["name"] == "reviews-en"
    assert model["modelFormat"]["name"] == "huggingface" and model["storageUri"] == version.as_uri()
    assert answers(version, "a good film", "a bad film") == [["positive", "a good film"], ["negative", "a bad film"]]
    assert "temperature" not in (version / "load.py").read_text(encoding="utf-8")


def test_a_published_int8_model_is_loaded_and_served_from_its_files(
    folders: Folders, publish_model: Publish, tmp_path: Path
):
    publish_model(folders.int8, tmp_path / "reviews", version="1.0", student=folders.good)
    version = tmp_path / "reviews" / "1.0"
    assert "compaware" not in (version / "load.py").read_text(encoding="utf-8")
    texts = ["a good film", "a bad film"]
    inputs = load_tokenizer(version)(texts, padding=True, return_tensors="np")
    session = onnxruntime.InferenceSession(version / "model_quantized.onnx")
    (logits,) = session.run(None, {item.name: inputs[item.name].astype("int64") for item in session.get_inputs()})
    printed = [[label, float(probability), text] for label, probability, text in answers(version, *texts)]
    # The model's temperature is 2.
    probabilities = softmax(logits / 2, axis=1).max(axis=1)
    assert [row[::2] for row in printed] == [["positive", "a good film"], ["negative", "a bad film"]]
    assert [row[1] for row in printed] == pytest.approx(probabilities, abs=6e-5)
    assert "calibrated by a temperature of 2.000" in (version / "README.md").read_text(encoding="utf-8")
    service = yaml.safe_load((version / "inference-service.yaml").read_text(encoding="utf-8"))
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == "kserve-openvino" and model["storageUri"] == f"{version.as_uri()}/serving"
    served = {file.name for file in (version / "serving" / "1").iterdir()}
    assert served == {"openvino_model.xml", "openvino_model.bin"}
    with pytest.raises(UserError, match=r"version 1\.0 already exists at .*"):
        publish_model(folders.good, tmp_path / "reviews", version="1.0")


def test_the_script_of_calibrated_multi_label_data_prints_each_label_with_its_probability(
    capsys: pytest.CaptureFixture[str],
):
    manifest = SimpleNamespace(problem_type="multi_label_classification")
    values = {"manifest": manifest, "temperature": 2.0, "max_length_tokens": 9, "is_pair": False, "onnx_file": None}
    script = render("load.py.j2", "publish", **values)
    config = SimpleNamespace(id2label={0: "praise", 1: "blame"}, calibration_temperature=2.0)
    logits = np.array([[2.0, -1.0], [4.0, 1.0], [-1.0, -1.0]])
    exec(script[script.index("labels =") :], {"np": np, "config": config, "logits": logits, "texts": ["a", "b", "c"]})
    assert capsys.readouterr().out == "praise 0.7311\ta\npraise 0.8808\tblame 0.6225\tb\nc\n"


def test_a_worse_model_is_refused_in_one_line_and_an_equal_one_is_published(
    folders: Folders, publish_model: Publish, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    prefix = str(tmp_path / "reviews")
    publish_model(folders.good, prefix)
    first = Published.read(prefix).latest
    refused = publish_model(folders.bad, prefix)
    assert refused.metrics["published"] == 0.0 and refused.metrics["earlier_accuracy"] > refused.metrics["accuracy"]
    assert Published.read(prefix).latest == first
    (line,) = [text for text in caplog.messages if text.startswith("not published")]
    assert first is not None and first.version in line and "where 0.0050 is allowed" in line
    # A second attempt evaluates nothing and adds no entry.
    assert "nothing changed since" in publish_model(folders.bad, prefix).facts["words"]
    assert len(Published.read(prefix).history) == 2
    assert publish_model(folders.as_good, prefix).metrics["published"] == 1.0
    again = publish_model(folders.as_good, prefix)
    latest = Published.read(prefix).latest
    assert latest is not None and again.metrics["published"] == 0.0
    assert f"nothing changed since {latest.version}" in again.facts["words"]
    history = Published.read(prefix).history
    assert [item.published for item in history] == [True, False, True]
    assert latest == history[-1] and latest.earlier_version == first.version and latest.changed == []
    page = (tmp_path / "record-4" / "history.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 4 and "<svg" in page and first.version in page


def test_after_a_run_that_was_killed_before_it_wrote_latest_json_there_is_one_version(
    folders: Folders, publish_model: Publish, tmp_path: Path
):
    prefix = tmp_path / "reviews"
    publish_model(folders.good, prefix)
    (prefix / "latest.json").unlink()
    half = prefix / ".20200101T000000Z-00000000.copy"
    half.mkdir()
    os.utime(half, (0, 0))
    publish_model(folders.good, prefix)
    (only,) = Published.read(str(prefix)).history
    assert Published.read(str(prefix)).latest == only
    assert {path.name for path in prefix.iterdir() if path.is_dir()} == {only.version}


def test_a_run_compares_again_if_another_run_has_published_since_it_began(
    folders: Folders, publish_model: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    prefix = str(tmp_path / "reviews")
    decide, others = publish._decide, [folders.good]

    def decide_while_another_run_publishes(*arguments: Any) -> Entry:
        entry = decide(*arguments)
        if others:
            publish_model(others.pop(), prefix)
        return entry

    monkeypatch.setattr(publish, "_decide", decide_while_another_run_publishes)
    summary = publish_model(folders.bad, prefix)
    published = Published.read(prefix)
    assert summary.metrics["published"] == 0.0 and published.latest is not None
    assert published.latest.metric == summary.metrics["earlier_accuracy"] > summary.metrics["accuracy"]
    assert [item.published for item in published.history] == [True, False]


def test_a_model_for_other_labels_is_not_compared(folders: Folders, publish_model: Publish, tmp_path: Path):
    publish_model(folders.good, tmp_path / "reviews")
    other = make_dataset(tmp_path / "other", label_names=("ham", "spam"))
    with pytest.raises(UserError, match="has the labels negative, positive, but the data has ham, spam"):
        publish_model(folders.as_good, tmp_path / "reviews", dataset=other.path)


def test_without_a_prefix_nothing_is_published(folders: Folders, publish_model: Publish, tmp_path: Path):
    assert publish_model(folders.good, "").metrics == {"published": 0.0}
    assert "nothing is published" in (tmp_path / "record-0" / "history.md").read_text(encoding="utf-8")


def test_a_version_is_registered_once_and_its_artifact_updated(
    folders: Folders, publish_model: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # As from a file.
    monkeypatch.setenv("MODEL_REGISTRY_TOKEN", "of-the-test\n")
    with running_registry(token="of-the-test") as registry:
        monkeypatch.setenv("MODEL_REGISTRY_URL", registry.address)
        publish_model(folders.good, tmp_path / "reviews", run_id="run-7")
        publish_model(folders.good, tmp_path / "reviews", run_id="run-8")
        latest = Published.read(str(tmp_path / "reviews")).latest
        assert latest is not None
        assert [model["name"] for model in registry.models] == ["reviews"]
        (version,) = registry.versions
        assert version["name"] == latest.version
        assert version["customProperties"]["accuracy"]["double_value"] == latest.metric
        (artifact,) = registry.artifacts
        assert artifact["uri"] == (tmp_path / "reviews" / latest.version).as_uri()
        # The second run found the version published; it keeps the run that made it.
        assert (artifact["modelSourceKind"], artifact["modelSourceId"]) == ("kfp", "run-7")
        assert registry.updates == 1
        monkeypatch.setenv("MODEL_REGISTRY_TOKEN", "expired")
        with pytest.raises(UserError, match="401"):
            publish_model(folders.good, tmp_path / "reviews")
    with pytest.raises(UnavailableError, match="does not respond"):
        publish_model(folders.good, tmp_path / "reviews")


def test_two_runs_that_register_at_once_do_not_fail(
    folders: Folders, publish_model: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with running_registry() as registry:
        monkeypatch.setenv("MODEL_REGISTRY_URL", registry.address)
        publish_model(folders.good, tmp_path / "reviews")
        registry.unseen = {"model", "model version", "model artifact"}
        publish_model(folders.good, tmp_path / "reviews")
        assert (len(registry.models), len(registry.versions), len(registry.artifacts)) == (1, 1, 1)


def test_a_registry_that_answers_with_a_page_is_one_line(
    folders: Folders, publish_model: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = "/api/model_registry/v1alpha3/registered_model"
    with answering({path: (200, "<html>login</html>")}) as server:
        monkeypatch.setenv("MODEL_REGISTRY_URL", server.address)
        with pytest.raises(UserError, match="did not answer with JSON"):
            publish_model(folders.good, tmp_path / "reviews")


def test_the_stand_in_answers_as_the_real_registry_did():
    """recorded_registry.json has answers of Model Registry 0.3.8, without the times."""
    recorded = json.loads((Path(__file__).parent / "recorded_registry.json").read_text(encoding="utf-8"))
    with running_registry() as registry:
        api = f"{registry.address}/api/model_registry/v1alpha3"
        for path, body in recorded["created"]:
            assert urllib3.request("POST", f"{api}/{path}", json=body).status == 201
        for step in recorded["answers"]:
            response = urllib3.request(step["method"], f"{registry.address}{step['path']}", json=step.get("body"))
            assert (response.status, response.json()) == (step["status"], step["answer"])


def test_scores_on_test_are_reported_and_decide_nothing(folders: Folders, publish_model: Publish, tmp_path: Path):
    """A model that is wrong on validation is refused, even if it is the only one that is right on test."""
    turned = with_test_labels_reversed(folders.dataset, tmp_path / "turned")
    entries = {}
    for name, data in (("usual", folders.dataset), ("turned", turned)):
        for model in (folders.good, folders.bad, folders.as_good):
            publish_model(model, tmp_path / name, dataset=data.path)
        entries[name] = Published.read(str(tmp_path / name)).history
    for one, other in zip(entries["usual"], entries["turned"], strict=True):
        assert (one.published, one.metric, one.earlier_metric) == (other.published, other.metric, other.earlier_metric)
        assert one.test_metric is not None and other.test_metric is not None
        assert one.test_metric + other.test_metric == pytest.approx(1)
    assert [entry.published for entry in entries["turned"]] == [True, False, True]
    refused = entries["turned"][1]
    assert refused.test_metric > 0.9 > refused.earlier_test_metric
    assert (
        f"(on the 40 test rows {refused.test_metric:.4f} against {refused.earlier_test_metric:.4f}, between"
        in refused.reason
    )
    # Both are compared row by row, on validation and on test.
    assert refused.difference.value == pytest.approx(refused.metric - refused.earlier_metric)
    assert refused.difference.high < 0 < refused.test_difference.low
    assert "points worse; the baseline is" in refused.reason and refused.reason.endswith("points better)")
    assert entries["turned"][0].difference is None
