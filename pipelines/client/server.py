"""Connects to the Kubeflow Pipelines API server and explains its errors."""

import contextlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UserError, first_line

if TYPE_CHECKING:
    from kfp import Client

# KFP itself reads the first variable. It has none for a token, and other users can read a token on a command line.
HOST_VARIABLE = "KF_PIPELINES_ENDPOINT"
TOKEN_VARIABLE = "KF_PIPELINES_TOKEN"
PAGE_SIZE = 100
_TIMEOUT_S = 15.0
_LOG_TIMEOUT_S = 60.0


class LogMissingError(UserError):
    """The server has no log of a pod."""


def connect(host: str | None, namespace: str | None) -> "Client":
    """Connects to the API server like the KFP SDK: by address, from inside the cluster, or through the kubeconfig.

    Args:
        host: Address, such as `http://localhost:8080`; by default that of `KF_PIPELINES_ENDPOINT`.
        namespace: The user's namespace; None if the server has a single user.

    Raises:
        UserError: No server answers.
    """
    from kfp import Client

    address = host or os.environ.get(HOST_VARIABLE)
    if address:
        _require_answer(address)
    with translate_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Client(host=address, existing_token=os.environ.get(TOKEN_VARIABLE), namespace=namespace or "kubeflow")


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Translates API and network errors to one line that says what to do, and suppresses what KFP prints.

    Raises:
        UserError: Instead of an API or network error.
    """
    from kfp_server_api import ApiException
    from urllib3.exceptions import HTTPError

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except ApiException as error:
        raise UserError(_explain_status(error.status, _message(error))) from error
    except (HTTPError, TimeoutError) as error:
        raise UserError(f"the Kubeflow Pipelines server does not answer: {first_line(error)}") from error
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


def read_log(client: "Client", run_id: str, pod: str) -> str:
    """Returns the log of a run's pod so far; if the pod is gone, the log in the server's archive, if it has one.

    The endpoint is not in the server's OpenAPI description. It cannot follow a log.

    Raises:
        LogMissingError: The pod does not exist yet or no longer exists.
        UserError: The server refuses.
    """
    from kfp_server_api import ApiException

    with translate_errors():
        try:
            response = client.runs.api_client.call_api(
                "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log",
                "GET",
                path_params={"run_id": run_id, "node_id": pod},
                auth_settings=["Bearer"],
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=_LOG_TIMEOUT_S,
            )
        except ApiException as error:
            if error.status in (401, 403):
                raise
            raise LogMissingError(_message(error)) from error
        return bytes(response.data).decode("utf-8", "replace")


def _require_answer(address: str) -> None:
    """Checks the server's health once. KFP's client retries the check several times, even if it is refused."""
    import urllib3

    url = address if "://" in address else f"https://{address}"
    token = os.environ.get(TOKEN_VARIABLE)
    try:
        response = urllib3.request(
            "GET",
            f"{url.rstrip('/')}/apis/v2beta1/healthz",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUT_S,
            retries=False,
            redirect=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise UserError(
            f"no Kubeflow Pipelines server answers at {address}: check --host, or forward its port: "
            f"kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888 ({first_line(error)})"
        ) from error
    if response.status in (401, 403):
        raise UserError(_explain_status(response.status, response.reason or "no reason given"))


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
