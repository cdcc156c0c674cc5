"""The launcher's permissions in README.md suffice, and a missing one is named."""

from dataclasses import replace

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.errors import JobError
from compaware.components.launch.job import JobKind
from compaware.components.launch.kinds import KINDS, choose
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pytorchjob import PYTORCHJOB
from tests.services.launch.conftest import Site, Waiting
from tests.services.launch.operator import terminated

ALL_OF_A_JOB = ["get", "list", "watch", "create", "delete", "patch"]
RULES = [
    {"apiGroups": ["kubeflow.org"], "resources": ["pytorchjobs"], "verbs": ALL_OF_A_JOB},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "delete"]},
    {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
    {"apiGroups": ["trainer.kubeflow.org"], "resources": ["trainjobs"], "verbs": ALL_OF_A_JOB},
    {"apiGroups": ["trainer.kubeflow.org"], "resources": ["trainingruntimes"], "verbs": ["create", "delete"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ALL_OF_A_JOB},
    {"apiGroups": ["kueue.x-k8s.io"], "resources": ["localqueues"], "verbs": ["get"]},
    {"apiGroups": ["kueue.x-k8s.io"], "resources": ["workloads"], "verbs": ["list"]},
]


def act_as_launcher(site: Site, rules: list[dict[str, list[str]]]) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{site.api.namespace}"
    account = {"kind": "ServiceAccount", "name": "launcher", "namespace": site.api.namespace}
    site.direct.create(f"{rbac}/roles", {"metadata": {"name": "launcher"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "launcher"}
    binding = {"metadata": {"name": "launcher"}, "subjects": [account], "roleRef": role}
    site.direct.create(f"{rbac}/rolebindings", binding)
    site.proxy.impersonate = f"system:serviceaccount:{site.api.namespace}:launcher"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_the_documented_permissions_are_enough(site: Site, kind: JobKind) -> None:
    act_as_launcher(site, RULES)
    job = site.job(num_nodes=1, max_restarts=0)
    assert choose(site.api, replace(job, options=JobOptions())) == list(KINDS.values())
    waiting, operator = Waiting(site, job, kind), site.operator(job, kind)
    [name] = operator.run_pods()
    operator.set_pod(name, "Failed", terminated(1))
    operator.fail()
    with pytest.raises(JobError, match="exit code 1"):
        waiting.end()


@pytest.mark.parametrize(
    ("missing", "named"), [(0, 'cannot list resource "pytorchjobs"'), (1, 'cannot list resource "pods"')]
)
def test_a_missing_permission_is_named(site: Site, missing: int, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compaware.components.launch.api.RBAC_WARM_UP_S", 1.0)
    act_as_launcher(site, [rule for number, rule in enumerate(RULES) if number != missing])
    with pytest.raises(UserError, match=named):
        Waiting(site, site.job()).end()
    assert site.operator(site.job()).job() is None, "the launcher could not watch this job"


def test_auto_chooses_by_the_permissions_of_kfps_own_role(site: Site) -> None:
    """KFP's role for pipeline-runner grants kubeflow.org and batch Jobs, but nothing of trainer.kubeflow.org."""
    stock = [rule for rule in RULES if rule["apiGroups"] != ["trainer.kubeflow.org"]]
    act_as_launcher(site, stock)
    assert choose(site.api, replace(site.job(num_nodes=1), options=JobOptions())) == [PYTORCHJOB, BATCHJOB]
