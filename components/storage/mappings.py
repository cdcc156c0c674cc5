"""Finds the store of a URI in mappings that have the form of the key `providers` of KFP's ConfigMap `kfp-launcher`.

    s3:
      default: {endpoint: s3.amazonaws.com, region: eu-west-1, credentials: {fromEnv: true}}
      overrides:
        - bucketName: reviews
          keyPrefix: 2026/
          endpoint: ceph.example.com
          credentials: {secretRef: {secretName: reviews-keys, accessKeyKey: accesskey, secretKeyKey: secretkey}}

Mappings name secrets, which `secrets.py` reads. Keys may be written in lower case, as in KFP.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.store_names import (
    ARTIFACT_STORES_VARIABLE,
    KFP_CONFIG_MAP,
    KFP_STORES_VARIABLE,
    SITE_STORES_VARIABLE,
)
from compaware.components.core.base.validation import ERROR_TYPE, suggest, validate
from compaware.components.core.base.values import read_yaml
from compaware.components.storage.uri import Location, parse

_SESSION_KEY = "store_session_info"
_SOURCES = {
    SITE_STORES_VARIABLE: SITE_STORES_VARIABLE,
    KFP_STORES_VARIABLE: f"the key `providers` of ConfigMap {KFP_CONFIG_MAP}",
    ARTIFACT_STORES_VARIABLE: ARTIFACT_STORES_VARIABLE,
}
# Keys that only KFP's launcher uses: the stores of Google, and how often it retries.
_UNUSED_KEYS = ("gs", "maxretries")
_OF_SITE = {"mapping": SITE_STORES_VARIABLE}


class _Part(BaseModel):
    # As in KFP, the case of keys does not matter and unknown keys are ignored, except in the site's mapping.
    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, alias_generator=lambda name: name.replace("_", "")
    )

    @model_validator(mode="before")
    @classmethod
    def _read_all_keys(cls, values: Any, info: ValidationInfo) -> Any:
        known = [str(field.alias) for field in cls.model_fields.values()]
        unknown = [key for key in values if key not in (*known, *_UNUSED_KEYS)] if isinstance(values, dict) else []
        if unknown and info.context == _OF_SITE:
            reason = f"unknown key '{unknown[0]}': {suggest(unknown[0], known)}"
            raise PydanticCustomError(ERROR_TYPE, "{reason}", {"reason": reason})  # Values may be keys of a store.
        return values


class SecretRef(_Part):
    """A Kubernetes secret and its keys."""

    secret_name: str = Field(min_length=1)
    access_key_key: str = Field(default="accesskey", min_length=1)
    secret_key_key: str = Field(default="secretkey", min_length=1)


class _Credentials(_Part):
    from_env: bool = False
    secret_ref: SecretRef | None = None


class StoreSettings(_Part):
    """Settings of one store; None and an empty text stand for what is not set."""

    bucket_name: str = ""
    key_prefix: str = ""
    endpoint: str = ""
    region: str = ""
    disable_ssl: bool | None = None
    force_path_style: bool | None = None
    credentials: _Credentials | None = None

    @property
    def secret(self) -> SecretRef | None:
        """The secret with the store's keys; None if the environment has the credentials."""
        return None if self.from_env or self.credentials is None else self.credentials.secret_ref

    @property
    def from_env(self) -> bool:
        """Whether the mapping says that the environment has the credentials."""
        return self.credentials is not None and self.credentials.from_env

    def matches(self, location: Location) -> bool:
        """Whether a location is this prefix or below it, as in KFP (backend/src/v2/config, prefixMatchesOverride)."""
        key, prefix = location.key.strip("/"), self.key_prefix.strip("/")
        return self.bucket_name == location.bucket and (not prefix or f"{key}/".startswith(f"{prefix}/"))

    def over(self, default: "StoreSettings | None") -> "StoreSettings":
        """Returns these settings, completed by those of `default`."""
        own = {name: value for name, value in self if value not in ("", None)}
        return (default or StoreSettings()).model_copy(update=own)


class _Provider(_Part):
    default: StoreSettings | None = None
    overrides: tuple[StoreSettings, ...] = ()

    @field_validator("overrides")
    @classmethod
    def _name_buckets(cls, overrides: tuple[StoreSettings, ...], info: ValidationInfo) -> tuple[StoreSettings, ...]:
        if info.context == _OF_SITE and not all(override.bucket_name for override in overrides):
            raise PydanticCustomError(ERROR_TYPE, "each entry needs a bucketName")
        return overrides

    def override_for(self, location: Location) -> StoreSettings | None:
        """Returns the first override that matches, over the default."""
        return _first(override.over(self.default) for override in self.overrides if override.matches(location))


