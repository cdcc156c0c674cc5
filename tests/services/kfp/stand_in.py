"""A stand-in for the Kubeflow Pipelines API server, which cannot be run here: it checks requests by KFP's own OpenAPI
description, and keeps what is created in memory.

Besides the description it does what the source of KFP 2.17 does: names that are taken are refused, a recurring run
without `mode: ENABLE` is created disabled, cron expressions have six fields, the service account is filled in, an
error of the log endpoint has the status 200, and a run that was terminated ends as FAILED. Runs move on at every look
at them; see workflow.py. `test_stand_in.py` holds the answers against recorded ones.
"""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.services.kfp.clock import Clock
from tests.services.kfp.description import Description, RefusedError
from tests.services.kfp.listener import Listener
from tests.services.kfp.workflow import Workflow

TOKEN = "a-token-that-is-valid"
# What a failing stage says.
REASON = "the accuracy gate stopped it"
_LOG_ADDRESS = re.compile(r"/apis/v1alpha1/runs/(?P<run>[^/]+)/nodes/(?P<node>[^/]+)/log")
_OLD_RUN_ADDRESS = re.compile(r"/apis/v1beta1/runs/(?P<run>[^/]+)")
_SERVICE_ACCOUNT = "pipeline-runner"
NOT_YET = "1970-01-01T00:00:00Z"
_ENDED = ("SUCCEEDED", "FAILED")
# The codes of gRPC, which errors have beside their HTTP status.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13}


