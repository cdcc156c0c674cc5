"""A bucket of an S3-compatible object store: retries requests and reports errors in one line."""

import http
import logging
import ssl
import threading
import time
import xml.etree.ElementTree
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

import certifi
import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from minio.helpers import check_bucket_name

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.storage.connection import PATIENCE_VARIABLE, Connection, connection
from compaware.components.storage.pools import ProxyPool
from compaware.components.storage.upload_manifest import MANIFEST_NAME, UPLOAD_MARK, UploadManifest
from compaware.components.storage.uri import Location

log = logging.getLogger(__name__)
Result = TypeVar("Result")

PARALLEL_REQUESTS = 4
_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 60.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
# An endpoint that has never answered this process is probably wrong, so it gets less time.
_FIRST_ANSWER_S = 20.0
_REFUSALS = {
    "AccessDenied": "access is denied: check the access key and its permissions",
    "BucketAlreadyExists": "the bucket belongs to someone else: choose another bucket",
    "ExpiredToken": "the session token has expired: get new credentials",
    "InvalidAccessKeyId": "the access key is unknown: check AWS_ACCESS_KEY_ID",
    "InvalidClientTokenId": "the session token or the access key is not valid: get new credentials",
    "InvalidToken": "the session token is not valid: get new credentials",
    "NoSuchBucket": "there is no such bucket: check the URI",
    "QuotaExceeded": "the quota is exceeded: delete something there, or have it raised",
    "RequestTimeTooSkewed": "this machine's clock differs from the store's: correct it",
    "SignatureDoesNotMatch": "the secret key does not match the access key: check AWS_SECRET_ACCESS_KEY",
    "TokenRefreshRequired": "the session token has expired: get new credentials",
    "UserSuspended": "the account is suspended: ask the store's administrator",
    "XMinioAdminBucketQuotaExceeded": "the quota is exceeded: delete something there, or have it raised",
    "XMinioStorageFull": "the object store is full: delete files there",
}
# Damaged or slow requests and errors of the server are worth a retry.
_TRANSIENT_CODES = ("BadDigest", "IncompleteBody", "RequestTimeout", "SlowDown", "XAmzContentSHA256Mismatch")
_TRANSIENT_STATUS = (429, 500, 502, 503, 504)
_ERRORS = (MinioException, urllib3.exceptions.HTTPError, xml.etree.ElementTree.ParseError)
_answered: set[str] = set()


class NotThereError(UserError):
    """The object or upload does not exist."""


class ChangedError(UserError):
    """The object is no longer as the request's condition says."""


class NoConditionsError(UserError):
    """The store does not implement the request's condition."""


