"""Settings of an object store: from the URI, a mapping, the environment, or the services of Kubeflow."""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from compaware.components.core.base.errors import UserError
from compaware.components.storage.credentials import Keys, Role, find_credentials
from compaware.components.storage.mappings import StoreSettings, default_for, override_for
from compaware.components.storage.pools import ca_file
from compaware.components.storage.uri import Location

ENDPOINT_VARIABLES = {"s3": ("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "minio": ("MINIO_ENDPOINT",)}
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
PATIENCE_VARIABLE = "COMPAWARE_STORAGE_PATIENCE_S"
# Kubeflow's own store, of KFP 2.16 and newer and of older ones.
KUBEFLOW_HOSTS = ("seaweedfs.kubeflow", "minio-service.kubeflow")
_KUBEFLOW_PORT = 9000
_AWS = "https://s3.amazonaws.com"
_DEFAULT_PATIENCE_S = 300.0


@dataclass(frozen=True)
class Connection:
    """Address, credentials and limits for an object store.

    Attributes:
        host: Host and port.
        secure: Whether to use TLS.
        credentials: Where the credentials come from; None for anonymous access.
        region: Region; None to ask the store.
        path_style: Whether the bucket is in the path or in the host name; None for the client's default.
        ca_file: Certificates to trust instead of the default ones.
        patience_s: Seconds without any progress before giving up.
    """

    host: str
    secure: bool
    credentials: Keys | Role | None = field(repr=False)
    region: str | None
    path_style: bool | None
    ca_file: Path | None
    patience_s: float

    @property
    def address(self) -> str:
        """The store's address, for messages."""
        return f"{'https' if self.secure else 'http'}://{self.host}"


def connection(location: Location) -> Connection:
    """Returns the settings for a location.

    The address is the first of these: that of the URI, that of the bucket or prefix in a mapping, that of the
    environment, that of the artifact's store, the default of a mapping, AWS if a mapping has settings for `s3://`, and
    Kubeflow's own store for `minio://`. If a mapping applies, it also says where the credentials come from.

    Raises:
        UserError: The endpoint or one key of the pair is missing, or a variable is invalid.
        UnavailableError: A secret must be read and the Kubernetes API does not answer.
    """
    settings = None if location.endpoint else override_for(location)
    endpoint = location.endpoint or (settings and settings.endpoint) or _variable(ENDPOINT_VARIABLES[location.scheme])
    if not endpoint:
        default = default_for(location)
        settings = settings.over(default) if settings else default
        # As in KFP's launcher, `s3://` means AWS if the mapping has no address.
        own_default = _AWS if settings and location.scheme == "s3" else None
        endpoint = (settings and settings.endpoint) or own_default or _kubeflow_store(location)
    host, secure = _address(endpoint, location.disable_tls or bool(settings and settings.disable_ssl))
    own = settings or StoreSettings()
    return Connection(
        host=host,
        secure=secure,
        credentials=find_credentials(location, host, settings),
        region=location.region or own.region or _variable(REGION_VARIABLES),
        path_style=own.force_path_style if location.path_style is None else location.path_style,
        ca_file=ca_file(),
        patience_s=_patience_s(),
    )


def _address(endpoint: str, disable_tls: bool) -> tuple[str, bool]:
    if "://" not in endpoint:
        endpoint = f"{'http' if disable_tls else 'https'}://{endpoint}"
    try:
        parts = urlsplit(endpoint)
        is_address = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_address = False
    # The value is not shown, because it may contain a password.
    if not is_address or parts.scheme not in ("http", "https") or parts.username or parts.path.strip("/"):
        raise UserError("the object store's endpoint is not an address: write https://HOST:PORT without a path")
    return parts.netloc, parts.scheme == "https"


def _kubeflow_store(location: Location) -> str:
    if location.scheme != "minio":
        raise UserError(f"cannot reach {location.shown}: set S3_ENDPOINT, for example {_AWS}")
    host = next((name for name in KUBEFLOW_HOSTS if _may_exist(name)), None)
    if host is None:
        hosts = " nor ".join(KUBEFLOW_HOSTS)
        raise UserError(f"cannot reach {location.shown}: set MINIO_ENDPOINT, because neither {hosts} exists here")
    return f"http://{host}:{_KUBEFLOW_PORT}"


def _may_exist(host: str) -> bool:
    """Whether a name server knows a host; in a pod, True also if the name server does not answer."""
    try:
        socket.getaddrinfo(host, _KUBEFLOW_PORT)
    except socket.gaierror as error:
        return error.errno == socket.EAI_AGAIN and "KUBERNETES_SERVICE_HOST" in os.environ
    return True


def _patience_s() -> float:
    text = os.environ.get(PATIENCE_VARIABLE) or str(_DEFAULT_PATIENCE_S)
    try:
        patience_s = float(text)
    except ValueError:
        patience_s = 0.0
    if not 0 < patience_s < float("inf"):
        raise UserError(f"{PATIENCE_VARIABLE} is '{text}': give a number of seconds above 0")
    return patience_s


def _variable(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
