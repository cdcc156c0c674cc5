"""The compiled pipelines are fresh, complete, and free of secrets."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from compaware.components.core.stage.interface import MAIN, merge_options
from compaware.components.distillation.config import DistillationConfig
from compaware.pipelines.client import catalog
from compaware.pipelines.client.interfaces import component_source, interface_files
from tests.compiled import compiled_pipeline

ROOT = Path(__file__).parents[2]
PIPELINES = catalog.names()
# A sweep only compares; the other pipelines train its best model on all data and publish it.
PUBLISHING = [name for name in PIPELINES if name != "compression_sweep"]

# Compiles the pipelines in a process that cannot import heavy libraries.
WITHOUT_HEAVY_LIBRARIES = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"{name} is not there")

HEAVY = {"torch", "transformers", "datasets", "numpy", "pyarrow", "pandas", "scipy", "sklearn", "openvino", "onnx"}
sys.meta_path.insert(0, Refuse())
from compaware.pipelines.client.main import main
main(["compile", "--check"])
"""


@pytest.mark.parametrize("name", PIPELINES)
def test_the_checked_in_yaml_is_fresh(name):
    assert (catalog.folder(name) / "pipeline.yaml").read_text(encoding="utf-8") == compiled_pipeline(name, False)


def test_pipelines_compile_without_heavy_libraries():
    done = subprocess.run([sys.executable, "-c", WITHOUT_HEAVY_LIBRARIES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PIPELINES)
def test_no_reference_dangles(name):
    assert dangling_anywhere(catalog.spec(name)) == []


def test_a_pipeline_that_notifies_ends_with_a_task_that_always_runs_and_is_never_cached():
    spec, platform = yaml.safe_load_all(compiled_pipeline("distillation", True))
    assert dangling_anywhere(spec) == []
    plain = catalog.spec("distillation")
    assert spec["pipelineInfo"] == plain["pipelineInfo"]
    assert spec["root"]["inputDefinitions"] == plain["root"]["inputDefinitions"]
    assert spec["components"]["comp-exit-handler-1"]["dag"]["tasks"].keys() == plain["root"]["dag"]["tasks"].keys()
    task = spec["root"]["dag"]["tasks"]["notify"]
    assert task["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert not task["cachingOptions"].get("enableCache")
    (secret,) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-notify"]["secretAsEnv"]
    assert secret["optional"] and secret["secretName"] == "compaware-webhook"
    assert secret["keyToEnv"] == [{"secretKey": "url", "envVar": "COMPAWARE_WEBHOOK_URL"}]


def dangling_anywhere(spec: dict[str, Any]) -> list[str]:
    """Returns all references in a compiled pipeline to something that does not exist."""
    dags = {"root": spec["root"], **{key: part for key, part in spec["components"].items() if "dag" in part}}
    return [problem for where, part in dags.items() for problem in dangling(spec, where, part)]


def dangling(spec: dict[str, Any], where: str, component: dict[str, Any]) -> list[str]:
    """Returns references in a DAG, and in its outputs, to something that does not exist."""
    tasks = component["dag"]["tasks"]
    problems = []
    for name, task in tasks.items():
        target = spec["components"].get(task["componentRef"]["name"])
        if target is None:
            problems.append(f"{where}: {name} runs {task['componentRef']['name']}, which is not there")
            continue
        if "executorLabel" in target and target["executorLabel"] not in spec["deploymentSpec"]["executors"]:
            problems.append(f"{where}: {name} has no executor {target['executorLabel']}")
        problems += [
            f"{where}: {name} waits for {other}" for other in task.get("dependentTasks", []) if other not in tasks
        ]
        for kind in ("parameters", "artifacts"):
            wanted = target.get("inputDefinitions", {}).get(kind, {})
            bound = task.get("inputs", {}).get(kind, {})
            item = {task["parameterIterator"]["itemInput"]} if "parameterIterator" in task else set()
            missing = {key for key, entry in wanted.items() if not entry.get("isOptional")} - bound.keys() - item
            problems += [f"{where}: {name} lacks {key}" for key in missing | (bound.keys() - wanted.keys())]
            problems += [
                f"{where}: {name}.{key} comes from {binding}"
                for key, binding in bound.items()
                if not resolves(spec, component, kind, binding)
            ]
    for kind in ("parameters", "artifacts"):
        for key, output in component["dag"].get("outputs", {}).get(kind, {}).items():
            for selector in output.get("artifactSelectors", [output.get("valueFromParameter")]):
                if selector["producerSubtask"] not in tasks:
                    problems.append(f"{where}: output {key} comes from {selector['producerSubtask']}")
    return problems


def resolves(spec: dict[str, Any], component: dict[str, Any], kind: str, binding: dict[str, Any]) -> bool:
    singular = "Parameter" if kind == "parameters" else "Artifact"
    if f"componentInput{singular}" in binding:
        return binding[f"componentInput{singular}"] in component.get("inputDefinitions", {}).get(kind, {})
    if f"taskOutput{singular}" in binding:
        source = binding[f"taskOutput{singular}"]
        producer = component["dag"]["tasks"].get(source["producerTask"])
        outputs = spec["components"][producer["componentRef"]["name"]]["outputDefinitions"] if producer else {}
        return source[f"output{singular}Key"] in outputs.get(kind, {})
    if "taskFinalStatus" in binding:
        return binding["taskFinalStatus"]["producerTask"] in component["dag"]["tasks"]
    return "runtimeValue" in binding


def test_a_dangling_reference_is_found():
    spec = catalog.spec("distillation")
    spec["root"]["inputDefinitions"]["parameters"].pop("student_options")
    (problem,) = dangling(spec, "root", spec["root"])
    assert "distillation.options" in problem


@pytest.mark.parametrize("name", PIPELINES)
def test_every_input_of_a_loop_has_a_value(name):
    """KFP drops an optional parameter without a value from a task, but does not start a loop without one."""
    spec = catalog.spec(name)
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    for task in spec["root"]["dag"]["tasks"].values():
        for binding in task["inputs"].get("parameters", {}).values() if "parameterIterator" in task else ():
            entry = parameters.get(binding.get("componentInputParameter"), {})
            assert "defaultValue" in entry or not entry.get("isOptional")


@pytest.mark.parametrize("name", PIPELINES)
def test_images_have_the_version_and_are_never_latest(name):
    executors = catalog.spec(name)["deploymentSpec"]["executors"].values()
    images = {executor["container"]["image"] for executor in executors}
    assert images
    assert all(image.endswith(f":{version('compaware')}") for image in images)


@pytest.mark.parametrize("name", PIPELINES)
def test_no_parameter_is_a_secret(name):
    secret = re.compile(r"password|secret|credential|access_key|api_key|(^|_)token$")
    assert [key for key in catalog.parameters(catalog.spec(name)) if secret.search(key)] == []


@pytest.mark.parametrize("name", PIPELINES)
def test_a_compiled_file_refers_to_secrets_and_contains_none(name):
    spec, platform = yaml.safe_load_all((catalog.folder(name) / "pipeline.yaml").read_text(encoding="utf-8"))
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        del executor["secretAsEnv"]
    variable = re.compile(r"\b[A-Z0-9_]*(SECRET|PASSWORD|TOKEN|ACCESS_KEY)[A-Z0-9_]*\b")
    assert not variable.search(yaml.safe_dump_all([spec, platform]))


@pytest.mark.parametrize("name", PIPELINES)
def test_every_task_reads_the_optional_settings_and_secrets_of_the_site(name):
    spec, platform = yaml.safe_load_all((catalog.folder(name) / "pipeline.yaml").read_text(encoding="utf-8"))
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert settings.keys() == spec["deploymentSpec"]["executors"].keys()
    for label, executor in settings.items():
        taken = [entry for key in ("configMapAsEnv", "configMapAsVolume", "secretAsEnv") for entry in executor[key]]
        assert all(entry["optional"] for entry in taken)
        names = {entry.get("configMapName") or entry["secretName"] for entry in taken}
        of_publish = {"compaware-registry"} if label == "exec-publish" else set()
        of_all = {"compaware-site", "compaware-ca", "compaware-hub", "mlpipeline-minio-artifact", "kfp-launcher"}
        assert names == of_all | of_publish
        keys = {key["envVar"] for entry in executor["secretAsEnv"] for key in entry["keyToEnv"]}
        assert keys >= {"MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "HF_TOKEN"}
        assert not any(key.startswith("AWS_") for key in keys), "KFP's launcher would use them in place of a role"


@pytest.mark.parametrize("notify", [False, True])
@pytest.mark.parametrize("name", PIPELINES)
def test_no_group_of_tasks_gets_a_parameter_without_a_value(name, notify):
    """KFP's driver fails a sub-DAG (a loop, the stages before an exit task) if an input is null; kfp.local does not."""
    spec = next(yaml.safe_load_all(compiled_pipeline(name, notify)))
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    taken = set()
    for task in spec["root"]["dag"]["tasks"].values():
        if "dag" in spec["components"][task["componentRef"]["name"]]:
            inputs = task["inputs"]["parameters"].values()
            taken |= {item["componentInputParameter"] for item in inputs if "componentInputParameter" in item}
    assert taken or not notify
    assert [key for key in taken if "defaultValue" not in parameters[key]] == []


def test_a_choice_is_a_drop_down_of_the_form():
    spec = catalog.spec("distillation_then_quantization")
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert {name: entry["literals"] for name, entry in parameters.items() if "literals" in entry} == {
        "on_accuracy_loss": ["fail", "warn"]
    }


@pytest.mark.parametrize("name", PIPELINES)
def test_every_parameter_is_documented(name):
    assert [item.name for item in catalog.parameters(catalog.spec(name)).values() if not item.description] == []


@pytest.mark.parametrize("name", PUBLISHING)
def test_pipelines_start_with_data_and_teacher_and_publish_after_benchmark_and_gate(name):
    tasks = catalog.tasks(catalog.spec(name))
    steps = [catalog.component_of(task) for task in tasks.values()]
    assert steps[:3] == ["change_check", "data_prep", "teacher_check"]
    last = "accuracy_gate" if "quantization_aware_training" in steps else "benchmark"
    assert steps[-2:] == [last, "publish"] and last.replace("_", "-") in tasks["publish"]["dependentTasks"]


@pytest.mark.parametrize("name", PUBLISHING)
def test_only_change_check_and_publish_are_not_cached(name):
    tasks = catalog.tasks(catalog.spec(name))
    cached = {catalog.component_of(task): task["cachingOptions"].get("enableCache", False) for task in tasks.values()}
    assert {step for step, kept in cached.items() if not kept} == {"change_check", "publish"}


def test_a_sweep_begins_with_the_data_its_plan_and_the_teacher_and_ends_measured():
    steps = [catalog.component_of(task) for task in catalog.tasks(catalog.spec("compression_sweep")).values()]
    assert steps[0] == "data_prep" and set(steps[1:3]) == {"sweep_plan", "teacher_check"}
    assert steps[3:] == ["sweep_branch", "sweep_benchmark"]


@pytest.mark.parametrize("name", PIPELINES)
def test_the_form_of_a_pipeline_is_short_and_needs_nothing(name):
    parameters = catalog.spec(name)["root"]["inputDefinitions"]["parameters"]
    assert len(parameters) <= 25
    assert [key for key, entry in parameters.items() if not entry.get("isOptional")] == []


def test_every_package_folder_is_in_the_distribution():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {
        file.parent.relative_to(ROOT)
        for room in ("components", "pipelines")
        for file in (ROOT / room).rglob("__init__.py")
    }
    expected = {"compaware." + ".".join(folder.parts) for folder in folders}
    assert set(settings["tool"]["setuptools"]["packages"]) == expected


def test_each_component_py_is_what_its_configuration_gives():
    files = interface_files()
    assert len(files) >= 12
    assert [file for file, text in files.items() if file.read_text(encoding="utf-8") != text] == []


def test_a_new_knob_is_one_field_of_the_configuration():
    class WithKnob(DistillationConfig):
        decay: float = Field(default=0.1, description="Weight decay.")
        shuffled: Annotated[bool, MAIN] = Field(default=True, description="Whether rows are shuffled.")

    source = component_source("distillation", WithKnob)
    assert "    shuffled: bool = True,\n" in source and '            "shuffled": shuffled,\n' in source
    assert "        shuffled: Whether rows are shuffled.\n" in source
    assert "decay:" not in source and "decay.\n" in source
    assert merge_options(WithKnob, WithKnob.shared, {"options": {"decay": 0.2}}) == {"decay": 0.2}