class Store:
    """The bucket of a location.

    Args:
        location: The location.
        purpose: `read`, `write` or `delete`, for messages.
        address_works: The store has answered another process.

    Raises:
        UserError: A variable or the bucket's name is invalid.
    """

    def __init__(self, location: Location, purpose: str, *, address_works: bool = False):
        self.location = location
        self.bucket = location.bucket
        self._purpose = purpose
        self._connection = connection(location)
        try:
            check_bucket_name(location.bucket)
            self.client = _client(self._connection)
        except ValueError as error:
            raise self.error(str(error)) from error
        self._address_works = address_works
        self._last_progress = 0.0
        self._stopped = threading.Event()

    @property
    def source(self) -> str:
        """The location with its endpoint; unique among all stores."""
        return f"{self._connection.address}/{self.bucket}/{self.location.key}"

    def error(self, reason: str) -> UserError:
        """Returns an error about this location."""
        return UserError(self._message(reason))

    def call(self, operation: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Sends a request and retries it with growing pauses until it succeeds or times out.

        The timeout starts again after any progress, so a long transfer does not time out.

        Raises:
            NotThereError: The object does not exist.
            UserError: The store rejects the request.
            UnavailableError: There was no progress for too long.
        """
        started, wait_s = time.monotonic(), _FIRST_WAIT_S
        while True:
            try:
                result = operation(*args, **kwargs)
            except _ERRORS as error:
                if not _is_transient(error):
                    raise self._refusal(error) from error
                reason = _reason(error)
                if time.monotonic() + wait_s > max(started, self._last_progress) + self._patience_s():
                    problem = f"{self._connection.address} does not answer ({reason}); no progress for "
                    hint = f"{self._patience_s():g} s: check the address, or raise {PATIENCE_VARIABLE}"
                    raise UnavailableError(self._message(problem + hint)) from error
                log.warning("%s: %s; retrying in %.1f s", self.location.shown, reason, wait_s)
            else:
                self.progressed()
                return result
            if self._stopped.wait(wait_s):
                raise self.error("another part of the transfer failed")
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def progressed(self) -> None:
        """Records that the store has answered."""
        self._last_progress = time.monotonic()
        _answered.add(self._connection.address)

    def run_all(self, tasks: Iterable[Callable[[], None]]) -> None:
        """Runs tasks, a few at a time; raises the first error and stops the other tasks."""
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def read(self, key: str) -> bytes:
        """Returns the content of a small object."""
        return self.call(self._read, key)

    def manifest_bytes(self) -> bytes | None:
        """Returns the manifest of the folder at the location as stored; None if there is none."""
        try:
            return self.read(self.location.below(MANIFEST_NAME))
        except NotThereError:
            return None

    def manifest(self) -> UploadManifest | None:
        """Returns the manifest of the folder at the location; None if there is none."""
        content = self.manifest_bytes()
        return None if content is None else UploadManifest.read(content, self.location.shown)

    def stat(self, key: str) -> Any | None:
        """Returns minio's `Object` of a key; None if there is none."""
        try:
            return self.call(self.client.stat_object, self.bucket, key)
        except NotThereError:
            return None

    def list_below(self) -> dict[str, Any]:
        """Returns minio's `Object`s below the location by name, without the manifest and the upload mark."""
        prefix = self.location.below("")
        objects = self.call(lambda: list(self.client.list_objects(self.bucket, prefix=prefix, recursive=True)))
        names = {item.object_name.removeprefix(prefix): item for item in objects if not item.object_name.endswith("/")}
        return {name: item for name, item in names.items() if name not in (MANIFEST_NAME, UPLOAD_MARK)}

    def remove(self, keys: list[str]) -> None:
        """Deletes objects; ignores those that do not exist."""
        failed = self.call(lambda: list(self.client.remove_objects(self.bucket, [DeleteObject(key) for key in keys])))
        if failed:
            raise self.error(f"deleting {failed[0].name} failed: {_REFUSALS.get(failed[0].code, failed[0].code)}")

    def _message(self, reason: str) -> str:
        return f"cannot {self._purpose} {self.location.shown}: {' '.join(reason.split())}"

    def _read(self, key: str) -> bytes:
        with self.client.get_object(self.bucket, key) as response:
            return response.read()

    def _patience_s(self) -> float:
        patience_s = self._connection.patience_s
        has_answered = self._address_works or self._connection.address in _answered
        return patience_s if has_answered else min(patience_s, _FIRST_ANSWER_S)

    def _refusal(self, error: Exception) -> UserError:
        if isinstance(error, S3Error) and error.code in ("NoSuchKey", "NoSuchUpload"):
            return NotThereError(str(self.error("there is no object with that key: check the URI")))
        if isinstance(error, S3Error) and error.code in ("PreconditionFailed", "ConditionalRequestConflict"):
            return ChangedError(str(self.error("the object was replaced at the same time: run again")))
        if isinstance(error, S3Error) and error.code == "NotImplemented":
            return NoConditionsError(str(self.error(f"the store does not implement this: {error.message}")))
        if isinstance(error, S3Error):
            return self.error(_REFUSALS.get(error.code or "", f"{error.code} {error.message or ''}".strip()))
        if isinstance(error, urllib3.exceptions.SSLError):
            return self.error(
                f"cannot verify the TLS certificate of {self._connection.address} ({_reason(error)}): {_TLS_HINT}"
            )
        return self.error(f"{self._connection.address} does not answer as an object store ({_reason(error)})")


_TLS_HINT = "set COMPAWARE_CA_FILE to its certificate authority, or write http:// in the endpoint if it has no TLS"


def _client(settings: Connection) -> Minio:
    timeout = urllib3.Timeout(
        connect=min(_CONNECT_TIMEOUT_S, settings.patience_s), read=min(_READ_TIMEOUT_S, settings.patience_s)
    )
    pool = ProxyPool(
        timeout=timeout,
        maxsize=PARALLEL_REQUESTS,
        retries=False,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(settings.ca_file or Path(certifi.where())),
    )
    client = Minio(
        settings.host,
        credentials=settings.credentials,
        secure=settings.secure,
        region=settings.region,
        http_client=pool,
    )
    if settings.path_style is True:
        client.disable_virtual_style_endpoint()
    elif settings.path_style is False:
        client.enable_virtual_style_endpoint()
    return client


def _is_transient(error: Exception) -> bool:
    if isinstance(error, S3Error):
        return error.code in _TRANSIENT_CODES or error.response.status in _TRANSIENT_STATUS
    if isinstance(error, ServerError | InvalidResponseError):
        return _status(error) in _TRANSIENT_STATUS
    return isinstance(error, urllib3.exceptions.HTTPError) and not isinstance(error, urllib3.exceptions.SSLError)


def _status(error: ServerError | InvalidResponseError) -> int:
    # minio keeps it in a private attribute of one of the two.
    return int(error.status_code if isinstance(error, ServerError) else error._code)


def _reason(error: Exception) -> str:
    """Describes an error briefly; the libraries' messages contain memory addresses and whole pages."""
    if isinstance(error, S3Error):
        return f"{error.code}"
    if isinstance(error, ServerError | InvalidResponseError):
        status = _status(error)
        return f"HTTP {status} {http.HTTPStatus(status).phrase}" if status in set(http.HTTPStatus) else f"HTTP {status}"
    if isinstance(error, urllib3.exceptions.ProxyError):
        return "the proxy does not answer or refuses the connection"
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "no such host"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "no connection"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        cause = error.args[0] if error.args else error
        return cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "it is not a TLS server"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection broke"
    return type(error).__name__
