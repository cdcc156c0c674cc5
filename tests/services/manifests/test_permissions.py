"""Runs may do what the launcher needs, and nothing else: the API server itself is asked, resource by resource."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.manifests.reading import documented_permissions
from tests.services.manifests.conftest import Command, Namespaces, set_namespace
from tests.services.manifests.test_overlays import APPLY

pytestmark = pytest.mark.usefixtures("argo")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
OVERLAYS = [("standalone", "pipeline-runner"), ("multi-user", "default-editor")]


class Reviewer:
    """Asks the API server who may do what."""

    def __init__(self) -> None:
        self._client = config.new_client_from_config(os.environ["KUBECONFIG"])

    def resources(self) -> Iterator[tuple[str, str]]:
        """Group and name of all resources that the server has, subresources included."""
        groups = [("", "/api/v1")]
        groups += [
            (one["name"], f"/apis/{one['preferredVersion']['groupVersion']}") for one in self._get("/apis")["groups"]
        ]
        for group, path in groups:
            for resource in self._get(path)["resources"]:
                yield group, resource["name"]

    def allowed(self, account: str, namespace: str) -> set[tuple[str, str, str]]:
        """All that a service account, NAMESPACE:NAME, may do in a namespace: group, resource, verb."""
        return {
            (group, resource, verb)
            for group, resource in self.resources()
            for verb in VERBS
            if self._may(f"system:serviceaccount:{account}", namespace, group, resource, verb)
        }

    def _may(self, user: str, namespace: str, group: str, resource: str, verb: str) -> bool:
        name, _, subresource = resource.partition("/")
        attributes = client.V1ResourceAttributes(
            namespace=namespace, group=group, resource=name, subresource=subresource, verb=verb
        )
        # As a service account's token would say.
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", "system:authenticated"]
        spec = client.V1SubjectAccessReviewSpec(user=user, groups=groups, resource_attributes=attributes)
        review = client.V1SubjectAccessReview(spec=spec)
        return client.AuthorizationV1Api(self._client).create_subject_access_review(review).status.allowed

    def _get(self, path: str) -> dict[str, Any]:
        return self._client.call_api(
            path, "GET", response_type="object", auth_settings=["BearerToken"], _return_http_data_only=True
        )


@pytest.mark.parametrize(("overlay", "account"), OVERLAYS)
def test_a_run_may_do_what_the_launcher_needs_and_no_more(
    kubectl: Command, namespaces: Namespaces, tree: Path, overlay: str, account: str
) -> None:
    namespace = namespaces("rights")
    set_namespace(tree / "overlays" / overlay / "kustomization.yaml", namespace)
    kubectl(*APPLY, tree / "overlays" / overlay)
    reviewer = Reviewer()
    everyone = reviewer.allowed(f"{namespace}:somebody-else", namespace)
    assert reviewer.allowed(f"{namespace}:{account}", namespace) - everyone == documented_permissions()


def test_rights_end_at_the_namespace(kubectl: Command, namespaces: Namespaces, tree: Path) -> None:
    namespace, other = namespaces("rights"), namespaces("other")
    set_namespace(tree / "overlays/multi-user/kustomization.yaml", namespace)
    kubectl(*APPLY, tree / "overlays/multi-user")
    ask = ("auth", "can-i", "--list", "--no-headers", "--namespace", other)
    user = "--as=system:serviceaccount"
    assert kubectl(*ask, f"{user}:{namespace}:default-editor") == kubectl(*ask, f"{user}:{namespace}:somebody-else")


def test_kubectl_says_so_too(kubectl: Command, namespaces: Namespaces, tree: Path) -> None:
    namespace = namespaces("rights")
    set_namespace(tree / "overlays/standalone/kustomization.yaml", namespace)
    kubectl(*APPLY, tree / "overlays/standalone")
    for group, resource, verb in documented_permissions():
        name, _, subresource = resource.partition("/")
        words = [verb, f"{name}.{group}" if group else name, f"--subresource={subresource}"]
        answer = kubectl(
            "auth", "can-i", *words, "-n", namespace, f"--as=system:serviceaccount:{namespace}:pipeline-runner"
        )
        assert answer.strip() == "yes", (group, resource, verb)
