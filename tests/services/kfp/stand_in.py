"""A stand-in for the Kubeflow Pipelines API server, which cannot be run here: it checks requests by KFP's own OpenAPI
description, and keeps what is created in memory.

Besides the description it does what the real server's source does: names that are taken are refused, a recurring run
without `mode: ENABLE` is created disabled, cron expressions have six fields. A task's details hold the id of the Argo
node that runs it, not its pod's name, and no artifacts; a pod's log has an address of its own, which takes the pod's
name and answers 500 where there is none. Runs move on a task at every look at them.
"""

import itertools
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

TOKEN = "a-token-that-is-valid"
_LOG_ADDRESS = re.compile(r"/apis/v1alpha1/runs/(?P<run>[^/]+)/nodes/(?P<pod>[^/]+)/log")
_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "number": float,
}


class RefusedError(Exception):
    """The server's answer is an error."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Description:
    """KFP's OpenAPI description: finds the operation of a request, and checks bodies and queries by it."""

    def __init__(self, file: Path):
        self._content = json.loads(file.read_text(encoding="utf-8"))

    def operation(self, method: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The operation, and the path's parameters."""
        for template, operations in self._content["paths"].items():
            # The name of a regular expression's group cannot contain the `.` of `pipeline.pipeline_id`.
            pattern = re.sub(r"\{([\w.]+)\}", lambda match: f"(?P<{match[1].replace('.', '_')}>[^/:]+)", template)
            match = re.fullmatch(pattern, path)
            if match and method.lower() in operations:
                return operations[method.lower()], match.groupdict()
        raise RefusedError(404, f"Not Found: {method} {path}")

    def check_query(self, operation: dict[str, Any], query: dict[str, str]) -> None:
        """Refuses query parameters that the operation does not have."""
        known = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
        for name in query.keys() - known:
            raise RefusedError(400, f"unknown query parameter '{name}'")

    def check(self, value: Any, schema: dict[str, Any], where: str) -> None:
        """Refuses a value of the wrong type, with an unknown field or with an unknown name in an enumeration."""
        schema = self._resolve(schema)
        if "enum" in schema and value not in schema["enum"]:
            raise RefusedError(400, f"{where} is {value!r}, not one of {schema['enum']}")
        kind = schema.get("type")
        # The JSON form of protobuf takes 64-bit integers as numbers or as text.
        is_long = schema.get("format") == "int64" and isinstance(value, int)
        if kind and not isinstance(value, _TYPES[kind]) and not is_long:
            raise RefusedError(400, f"{where} is {value!r}, which is not a {kind}")
        if kind == "array":
            for item in value:
                self.check(item, schema["items"], f"{where}[]")
        if kind == "object" and "properties" in schema:
            for name, item in value.items():
                if name not in schema["properties"]:
                    raise RefusedError(400, f"{where} has the unknown field '{name}'")
                self.check(item, schema["properties"][name], f"{where}.{name}")

    def check_named(self, value: Any, definition: str) -> None:
        """As `check`, by the name of a definition."""
        self.check(value, {"$ref": f"#/definitions/{definition}"}, definition)

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._content["definitions"][schema["$ref"].rpartition("/")[2]]
        return schema


class StandIn:
    """The server's state and its responses.

    Attributes:
        address: Where it listens.
        namespaces: Namespaces of a multi-user server; None for a single-user server.
        needs_token: Whether requests without `TOKEN` are refused.
        outcome: The state that the last task of every run ends in.
        items: What was created: `pipelines`, `versions`, `experiments`, `runs` and `recurring_runs`.
        logs: Log of each pod.
    """

    def __init__(self, description: Path):
        self.description = Description(description)
        self.namespaces: set[str] | None = None
        self.needs_token = False
        self.outcome = "SUCCEEDED"
        self.logs: dict[str, str] = {}
        self.items: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("pipelines", "versions", "experiments", "runs", "recurring_runs")
        }
        self._ids = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def log(self, url: str, token: str | None) -> str | None:
        """Returns the log that a request asks for; None for any other request."""
        match = _LOG_ADDRESS.fullmatch(urlsplit(url).path)
        if not match:
            return None
        self._refuse_strangers(token)
        self._get("runs", "run_id", match["run"])
        if match["pod"] not in self.logs:
            raise RefusedError(500, f'Failed to read logs for run {match["run"]}: pods "{match["pod"]}" not found')
        return self.logs[match["pod"]]

    def answer(self, method: str, url: str, token: str | None, content_type: str, body: bytes) -> dict[str, Any]:
        """Answers a request, or raises `RefusedError`."""
        parts = urlsplit(url)
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
        info = self._checked(package)
        pipeline = self._add("pipelines", "pipeline_id", display_name=query["name"], name=info["name"])
        # The first version has the pipeline's name.
        self._add("versions", "pipeline_version_id", pipeline_id=pipeline["pipeline_id"], display_name=query["name"])
        return pipeline

    def upload_pipeline_version(self, query: dict[str, str], package: str) -> dict[str, Any]:
        self._refuse_taken("versions", query["name"])
        self._checked(package)
        self._get("pipelines", "pipeline_id", query["pipelineid"])
        return self._add("versions", "pipeline_version_id", pipeline_id=query["pipelineid"], display_name=query["name"])

    def get_healthz(self, query: dict[str, str], place: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
        return {"multi_user": self.namespaces is not None}

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
        return self._add(
            "runs", "run_id", **given, state="PENDING", created_at=f"2026-01-01T00:00:0{len(self.items['runs'])}Z"
        )

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
        status = "ENABLED" if given.get("mode") == "ENABLE" else "DISABLED"
        return self._add("recurring_runs", "recurring_run_id", **given, status=status)

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

    def _move_on(self, run: dict[str, Any]) -> None:
        if run["state"] not in ("PENDING", "RUNNING"):
            return
        tasks = run.setdefault("run_details", {"task_details": []})["task_details"]
        running = next((task for task in tasks if task["state"] == "RUNNING"), None)
        if running:
            is_last = running["display_name"] == "benchmark"
            running["state"] = self.outcome if is_last else "SUCCEEDED"
            self.logs[_pod(running)] += f"{running['display_name']} ends\n"
            if running["state"] == "FAILED":
                running["error"] = {"code": 2, "message": "the accuracy gate stopped it"}
            run["state"] = running["state"] if is_last else "RUNNING"
        else:
            name = "benchmark" if tasks else "data-prep"
            number, time = next(self._ids), f"2026-01-01T00:00:0{len(tasks)}Z"
            # Argo has a node for KFP's driver, one for the task, and a child of that for the container.
            tasks.append({"display_name": f"{name}-driver", "state": "SUCCEEDED", "start_time": time})
            child = {"pod_name": f"compaware-abcde-{number}"}
            tasks.append({"display_name": name, "state": "RUNNING", "start_time": time, "child_tasks": [child]})
            self.logs[_pod(tasks[-1])] = f"{name} begins\n"
            tasks.append({"display_name": "executor", "state": "SUCCEEDED", "start_time": time})
            run["state"] = "RUNNING"

    def _add(self, kind: str, id_name: str, **fields: Any) -> dict[str, Any]:
        number = next(self._ids)
        item = {id_name: f"{kind}-{number}", "created_at": f"2026-01-01T00:00:{number % 60:02}Z", **fields}
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


def _pod(task: dict[str, Any]) -> str:
    """Returns the name of a task's pod, which Argo builds from the node's id and the template's name."""
    workflow, _, number = task["child_tasks"][0]["pod_name"].rpartition("-")
    return f"{workflow}-system-container-impl-{number}"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


def _uploaded(content_type: str, body: bytes) -> str:
    """The field `uploadfile` of a multipart body."""
    boundary = content_type.partition("boundary=")[2].encode()
    parts = [part for part in body.split(b"--" + boundary) if b'name="uploadfile"' in part]
    if len(parts) != 1:
        raise RefusedError(400, "Failed to upload: there is no field uploadfile")
    return parts[0].partition(b"\r\n\r\n")[2].decode()


def _handler(server: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind = 200, "text/plain"
            token = self.headers.get("authorization")
            try:
                text = server.log(self.path, token)
                if text is None:
                    content_type = self.headers.get("Content-Type") or ""
                    kind = "application/json"
                    text = json.dumps(server.answer(self.command, self.path, token, content_type, body))
            except RefusedError as refused:
                status, kind = refused.status, "application/json"
                text = json.dumps({"code": refused.status, "message": str(refused)})
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

    for method in ("GET", "POST", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.respond)
    return Handler


def opened(description: Path) -> Iterator[StandIn]:
    """Yields a stand-in and closes it afterwards."""
    server = StandIn(description)
    yield server
    server.close()