class StandIn:
    """The server's state and its responses.

    Attributes:
        address: Where it listens.
        namespaces: Namespaces of a multi-user server; None for a single-user server.
        needs_token: Whether requests without `TOKEN` are refused.
        fails_at: The stage at which every run fails; None for none.
        items: What was created: `pipelines`, `versions`, `experiments`, `runs` and `recurring_runs`.
        workflows: The Workflow of each run.
    """

    def __init__(self, description: Path):
        self.description = Description(description)
        self.namespaces: set[str] | None = None
        self.needs_token = False
        self.fails_at: str | None = None
        self.workflows: dict[str, Workflow] = {}
        self.clock = Clock()
        self.items: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("pipelines", "versions", "experiments", "runs", "recurring_runs")
        }
        self._ids = itertools.count(1)
        self._listener = Listener(self._respond)
        self.address = f"http://127.0.0.1:{self._listener.port}"

    def pause(self) -> None:
        """Stops listening, as a server that is restarted or at the end."""
        self._listener.pause()

    def resume(self) -> None:
        """Listens again."""
        self._listener.resume()

    def log(self, url: str, token: str | None) -> str | None:
        """Returns the log that a request asks for, or the error instead; None for any other request."""
        match = _LOG_ADDRESS.fullmatch(urlsplit(url).path)
        if not match:
            return None
        self._refuse_strangers(token)
        workflow = self.workflows.get(match["run"])
        log = workflow.log(match["node"]) if workflow else None
        if log is not None:
            return log
        reason = (
            f"BadRequestError: Failed to read logs for run {match['run']}: InternalServerError: Failed to read logs "
            f"from archive {match['node']} due to error fetching the log file: NoSuchKey: "
        )
        return json.dumps({"error_message": reason, "error_details": reason}, separators=(",", ":"))

    def fire(self, name: str) -> dict[str, Any]:
        """Starts a run of a schedule, as the controller of ScheduledWorkflows does at its time."""
        schedule = next(item for item in self.items["recurring_runs"] if item["display_name"] == name)
        index = 1 + sum(run.get("recurring_run_id") == schedule["recurring_run_id"] for run in self.items["runs"])
        workflow = f"{re.sub('[^a-z0-9]', '', name.lower())}{next(self._ids):05}-{index}-{800397532 + index}"
        shared = ("experiment_id", "pipeline_version_reference", "pipeline_spec", "runtime_config")
        given = {key: schedule[key] for key in shared if key in schedule}
        return self._start(given | {"display_name": workflow}, workflow, recurring_run_id=schedule["recurring_run_id"])

    def _respond(
        self, method: str, url: str, token: str | None, content_type: str, body: bytes
    ) -> tuple[int, str, str]:
        try:
            log = self.log(url, token)
            if log is not None:
                return 200, "text/plain; charset=utf-8", log
            return 200, "application/json", json.dumps(self.answer(method, url, token, content_type, body))
        except RefusedError as refused:
            error = {"code": _CODES.get(refused.status, 2), "message": str(refused), "details": []}
            return refused.status, "application/json", json.dumps(error)

    def answer(self, method: str, url: str, token: str | None, content_type: str, body: bytes) -> dict[str, Any]:
        """Answers a request, or raises `RefusedError`."""
        parts = urlsplit(url)
        old = _OLD_RUN_ADDRESS.fullmatch(parts.path)
        if old and method == "GET":
            self._refuse_strangers(token)
            self._get("runs", "run_id", old["run"])
            manifest = json.dumps(self.workflows[old["run"]].manifest())
            return {"run": {"id": old["run"]}, "pipeline_runtime": {"workflow_manifest": manifest}}
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        operation, place = self.description.operation(method, parts.path)
        self.description.check_query(operation, query)
        self._refuse_strangers(token)
        namespace = query.get("namespace")
        if self.namespaces is not None and namespace and namespace not in self.namespaces:
            raise RefusedError(403, f"User is not authorized with reason: no access to namespace {namespace}")
        name = operation["operationId"].rpartition("_")[2]
        if name.startswith("UploadPipeline"):
            return getattr(self, _snake(name))(query, _uploaded(content_type, body))
        given = json.loads(body) if body else {}
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "body" and parameter["name"] not in place:
                self.description.check(given, parameter["schema"], parameter["name"])
        return getattr(self, _snake(name))(query, place, given)

    def upload_pipeline(self, query: dict[str, str], package: str) -> dict[str, Any]:
        self._refuse_taken("pipelines", query["name"])
        self._checked(package)
        pipeline = self._add("pipelines", "pipeline_id", display_name=query["name"], name=query["name"])
        # The first version has the pipeline's name.
        self._add_version(pipeline["pipeline_id"], query["name"], package)
        return pipeline

    def upload_pipeline_version(self, query: dict[str, str], package: str) -> dict[str, Any]:
        self._refuse_taken("versions", query["name"])
        self._checked(package)
        self._get("pipelines", "pipeline_id", query["pipelineid"])
        return self._add_version(query["pipelineid"], query["name"], package)

    def _add_version(self, pipeline_id: str, name: str, package: str) -> dict[str, Any]:
        documents = [document for document in yaml.safe_load_all(package) if document]
        spec, platform = documents[0], documents[1] if len(documents) > 1 else None
        given = {"pipeline_spec": spec, "platform_spec": platform} if platform else spec
        return self._add(
            "versions",
            "pipeline_version_id",
            pipeline_id=pipeline_id,
            display_name=name,
            name=name,
            pipeline_spec=given,
        )

    def get_pipeline_version(
        self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        return self._get("versions", "pipeline_version_id", place["pipeline_version_id"])

    def get_healthz(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        state = {"commit_sha": "unknown", "tag_name": "unknown", "pipeline_store": "database"}
        return state | {"multi_user": self.namespaces is not None}

    def list_pipelines(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        return self._page("pipelines", "pipelines", query)

    def get_pipeline(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        return self._get("pipelines", "pipeline_id", place["pipeline_id"])

    def list_pipeline_versions(
        self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        return self._page("versions", "pipeline_versions", query, pipeline_id=place["pipeline_id"])

    def list_experiments(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        return self._page("experiments", "experiments", query)

    def get_experiment(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        return self._get("experiments", "experiment_id", place["experiment_id"])

    def create_experiment(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        self._refuse_taken("experiments", given["display_name"])
        return self._add("experiments", "experiment_id", **given)

    def create_run(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        self._check_references(given)
        self.clock.tick()
        workflow = f"{self._spec(given)['pipelineInfo']['name']}-{next(self._ids):05}"
        return self._start({"service_account": _SERVICE_ACCOUNT} | given, workflow)

    def terminate_run(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        run = self._get("runs", "run_id", place["run_id"])
        if run["state"] in _ENDED:
            raise RefusedError(400, f"Failed to terminate a run {place['run_id']}. Row not found")
        self.workflows[run["run_id"]].terminated = True
        run["state"] = "CANCELING"
        return {}

    def retry_run(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        """Deletes the nodes that failed and runs the Workflow again, without a deadline of 0 (RetryRun in KFP)."""
        run = self._get("runs", "run_id", place["run_id"])
        if run["state"] != "FAILED":
            raise RefusedError(500, f"Failed to retry run {place['run_id']} as it does not allow retries")
        self.workflows[run["run_id"]].retry()
        run |= {"state": "RUNNING", "finished_at": NOT_YET}
        run["state_history"].append(_status(self.clock.now(), "RUNNING"))
        return {}

    def get_run(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        run = self._get("runs", "run_id", place["run_id"])
        self._move_on(run)
        return run

    def list_runs(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        return self._page("runs", "runs", query)

    def create_recurring_run(
        self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        self._check_references(given)
        trigger = given["trigger"]
        cron = trigger.get("cron_schedule", {}).get("cron", "@daily")
        if not cron.startswith("@") and len(cron.split()) != 6:
            raise RefusedError(400, f"Schedule cron is not a valid cron schedule: {cron}")
        if int(trigger.get("periodic_schedule", {}).get("interval_second", 1)) < 1:
            raise RefusedError(400, "Found invalid period schedule interval")
        if not 1 <= int(given.get("max_concurrency", 0)) <= 10:
            raise RefusedError(400, "The max concurrency of the recurring run is out of range. Support 1-10.")
        periodic = trigger.get("periodic_schedule", {})
        if periodic:
            periodic["interval_second"] = str(periodic["interval_second"])
        filled = {"service_account": _SERVICE_ACCOUNT} | given
        filled |= {
            "max_concurrency": str(given["max_concurrency"]),
            "status": "ENABLED" if given.get("mode") == "ENABLE" else "DISABLED",
            "updated_at": self.clock.now(),
            "namespace": given.get("namespace") or "kubeflow",
        }
        return self._add("recurring_runs", "recurring_run_id", **filled)

    def list_recurring_runs(
        self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        return self._page("recurring_runs", "recurringRuns", query)

    def enable_recurring_run(
        self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        self._get("recurring_runs", "recurring_run_id", place["recurring_run_id"])["status"] = "ENABLED"
        return {}

    def disable_recurring_run(
        self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        self._get("recurring_runs", "recurring_run_id", place["recurring_run_id"])["status"] = "DISABLED"
        return {}

    def delete_recurring_run(
        self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        run = self._get("recurring_runs", "recurring_run_id", place["recurring_run_id"])
        self.items["recurring_runs"].remove(run)
        return {}

    def _refuse_strangers(self, token: str | None) -> None:
        if self.needs_token and token != f"Bearer {TOKEN}":
            raise RefusedError(401, "Request header error: there is no user identity header")

    def _checked(self, package: str) -> dict[str, Any]:
        spec = next(iter(yaml.safe_load_all(package)))
        if "pipelineInfo" not in spec or "root" not in spec:
            raise RefusedError(400, "Failed to upload: the package is not a pipeline")
        return spec["pipelineInfo"]

    def _check_references(self, given: dict[str, Any]) -> None:
        reference = given.get("pipeline_version_reference")
        if reference:
            self._get("pipelines", "pipeline_id", reference["pipeline_id"])
            self._get("versions", "pipeline_version_id", reference["pipeline_version_id"])
        elif "pipeline_spec" not in given:
            raise RefusedError(400, "neither a pipeline version nor a pipeline spec is given")
        if given.get("experiment_id"):
            self._get("experiments", "experiment_id", given["experiment_id"])

    def _spec(self, given: dict[str, Any]) -> dict[str, Any]:
        reference = given.get("pipeline_version_reference")
        spec = given.get("pipeline_spec")
        if reference:
            spec = self._get("versions", "pipeline_version_id", reference["pipeline_version_id"])["pipeline_spec"]
        return spec.get("pipeline_spec", spec)

    def _start(self, given: dict[str, Any], workflow: str, **fields: Any) -> dict[str, Any]:
        now = self.clock.now()
        run = self._add("runs", "run_id", **given, **fields, state="PENDING", storage_state="AVAILABLE")
        run |= {"scheduled_at": now, "finished_at": NOT_YET, "state_history": [_status(now, "PENDING")]}
        self.workflows[run["run_id"]] = Workflow(workflow, self._spec(given), self.clock)
        return run

    def _move_on(self, run: dict[str, Any]) -> None:
        workflow = self.workflows[run["run_id"]]
        if run["state"] not in _ENDED:
            history = run["state_history"]
            if run["state"] == "CANCELING" and history[-1]["state"] != "CANCELING":
                # The Workflow is reported once more before it ends.
                history.append(_status(self.clock.now(), "CANCELING"))
            else:
                workflow.move_on(self.fails_at, REASON)
                run["state"] = workflow.phase.upper()
                if history[-1]["state"] != run["state"]:
                    history.append(_status(self.clock.now(), run["state"]))
            if run["state"] in _ENDED:
                run["finished_at"] = self.clock.now()
        run["run_details"] = {"task_details": workflow.details(run["run_id"])}

    def _add(self, kind: str, id_name: str, **fields: Any) -> dict[str, Any]:
        number = next(self._ids)
        item = {id_name: f"{kind}-{number}", "created_at": self.clock.now(), **fields}
        self.items[kind].append(item)
        return item

    def _get(self, kind: str, id_name: str, value: str) -> dict[str, Any]:
        found = next((item for item in self.items[kind] if item[id_name] == value), None)
        if found is None:
            raise RefusedError(404, f"ResourceNotFoundError: {kind} {value} not found")
        return found

    def _refuse_taken(self, kind: str, name: str) -> None:
        if any(item["display_name"] == name for item in self.items[kind]):
            raise RefusedError(409, f"Already exist error: {kind} {name} already exists")

    def _page(self, kind: str, field: str, query: dict[str, str], **equal: str) -> dict[str, Any]:
        wanted = dict(equal)
        if query.get("filter"):
            asked = json.loads(query["filter"])
            for predicate in asked["predicates"]:
                # The JSON form of protobuf takes an enumeration's number, and field names in either case.
                if "stringValue" in predicate:
                    predicate["string_value"] = predicate.pop("stringValue")
                predicate["operation"] = {1: "EQUALS"}.get(predicate["operation"], predicate["operation"])
                wanted[predicate["key"]] = predicate["string_value"]
            self.description.check_named(asked, "v2beta1Filter")
        found = [item for item in self.items[kind] if all(item.get(key) == value for key, value in wanted.items())]
        if query.get("sort_by", "").endswith(" desc"):
            found = found[::-1]
        # Small pages, so that a client that reads only the first page fails.
        start = int(query.get("page_token") or 0)
        page: dict[str, Any] = {field: found[start : start + 2], "total_size": len(found)}
        return page | ({"next_page_token": str(start + 2)} if start + 2 < len(found) else {})


def _status(time: str, state: str) -> dict[str, str]:
    return {"update_time": time, "state": state}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


def _uploaded(content_type: str, body: bytes) -> str:
    """The field `uploadfile` of a multipart body."""
    boundary = content_type.partition("boundary=")[2].encode()
    parts = [part for part in body.split(b"--" + boundary) if b'name="uploadfile"' in part]
    if len(parts) != 1:
        raise RefusedError(400, "Failed to upload: there is no field uploadfile")
    return parts[0].partition(b"\r\n\r\n")[2].decode()


def opened(description: Path) -> Iterator[StandIn]:
    """Yields a stand-in and closes it afterwards."""
    server = StandIn(description)
    yield server
    server.pause()
