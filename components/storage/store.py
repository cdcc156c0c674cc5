"""A bucket of an S3-compatible object store: retries requests and reports errors in one line."""

import logging
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

import certifi
import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.helpers import BaseURL, check_bucket_name

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.storage.connection import PATIENCE_VARIABLE, Connection, connection
from compaware.components.storage.pools import ProxyPool
from compaware.components.storage.refusals import (
    CHANGED,
    ERRORS,
    NOT_ALLOWED,
    NOT_THERE,
    NotDeletedError,
    code_of,
    describe,
    is_transient,
    reason_of,
    region_of,
    what_to_check,
)
from compaware.components.storage.upload_manifest import MANIFEST_NAME, UploadManifest
from compaware.components.storage.uri import Location

log = logging.getLogger(__name__)
Result = TypeVar("Result")

PARALLEL_REQUESTS = 4
_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 60.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
_MAX_REDIRECTS = 2
# An endpoint that has never answered this process is probably wrong, so it gets less time.
_FIRST_ANSWER_S = 20.0
_answered: set[str] = set()


class NotThereError(UserError):
    """The object or upload does not exist."""


class NotAllowedError(UserError):
    """The credentials have no right to the operation, or the store does not offer it."""


class NoConditionsError(NotAllowedError):
    """The store does not implement the operation, or the request's condition."""


class ChangedError(UserError):
    """The object is no longer as the request's condition says."""


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
        self._region = self._connection.region
        if not location.key.strip():
            raise self.error("the key is blank: write the name of a file or folder")
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
            NotAllowedError: Access is denied, or the store does not offer the operation.
            UserError: The store rejects the request.
            UnavailableError: There was no progress for too long.
        """
        started, wait_s, redirects = time.monotonic(), _FIRST_WAIT_S, 0
        while True:
            region, asked_at = self._region, time.monotonic()
            try:
                result = operation(*args, **kwargs)
            except ERRORS as error:
                named = region_of(error)
                if named and named != region and redirects < _MAX_REDIRECTS:
                    self._use_region(named)
                    redirects += 1
                    continue
                if not is_transient(error):
                    raise self._refusal(error, getattr(operation, "__name__", "")) from error
                reason = reason_of(error)
                if self._last_progress > asked_at:
                    wait_s = _FIRST_WAIT_S
                if time.monotonic() + wait_s > max(started, self._last_progress) + self._patience_s():
                    problem = f"{self._connection.address} does not answer ({reason}); no progress for "
                    hint = f"{self._patience_s():g} s: check {what_to_check(error)}, or raise {PATIENCE_VARIABLE}"
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
        return self.call(self._get_object, key)

    def put(self, key: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        """Writes a small object."""
        self.call(self.client._put_object, self.bucket, key, content, dict(headers or {}))

    def manifest_bytes(self) -> bytes | None:
        """Returns the manifest of the folder at the location: empty during an upload, None if there is none."""
        try:
            return self.read(self.location.below(MANIFEST_NAME))
        except NotThereError:
            return None

    def manifest(self) -> UploadManifest | None:
        """Returns the manifest of the folder at the location; None if there is none, or an upload has not finished."""
        content = self.manifest_bytes()
        return UploadManifest.read(content, self.location.shown) if content else None

    def stat(self, key: str) -> Any | None:
        """Returns minio's `Object` of a key; None if there is none."""
        try:
            return self.call(self.client.stat_object, self.bucket, key)
        except NotThereError:
            return None

    def list_below(self) -> dict[str, Any]:
        """Returns minio's `Object`s below the location by name, without the manifest and markers of folders."""
        prefix = self.location.below("")
        files = [item for item in self.call(self._list_objects, prefix) if not item.object_name.endswith("/")]
        names = {item.object_name.removeprefix(prefix): item for item in files}
        names.pop(MANIFEST_NAME, None)
        return names

    def keys_below(self) -> list[str]:
        """Returns the keys of all objects below the location."""
        return [item.object_name for item in self.call(self._list_objects, self.location.below(""))]

    def remove(self, keys: list[str]) -> None:
        """Deletes objects; ignores those that do not exist."""
        if keys:
            self.call(self._delete_objects, keys)

    def _message(self, reason: str) -> str:
        return f"cannot {self._purpose} {self.location.shown}: {' '.join(reason.split())}"

    # `refusals` finds the missing right by the names of these functions.
    def _get_object(self, key: str) -> bytes:
        with self.client.get_object(self.bucket, key) as response:
            return response.read()

    def _list_objects(self, prefix: str) -> list[Any]:
        return list(self.client.list_objects(self.bucket, prefix=prefix, recursive=True))

    def _delete_objects(self, keys: list[str]) -> None:
        failed = list(self.client.remove_objects(self.bucket, [DeleteObject(key) for key in keys]))
        errors = [NotDeletedError(item.name or "an object", item.code) for item in failed]
        if errors:
            raise min(errors, key=is_transient)  # A retry does not help if one of them is refused.

    def _use_region(self, region: str) -> None:
        """Sends the next requests to another region, as the store asks."""
        log.info("%s: the bucket is in region %s", self.location.shown, region)
        base = BaseURL(self._connection.address, region)
        base.virtual_style_flag = self.client._base_url.virtual_style_flag
        self.client._base_url, self._region = base, region

    def _patience_s(self) -> float:
        patience_s = self._connection.patience_s
        has_answered = self._address_works or self._connection.address in _answered
        return patience_s if has_answered else min(patience_s, _FIRST_ANSWER_S)

    def _refusal(self, error: Exception, operation: str) -> UserError:
        code = code_of(error)
        if code in NOT_THERE:
            return NotThereError(self._message("there is no object with that key: check the URI"))
        credentials = self._connection.credentials
        source = credentials.source if credentials else None
        message = self._message(describe(error, operation, self._connection.address, source))
        if code in CHANGED:
            return ChangedError(message)
        if code == "NotImplemented":
            return NoConditionsError(message)
        return NotAllowedError(message) if code in NOT_ALLOWED else UserError(message)


class _Client(Minio):
    """A client that notices errors after status 200, which a store sends before it joins parts or copies an object."""

    def _url_open(self, *args: Any, **kwargs: Any) -> Any:
        response = super()._url_open(*args, **kwargs)
        may_be_error = kwargs.get("preload_content", True) and b"<Error" in response.data[:200]
        if may_be_error and ET.fromstring(response.data).tag.rpartition("}")[2] == "Error":
            raise S3Error.fromxml(response)
        return response


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
    client = _Client(
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
