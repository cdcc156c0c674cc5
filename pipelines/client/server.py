"""The Kubeflow Pipelines API server: how it is reached, and what its refusals mean."""

import contextlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UserError

if TYPE_CHECKING:
    from kfp import Client

# The first is KFP's own name; KFP has none for a token, and a token on a command line could be read by others.
HOST_VARIABLE = "KF_PIPELINES_ENDPOINT"
TOKEN_VARIABLE = "KF_PIPELINES_TOKEN"
PAGE_SIZE = 100
_TIMEOUT_S = 15.0
_LOG_TIMEOUT_S = 60.0


class LogMissingError(UserError):
    """The server has no log of that pod."""


def connect(host: str | None, namespace: str | None) -> "Client":
    """Opens the API server as the KFP SDK does: by address, from inside the cluster, or through the kubeconfig.

    Args:
        host: Its address, such as `http://localhost:8080`; that of `KF_PIPELINES_ENDPOINT` when None.
        namespace: The user's namespace; None where there is one user only.

    Raises:
        UserError: No server answers there.
    """
    from kfp import Client

    address = host or os.environ.get(HOST_VARIABLE)
    if address:
        _require_answer(address)
    with explained(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Client(host=address, existing_token=os.environ.get(TOKEN_VARIABLE), namespace=namespace or "kubeflow")


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turns what the server or the network answers into one line that says what to do, and keeps KFP's own lines back.

    Raises:
        UserError: In place of an API or network error.
    """
    from kfp_server_api import ApiException
    from urllib3.exceptions import HTTPError

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except ApiException as error:
        raise UserError(_explain(error.status, _message(error))) from error
    except (HTTPError, TimeoutError) as error:
        raise UserError(f"the Kubeflow Pipelines server does not answer: {_first_line(error)}") from error
    except ValueError as error:
        # KFP raises these for names that are taken twice or unknown.
        raise UserError(f"Kubeflow Pipelines: {_first_line(error)}") from error


def named(key: str, name: str) -> str:
    """A filter for the items of a list whose field `key` is `name`."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "string_value": name}]})


def pages(listing: Any, items: str, **query: Any) -> Iterator[Any]:
    """Goes through all pages of a list.

    Args:
        listing: The client's function that gives a page.
        items: Name of the page's field that holds the items.
        query: Its arguments.
    """
    token = ""
    while True:
        with explained():
            page = listing(page_token=token, page_size=PAGE_SIZE, **query)
        yield from getattr(page, items) or []
        if not page.next_page_token:
            return
        token = page.next_page_token


def read_log(client: "Client", run_id: str, pod: str) -> str:
    """What a pod of a run has written so far; of one that is gone, what the server's archive keeps, if it has one.

    The server has this address besides those of its OpenAPI description; it does not follow, whatever it is asked.

    Raises:
        LogMissingError: There is no such pod yet, or no longer.
        UserError: The server refuses.
    """
    from kfp_server_api import ApiException

    with explained():
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
    """Asks for the server's health: KFP's client does so, too, but again and again, also where it is refused."""
    import urllib3

    url = address if "://" in address else f"https://{address}"
    token = os.environ.get(TOKEN_VARIABLE)
    try:
        answer = urllib3.request(
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
            f"kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888 ({_first_line(error)})"
        ) from error
    if answer.status in (401, 403):
        raise UserError(_explain(answer.status, answer.reason or "no reason given"))


def _explain(status: int | None, message: str) -> str:
    known = {
        401: f"the Kubeflow Pipelines server does not know you: set {TOKEN_VARIABLE} to a token that is valid",
        403: "the Kubeflow Pipelines server does not allow this: check --namespace, or ask for the role kubeflow-edit",
        404: "the Kubeflow Pipelines server does not have that",
        409: "the Kubeflow Pipelines server has another of that name",
    }
    return f"{known.get(status or 0, f'the Kubeflow Pipelines server refused (status {status})')} ({message})"


def _message(error: Any) -> str:
    try:
        body = json.loads(error.body)
    except (TypeError, ValueError):
        return str(error.reason or "no reason given").strip()
    return " ".join(str(body.get("message") or body.get("error_message") or error.reason).split())


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
