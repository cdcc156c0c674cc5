"""The `compaware` command reports mistakes in one line before anything runs."""

import io
import json
from pathlib import Path

import pytest
import yaml

from compaware.components import images
from compaware.components.core.base.errors import UserError
from compaware.components.core.data.tasks import TASKS
from compaware.pipelines.client import catalog, local
from compaware.pipelines.client.containers import docker_runner, train_in_place
from compaware.pipelines.client.forms import Form
from compaware.pipelines.client.main import main
from compaware.pipelines.client.validation import load_arguments
from compaware.pipelines.client.view import RunView, Stage

ROOT = Path(__file__).parents[2]


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("tempature=2", "unknown key 'tempature': did you mean 'temperature'?"),
        ("job_options={node_selectr: {}}", "unknown key 'job_options.node_selectr': did you mean 'job_options.node"),
        ("temperature=-1", "'temperature' is -1: input should be greater than 0"),
        ("qat_epochs=many", "'qat_epochs' is \"many\": input should be a valid number"),
        ("student_layers=[a]", "'student_layers.0' is \"a\""),
        ("student_layers=[]", "'student_layers' is []: it must name different layers of the teacher"),
        ("student_layers=[1, -1]", "it must name different layers of the teacher; 0 is the first"),
        ("student_layers=[0, 4]", "student_layers [0, 4]: the teacher has 4 layers, 0 to 3"),
        ("training_arguments={weigth_decay: 1}", "unknown key 'weigth_decay': did you mean 'weight_decay'?"),
        ("quantization_mode=fast", "input should be 'auto', 'ptq' or 'qat'"),
        ("student_config={model_type: bert}", "give exactly one of student, student_layers and student_config"),
        ("student_options.epcohs=2", "unknown key 'student_options.epcohs': did you mean 'student_options.epochs'?"),
        ("training_options.alpa=2", "unknown key 'training_options.alpa': did you mean 'training_options.alpha'?"),
        ("job.num_node=2", "unknown key 'job.num_node': did you mean 'job.num_nodes'?"),
        ("student_options.student_epochs=2", "did you mean 'student_epochs'?"),
        ("student_options=fast", "'student_options' is \"fast\": input should be a mapping of keys to values"),
        ("benchmark_batch_sizes=8", "'benchmark_batch_sizes' is 8: input should be a list"),
        ("benchmark_candidates=[{rol: a}]", "did you mean 'benchmark_candidates.0.role'?"),
        ("student_layer_map={a: 1}", "'student_layer_map.a' is \"a\""),
        ("task=custom", "task=custom needs data"),
        ("fine_tune_teacher_if_needed=false", "set fine_tune_teacher_if_needed=true"),
        ("card_tokenizer=./nowhere", "'card_tokenizer' is ./nowhere: there is no such file or folder"),
        ("benchmark_batch_sizes=[0]", "'benchmark_batch_sizes.0' is 0"),
    ],
)
def test_a_bad_value_is_named_before_anything_runs(word, expected, capsys, tmp_path):
    output, config = tmp_path / "output", tmp_path / "config.yaml"
    config.write_text("student_layers: [0, 3]\nstudent_epochs: 2\n", encoding="utf-8")
    code, out, err = ask(
        capsys, "run", "distillation_then_quantization", "--config", str(config), "--output", str(output), word
    )
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert expected in err
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("validate", "distilation"), "unknown pipeline 'distilation': did you mean 'distillation'?"),
        (("validate", "distillation", "--config", "no.yaml"), "cannot read the config file no.yaml"),
        (("validate", "distillation", "teacher"), "expected key=value, got 'teacher'"),
        (
            ("validate", "sparsity_aware_training", "teacher=t", "sparsity_pattern=2:3:4"),
            "2:3:4",
        ),
    ],
)
def test_other_mistakes_give_one_line(words, expected, capsys):
    code, _, err = ask(capsys, *words)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert expected in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "Missing command"),
        (("schedule",), "Missing command"),
        (("rnu",), "No such command 'rnu'"),
        (("run",), "Missing argument 'PIPELINE'"),
        (("run", "distillation", "--runer", "docker"), "No such option '--runer'. Did you mean '--runner'?"),
        (("run", "distillation", "--runner", "podman"), "'podman' is not one of 'process', 'docker'"),
        (("schedule", "set", "distillation", "--name", "n"), "give exactly one of --cron and --every"),
        (("schedule", "set", "distillation", "--name", "n", "--cron", "c", "--every", "1d"), "give exactly one of"),
    ],
)
def test_a_wrong_option_is_one_line_too(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ask(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and expected in err and err.count("\n") == 1


def test_parameters_may_stand_before_and_after_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("teacher: t\nalpha: 2", encoding="utf-8")
    words = ("validate", "distillation", "student_layers=[0]", "--config", str(file), "alpha=0.5")
    assert ask(capsys, *words)[0] == 0


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ask(capsys, "-h")
    assert code == 0
    for command in ("run", "validate", "submit", "status", "logs", "report", "schedule", "list", "compile", "docs"):
        assert f"\n  {command} " in out


def test_a_text_parameter_is_not_read_as_a_number(capsys):
    code, out, _ = ask(capsys, "validate", "sparsity_aware_training", "teacher=t", "sparsity_pattern=2:4")
    assert (code, out) == (0, "the configuration is valid\n")


def test_flat_names_and_mappings_say_the_same(tmp_path):
    spec = catalog.spec("distillation_then_quantization")
    flat = [
        "qat_epochs=1",
        "student_epochs=2",
        "temperature=3",
        "max_train_rows=9",
        "cpu_per_node=2",
        "calibration_rows=8",
    ]
    nested = {
        "quantization_options": {"epochs": 1, "calibration_rows": 8},
        "student_options": {"epochs": 2},
        "training_options": {"temperature": 3},
        "data_options": {"max_train_rows": 9},
        "job": {"cpu_per_node": "2"},
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(nested), encoding="utf-8")
    assert load_arguments(spec, None, flat) == load_arguments(spec, file, []) == nested
    assert load_arguments(spec, file, ["student_options.epochs=2", *flat]) == nested
    assert load_arguments(spec, None, ["student_epochs=null", "job_options={num_nodes: 1}"]) == {
        "job": {"num_nodes": 1}
    }


@pytest.mark.parametrize("pipeline", catalog.names())
def test_names_that_configs_had_before_there_were_mappings_are_still_known(pipeline):
    form = Form.of(catalog.spec(pipeline))
    known = {*form.kinds, *form.flat}
    trainings = {"batch_size", "max_length_tokens", "seed", "precision", "training_arguments", "launcher", "num_nodes"}
    trainings |= {"processes_per_node", "cpu_per_node", "memory_per_node", "queue_name", "timeout_hours"}
    data = {"task", "data", "hub_config", "hub_revision", "read_options", "text_columns", "label_column", "label_names"}
    data |= {"problem_type", "max_train_rows", "max_validation_rows", "max_test_rows", "validation_fraction"}
    data |= {"keep_duplicates", "card_tokenizer", "alpha"}
    teacher = {"teacher", "teacher_config", "teacher_tokenizer", "teacher_label_order", "min_teacher_score"}
    teacher |= {"fine_tune_teacher_if_needed", "teacher_epochs", "teacher_learning_rate"}
    measuring = {f"benchmark_{key}" for key in ("batch_sizes", "rounds", "time_budget_s", "threads", "padded")}
    student = {"student_epochs", "student_learning_rate"}
    whole = student | {"student", "student_layers", "student_config", "student_tokenizer", "frozen_layers"}
    whole |= {"hidden_weight", "attention_weight", "layer_map"}
    int8 = {"quantization_mode", "max_metric_loss", "calibration_rows", "qat_epochs", "qat_learning_rate"}
    sparse = {f"sparsity_{key}" for key in ("pattern", "score", "scope", "epochs", "learning_rate")}
    published = {"temperature", "publish_uri", "max_loss_to_published_points"}
    gated = published | int8 | {"max_relative_metric_loss", "on_accuracy_loss"}
    own = {
        "distillation": whole | published,
        "distillation_then_quantization": whole | gated,
        "quantization_aware_training": gated,
        "sparsity_aware_training": published
        | sparse
        | {"student", "target_sparsity", "dense_modules", "pruning_begin_fraction", "pruning_end_fraction"},
        "compression_sweep": student
        | int8
        | sparse
        | {
            "students",
            "temperatures",
            "target_sparsities",
            "precisions",
            "max_latency_ms",
            "max_size_mb",
            "min_accuracy",
        },
    }
    assert (trainings | data | teacher | measuring | own[pipeline]) - known == set()


@pytest.mark.parametrize("pipeline", catalog.names())
def test_only_the_sample_needs_neither_teacher_nor_student(pipeline, capsys, tmp_path):
    assert load_arguments(catalog.spec(pipeline), None, []) == {}
    missing = "give exactly one of teacher and teacher_config"
    for words in (("task=sst2",), (f"data={tmp_path}",)):
        code, _, err = ask(capsys, "validate", pipeline, *words)
        assert code == 2 and (missing in err or "'students' is missing" in err)
    students = {"distillation", "distillation_then_quantization"}
    code, _, err = ask(capsys, "validate", pipeline, "task=sst2", "teacher=t")
    assert (code == 2 and "student" in err) is (pipeline in students or pipeline == "compression_sweep")


@pytest.mark.parametrize("pipeline", catalog.names())
def test_the_configs_that_come_with_a_pipeline_are_valid(pipeline, capsys, tmp_path):
    files = sorted((catalog.folder(pipeline) / "configs").glob("*.yaml"))
    assert "sample" in [file.stem for file in files]
    for file in files:
        # Paths to files of the user.
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
        own = [f"{key}={tmp_path}" for key in ("data", "teacher") if str(given.get(key, "")).startswith("./")]
        code, _, err = ask(capsys, "validate", pipeline, "--config", str(file), *own)
        assert code == 0, f"{file}: {err}"


def test_every_task_has_a_config_with_a_distinct_first_line():
    files = (catalog.folder("distillation_then_quantization") / "configs").glob("*.yaml")
    texts = {file.stem: file.read_text(encoding="utf-8") for file in files}
    assert {yaml.safe_load(text)["task"] for text in texts.values()} == {*TASKS, "custom"}
    first_lines = {text.partition("\n")[0] for text in texts.values()}
    assert len(first_lines) == len(texts) and all(line.startswith("# ") for line in first_lines)


def test_json_configs_load(capsys, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"teacher": "t", "student_layers": [0]}), encoding="utf-8")
    assert ask(capsys, "validate", "distillation", "--config", str(file))[0] == 0


