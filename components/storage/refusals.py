"""Reads the errors of an object store: whether to repeat the request, or what to tell the user in one line."""

import http.client
import re
import ssl
import xml.etree.ElementTree as ET
from urllib.parse import urlsplit

import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

# minio raises ValueError for answers that lack what it looks for.
ERRORS = (MinioException, urllib3.exceptions.HTTPError, ET.ParseError, ValueError)
NOT_THERE = ("NoSuchKey", "NoSuchUpload")
CHANGED = ("ConditionalRequestConflict", "PreconditionFailed")
# The store does not offer the operation, or not to these credentials.
NOT_ALLOWED = ("AccessDenied", "MethodNotAllowed", "NotImplemented")
# Damaged or slow requests and errors of the server are worth a retry. Some follow a status of 200.
_TRANSIENT_CODES = (
    "BadDigest",
    "IncompleteBody",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
)
_TRANSIENT_STATUS = (429, 500, 502, 503, 504)
_REDIRECT_STATUS = (301, 302, 307, 308)
_OTHER_ADDRESS = "the bucket has another address or region: correct the endpoint, or set AWS_REGION"
_REFUSALS = {
    "AuthorizationHeaderMalformed": "the store did not accept the region: correct AWS_REGION",
    "BucketAlreadyExists": "the bucket belongs to someone else: choose another bucket",
    "ExpiredToken": "the session token has expired: get new credentials",
    "InvalidAccessKeyId": "the access key is unknown: check {source}",
    "InvalidClientTokenId": "the session token or the access key is not valid: get new credentials",
    "InvalidToken": "the session token is not valid: get new credentials",
    "NoSuchBucket": "there is no such bucket: check the URI",
    "PermanentRedirect": _OTHER_ADDRESS,
    "QuotaExceeded": "the quota is exceeded: delete something there, or have it raised",
    "Redirect": _OTHER_ADDRESS,
    "RequestTimeTooSkewed": "this machine's clock differs from the store's: correct it",
    "SignatureDoesNotMatch": "the secret key does not match the access key: check {source}",
    "TemporaryRedirect": _OTHER_ADDRESS,
    "TokenRefreshRequired": "the session token has expired: get new credentials",
    "UserSuspended": "the account is suspended: ask the store's administrator",
    "XMinioAdminBucketQuotaExceeded": "the quota is exceeded: delete something there, or have it raised",
    "XMinioStorageFull": "the object store is full: delete files there",
}
# Rights that an operation of the client needs. Without s3:ListBucket, a store refuses to read a missing object.
_RIGHTS = {
    "_abort_multipart_upload": "s3:AbortMultipartUpload",
    "_complete_multipart_upload": "s3:PutObject",
    "_create_multipart_upload": "s3:PutObject",
    "_delete_objects": "s3:DeleteObject",
    "_get_object": "s3:GetObject and s3:ListBucket",
    "_list_multipart_uploads": "s3:ListBucketMultipartUploads",
    "_list_objects": "s3:ListBucket",
    "_list_parts": "s3:ListMultipartUploadParts",
    "_put_object": "s3:PutObject",
    "_upload_part": "s3:PutObject",
    "copy_object": "s3:GetObject and s3:PutObject",
    "stat_object": "s3:GetObject and s3:ListBucket",
}


class NotDeletedError(MinioException):
    """One of several objects could not be deleted; the answer to the request as a whole has status 200.

    Attributes:
        name: The object's key.
        code: The store's error code.
    """

    def __init__(self, name: str, code: str):
        super().__init__(f"{name}: {code}")
        self.name = name
        self.code = code


def code_of(error: Exception) -> str | None:
    """Returns the store's error code, if the error has one."""
    return error.code if isinstance(error, S3Error | NotDeletedError) else None


