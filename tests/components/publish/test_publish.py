"""Published versions are complete, documented, and not worse than the one before."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.publish.history_files import read_history, read_latest
from compaware.components.storage import exists
from tests.components.publish.conftest import Folders, Publish
from tests.components.publish.registry_server import running_registry
from tests.tiny import make_dataset


def answers(version: Path, *texts: str) -> list[str]:
    """Runs the published script in a process that cannot import this repository and returns its labels."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-I", str(version / "load.py"), *texts]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=version.parent, check=False)
    assert done.returncode == 0, done.stderr
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


def test_a_published_student_is_complete_and_documented(folders: Folders, publish_model: Publish, tmp_path: Path):
    prefix = tmp_path / "Reviews EN"
    summary = publish_model(folders.good, prefix, run_id="run-7")
    latest = read_latest(str(prefix), tmp_path)
    assert latest is not None and summary.metrics == {"published": 1.0, "accuracy": latest.metric}
    version = prefix / latest.version
    assert exists(str(version))
    assert AutoModelForSequenceClassification.from_pretrained(version).config.num_labels == 2
    card = ModelCard.load(version / "README.md")
    assert (card.data.pipeline_tag, card.data.base_model) == ("text-classification", "someone/bert-reviews")
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", round(latest.metric, 6))
    assert latest.model_fingerprint in card.text and "temperature=2.0" in card.text
    provenance = json.loads((version / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["run_id"] == "run-7"
    assert [stage["component"] for stage in provenance["stages"]] == ["data_prep", "teacher_check", "distillation"]
    assert (version / "report.html").read_text(encoding="utf-8") == "<html>report</html>"
    service = yaml.safe_load((version / "inference-service.yaml").read_text(encoding="utf-8"))
    model = service["spec"]["predictor"]["model"]
    assert service["metadata"]["name"] == "reviews-en"
    assert model["modelFormat"]["name"] == "huggingface" and model["storageUri"] == version.as_uri()
    assert answers(version, "a good film", "a bad film") == ["positive", "negative"]


def test_a_published_int8_model_is_loaded_and_served_from_its_files(
    folders: Folders, publish_model: Publish, tmp_path: Path
):
    publish_model(folders.int8, tmp_path / "reviews", version="1.0", student=folders.good)
    version = tmp_path / "reviews" / "1.0"
    assert "compaware" not in (version / "load.py").read_text(encoding="utf-8")
    assert answers(version, "a good film", "a bad film") == ["positive", "negative"]
    service = yaml.safe_load((version / "inference-service.yaml").read_text(encoding="utf-8"))
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == "kserve-openvino" and model["storageUri"] == f"{version.as_uri()}/serving"
    served = {file.name for file in (version / "serving" / "1").iterdir()}
    assert served == {"openvino_model.xml", "openvino_model.bin"}
    with pytest.raises(UserError, match=r"version 1\.0 already exists at .*"):
        publish_model(folders.good, tmp_path / "reviews", version="1.0")


def test_a_worse_model_is_refused_in_one_line_and_an_equal_one_is_published(
    folders: Folders, publish_model: Publish, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    prefix = str(tmp_path / "reviews")
    publish_model(folders.good, prefix)
    first = read_latest(prefix, tmp_path)
    refused = publish_model(folders.bad, prefix)
    assert refused.metrics["published"] == 0.0 and refused.metrics["earlier_accuracy"] > refused.metrics["accuracy"]
    assert read_latest(prefix, tmp_path) == first
    (line,) = [text for text in caplog.messages if text.startswith("not published")]
    assert first is not None and first.version in line and "where 0.0050 is allowed" in line
    # A second attempt evaluates nothing and adds no entry.
    assert "nothing changed since" in publish_model(folders.bad, prefix).facts["words"]
    assert len(read_history(prefix, tmp_path)) == 2
    assert publish_model(folders.as_good, prefix).metrics["published"] == 1.0
    again = publish_model(folders.as_good, prefix)
    latest = read_latest(prefix, tmp_path)
    assert latest is not None and again.metrics["published"] == 0.0
    assert f"nothing changed since {latest.version}" in again.facts["words"]
    history = read_history(prefix, tmp_path)
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
    publish_model(folders.good, prefix)
    (only,) = read_history(str(prefix), tmp_path)
    assert read_latest(str(prefix), tmp_path) == only
    assert {path.name for path in prefix.iterdir() if path.is_dir()} == {only.version}


def test_a_model_for_other_labels_is_not_compared(folders: Folders, publish_model: Publish, tmp_path: Path):
    publish_model(folders.good, tmp_path / "reviews")
    other = make_dataset(tmp_path / "other", label_names=("ham", "spam"))
    with pytest.raises(UserError, match="has the labels negative, positive, but the data has ham, spam"):
        publish_model(folders.as_good, tmp_path / "reviews", dataset=other.path)


def test_without_a_prefix_nothing_is_published(folders: Folders, publish_model: Publish, tmp_path: Path):
    assert publish_model(folders.good, "").metrics == {"published": 0.0}
    assert "nothing is published" in (tmp_path / "record-0" / "history.md").read_text(encoding="utf-8")


def test_a_version_is_registered_once(
    folders: Folders, publish_model: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with running_registry() as registry:
        monkeypatch.setenv("MODEL_REGISTRY_URL", registry.address)
        for _ in range(2):
            publish_model(folders.good, tmp_path / "reviews")
        latest = read_latest(str(tmp_path / "reviews"), tmp_path)
        assert latest is not None
        paths = [path for path, _ in registry.created]
        artifact = "model_versions/1/artifacts"
        assert paths == ["registered_models", "registered_models/1/versions", artifact, artifact]
        assert registry.models[0]["name"] == "reviews"
        (version,) = registry.versions
        assert version["name"] == latest.version
        assert version["customProperties"]["accuracy"]["double_value"] == latest.metric
        assert registry.created[-1][1]["uri"] == (tmp_path / "reviews" / latest.version).as_uri()
    with pytest.raises(UnavailableError, match="does not respond"):
        publish_model(folders.good, tmp_path / "reviews")
