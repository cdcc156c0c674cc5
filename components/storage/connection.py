"""Settings of an object store: from the URI's parameters, else the environment, else a mounted secret."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from compaware.components.core.base.errors import UserError
from compaware.components.storage.uri import Location

ENDPOINT_VARIABLES = ("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MINIO_ENDPOINT")
# The last names are keys of KFP's secret mlpipeline-minio-artifact, which `envFrom` turns into variables.
ACCESS_KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "MINIO_ACCESS_KEY", "MINIO_ROOT_USER", "accesskey")
SECRET_KEY_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ROOT_PASSWORD", "secretkey")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
CA_FILE_VARIABLES = ("COMPAWARE_CA_FILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE")
SECRET_DIR_VARIABLE = "COMPAWARE_S3_SECRET_DIR"
PATIENCE_VARIABLE = "COMPAWARE_STORAGE_PATIENCE_S"
IN_CLUSTER_MINIO = "http://minio-service.kubeflow:9000"
_DEFAULT_PATIENCE_S = 300.0


@dataclass(frozen=True)
class Connection:
    """Address, credentials and limits for an object store.

    Attributes:
        host: Host and port.
        secure: Whether to use TLS.
        access_key: Access key; None for anonymous access.
        secret_key: Secret key; None for anonymous access.
        session_token: Session token of temporary credentials.
        region: Region; None to ask the store.
        ca_file: Certificates to trust instead of the default ones.
        patience_s: Seconds without any progress before giving up.
    """

    host: str
    secure: bool
    access_key: str | None
    secret_key: str | None = field(repr=False)
    session_token: str | None = field(repr=False)
    region: str | None
    ca_file: Path | None
    patience_s: float

    @property
    def address(self) -> str:
        """The store's address, for messages."""
        return f"{'https' if self.secure else 'http'}://{self.host}"


def connection(location: Location) -> Connection:
    """Returns the settings for a location.

    Raises:
        UserError: The endpoint or one key of the pair is missing, or a variable is invalid.
    """
    host, secure = _endpoint(location)
    access_key, secret_key = _credentials(location)
    ca_file = _variable(CA_FILE_VARIABLES)
    if ca_file and not Path(ca_file).is_file():
        raise UserError(f"there is no certificate file {ca_file}: correct {' or '.join(CA_FILE_VARIABLES)}")
    return Connection(
        host=host,
        secure=secure,
        access_key=access_key,
        secret_key=secret_key,
        session_token=os.environ.get("AWS_SESSION_TOKEN") or None,
        region=location.region or _variable(REGION_VARIABLES),
        ca_file=Path(ca_file) if ca_file else None,
        patience_s=_patience_s(),
    )


def _endpoint(location: Location) -> tuple[str, bool]:
    endpoint = location.endpoint or _variable(ENDPOINT_VARIABLES)
    if endpoint is None and location.scheme == "minio":
        endpoint = IN_CLUSTER_MINIO
    if endpoint is None:
        raise UserError(f"cannot reach {location.shown}: set S3_ENDPOINT, for example https://s3.amazonaws.com")
    if "://" not in endpoint:
        endpoint = f"{'http' if location.disable_tls else 'https'}://{endpoint}"
    try:
        parts = urlsplit(endpoint)
        is_address = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_address = False
    # The value is not shown, because it may contain a password.
    if not is_address or parts.scheme not in ("http", "https") or parts.username or parts.path.strip("/"):
        raise UserError("the object store's endpoint is not an address: write https://HOST:PORT without a path")
    return parts.netloc, parts.scheme == "https"


def _credentials(location: Location) -> tuple[str | None, str | None]:
    access_key, secret_key = _variable(ACCESS_KEY_VARIABLES), _variable(SECRET_KEY_VARIABLES)
    folder = os.environ.get(SECRET_DIR_VARIABLE)
    if folder and not access_key and not secret_key:
        return _secret_file(Path(folder) / "accesskey"), _secret_file(Path(folder) / "secretkey")
    if bool(access_key) != bool(secret_key):
        raise UserError(
            f"cannot reach {location.shown}: set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither"
        )
    return access_key, secret_key


def _secret_file(file: Path) -> str:
    try:
        value = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {file}: mount the secret mlpipeline-minio-artifact at {SECRET_DIR_VARIABLE}"
        ) from error
    if not value:
        raise UserError(f"{file} is empty: correct the secret mounted at {SECRET_DIR_VARIABLE}")
    return value


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
