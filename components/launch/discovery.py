"""Asks an API server which kinds of objects it serves and which of them this account may create."""

from kubernetes.client.exceptions import ApiException

from compaware.components.launch.api import Api, retry
from compaware.components.launch.job import JobKind


def serves(api: Api, kind: JobKind) -> bool:
    """Whether the cluster serves a kind of job.

    The server answers 404 for the discovery of an unknown group, but 403 for its objects, as for a missing permission.
    """
    try:
        resources = retry(lambda: api.get(f"/apis/{kind.group_version}"))["resources"]
    except ApiException as error:
        if error.status != 404:
            raise
        return False
    return any(resource["name"] == kind.plural for resource in resources)


def may_create(api: Api, group: str, resource: str) -> bool:
    """Whether this account may create a resource in the namespace; every account may ask.

    A server that has just started denies everything until its permissions are loaded, so ask after another request
    has succeeded.
    """
    attributes = {"namespace": api.namespace, "group": group, "resource": resource, "verb": "create"}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return retry(lambda: api.create(path, review))["status"]["allowed"]
