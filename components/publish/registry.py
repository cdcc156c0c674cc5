"""Registers a version in the Kubeflow Model Registry (REST API v1alpha3); repeated calls add nothing."""

import json
import logging
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.secrets import read_token
from compaware.components.publish.history_files import Entry
from compaware.components.publish.release import Release, storage_uri

log = logging.getLogger(__name__)
URL_VARIABLE = "MODEL_REGISTRY_URL"
TOKEN_VARIABLE = "MODEL_REGISTRY_TOKEN"
_API = "/api/model_registry/v1alpha3"
_TIMEOUT = urllib3.Timeout(connect=10.0, read=30.0)
_TRANSIENT = (429, 500, 502, 503, 504)


def register(release: Release, entry: Entry) -> None:
    """Registers a version if `MODEL_REGISTRY_URL` is set.

    Raises:
        UserError: The registry refuses the request, or the address is invalid.
        UnavailableError: The registry does not respond.
    """
    address = os.environ.get(URL_VARIABLE, "")
    if not address:
        return
    if not address.startswith(("http://", "https://")):
        raise UserError(f"{URL_VARIABLE} is not an HTTP address: set it to http://HOST:PORT")
    registry = _Registry(address.rstrip("/"), read_token(TOKEN_VARIABLE))
    model = registry.find_or_create(
        lambda: registry.get("registered_model", name=release.name),
        "registered_models",
        {"name": release.name, "description": f"{release.dataset.manifest.task}, by compaware"},
    )
    versions = f"registered_models/{quote(model['id'])}/versions"
    version = registry.find_or_create(
        lambda: registry.item(versions, entry.version),
        versions,
        {
            "name": entry.version,
            "registeredModelId": model["id"],
            "description": entry.reason,
            "customProperties": _properties(entry),
        },
    )
    artifacts = f"model_versions/{quote(version['id'])}/artifacts"
    description = _artifact(release, entry)
    artifact = registry.item(artifacts, description["name"])
    if artifact is None:
        registry.find_or_create(lambda: registry.item(artifacts, description["name"]), artifacts, description)
    else:
        registry.update(artifact, description)
    log.info("registered as %s %s", release.name, entry.version)


def _artifact(release: Release, entry: Entry) -> dict[str, Any]:
    """Returns the description of the version's files, with the run that published them."""
    run = {"modelSourceKind": "kfp", "modelSourceClass": "pipelinerun", "modelSourceId": entry.run_id}
    return {
        "artifactType": "model-artifact",
        "name": f"{release.name}-{entry.version}",
        "uri": storage_uri(release.config.publish_uri, entry.version),
        "modelFormatName": "onnx" if entry.role == "int8" else "huggingface",
        "modelFormatVersion": "1",
        **(run if entry.run_id else {}),
    }


def _properties(entry: Entry) -> dict[str, dict[str, Any]]:
    texts = {"role": entry.role, "model_sha256": entry.model_fingerprint, "data": entry.fingerprints["data"]}
    figures = {entry.metric_name: entry.metric, "p50_ms": entry.p50_ms, "size_bytes": float(entry.size_bytes)}
    if entry.test_metric is not None:
        figures[f"test_{entry.metric_name}"] = entry.test_metric
    return {
        **{name: {"metadataType": "MetadataStringValue", "string_value": value} for name, value in texts.items()},
        **{name: {"metadataType": "MetadataDoubleValue", "double_value": value} for name, value in figures.items()},
    }


class _Registry:
    """Client of the registry's REST API."""

    def __init__(self, address: str, token: str):
        self._address = address
        retries = urllib3.Retry(
            total=4,
            connect=2,
            backoff_factor=0.5,
            status_forcelist=_TRANSIENT,
            allowed_methods=None,
            raise_on_status=False,
        )
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=retries, headers=headers)

    def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """Returns a resource or a page of a list; None if there is none."""
        return self._request("GET", f"{path}?{urlencode(query)}")

    def item(self, path: str, name: str) -> dict[str, Any] | None:
        """Returns the resource of that name from all pages of a list; None if there is none."""
        query = {"name": name}
        while page := self.get(path, **query):
            for item in page["items"]:
                if item["name"] == name:
                    return item
            if not page["nextPageToken"]:
                return None
            query["nextPageToken"] = page["nextPageToken"]
        return None

    def find_or_create(
        self, find: Callable[[], dict[str, Any] | None], path: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        """Returns the resource that `find` finds, or else creates it; another run may create it at the same time."""
        found = find()
        if found is None:
            # The request returns None if another run has created a resource of this name in the meantime.
            found = self._request("POST", path, body) or find()
        if found is None:
            raise UserError(f"the Model Registry at {self._address} has no {body['name']}, but refuses a new one")
        return found

    def update(self, artifact: dict[str, Any], body: dict[str, Any]) -> None:
        """Changes a model's artifact, whose name stays."""
        changes = {key: value for key, value in body.items() if key != "name"}
        self._request("PATCH", f"model_artifacts/{quote(artifact['id'])}", changes)

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Returns the answer; None if there is no such resource to get, or already one of that name to create."""
        registry = f"the Model Registry at {self._address}"
        try:
            response = self._pool.request(method, f"{self._address}{_API}/{path}", json=body)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                f"{registry} does not respond ({type(error).__name__}): check {URL_VARIABLE}"
            ) from error
        if (method, response.status) in (("GET", 404), ("POST", 409)):
            return None
        if response.status in _TRANSIENT:
            raise UnavailableError(f"{registry} responded {response.status} to {method} {path}: try again later")
        if response.status in (401, 403):
            raise UserError(f"{registry} refused {method} {path}: {response.status}; check {TOKEN_VARIABLE}")
        if response.status >= 400:
            raise UserError(f"{registry} refused {method} {path}: {response.status} {_reason(response)}")
        try:
            return json.loads(response.data)
        except ValueError as error:
            raise UserError(
                f"{registry} did not answer with JSON (status {response.status}): check {URL_VARIABLE}; if it is "
                f"behind a login, set {TOKEN_VARIABLE}"
            ) from error


def _reason(response: urllib3.BaseHTTPResponse) -> str:
    return " ".join(response.data.decode("utf-8", "replace").split())[:200]
