"""The images, built and run: as their numeric user, without privileges, on a read-only root."""

import json
from collections.abc import Callable

import pytest

from tests.services.images.conftest import BASE_IMAGE, REGISTRY, Ended, Engine

# The first test of an image waits for its build.
pytestmark = pytest.mark.timeout(2400)
MEGABYTE = 1_000_000
SMALL_TEACHER = json.dumps(
    {
        "model_type": "bert",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
)


@pytest.mark.parametrize("name", ["launcher", "data", "trainer"])
def test_an_image_says_what_it_is_and_runs_as_a_numeric_user(engine: Engine, name: str):
    tag = engine.image(name)
    config = engine.inspect(tag)["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert config["User"] == "1000:1000"
    assert tag == f"{REGISTRY}/compaware/{name}:{labels['version']}"
    assert labels["title"] == f"compaware {name}" and len(labels["revision"]) >= 40


@pytest.mark.parametrize("name", ["launcher", "data", "trainer"])
def test_an_image_has_no_compiler_and_no_pip_in_its_environment(engine: Engine, name: str):
    seen = engine.run(name, "python", "-c", "import shutil as s; print(s.which('cc'), s.which('gcc'), s.which('g++'))")
    assert seen.stdout.split() == ["None"] * 3, seen.stderr
    assert "No module named pip" in engine.run(name, "python", "-m", "pip").stderr


def test_the_launcher_starts_without_torch_and_adds_little_to_its_base(engine: Engine):
    code = "import compaware.components.launch, importlib.util, kubernetes, os; print(os.getuid())"
    seen = engine.run("launcher", "python", "-c", f"{code}; assert not importlib.util.find_spec('torch')")
    assert (seen.returncode, seen.stdout) == (0, "1000\n"), seen.stderr
    # With the official base image, of 125 MB, that is less than 250 MB in all.
    added = engine.inspect(engine.image("launcher"))["Size"] - engine.inspect(BASE_IMAGE)["Size"]
    assert added < 120 * MEGABYTE


def test_a_mistake_of_the_user_ends_the_container_with_code_2_and_one_line(engine: Engine):
    seen = engine.run("data", "python", "-m", "compaware.components.data_prep", "task=smaple", "output=/work/data")
    assert seen.returncode == 2
    assert seen.stderr.startswith("error: ") and "smaple" in seen.stderr and seen.stderr.count("\n") == 1


def test_data_are_prepared_and_a_teacher_trained_on_a_read_only_root(in_volume: Callable[..., Ended]):
    data = ["task=sample", "max_train_rows=2400", "max_validation_rows=200", "output=/work/data"]
    prepared = in_volume("data", "python", "-m", "compaware.components.data_prep", *data)
    assert prepared.returncode == 0, prepared.stderr
    teacher = [f"teacher_config={SMALL_TEACHER}", "fine_tune_if_needed=true"]
    teacher += ["epochs=2", "learning_rate=3e-3", "batch_size=16"]
    folders = ["dataset=/work/data", "output=/work/teacher", "soft_labels_output=/work/soft_labels"]
    trained = in_volume("trainer", "python", "-m", "compaware.components.teacher_check", *teacher, *folders)
    assert trained.returncode == 0, trained.stderr
    code = "from transformers import AutoModelForSequenceClassification as M; M.from_pretrained('/work/teacher')"
    assert in_volume("trainer", "python", "-c", code).returncode == 0
