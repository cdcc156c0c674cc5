"""Finds the credentials for an object store: keys, a role, or none for public buckets."""

import functools
import os
import re
import xml.etree.ElementTree
from pathlib import Path

import certifi
import urllib3
from minio.credentials import Credentials, IamAwsProvider, Provider, StaticProvider

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.store_names import KFP_SECRET, STORAGE_SECRET_VARIABLE
from compaware.components.storage.mappings import SecretRef, StoreSettings
from compaware.components.storage.pools import ProxyPool, ca_file
from compaware.components.storage.secrets import read_key, read_secret
from compaware.components.storage.uri import Location

# Access key and secret key, the first variable of each that is set.
AWS_VARIABLES = (("AWS_ACCESS_KEY_ID",), ("AWS_SECRET_ACCESS_KEY",))
# The last names are keys of KFP's secret, which `envFrom` turns into variables.
MINIO_VARIABLES = (
    ("MINIO_ACCESS_KEY", "MINIO_ROOT_USER", "accesskey"),
    ("MINIO_SECRET_KEY", "MINIO_ROOT_PASSWORD", "secretkey"),
)
SESSION_TOKEN_VARIABLE = "AWS_SESSION_TOKEN"
SECRET_DIR_VARIABLE = "COMPAWARE_S3_SECRET_DIR"
_KFP_SECRET = SecretRef(secret_name=KFP_SECRET)
_CONTAINER_VARIABLES = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_AWS_HOST = re.compile(r"(^|\.)amazonaws\.com(\.cn)?(:\d+)?$")
_RETRY = urllib3.Retry(total=5, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)


class Keys(StaticProvider):
    """An access key and its secret.

    Attributes:
        source: Where they are from, for messages.
    """

    def __init__(self, access_key: str, secret_key: str, source: str, session_token: str | None = None):
        super().__init__(access_key, secret_key, session_token)
        self.source = source


class Role(Provider):
    """Temporary credentials of a role; unlike those of minio, its errors are one line and never contain the token.

    Attributes:
        source: Where they are from, for messages.
    """

    def __init__(self, provider: IamAwsProvider, source: str):
        self._provider = provider
        self.source = source

    def retrieve(self) -> Credentials:
        try:
            return self._provider.retrieve()
        except urllib3.exceptions.HTTPError:
            raise UnavailableError(f"{self.source} gives no credentials: it does not answer") from None
        except (OSError, ValueError, LookupError, xml.etree.ElementTree.ParseError) as error:
            status = re.search(r"HTTP status code \d+", str(error))
            raise UserError(
                f"{self.source} gives no credentials ({status[0] if status else type(error).__name__}): "
                "check the role, its trust policy and the pod's service account"
            ) from None


def find_credentials(location: Location, host: str, settings: StoreSettings | None) -> Keys | Role | None:
    """Returns the credentials for a location; None for anonymous access.

    Args:
        location: The location.
        host: Host and port of its store.
        settings: The store's settings in a mapping, if they apply.

    Raises:
        UserError: One key of a pair is missing, or a secret cannot be read.
        UnavailableError: The Kubernetes API does not answer.
    """
    if settings and settings.secret and settings.secret != _KFP_SECRET:
        return _secret_keys(settings.secret)
    if name := os.environ.get(STORAGE_SECRET_VARIABLE):
        return _secret_keys(SecretRef(secret_name=name))
    is_aws = _AWS_HOST.search(host) is not None
    if settings and settings.from_env:
        found = _aws_keys(location) or _role()
    elif location.scheme == "s3" and not (settings and settings.secret):
        # A role belongs to AWS, so for other addresses it comes last.
        own_role = _role() if is_aws else None
        found = _aws_keys(location) or own_role or _minio_keys(location) or _mounted_keys() or _role()
    else:
        found = _minio_keys(location) or _aws_keys(location) or _mounted_keys()
    return found or (_instance_role() if is_aws else None)


def _secret_keys(secret: SecretRef) -> Keys:
    return Keys(*read_secret(secret), f"the secret {secret.secret_name}")


def _aws_keys(location: Location) -> Keys | None:
    return _static(location, AWS_VARIABLES, os.environ.get(SESSION_TOKEN_VARIABLE) or None)


def _minio_keys(location: Location) -> Keys | None:
    return _static(location, MINIO_VARIABLES)


def _static(
    location: Location, variables: tuple[tuple[str, ...], tuple[str, ...]], session_token: str | None = None
) -> Keys | None:
    access_name, secret_name = (next(filter(os.environ.get, names), None) for names in variables)
    if access_name and secret_name:
        source = f"{access_name} and {secret_name}"
        return Keys(os.environ[access_name], os.environ[secret_name], source, session_token)
    if access_name or secret_name:
        pair = " and ".join(names[0] for names in variables)
        raise UserError(f"cannot reach {location.shown}: set both {pair}, or neither")
    return None


def _mounted_keys() -> Keys | None:
    folder = os.environ.get(SECRET_DIR_VARIABLE)
    if not folder:
        return None
    try:
        access_key, secret_key = (read_key(Path(folder) / name) for name in ("accesskey", "secretkey"))
        return Keys(access_key, secret_key, f"the secret that is mounted at {folder}")
    except UserError as error:
        raise UserError(f"{error}: {SECRET_DIR_VARIABLE} needs a mount of mlpipeline-minio-artifact") from error


def _role() -> Role | None:
    """Returns the pod's role: by web identity, such as IRSA, or from its node, such as EKS Pod Identity."""
    if token_file := os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return _web_identity(token_file, os.environ.get("AWS_ROLE_ARN", ""))
    return next((_container_role(os.environ[name]) for name in _CONTAINER_VARIABLES if os.environ.get(name)), None)


# minio's providers read the other variables. They are cached, because each keeps its credentials until they expire.
@functools.cache
def _web_identity(token_file: str, role: str) -> Role:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_STS") or None
    certificates = str(ca_file() or Path(certifi.where()))
    pool = ProxyPool(retries=_RETRY, timeout=urllib3.Timeout(connect=5, read=30), ca_certs=certificates)
    provider = IamAwsProvider(custom_endpoint=endpoint, http_client=pool, region=region)
    return Role(provider, f"the role {role} with the token in {token_file}")


@functools.cache
def _container_role(uri: str) -> Role:
    return Role(IamAwsProvider(http_client=_node_pool(_RETRY, 10)), f"the pod's role at {uri}")


@functools.cache
def _instance_role() -> Role | None:
    """Returns the machine's role; None after a second if there is no metadata service, as on a laptop."""
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "").rstrip("/") or None
    try:
        IamAwsProvider(custom_endpoint=endpoint, http_client=_node_pool(urllib3.Retry(False), 1)).retrieve()
    except (urllib3.exceptions.HTTPError, OSError, ValueError, LookupError):
        return None
    return Role(IamAwsProvider(custom_endpoint=endpoint, http_client=_node_pool(_RETRY, 10)), "the machine's role")


def _node_pool(retries: urllib3.Retry, timeout_s: float) -> urllib3.PoolManager:
    """Returns a pool without a proxy, because only the node itself has these addresses."""
    return urllib3.PoolManager(retries=retries, timeout=urllib3.Timeout(total=timeout_s))