class _Mapping(_Part):
    s3: _Provider = _Provider()
    minio: _Provider = _Provider()

    def provider(self, scheme: str) -> _Provider:
        return self.s3 if scheme == "s3" else self.minio


def override_for(location: Location) -> StoreSettings | None:
    """Returns the settings of the bucket or prefix of a location; the site's mapping precedes KFP's.

    Raises:
        UserError: A mapping is invalid.
    """
    providers = (_read(name).provider(location.scheme) for name in (SITE_STORES_VARIABLE, KFP_STORES_VARIABLE))
    return _first(provider.override_for(location) for provider in providers)


def default_for(location: Location) -> StoreSettings | None:
    """Returns the settings of an artifact's store, else the site's or KFP's default for the scheme of a location.

    Raises:
        UserError: A mapping is invalid.
    """
    artifact = _read(ARTIFACT_STORES_VARIABLE).provider(location.scheme).override_for(location)
    defaults = (_read(name).provider(location.scheme).default for name in (SITE_STORES_VARIABLE, KFP_STORES_VARIABLE))
    return artifact or _first(defaults)


def named_secrets(environment: Mapping[str, str]) -> list[SecretRef]:
    """Returns the secrets that the mappings in some environment variables name.

    Raises:
        UserError: A mapping is invalid.
    """
    providers = [
        provider
        for name in _SOURCES
        for mapping in [_parse(name, environment.get(name, ""))]
        for provider in (mapping.s3, mapping.minio)
    ]
    stores = [store for item in providers for store in (item.default, *item.overrides) if store]
    return list(dict.fromkeys(store.secret for store in stores if store.secret))


def artifact_stores(artifacts: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Returns a mapping of the stores that KFP recorded for artifacts, as JSON; empty if it recorded none.

    KFP's launcher writes where it has stored an artifact to the artifact's metadata (`RecordArtifact` in
    kubeflow/pipelines, backend/src/v2/metadata/client.go).

    Args:
        artifacts: URI and metadata of each artifact.
    """
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for uri, metadata in artifacts:
        session = json.loads(metadata.get(_SESSION_KEY) or "null") or {}
        parameters = session.get("Params") or {}
        # KFP may store artifacts elsewhere (gs://), which only its launcher reads.
        location = parse(uri) if uri.startswith(("s3://", "minio://")) and parameters.get("endpoint") else None
        if not isinstance(location, Location):
            continue
        credentials = {"fromenv": parameters.get("fromEnv", "false")}
        if parameters.get("secretName"):
            names = {"secretname": "secretName", "accesskeykey": "accessKeyKey", "secretkeykey": "secretKeyKey"}
            credentials["secretref"] = {own: parameters[key] for own, key in names.items() if parameters.get(key)}
        settings = {name: parameters[name] for name in ("endpoint", "region", "disableSSL") if name in parameters}
        if "forcePathStyle" in parameters:
            settings["forcePathStyle"] = parameters["forcePathStyle"]
        store = {"bucketName": location.bucket, "keyPrefix": f"{location.key}/", **settings, "credentials": credentials}
        found.setdefault(location.scheme, {"overrides": []})["overrides"].append(store)
    return json.dumps(found, sort_keys=True) if found else ""


def _read(variable: str) -> _Mapping:
    return _parse(variable, os.environ.get(variable, ""))


def _parse(variable: str, text: str) -> _Mapping:
    if not text.strip():
        return _Mapping()
    try:
        values = _lower_keys(read_yaml(text, "it"))
        if not isinstance(values, dict):
            raise UserError("it is not a mapping")
        schemes = {scheme: value or {} for scheme, value in values.items()}
        return validate(_Mapping, schemes, {"mapping": variable})
    except UserError as error:
        raise UserError(f"{_SOURCES[variable]} is invalid: {error}") from error


def _lower_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key).lower(): _lower_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_lower_keys(item) for item in value]
    return value


def _first(stores: Iterable[StoreSettings | None]) -> StoreSettings | None:
    return next((store for store in stores if store), None)