def test_an_output_folder_with_other_files_is_refused(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, err = ask(capsys, "run", "distillation", "teacher=t", "student_layers=[0]", "--output", str(tmp_path))
    assert code == 2
    assert "is not empty and holds no run of distillation" in err
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_an_output_must_not_be_a_uri_and_may_start_with_the_home_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run = ("run", "distillation", "teacher=t", "student_layers=[0]", "--output")
    for uri, says in (("s3://bucket/run", "is a URI: choose a local folder"), ("gs://bucket/run", "gs://")):
        code, _, err = ask(capsys, *run, uri)
        assert (code, err.startswith("error: "), says in err) == (2, True, True), err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "home/run").mkdir(parents=True)
    (tmp_path / "home/run/notes.txt").touch()
    (tmp_path / "home/my.yaml").write_text("seed: 7", encoding="utf-8")
    code, _, err = ask(capsys, *run, "~/run", "--config", "~/my.yaml")
    assert f"{tmp_path}/home/run is not empty and holds no run" in err


def test_a_run_of_another_pipeline_is_not_mixed_in(tmp_path):
    local.prepare_output(tmp_path / "output", "distillation", {})
    with pytest.raises(UserError, match="holds no run of sparsity_aware_training"):
        local.prepare_output(tmp_path / "output", "sparsity_aware_training", {})


