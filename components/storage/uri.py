"""Parses URIs to a local path, or to a bucket, a key and the store's settings.

Query parameters are those of KFP's pipeline roots: `minio://bucket/key?endpoint=host:9000&region=r&disableSSL=true`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from compaware.components.core.base.errors import UserError

SCHEMES = ("file", "s3", "minio")
_NO_TLS = ("disableSSL", "disable_https")
_PATH_STYLE = ("s3ForcePathStyle", "use_path_style")
# Settings of the client of KFP's launcher; they do not change the location.
_IGNORED_PARAMETERS = (
    "awssdk",
    "hostname_immutable",
    "rate_limiter_capacity",
    "request_checksum_calculation",
    "response_checksum_validation",
)
_PARAMETERS = ("endpoint", "region", *_NO_TLS, *_PATH_STYLE)
# A question mark is allowed in a key, so only what looks like name=value&name=value is a query.
_QUERY = re.compile(r"\?(?P<query>\w+=[^&=]*(?:&\w+=[^&=]*)*)$")
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


@dataclass(frozen=True)
class Location:
    """A key in a bucket.

    Attributes:
        shown: The URI without its query, for messages.
        scheme: `s3` or `minio`.
        bucket: The bucket.
        key: The key of the object or folder, without leading and trailing slashes.
        is_folder: The URI ends in a slash, so it is a folder and not an object.
        endpoint: Host and port, or a URL; None to use that of the environment.
        region: The bucket's region; None to use that of the environment or to ask the store.
        disable_tls: Use plain HTTP if the endpoint has no scheme.
        path_style: Whether the bucket is in the path or in the host name; None for the client's default.
    """

    shown: str
    scheme: str
    bucket: str
    key: str
    is_folder: bool = False
    endpoint: str | None = None
    region: str | None = None
    disable_tls: bool = False
    path_style: bool | None = None

    def below(self, name: str) -> str:
        """Returns the key of a file in this folder."""
        return f"{self.key}/{name}"


def shown(location: Path | Location) -> str:
    """Returns a path, or a URI without its query, for messages."""
    return str(location) if isinstance(location, Path) else location.shown


def is_uri(source: str) -> bool:
    """Whether a text has the form `scheme://…`, with any scheme."""
    return "://" in source


def join(uri: str, name: str) -> str:
    """Returns the path or URI of a file in a folder; the URI's parameters stay at its end."""
    query = _QUERY.search(uri) if is_uri(uri) else None
    folder = uri[: query.start()] if query else uri
    return f"{folder.rstrip('/')}/{name}{query[0] if query else ''}"


def parse(uri: str) -> Path | Location:
    """Parses a path or URI; returns a path, which need not exist, for a plain path or `file:///path`.

    Raises:
        UserError: The scheme or a parameter is unknown, or the bucket or the key is missing.
    """
    if not is_uri(uri):
        return _path(uri)
    scheme, _, rest = uri.partition("://")
    if scheme == "file":
        host, slash, path = rest.partition("/")
        if host not in ("", "localhost") or not slash:
            raise UserError(
                f"{_one_line(uri)} is not a path on this machine: write a file URI with three slashes, file:///folder"
            )
        return Path(unquote(f"/{path}"))
    if scheme not in SCHEMES:
        raise UserError(f"cannot use a URI that begins with {_one_line(scheme)[:40]}://: {_advice(scheme, rest)}")
    return _parse_object_uri(scheme, rest)


def _advice(scheme: str, rest: str) -> str:
    """Returns what to write instead of a URI with an unknown scheme, without showing it: it may contain a secret."""
    host, _, path = rest.partition("/")
    if scheme.lower() in SCHEMES:
        return f"write {scheme.lower()}:// in lower case"
    if scheme.lower() in ("s3a", "s3n"):
        return "write s3://"
    if scheme.lower() in ("gs", "gcs"):
        return "write s3://BUCKET/KEY?endpoint=storage.googleapis.com, with HMAC keys, or copy it to S3 or MinIO"
    if scheme.lower() == "hf" or host.lower() in ("huggingface.co", "www.huggingface.co"):
        return "write only the hub id, OWNER/NAME"
    if scheme.lower() in ("http", "https"):
        if path.startswith("browser/"):
            return "it is a page of the store's console: write s3://BUCKET/KEY?endpoint=HOST:PORT"
        return "write s3://BUCKET/KEY?endpoint=HOST for an object in a bucket, or download it and give its path"
    return f"choose a path or one of {', '.join(f'{name}://' for name in SCHEMES)}"


def _parse_object_uri(scheme: str, rest: str) -> Location:
    query = _QUERY.search(rest)
    path = rest[: query.start()] if query else rest
    bucket, _, key = path.partition("/")
    if "@" in bucket or ":" in bucket:
        # The URI is not shown, because it may contain a secret.
        raise UserError(f"the URI must not have credentials or a port: write {scheme}://BUCKET/KEY?endpoint=HOST")
    shown = _one_line(f"{scheme}://{path}")
    if not bucket or not key.strip("/"):
        raise UserError(
            f"{shown} is incomplete: write {scheme}://BUCKET/KEY, where KEY is a file or folder in the bucket"
        )
    if set(key.strip("/").split("/")) & {"", ".", ".."}:
        raise UserError(f"{shown} has an empty part, '.' or '..' in its key: write the full key")
    values = dict(parse_qsl(query["query"], keep_blank_values=True)) if query else {}
    for name in values:
        if name not in _PARAMETERS + _IGNORED_PARAMETERS:
            raise UserError(f"{shown} has the unknown parameter '{name}': choose from {', '.join(_PARAMETERS)}")
    return Location(
        shown=shown,
        scheme=scheme,
        bucket=bucket,
        key=key.strip("/"),
        is_folder=key.endswith("/"),
        endpoint=values.get("endpoint") or None,
        region=values.get("region") or None,
        disable_tls=_boolean(values, _NO_TLS, shown) or False,
        path_style=_boolean(values, _PATH_STYLE, shown),
    )


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{_one_line(text)!r} is the home folder of an unknown user: write the full path") from error


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _boolean(values: dict[str, str], names: tuple[str, ...], shown: str) -> bool | None:
    for name in names:
        if name in values:
            if values[name].lower() not in _BOOLEANS:
                raise UserError(f"{shown} has a parameter '{name}' that is neither true nor false: write one of them")
            return _BOOLEANS[values[name].lower()]
    return None
