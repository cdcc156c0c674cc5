"""Reads the keys of a store from a Kubernetes secret, in a mounted folder or from the API, as KFP's launcher does.

A training job's pod has no token, so its secrets are mounted. A KFP task's pod has one, and its account may get
secrets, because KFP's launcher in the same pod needs that.
"""

import base64
import functools
import json
import os
from pathlib import Path

import urllib3

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.store_names import SECRETS_FOLDER
from compaware.components.storage.mappings import SecretRef

FOLDER_VARIABLE = "COMPAWARE_SECRETS_DIR"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# For half a minute, because a restarted API server denies access until its permissions are loaded.
_RETRY = urllib3.Retry(total=6, backoff_factor=0.5, status_forcelist=(401, 403, 429, 500, 502, 503, 504))


def read_secret(secret: SecretRef) -> tuple[str, str]:
    """Returns access key and secret key.

    Raises:
        UserError: The secret or a key does not exist, or may not be read.
        UnavailableError: The Kubernetes API does not answer.
    """
    folder = Path(os.environ.get(FOLDER_VARIABLE) or SECRETS_FOLDER) / secret.secret_name
    if folder.is_dir():
        return read_key(folder / secret.access_key_key), read_key(folder / secret.secret_key_key)
    if not (_ACCOUNT / "token").is_file():
        raise UserError(
            f"cannot read the secret {secret.secret_name}: mount it at {folder}, or set {FOLDER_VARIABLE} to the "
            "folder that has it"
        )
    data = _from_api(secret.secret_name)
    for key in (secret.access_key_key, secret.secret_key_key):
        if not data.get(key):
            raise UserError(f"the secret {secret.secret_name} has no key {key}: add it, or correct the key's name")
    return _decode(data[secret.access_key_key]), _decode(data[secret.secret_key_key])


def read_key(file: Path) -> str:
    """Returns the content of a mounted key.

    Raises:
        UserError: The file is not readable or empty.
    """
    try:
        value = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: mount a secret that has this key") from error
    if not value:
        raise UserError(f"{file} is empty: correct the secret that is mounted there")
    return value


@functools.cache
def _from_api(name: str) -> dict[str, str]:
    namespace = read_key(_ACCOUNT / "namespace")
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    address = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    headers = {"Authorization": f"Bearer {read_key(_ACCOUNT / 'token')}"}
    pool = urllib3.PoolManager(ca_certs=str(_ACCOUNT / "ca.crt"), timeout=urllib3.Timeout(connect=5, read=30))
    try:
        path = f"{address}/api/v1/namespaces/{namespace}/secrets/{name}"
        response = pool.request("GET", path, headers=headers, retries=_RETRY.new(raise_on_status=False))
    except urllib3.exceptions.HTTPError as error:
        raise UnavailableError(
            f"cannot read the secret {name} of the object store: the Kubernetes API at {address} does not answer"
        ) from error
    if response.status == 404:
        raise UserError(f"there is no secret {name} in namespace {namespace}: create it, or correct its name")
    if response.status in (401, 403):
        raise UserError(
            f"this task may not read the secret {name} in namespace {namespace}: let its service account get secrets"
        )
    if response.status != 200:
        raise UnavailableError(f"cannot read the secret {name}: the Kubernetes API answers HTTP {response.status}")
    return dict(json.loads(response.data).get("data") or {})


def _decode(value: str) -> str:
    return base64.b64decode(value).decode().strip()
