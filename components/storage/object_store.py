"""Downloads from an S3-compatible object store; endpoint and credentials come from the environment only."""

import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from compaware.components.core.artifacts import put_in_place
from compaware.components.core.errors import UserError

ENDPOINT_VARIABLES = ("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MINIO_ENDPOINT")
ACCESS_KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "MINIO_ACCESS_KEY", "MINIO_ROOT_USER")
SECRET_KEY_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ROOT_PASSWORD")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_REFUSALS = {
    "AccessDenied": "access is denied: check AWS_ACCESS_KEY_ID and what it may read",
    "InvalidAccessKeyId": "the access key is unknown there: check AWS_ACCESS_KEY_ID",
    "NoSuchBucket": "there is no such bucket",
    "SignatureDoesNotMatch": "the secret does not fit the access key: check AWS_SECRET_ACCESS_KEY",
}


def download(uri: str, bucket: str, key: str, cache_dir: Path) -> Path:
    """Downloads one object, or all objects below `key`; what is half downloaded never has the final name.

    Args:
        uri: What the user wrote, for messages.
        bucket: The bucket.
        key: An object's key or, without a slash at its end, a folder of objects.
        cache_dir: The result lies in here under the bucket and the key.

    Raises:
        UserError: No endpoint or credentials are set, the store cannot be reached or refuses, or nothing is there.
    """
    client = _client(uri)
    final = _inside(cache_dir, f"{bucket}/{key}", uri)
    cache_dir.mkdir(parents=True, exist_ok=True)
    try:
        names = [found.object_name for found in client.list_objects(bucket, prefix=key, recursive=True)]
        below = [name for name in names if name.startswith(f"{key}/") and not name.endswith("/")]
        if key not in names and not below:
            raise UserError(f"cannot read {uri}: the bucket has no object of that key, nor any below it")
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".incoming-") as folder:
            staged = Path(folder) / final.name
            if key in names:
                client.fget_object(bucket, key, str(staged))
            else:
                for name in below:
                    client.fget_object(bucket, name, str(_inside(staged, name.removeprefix(f"{key}/"), uri)))
            put_in_place(staged, final)
    except S3Error as error:
        raise UserError(f"cannot read {uri}: {_REFUSALS.get(error.code, f'{error.code}: {error.message}')}") from error
    except urllib3.exceptions.MaxRetryError as error:
        raise UserError(f"cannot read {uri}: {_endpoint(uri)} does not answer ({error.reason})") from error
    except MinioException as error:
        raise UserError(f"cannot read {uri}: {_endpoint(uri)} does not answer as an object store ({error})") from error
    except ValueError as error:
        raise UserError(f"cannot read {uri}: {error}") from error
    return final


def _client(uri: str) -> Minio:
    endpoint = _endpoint(uri)
    access_key, secret_key = _variable(ACCESS_KEY_VARIABLES), _variable(SECRET_KEY_VARIABLES)
    if bool(access_key) != bool(secret_key):
        raise UserError(f"cannot read {uri}: set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    try:
        return Minio(
            parts.netloc,
            access_key=access_key,
            secret_key=secret_key,
            session_token=os.environ.get("AWS_SESSION_TOKEN"),
            secure=parts.scheme == "https",
            region=_variable(REGION_VARIABLES),
            http_client=urllib3.PoolManager(timeout=_TIMEOUT, retries=urllib3.Retry(total=3, backoff_factor=0.2)),
        )
    except ValueError as error:
        raise UserError(f"the object store's endpoint '{endpoint}' is not an address: {error}") from error


def _endpoint(uri: str) -> str:
    endpoint = _variable(ENDPOINT_VARIABLES)
    if endpoint is None:
        raise UserError(f"cannot read {uri}: set S3_ENDPOINT, for example https://s3.amazonaws.com")
    return endpoint


def _variable(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _inside(folder: Path, name: str, uri: str) -> Path:
    """A path below `folder`; keys are free text, and `..` in one must not lead out of it."""
    if ".." in name.split("/"):
        raise UserError(f"cannot read {uri}: the key '{name}' has '..' in it")
    return folder / name