def is_transient(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, NotDeletedError):
        return error.code in _TRANSIENT_CODES
    if isinstance(error, S3Error):
        return error.code in _TRANSIENT_CODES or error.response.status in _TRANSIENT_STATUS
    if isinstance(error, ServerError | InvalidResponseError):
        return _status(error) in _TRANSIENT_STATUS
    if isinstance(error, urllib3.exceptions.ProtocolError) and _is_no_http(error):
        return False
    return isinstance(error, urllib3.exceptions.HTTPError) and not isinstance(error, urllib3.exceptions.SSLError)


def region_of(error: Exception) -> str | None:
    """Returns the region that a store asks for, or the default one if it does not tell the bucket's region."""
    if not isinstance(error, S3Error):
        return None
    region = None
    if error.response.status in (400, *_REDIRECT_STATUS):
        region = error.response.headers.get("x-amz-bucket-region") or _region_in(error.response.data)
    asked_for_region = urlsplit(error.response.url or "").query == "location="
    if region is None and asked_for_region and error.code in NOT_ALLOWED:
        region = "us-east-1"
    return region if region and re.fullmatch(r"[\w-]{1,63}", region) else None


def describe(error: Exception, operation: str, address: str, source: str | None) -> str:
    """Returns what a refused request means and what to change.

    Args:
        error: The error.
        operation: Name of the client's function.
        address: Address of the store.
        source: Where the credentials are from; None without credentials.
    """
    code = code_of(error)
    if isinstance(error, NotDeletedError):
        return f"deleting {error.name} failed: {_refusal(error.code, operation, source)}"
    if code:
        return _refusal(code, operation, source, getattr(error, "message", None))
    reason = reason_of(error)
    if isinstance(error, urllib3.exceptions.SSLError):
        return (
            f"cannot verify the TLS certificate of {address} ({reason}): set COMPAWARE_CA_FILE to its certificate "
            "authority, or write http:// in the endpoint if it has no TLS"
        )
    hint = "; write https:// in the endpoint if it has TLS" if address.startswith("http://") else ""
    return f"{address} does not answer as an object store ({reason}){hint}"


def reason_of(error: Exception) -> str:
    """Describes an error briefly; the libraries' messages contain memory addresses and whole pages."""
    if code := code_of(error):
        return code
    if isinstance(error, S3Error):
        return _http(error.response.status)
    if isinstance(error, ServerError | InvalidResponseError):
        return _http(_status(error))
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
        return "it does not speak HTTP" if _is_no_http(error) else "the connection broke"
    return type(error).__name__


def what_to_check(error: Exception) -> str:
    """Names the setting that is probably wrong if a store never answers."""
    is_proxy = isinstance(error, urllib3.exceptions.ProxyError)
    return "HTTPS_PROXY, HTTP_PROXY and NO_PROXY" if is_proxy else "the address"


def _refusal(code: str, operation: str, source: str | None, message: str | None = None) -> str:
    if code == "AccessDenied" and source is None:
        return "access is denied without credentials, and none were found: set an access key and its secret, or a role"
    if code in NOT_ALLOWED:
        denied = "access is denied" if code == "AccessDenied" else f"the store does not allow it ({code})"
        right = _RIGHTS.get(operation, "the right to this")
        return f"{denied}: check that the credentials from {source} have {right}"
    if code in CHANGED:
        return "the object was replaced at the same time: run again"
    refusal = _REFUSALS.get(code)
    return refusal.format(source=source) if refusal else f"{code} {message or ''}".strip()


def _region_in(body: bytes) -> str | None:
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        return None
    return next((item.text for item in root.iter() if item.tag.rpartition("}")[2] == "Region"), None)


def _is_no_http(error: urllib3.exceptions.ProtocolError) -> bool:
    """Whether the server answered with something else than HTTP, as a TLS server does."""
    cause = error.args[1] if len(error.args) > 1 else None
    return isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, http.client.RemoteDisconnected)


def _http(status: int) -> str:
    return f"HTTP {status} {http.HTTPStatus(status).phrase}" if status in set(http.HTTPStatus) else f"HTTP {status}"


def _status(error: ServerError | InvalidResponseError) -> int:
    # minio keeps it in a private attribute of one of the two.
    return int(error.status_code if isinstance(error, ServerError) else error._code)
