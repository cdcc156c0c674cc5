"""Connects to the Kubeflow Pipelines API server and explains its errors."""

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UnavailableError, UserError, first_line
from compaware.components.core.base.secrets import read_token

if TYPE_CHECKING:
    from kfp import Client

# KFP itself reads the first variable. It has none for a token, and other users can read a token on a command line.
HOST_VARIABLE = "KF_PIPELINES_ENDPOINT"
TOKEN_VARIABLE = "KF_PIPELINES_TOKEN"
CA_VARIABLE = "KF_PIPELINES_CA_CERT"
# Where KFP stores artifacts by default.
PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
PAGE_SIZE = 100
_TIMEOUT_S = 15.0
_LOG_TIMEOUT_S = 60.0
_LOG_ERROR = '{"error_message":'


_UNAVAILABLE = (429, 502, 503, 504)


class MissingError(UserError):
    """The server has no such object."""


class LogMissingError(UserError):
    """The server has no log of a pod."""


def connect(host: str | None, namespace: str | None, ca: Path | None = None) -> "Client":
    """Connects to the API server like the KFP SDK: by address, from inside the cluster, or through the kubeconfig.

    Args:
        host: Address, such as `http://localhost:8080`; by default that of `KF_PIPELINES_ENDPOINT`.
        namespace: The user's namespace; None if the server has a single user.
        ca: File of certificates to trust instead of the default ones.

    Raises:
        UserError: No server answers at the address.
        UnavailableError: The server is not available, or none is found where the cluster or the kubeconfig says.
    """
    from kfp import Client

    if ca and not ca.is_file():
        raise UserError(f"there is no certificate file {ca}: correct --ca or {CA_VARIABLE}")
    # urllib3 would log each attempt of a request. KFP's client resets the level of "urllib3" itself.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    address = host or os.environ.get(HOST_VARIABLE)
    token = read_token(TOKEN_VARIABLE)
    if address:
        _require_answer(address, token, ca)
    try:
        with translate_errors(), warnings.catch_warnings(), _no_logs():
            warnings.simplefilter("ignore")
            return Client(
                host=address,
                existing_token=token,
                namespace=namespace or "kubeflow",
                ssl_ca_cert=str(ca) if ca else None,
            )
    except UnavailableError as error:
        if address:
            raise
        raise UnavailableError(
            f"no Kubeflow Pipelines server was found: set --host or {HOST_VARIABLE} to its address"
        ) from error


@contextlib.contextmanager
def _no_logs() -> Iterator[None]:
    """Suppresses log messages: KFP's client logs a traceback of each attempt to connect."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Translates API and network errors to one line that says what to do, and suppresses what KFP prints.

    Raises:
        MissingError: The server has no such object.
        UnavailableError: The server does not answer.
        UserError: Any other error of the API.
    """
    from kfp_server_api import ApiException
    from urllib3.exceptions import HTTPError

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except ApiException as error:
        kind = MissingError if error.status == 404 else UnavailableError if error.status in _UNAVAILABLE else UserError
        raise kind(_explain_status(error.status, _message(error))) from error
    except (HTTPError, TimeoutError) as error:
        cause = getattr(error, "reason", None) or error
        raise UnavailableError(f"the Kubeflow Pipelines server does not answer: {first_line(cause)}") from error
    except ValueError as error:
        # KFP raises these for duplicate and unknown names.
        raise UserError(f"Kubeflow Pipelines: {first_line(error)}") from error


