"""A pipeline's arguments reach the components, here and through Kubeflow; those that cannot are refused at once."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format, struct_pb2
from hypothesis import given, settings
from kfp.compiler import pipeline_spec_builder

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import load_config, read_values, validate
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.launch.job import Job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.run import _job_options, _without_none, whole_numbers
from compaware.pipelines.client import catalog, local
from compaware.pipelines.client.main import main
from compaware.pipelines.client.validation import load_arguments
from tests.components.core.base.test_values import NAMES, TEXTS

SPEC = catalog.spec("distillation")
NEEDED = ["teacher=owner/teacher", "student_layers=[0]"]
DATA = ["data=owner/data", *NEEDED]


def through_kfp(arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns what a component receives: KFP passes parameters as protobuf JSON, whose numbers are floats."""
    struct = json_format.ParseDict(json.loads(json.dumps(arguments)), struct_pb2.Struct())
    return json.loads(json_format.MessageToJson(struct), parse_int=float)


def in_a_pod(config: dict[str, Any]) -> str:
    """Returns the variable with a training's configuration as Kubernetes expands it for the container."""
    manifest = PYTORCHJOB.manifest(Job("j", "data_prep", config, JobOptions(launcher="pytorchjob")))
    container = manifest["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]
    value = next(variable["value"] for variable in container["env"] if variable["name"] == "COMPAWARE_CONFIG")
    known = {"HOME": "/work"}
    return re.sub(r"\$(\$|\((\w+)\))", lambda match: "$" if match[1] == "$" else known.get(match[2], match[0]), value)


def at_the_component(arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> DataPrepConfig:
    names = ("data", "label_column", "seed")
    config = _without_none({name: value for name, value in arguments.items() if name in names})
    config["options"] = whole_numbers(arguments["data_options"])
    with monkeypatch.context() as pod:
        pod.setenv("COMPAWARE_CONFIG", in_a_pod({"output": "o", **config}))
        return validate(DataPrepConfig, read_values(DataPrepConfig, None, [], DataPrepConfig.merged))


@settings(deadline=None, max_examples=40)
@given(text=TEXTS | NAMES)
def test_a_text_argument_reaches_the_component_unchanged(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "arguments.yaml"
    values = {"hub_revision": text, "label_column": text, "label_names": [text, f"{text}2"]}
    words = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    ways = [(file, DATA)] if text == "null" else [(None, [*DATA, *words]), (file, DATA)]
    for config, given_words in ways:
        arguments = load_arguments(SPEC, config, given_words)
        with pytest.MonkeyPatch.context() as monkeypatch:
            received = at_the_component(through_kfp(arguments), monkeypatch)
        assert received.model_dump(include=set(values)) == values


def test_numbers_stay_numbers_and_names_stay_names(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["label_names=[0, 1.0]", "seed=1_000", "max_train_rows=5e3", "cpu_per_node=2", "sparsity_pattern=2:4"]
    arguments = load_arguments(catalog.spec("sparsity_aware_training"), None, ["data=o/d", "teacher=o/t", *words])
    assert arguments["job"] == {"cpu_per_node": "2"} and arguments["sparsity_options"] == {"pattern": "2:4"}
    received = at_the_component(through_kfp(arguments), monkeypatch)
    assert (received.label_names, received.seed, received.max_train_rows) == (["0", "1.0"], 1000, 5000)


@pytest.mark.parametrize(
    ("word", "mapping", "options"),
    [
        ("student_options.epochs=3", "student_options", {"epochs": 3, "learning_rate": 1e-4}),
        ("student_options={epochs: 3}", "student_options", {"epochs": 3}),
        ("student_learning_rate=1e-3", "student_options", {"epochs": 2, "learning_rate": 1e-3}),
        ("student_learning_rate=null", "student_options", {"epochs": 2}),
        ("job_options={image: b}", "job", {"num_nodes": 2, "image": "b"}),
        ("image=b", "job", {"num_nodes": 2, "image": "b"}),
        (
            "training_options.training_arguments.warmup_steps=4",
            "training_options",
            {"training_arguments": {"weight_decay": 0.1, "warmup_steps": 4}},
        ),
    ],
)
def test_a_word_overrides_the_files_other_name_for_the_same_key(
    word: str, mapping: str, options: dict[str, Any], tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    lines = ["student_epochs: 2", "student_options: {learning_rate: 1.0e-4}", "job: {num_nodes: 2, image: a}"]
    config.write_text("\n".join([*lines, "training_arguments: {weight_decay: 0.1}"]), encoding="utf-8")
    assert load_arguments(SPEC, config, [*DATA, word])[mapping] == options


def test_a_word_overrides_a_file_with_an_empty_mapping(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("student_epochs: 2\nstudent_options:\n", encoding="utf-8")
    assert load_arguments(SPEC, config, [*DATA, "student_options.epochs=3"])["student_options"] == {"epochs": 3}


def test_a_file_that_gives_a_key_twice_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("student_epochs: 2\nstudent_options: {epochs: 7}", encoding="utf-8")
    with pytest.raises(UserError, match=r"'student_options\.epochs' and 'student_epochs' differ"):
        load_arguments(SPEC, config, DATA)


def test_a_null_in_a_mapping_reaches_the_pod() -> None:
    arguments = load_arguments(SPEC, None, [*DATA, "job_options={run_as_user: null}"], local=False)
    assert arguments["job"] == {"run_as_user": None}
    sent = through_kfp(arguments)["job"]
    options = _job_options({"launcher": "pytorchjob", "num_nodes": None, **sent})
    manifest = PYTORCHJOB.manifest(Job("j", "distillation", {}, options))
    security = manifest["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["securityContext"]
    assert not {"runAsUser", "fsGroup", "fsGroupChangePolicy"} & set(security) and security["runAsNonRoot"]


def test_a_null_in_a_mapping_is_accepted_by_a_local_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_spec_builder, "to_protobuf_value", pipeline_spec_builder.to_protobuf_value)
    local._allow_nulls()
    value = pipeline_spec_builder.to_protobuf_value({"a": None, "b": [None, 1]})
    assert json_format.MessageToDict(value) == {"a": None, "b": [None, 1]}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("data=./reviews.csv", "'data' is ./reviews.csv, a local path"),
        ("data=../reviews", "a local path"),
        ("data=~/reviews", "a local path"),
        ("data=~", "a local path"),
        ("data=.", "a local path"),
        ("data=reviews/2030/train", "a local path"),
        ("data=train.csv", "a local path"),
        ("data=mine", "rename the local path if you mean the hub id"),
        ("data=file:///reviews", "a local path"),
        ("data=C:\\reviews", "a local path"),
        ("teacher={here}", "a local path"),
        ("teacher_tokenizer=./t", "'teacher_tokenizer' is ./t, a local path"),
        ("publish_uri=/models", "'publish_uri' is /models, a local path, which would be lost with its pod: use s3://"),
        ("publish_uri=models/reviews", "which would be lost with its pod: use s3://"),
        ("label_column=$(HOME)", "which Kubernetes or Argo would expand"),
        ("label_names=[$$, $]", "'label_names.0' contains '$$'"),
        ("label_column='{{x}}'", "'label_column' contains '{{'"),
    ],
)
def test_a_local_path_is_not_submitted(word: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load_arguments(SPEC, None, [*DATA, word.replace("{here}", str(tmp_path))], local=False)
    assert says in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("word", ["data=train.csv", "data=reviews/2030/train", "data=file:///nowhere", "teacher=./t"])
def test_a_missing_path_is_reported_before_a_local_run(word: str) -> None:
    with pytest.raises(UserError, match="there is no such file or folder"):
        load_arguments(SPEC, None, [*DATA, word])


def test_a_local_path_in_a_sweeps_list_is_not_submitted(tmp_path: Path) -> None:
    words = ["data=o/d", "teacher=o/t", "students=[{student_layers: [0]}, {student: ./small}]"]
    with pytest.raises(UserError, match=r"'students\.1\.student' is \./small, a local path"):
        load_arguments(catalog.spec("compression_sweep"), None, words, local=False)
    with pytest.raises(UserError, match=r"'students\.1\.student' is \./small: there is no such"):
        load_arguments(catalog.spec("compression_sweep"), None, words)


@pytest.mark.parametrize(
    "word", ["data=s3://b/reviews", "teacher=owner/model-1.0", "teacher=bert", "teacher=/baked/into/the/image"]
)
def test_a_location_that_pods_may_see_is_submitted(word: str) -> None:
    key, _, value = word.partition("=")
    assert load_arguments(SPEC, None, [*DATA, word], local=False)[key] == value


def test_a_path_on_a_volume_of_the_pods_is_submitted(tmp_path: Path) -> None:
    words = [*DATA, f"teacher={tmp_path}/teacher", f"job_options={{volumes: {{models: {tmp_path}}}}}"]
    (tmp_path / "teacher").mkdir()
    assert load_arguments(SPEC, None, words, local=False)["teacher"] == f"{tmp_path}/teacher"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("gs://bucket/reviews", "endpoint=storage.googleapis.com"),
        ("S3://bucket/reviews", "write s3:// in lower case"),
        ("s3a://bucket/reviews", "write s3://"),
        ("s3://bucket", "is incomplete: write s3://BUCKET/KEY"),
        ("s3:/bucket/reviews", "two slashes"),
        ("hdfs://host/reviews", "choose a path or one of file://, s3://, minio://"),
        ("https://example.com/train.csv", "download it"),
        ("http://localhost:9001/browser/bucket/reviews", "a page of the store's console"),
        ("hf://datasets/owner/name", "write only the hub id"),
        ("s3://key:hunter2@bucket/reviews", "must not have credentials"),
        ("~nobody-of-that-name/reviews", "home folder of an unknown user"),
    ],
)
def test_pipelines_and_components_refuse_a_wrong_uri_with_the_same_message(
    uri: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = []
    for local_run in (True, False):
        with pytest.raises(UserError) as caught:
            load_arguments(SPEC, None, [*NEEDED, f"data={uri}"], local=local_run)
        messages.append(str(caught.value))
    with pytest.raises(UserError) as caught:
        load_config(DataPrepConfig, None, ["output=o", f"data={uri}"])
    messages.append(str(caught.value))
    assert len(set(messages)) == 1
    assert messages[0].startswith("'data': ") and says in messages[0]
    assert "hunter2" not in messages[0] and len(messages[0]) < 300


@pytest.mark.parametrize(
    "words",
    [["-m", "compaware.pipelines.client.main", "list", "distillation"], ["-m", "compaware.components.data_prep", "-h"]],
)
def test_a_closed_pipe_ends_quietly(words: list[str]) -> None:
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() in (0, 141)


def test_the_arguments_of_a_run_are_saved_as_a_config_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = "training_arguments={max_steps: null, optim_args: 1.5.2}"
    words = ["label_names=[no, 1e5, \U0001f600]", "label_column=#label", trained]
    arguments = load_arguments(SPEC, None, [*DATA, *words])
    local.prepare_output(tmp_path / "run", "distillation", arguments)
    assert load_arguments(SPEC, tmp_path / "run/config.yaml", []) == arguments
    with pytest.raises(SystemExit) as ended:
        main(["validate", "distillation", "--config", str(tmp_path / "run/config.yaml")])
    assert ended.value.code == 0
