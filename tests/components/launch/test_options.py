"""Invalid options are refused with one line that says what to change."""

from typing import Any

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import validate
from compaware.components.launch import JobOptions
from compaware.components.launch.pod_settings import SiteSettings
from compaware.components.launch.quantities import quantity

NEEDED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cpu_per_nod": "4"}, "unknown key 'cpu_per_nod': did you mean 'cpu_per_node'?"),
        ({"num_nodes": 0}, "'num_nodes' is 0: input should be greater than or equal to 1"),
        ({"memory_per_node": "16GB"}, "'memory_per_node' is \"16GB\": expected a quantity"),
        ({"memory_per_node": "16"}, "'memory_per_node' is \"16\": this means bytes: add a unit"),
        ({"pods": {"distillation": {"memory": 8}}}, "'pods.distillation.memory' is 8: this means bytes"),
        ({"pods": {"benchmark": {"node_selectr": {}}}}, "unknown key 'pods.benchmark.node_selectr': did you mean"),
        ({"affinity": {"nodeAffinty": {}}}, "unknown key 'nodeAffinty': choose from nodeAffinity, podAffinity"),
        ({"topology_spread": [{"maxSkew": 1}]}, "a constraint lacks topologyKey: it needs maxSkew, topologyKey"),
        (
            {"gpus_per_node": 2, "processes_per_node": 4},
            r"processes_per_node \(4\) must not exceed gpus_per_node \(2\)",
        ),
        ({"memory_per_node": "1Gi", "shm_size": "2Gi"}, r"shm_size \(2Gi\) must be below memory_per_node \(1Gi\)"),
        ({"env": {"HF_TOKEN": "hf_abc"}}, "HF_TOKEN looks like a secret: move it from env to secret_env"),
        ({"env": {"COMPAWARE_STORES": "s3: ["}}, "COMPAWARE_STORES is invalid: it is not YAML"),
        ({"pods": {"benchmark": {"env": {"COMPAWARE_STORES": "s4: {}"}}}}, "unknown key 's4'"),
        ({"num_nodes": 2, "min_nodes": 3}, r"num_nodes \(2\) must be between min_nodes and max_nodes"),
        ({"max_nodes": 4}, "max_nodes needs min_nodes"),
        (
            {"launcher": "trainjob", "min_nodes": 1},
            "launcher trainjob does not support min_nodes: only a pytorchjob is",
        ),
        ({"launcher": "job", "min_nodes": 1}, "launcher job does not support min_nodes: only a pytorchjob is elastic"),
        ({"launcher": "job", "num_nodes": 2}, "num_nodes is 2, but launcher job has one node: choose trainjob or"),
        (
            {"launcher": "trainjob", "runtime": "site", "image_pull_policy": "Always"},
            "image_pull_policy has no effect with runtime site: set it there, or leave out `runtime`",
        ),
        (
            {"launcher": "trainjob", "runtime": "site", "keep_finished_hours": 2},
            "keep_finished_hours has no effect with runtime site",
        ),
        ({"volumes": {"cache": "/work"}}, "cache is mounted at '/work': choose an absolute folder"),
        ({"volumes": {"a": "/cache", "b": "/cache/"}}, "two claims have the same folder"),
        ({"volumes": {"My_Cache": "/cache"}}, "'volumes.My_Cache' is \"My_Cache\": expected a-z, 0-9, '-' and '.'"),
        ({"labels": {"team": "a b"}}, "'labels.team' is \"a b\": expected at most 63 letters, digits"),
        ({"node_selector": {"po ol": "a"}}, "'node_selector.po ol' is \"po ol\": expected at most 63 letters"),
        ({"annotations": {"a b": "c d"}}, "'annotations.a b' is \"a b\": expected at most 63 letters"),
        ({"env": {"A-B": "1"}}, "'env.A-B' is \"A-B\": expected letters, digits and '_'"),
        ({"queue_name": "My queue"}, "'queue_name' is \"My queue\": expected a-z, 0-9"),
        ({"image_pull_secrets": ["a_b"]}, "'image_pull_secrets.0' is \"a_b\": expected a-z, 0-9"),
        ({"tolerations": [{"effect": "Noschedule"}]}, "effect is 'Noschedule': choose from NoSchedule"),
        (
            {"affinity": {"podAntiAffinity": {"required": []}}},
            "podAntiAffinity has an unknown key 'required': choose from requiredDuringSchedulingIgnoredDuringExecution",
        ),
        ({"tolerations": [{"key": "spot", "value": True}]}, "value is true: write it in quotes"),
        (
            {"affinity": {"nodeAffinity": {NEEDED: {"nodeSelectorTerms": [{"matchExpressions": [{"values": [1]}]}]}}}},
            "values is 1: write it in quotes",
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
            "a toleration with operator Exists has a value: choose Equal, or leave it out",
        ),
        (
            {"topology_spread": [{"maxSkew": "1", "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]},
            'maxSkew is "1": expected a number without quotes',
        ),
        (
            {"topology_spread": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "Never"}]},
            "whenUnsatisfiable: choose from DoNotSchedule, ScheduleAnyway",
        ),
        ({"scratch_size": 20}, "'scratch_size' is 20: this means bytes: add a unit"),
        ({"shm_size": "64"}, "'shm_size' is \"64\": this means bytes"),
        ({"launcher": "pytorchjob", "runtime": "site"}, "launcher pytorchjob has no `runtime`: leave it out, or"),
        (
            {"runtime": "site", "image_pull_policy": "Always"},
            "image_pull_policy has no effect with runtime site: .*; launcher pytorchjob has no `runtime`",
        ),
        ({"launcher": "mpi"}, "'launcher' is \"mpi\""),
    ],
)
def test_an_error_names_the_option(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(JobOptions, values)


def test_a_refused_variable_does_not_show_its_value() -> None:
    with pytest.raises(UserError) as caught:
        validate(JobOptions, {"env": {"DB_PASSWORD": "hunter2"}})
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_a_quantity_may_be_a_number() -> None:
    options = validate(JobOptions, {"cpu_per_node": 4.0, "memory_per_node": 16 * 2.0**30, "shm_size": 2**30})
    assert (options.cpu_per_node, options.memory_per_node, options.shm_size) == ("4", "17179869184", "1073741824")


def test_names_that_kubernetes_has_are_taken() -> None:
    values = {
        "labels": {"example.com/team": "a.b_C-1", "empty": ""},
        "annotations": {"karpenter.sh/do-not-disrupt": "true, and more"},
        "queue_name": "team-a",
        "storage_secret": "",
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}],
        "volumes": {"cache.v1": "/cache"},
    }
    assert validate(JobOptions, values).model_dump(include=set(values)) == values


