"""The launcher's permissions in README.md suffice, and a missing one is named."""

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.launch.errors import JobError
from tests.services.launch.conftest import Site, Waiting
from tests.services.launch.operator import terminated

ALL_OF_A_JOB = ["get", "list", "watch", "create", "delete", "patch"]
RULES = [
    {"apiGroups": ["kubeflow.org"], "resources": ["pytorchjobs"], "verbs": ALL_OF_A_JOB},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "delete"]},
    {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
]


def act_as_launcher(site: Site, rules: list[dict[str, list[str]]]) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{site.api.namespace}"
    account = {"kind": "ServiceAccount", "name": "launcher", "namespace": site.api.namespace}
    site.direct.create(f"{rbac}/roles", {"metadata": {"name": "launcher"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "launcher"}
    binding = {"metadata": {"name": "launcher"}, "subjects": [account], "roleRef": role}
    site.direct.create(f"{rbac}/rolebindings", binding)
    site.proxy.impersonate = f"system:serviceaccount:{site.api.namespace}:launcher"


def test_the_documented_permissions_are_enough(site: Site) -> None:
    act_as_launcher(site, RULES)
    job = site.job(max_restarts=0)
    waiting, operator = Waiting(site, job), site.operator(job)
    names = operator.run_pods()
    operator.set_pod(names[1], "Failed", terminated(1))
    operator.set_condition("Failed", "1 Worker replica(s) failed")
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