def test_finished_stages_are_not_reused_after_a_local_input_changed(tmp_path):
    data, output = tmp_path / "data.csv", tmp_path / "output"
    data.write_text("text,label\na,0\n", encoding="utf-8")
    local.prepare_output(output, "distillation", {"data": str(data)})
    cached = output / "cache" / "entry.json"
    cached.parent.mkdir()
    cached.write_text("{}", encoding="utf-8")
    local.prepare_output(output, "distillation", {"data": str(data)})
    assert cached.exists()
    data.write_text("text,label\nother,0\n", encoding="utf-8")
    local.prepare_output(output, "distillation", {"data": str(data)})
    assert not cached.exists()


def test_the_path_to_publish_to_may_be_missing_but_must_be_valid(capsys, tmp_path):
    words = ("validate", "distillation", "teacher=t", "student_layers=[0]")
    code, _, err = ask(capsys, *words, f"publish_uri={tmp_path}/not-there-yet")
    assert code == 0, err
    code, _, err = ask(capsys, *words, "publish_uri=ftp://host/models")
    assert code == 2 and "cannot use a URI that begins with ftp://" in err


def test_a_published_model_does_not_count_as_a_changed_input(tmp_path):
    prefix, output = tmp_path / "published", tmp_path / "output"
    cached = output / "cache" / "entry.json"
    for text in ("{}", "{ }"):
        local.prepare_output(output, "distillation", {"publish_uri": str(prefix)})
        cached.parent.mkdir(exist_ok=True)
        cached.write_text("{}", encoding="utf-8")
        prefix.mkdir(exist_ok=True)
        (prefix / "latest.json").write_text(text, encoding="utf-8")
    local.prepare_output(output, "distillation", {"publish_uri": str(prefix)})
    assert cached.exists()


