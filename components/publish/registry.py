"""Registers a version in the Kubeflow Model Registry (REST API v1alpha3); repeated calls change nothing."""

import json
import logging
import os
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.publish.history_files import Entry
from compaware.components.publish.release import Release, storage_uri

log = logging.getLogger(__name__)
URL_VARIABLE = "MODEL_REGISTRY_URL"
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
    registry = _Registry(address.rstrip("/"))
    model = registry.find("registered_model", name=release.name) or registry.create(
        "registered_models", {"name": release.name, "description": f"{release.dataset.manifest.task}, by compaware"}
    )
    versions = f"registered_models/{quote(model['id'])}/versions"
    items = registry.find(versions, name=entry.version).get("items")
    if items:
        version = items[0]
    else:
        body = {
            "name": entry.version,
            "registeredModelId": model["id"],
            "description": entry.reason,
            "customProperties": _properties(entry),
        }
        version = registry.create(versions, body)
    registry.create(
        f"model_versions/{quote(version['id'])}/artifacts",
        {
            "artifactType": "model-artifact",
            "name": f"{release.name}-{entry.version}",
            "uri": storage_uri(release.config.publish_uri, entry.version),
            "modelFormatName": "onnx" if release.role == "int8" else "huggingface",
            "modelFormatVersion": "1",
        },
    )
    log.info("registered as %s %s", release.name, entry.version)


def _properties(entry: Entry) -> dict[str, dict[str, Any]]:
    texts = {"role": entry.role, "model_sha256": entry.model_fingerprint, "data": entry.fingerprints["data"]}
    figures = {entry.metric_name: entry.metric, "p50_ms": entry.p50_ms, "size_bytes": float(entry.size_bytes)}
    return {
        **{name: {"metadataType": "MetadataStringValue", "string_value": value} for name, value in texts.items()},
        **{name: {"metadataType": "MetadataDoubleValue", "double_value": value} for name, value in figures.items()},
    }


class _Registry:
    """Client of the registry's REST API."""

    def __init__(self, address: str):
        self._address = address
        retries = urllib3.Retry(
            total=4,
            connect=2,
            backoff_factor=0.5,
            status_forcelist=_TRANSIENT,
            allowed_methods=None,
            raise_on_status=False,
        )
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=retries)

    def find(self, path: str, **query: str) -> dict[str, Any]:
        """Returns the resource or the list that the registry finds; an empty mapping if there is none."""
        return self._request("GET", f"{path}?{urlencode(query)}")

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Creates a resource and returns the registry's description of it."""
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        registry = f"the Model Registry at {self._address}"
        try:
            response = self._pool.request(method, f"{self._address}{_API}/{path}", json=body)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                f"{registry} does not respond ({type(error).__name__}): check {URL_VARIABLE}"
            ) from error
        if response.status == 404 and method == "GET":
            return {}
        if response.status in _TRANSIENT:
            raise UnavailableError(f"{registry} responded {response.status} to {method} {path}: try again later")
        if response.status >= 400:
            raise UserError(f"{registry} refused {method} {path}: {response.status} {_reason(response)}")
        return json.loads(response.data)


def _reason(response: urllib3.BaseHTTPResponse) -> str:
    return " ".join(response.data.decode("utf-8", "replace").split())[:200]