def name_filter(key: str, name: str) -> str:
    """Returns a filter for the items whose field `key` is `name`."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "string_value": name}]})


def list_items(list_page: Callable[..., Any], field: str, **query: Any) -> Iterator[Any]:
    """Yields the items of all pages of a list.

    Args:
        list_page: Method of the client that returns a page.
        field: Field of the page that holds the items.
        query: Arguments of the method.
    """
    token = ""
    while True:
        with translate_errors():
            page = list_page(page_token=token, page_size=PAGE_SIZE, **query)
        yield from getattr(page, field) or []
        if not page.next_page_token:
            return
        token = page.next_page_token


def read_log(client: "Client", run_id: str, node: str) -> str:
    """Returns the log of a run's pod so far; if the pod is gone, the log in Argo's archive, if it has one.

    The endpoint is not in the server's OpenAPI description. It cannot follow a log. Its errors have the status 200,
    since it writes the status before it reads (ReadRunLogV1 in KFP's run_log_server.go).

    Args:
        client: Client of the server.
        run_id: The run.
        node: Name of the pod, or id of an Argo node that is or contains the pod. An id finds only archived logs.

    Raises:
        LogMissingError: There is no log.
        UserError: The server refuses.
    """
    from kfp_server_api import ApiException

    with translate_errors():
        try:
            data = _get(client, "/apis/v1alpha1/runs/{run_id}/nodes/{node}/log", run_id=run_id, node=node)
        except ApiException as error:
            if error.status in (401, 403, *_UNAVAILABLE):
                raise
            raise LogMissingError(_message(error)) from error
    text = data.decode("utf-8", "replace")
    # An error can also end a log, when the connection to the pod is lost.
    log, mark, rest = text.rpartition(_LOG_ERROR)
    message = _error_message(mark + rest) if mark else None
    if message is None:
        return text
    if not log:
        raise LogMissingError(message)
    return log


def read_workflow(client: "Client", run_id: str) -> dict[str, Any]:
    """Returns the Argo Workflow of a run, which only the server's older API gives; empty if it does not."""
    try:
        with translate_errors():
            details = json.loads(_get(client, "/apis/v1beta1/runs/{run_id}", run_id=run_id))
        workflow = json.loads(details["pipeline_runtime"]["workflow_manifest"])
    except (UserError, UnavailableError, LookupError, TypeError, ValueError):
        return {}
    return workflow if isinstance(workflow, dict) else {}


def _get(client: "Client", path: str, **parameters: str) -> bytes:
    response = client.runs.api_client.call_api(
        path,
        "GET",
        path_params=parameters,
        auth_settings=["Bearer"],
        _return_http_data_only=True,
        _preload_content=False,
        _request_timeout=_LOG_TIMEOUT_S,
    )
    return bytes(response.data)


def _error_message(text: str) -> str | None:
    """Returns the message of an answer that is an error of the log endpoint; None for any other text."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    if not isinstance(body, dict) or body.keys() != {"error_message", "error_details"}:
        return None
    return " ".join(str(body["error_message"]).split())


def _require_answer(address: str, token: str, ca: Path | None) -> None:
    """Checks the server's health once. KFP's client retries the check several times, even if it is refused."""
    import urllib3

    url = address if "://" in address else f"https://{address}"
    pool = urllib3.PoolManager(ca_certs=str(ca) if ca else None)
    try:
        response = pool.request(
            "GET",
            f"{url.rstrip('/')}/apis/v2beta1/healthz",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUT_S,
            retries=False,
            redirect=False,
        )
    except urllib3.exceptions.SSLError as error:
        raise UserError(
            f"the certificate of {url} is not trusted: name the file of its authority with --ca or {CA_VARIABLE} "
            f"({first_line(error)})"
        ) from error
    except urllib3.exceptions.HTTPError as error:
        raise UserError(
            f"no Kubeflow Pipelines server answers at {url}: check --host, or forward its port: "
            f"kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888 ({first_line(error)})"
        ) from error
    if response.status in (401, 403):
        raise UserError(_explain_status(response.status, response.reason or "no reason given"))
    if response.status in _UNAVAILABLE:
        raise UnavailableError(f"the Kubeflow Pipelines server at {url} is not available (status {response.status})")
    if response.status != 200 or not _is_object(response.data):
        raise UserError(
            f"{url} is not the address of a Kubeflow Pipelines API (status {response.status}): check --host; if it is "
            f"behind a login, set {TOKEN_VARIABLE}"
        )


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


def _explain_status(status: int | None, message: str) -> str:
    reasons = {
        401: f"needs a token: set {TOKEN_VARIABLE} to a valid one",
        403: "denied access: check --namespace, or request the role kubeflow-edit",
        404: "has no such object",
        409: "already has an object of that name",
    }
    return f"the Kubeflow Pipelines server {reasons.get(status or 0, f'refused (status {status})')} ({message})"


def _message(error: Any) -> str:
    try:
        body = json.loads(error.body)
    except (TypeError, ValueError):
        return str(error.reason or "no reason given").strip()
    return " ".join(str(body.get("message") or body.get("error_message") or error.reason).split())