def test_list_names_pipelines_and_their_parameters(capsys):
    code, out, _ = ask(capsys, "list")
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == catalog.names()
    code, out, _ = ask(capsys, "list", "distillation")
    assert "training_options.temperature [2.0]: " in out and "seed [42]: " in out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


KFP_OUTPUT = """\
10:00:00.000 - INFO - Running pipeline: \x1b[95m'distillation'\x1b[0m
----------
10:00:00.001 - INFO - Executing task \x1b[96m'data-prep'\x1b[0m
10:00:00.002 - INFO - Streamed logs:

    [KFP Executor 2026-01-01 10:00:00,003 INFO]: Got executor_input:
    {
        "inputs": {
        }
    }
    10:00:01 INFO    progress: step 1/9, loss 0.5, 10 samples/s, 0:00:08 left
    10:00:02 INFO    train_rows = 64
    10:00:02 ERROR   odd
    error: no such column

10:00:03.000 - ERROR - Task \x1b[96m'data-prep'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m
"""


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_log_file_has_plain_lines(step):
    shown, log = io.StringIO(), io.StringIO()
    view = RunView(shown, log, stage_count=4)
    for start in range(0, len(KFP_OUTPUT), step):
        view.write(KFP_OUTPUT[start : start + step])
    assert shown.getvalue().splitlines() == [
        "[1/4] data_prep",
        "  progress: step 1/9, loss 0.5, 10 samples/s, 0:00:08 left",
        "  train_rows = 64",
        "  10:00:02 ERROR   odd",
    ]
    (stage,) = view.stages
    assert (stage.failed, stage.reason) == (True, "no such column")
    assert "Got executor_input" in log.getvalue()


def test_a_terminal_shows_one_progress_line_that_is_rewritten():
    shown = Terminal()
    RunView(shown, io.StringIO(), stage_count=4).write(KFP_OUTPUT)
    lines = shown.getvalue().split("\n")
    assert lines[1].startswith("\r\x1b[2K[1/4] data_prep step 1/9, loss 0.5, 10 samples/s, 0:00:08 left\r\x1b[2K")
    assert lines[1].endswith("  train_rows = 64")


def test_a_stage_without_its_outputs_has_failed(tmp_path):
    for name in ("dataset", "metrics", "card_html", "card_markdown"):
        (tmp_path / "artifacts/run/data-prep" / name).mkdir(parents=True)
    stages = [Stage("data_prep"), Stage("teacher_check"), Stage("distillation", failed=True, reason="no such folder")]
    left, nothing = local.up_to_failure(tmp_path, stages, catalog.spec("distillation"))
    assert not left.failed
    assert nothing.failed and nothing.reason.startswith("it wrote no ")


def test_a_path_may_start_with_the_home_folder(monkeypatch, tmp_path):
    (tmp_path / "films").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["data=~/films", "label_column=label", "teacher=t", "student=s"]
    assert load_arguments(catalog.spec("distillation"), None, words)["data"] == str(tmp_path / "films")


def test_missing_docker_is_reported_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(UserError, match=r"^Docker does not answer .*DOCKER_HOST$"):
        docker_runner({}, tmp_path)


def test_containers_have_the_stores_variables_and_the_files_that_these_name(monkeypatch, tmp_path):
    monkeypatch.setattr("compaware.pipelines.client.containers._check_images", lambda: None)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "ca.pem").touch()
    given = {"MINIO_ENDPOINT": "http://store", "COMPAWARE_STORES": "s3: {}", "https_proxy": "http://proxy:3128"}
    for name, value in (given | {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "AWS_CA_BUNDLE": "/no/such"}).items():
        monkeypatch.setenv(name, value)
    options = docker_runner({}, tmp_path / "work").container_run_args
    assert options["environment"].items() >= (given | {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}).items()
    assert "AWS_CA_BUNDLE" not in options["environment"]
    mounted = {mount["Target"]: mount["ReadOnly"] for mount in options["mounts"]}
    assert mounted[str(tmp_path / "ca.pem")] is True


def test_containers_train_in_the_training_image():
    spec = train_in_place(catalog.spec("distillation_then_quantization"))
    used = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert images.TRAINER in used and images.LAUNCHER not in used
