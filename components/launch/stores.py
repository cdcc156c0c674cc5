"""Tells the pods of a job and the task that starts it the addresses of stores and the names of their secrets."""

import os
from collections.abc import Iterable
from typing import Any

from compaware.components.core.base import store_names
from compaware.components.launch.options import JobOptions
from compaware.components.storage.connection import ENDPOINT_VARIABLES, REGION_VARIABLES
from compaware.components.storage.mappings import artifact_stores, named_secrets

_STORE_VARIABLES = (
    store_names.SITE_STORES_VARIABLE,
    *(name for names in ENDPOINT_VARIABLES.values() for name in names),
    *REGION_VARIABLES,
)
_VOLUME = "stores"


def configure_task(artifacts: Iterable[Any], options: JobOptions) -> None:
    """Sets variables of this process, for its own requests and for the component or job that it starts.

    Args:
        artifacts: The task's KFP artifacts. KFP records in the metadata of input artifacts which store has them.
        options: Options of the job.
    """
    found = artifact_stores((artifact.uri, artifact.metadata) for artifact in artifacts)
    if found:
        os.environ[store_names.ARTIFACT_STORES_VARIABLE] = found
    if options.resolved_launcher() == "torchrun":
        return
    # The task reads the outputs of its job, so it uses the job's variables for their store.
    os.environ.update({name: options.env[name] for name in _STORE_VARIABLES if name in options.env})
    if options.storage_secret not in ("", store_names.KFP_SECRET):
        # KFP gives a task only variables from secrets that were known when the pipeline was compiled.
        os.environ[store_names.STORAGE_SECRET_VARIABLE] = options.storage_secret


def values() -> dict[str, str]:
    """Returns the variables of this task that a job's pods need, too."""
    found = os.environ.get(store_names.ARTIFACT_STORES_VARIABLE)
    # Kubernetes expands $(NAME) and $$ in a value, so a dollar sign is doubled.
    return {store_names.ARTIFACT_STORES_VARIABLE: found.replace("$", "$$")} if found else {}


def key_variables(options: JobOptions) -> list[tuple[str, str]]:
    """Returns key and variable of each variable that a job's pods get from its `storage_secret`.

    KFP's secret has only the keys of KFP's own store. A secret that a run names may have those of any store.
    """
    own = () if options.storage_secret == store_names.KFP_SECRET else store_names.AWS_KEYS.items()
    return [*store_names.KFP_SECRET_KEYS.items(), *own] if options.storage_secret else []


def volumes(options: JobOptions) -> list[dict[str, Any]]:
    """Returns the volume with the secrets that the mappings of stores name, if there are any."""
    sources = [
        {
            "secret": {
                "name": secret.secret_name,
                "optional": True,
                "items": [
                    {"key": key, "path": f"{secret.secret_name}/{key}"}
                    for key in (secret.access_key_key, secret.secret_key_key)
                ],
            }
        }
        for secret in named_secrets({**os.environ, **options.env})
    ]
    return [{"name": _VOLUME, "projected": {"sources": sources}}] if sources else []


def volume_mounts(options: JobOptions) -> list[dict[str, Any]]:
    """Returns the mount of `volumes`."""
    mount = {"name": _VOLUME, "mountPath": store_names.SECRETS_FOLDER, "readOnly": True}
    return [mount] if volumes(options) else []