@pytest.mark.parametrize(
    ("cpus", "processes", "threads"), [("8", 2, 4), ("7", 2, 3), ("500m", 1, 1), ("2", 4, 1), ("7500m", 1, 7)]
)
def test_threads_share_the_cpus_of_a_node(cpus: str, processes: int, threads: int) -> None:
    assert JobOptions(cpu_per_node=cpus, processes_per_node=processes).threads == threads


def test_quantities_have_the_values_of_kubernetes() -> None:
    assert [quantity(text) for text in ("4", "250m", "1k", "1Ki", "1.5Gi")] == [4, 0.25, 1000, 1024, 1.5 * 2**30]
    assert quantity("many") == 0


SITE = validate(
    SiteSettings,
    {
        "pods": {
            "default": {"node_selector": {"pool": "cpu"}, "labels": {"team": "nlp"}, "memory": "8Gi"},
            "distillation": {"cpu": "2", "tolerations": [{"key": "spot", "operator": "Exists"}]},
            "benchmark": {"cpu": "32"},
        }
    },
).pods


def test_the_sites_settings_are_those_of_a_job_that_sets_none() -> None:
    job = JobOptions().for_component("distillation", SITE)
    assert (job.cpu_per_node, job.memory_per_node, job.node_selector) == ("2", "8Gi", {"pool": "cpu"})
    assert job.tolerations == [{"key": "spot", "operator": "Exists"}] and job.labels == {"team": "nlp"}
    other = JobOptions().for_component("teacher_check", SITE)
    assert (other.cpu_per_node, other.memory_per_node, other.tolerations) == ("4", "8Gi", [])


def test_a_run_takes_precedence_over_the_site_and_a_component_over_all_components() -> None:
    run = {
        "cpu_per_node": "6",
        "labels": {"cost": "1"},
        "pods": {
            "default": {"cpu": "5", "memory": "10Gi", "run_as_user": None},
            "teacher_check": {"cpu": "7", "node_selector": {"zone": "a"}},
        },
    }
    options = validate(JobOptions, run)
    distillation, teacher = (options.for_component(name, SITE) for name in ("distillation", "teacher_check"))
    assert (distillation.cpu_per_node, distillation.memory_per_node) == ("6", "10Gi")
    assert teacher.cpu_per_node == "7" and teacher.node_selector == {"pool": "cpu", "zone": "a"}
    assert teacher.labels == {"team": "nlp", "cost": "1"}
    assert teacher.run_as_user is None and JobOptions().for_component("teacher_check", SITE).run_as_user == 1000


def test_settings_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(UserError, match="shm_size"):
        JobOptions(shm_size="9Gi").for_component("distillation", SITE)


def test_a_job_with_gpus_has_a_process_for_each() -> None:
    assert JobOptions(gpus_per_node=4).processes_per_node == 4
    assert JobOptions(gpus_per_node=4, processes_per_node=1).processes_per_node == 1
    assert JobOptions().processes_per_node == 1
