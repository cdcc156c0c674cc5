"""The Argo Workflow of a run: its nodes, what KFP's API makes of them, and where the logs of its pods are.

It follows recorded Workflows of KFP 2.17 with Argo 4.0 (tests/pipelines/client/recorded) and the source: nodes get ids
and pods get names as in `NodeID` and `GeneratePodName` of Argo, all templates are retried (`templateDefaults` of KFP's
settings), nodes become tasks as in `toModelTasks` and `toApiPipelineTaskDetail` of KFP's api_converter.go, and archived
logs are found as in `FindObjectStoreArtifactKeyOrEmpty` of its workflow.go.
"""

import uuid
from collections.abc import Iterator
from typing import Any

from tests.services.kfp.clock import Clock

NEVER = "0001-01-01T00:00:00Z"
_STATES = {"Running": "RUNNING", "Pending": "PENDING", "Succeeded": "SUCCEEDED", "Failed": "FAILED", "Omitted": None}
# Tasks with one annotation and no label have this template (container.go, addContainerExecutorTemplate).
_DRIVER = "system-container-driver"
# Of tasks with one annotation, such as ours.
_EXECUTOR = "metadata-1-0-system-container-impl"


def fnv1a(text: str) -> int:
    """The hash of Go's `fnv.New32a`."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


class Workflow:
    """A Workflow that moves on when it is told to.

    Attributes:
        name: Its name.
        phase: Its phase.
        pods: Logs of the pods that exist, by the pod's name.
        archive: Archived logs of ended pods, by the node's id.
        terminated: Whether its deadline was set to 0.
    """

    def __init__(self, name: str, spec: dict[str, Any], clock: Clock, executor: str = _EXECUTOR):
        self.name = name
        self.phase = "Running"
        self.pods: dict[str, str] = {}
        self.archive: dict[str, str] = {}
        self.terminated = False
        self._clock = clock
        self._executor = executor
        # Of a pipeline with an exit task, too, only the stages are imitated.
        self._dependencies = _dependencies(spec, spec["root"]["dag"])
        self._nodes: dict[str, dict[str, Any]] = {}
        self._created = clock.now()
        self._add(name, f"{name}(0)")
        self._begin_driver(f"{name}(0)", "root", root=True)
        self._end_driver(f"{name}(0)", "root")
        self._dag = f"{name}(0).root(0)"
        self._add(f"{name}(0).root", self._dag)
        self._ready()

    @property
    def running(self) -> str | None:
        """The stage that runs."""
        running = [stage for stage in self._dependencies if self._phase(f"{self._dag}.{stage}") == "Running"]
        return running[0] if running else None

    def move_on(self, fails_at: str | None, reason: str) -> None:
        """Ends the stage that runs and begins the next; `fails_at` fails and says the reason."""
        if self.phase != "Running":
            return
        stage = self.running
        if self.terminated:
            self._end_stage(stage, "Failed", "")
            self._end("Failed")
        elif stage and stage == fails_at:
            self._end_stage(stage, "Failed", f"error: {reason}\n")
            self._end("Failed")
        else:
            self._end_stage(stage, "Succeeded", f"{stage} ends\n")
            if ready := self._ready():
                self._begin_stage(ready[0])
            else:
                self._end("Succeeded")

    def retry(self) -> None:
        """Deletes the nodes of the stage that failed and of those after it; the failed stage is next again."""
        self.terminated, self.phase = False, "Running"
        for stage in self._dependencies:
            if self._phase(f"{self._dag}.{stage}") in ("Failed", "Omitted"):
                for name in [name for name in self._nodes if name.startswith(f"{self._dag}.{stage}")]:
                    del self._nodes[name]
        for node in self._nodes.values():
            if node["phase"] == "Failed":
                node |= {"phase": "Running", "finishedAt": None}
        self._ready()

    def details(self, run_id: str) -> list[dict[str, Any]]:
        """Returns the nodes as tasks of a run."""
        return [_task(run_id, node, self._created, self._children(name)) for name, node in self._nodes.items()]

    def manifest(self) -> dict[str, Any]:
        """Returns the resource."""
        nodes = {node["id"]: {**node, "children": self._children(name)} for name, node in self._nodes.items()}
        deadline = {"activeDeadlineSeconds": 0} if self.terminated else {}
        return {"metadata": {"name": self.name}, "spec": deadline, "status": {"phase": self.phase, "nodes": nodes}}

    def log(self, node: str) -> str | None:
        """Returns the log of an existing pod, or the archived one of a node or of a pod below it."""
        if node in self.pods:
            return self.pods[node]
        by_pod = {self._pod(one): one["id"] for one in self._nodes.values()}
        return self._archived(by_pod.get(node, node), 3)

    def node(self, path: str) -> str:
        """Returns the id of a node by its path below the root, such as `data-prep(0)`."""
        return self._id(f"{self._dag}.{path}")

    def _archived(self, node: str, depth: int) -> str | None:
        if node in self.archive or depth < 0:
            return self.archive.get(node)
        name = next((name for name, one in self._nodes.items() if one["id"] == node), None)
        below = [self._archived(child, depth - 1) for child in (self._children(name) if name else [])]
        return next((log for log in below if log is not None), None)

    def _ready(self) -> list[str]:
        """Returns the stages whose dependencies have succeeded and that have not begun; begins their drivers."""
        ready = []
        for stage, needed in self._dependencies.items():
            done = all(self._phase(f"{self._dag}.{other}") == "Succeeded" for other in needed)
            if done and f"{self._dag}.{stage}" not in self._nodes:
                if f"{self._dag}.{stage}-driver" not in self._nodes:
                    self._begin_driver(self._dag, stage)
                ready.append(stage)
        return ready

    def _begin_driver(self, dag: str, stage: str, root: bool = False) -> None:
        template = "system-dag-driver" if root else _DRIVER
        self._add(f"{dag}.{stage}-driver", kind="Retry")
        self._add(f"{dag}.{stage}-driver(0)", kind="Pod", template=template)

    def _end_driver(self, dag: str, stage: str) -> None:
        self._finish("Succeeded", f"{dag}.{stage}-driver", f"{dag}.{stage}-driver(0)")

    def _begin_stage(self, stage: str) -> None:
        self._clock.tick()
        self._end_driver(self._dag, stage)
        self._add(f"{self._dag}.{stage}", f"{self._dag}.{stage}(0)")
        executor = f"{self._dag}.{stage}(0).executor"
        self._add(executor, kind="Retry")
        self._add(f"{executor}(0)", kind="Pod", template=self._executor)
        self.pods[self._pod(self._nodes[f"{executor}(0)"])] = f"{stage} begins\n"

    def _end_stage(self, stage: str | None, phase: str, line: str) -> None:
        self._clock.tick()
        if stage is None:
            return
        path = f"{self._dag}.{stage}"
        pod = self._nodes[f"{path}(0).executor(0)"]
        self.pods[self._pod(pod)] += line
        self.archive[pod["id"]] = self.pods[self._pod(pod)]
        self._finish(phase, path, f"{path}(0)", f"{path}(0).executor", f"{path}(0).executor(0)")
        if phase == "Failed":
            code = 143 if self.terminated else 2
            pod["message"] = f"main: Error (exit code {code})"

    def _end(self, phase: str) -> None:
        for stage in self._dependencies:
            for name in (f"{self._dag}.{stage}-driver", f"{self._dag}.{stage}"):
                if name not in self._nodes:
                    self._add(name, kind="Skipped")
                    self._finish("Omitted", name)
        above = (self.name, f"{self.name}(0)", f"{self.name}(0).root", self._dag)
        self._finish(phase, *above)
        self.phase = phase

    def _add(self, *names: str, kind: str = "", template: str = "") -> None:
        for name in names:
            node_kind = kind or ("DAG" if name.endswith(")") else "Retry")
            self._nodes[name] = {
                "id": self._id(name),
                "name": name,
                "displayName": name.rpartition(".")[2],
                "type": node_kind,
                "templateName": template,
                "phase": "Running",
                "startedAt": self._clock.now(),
                "finishedAt": None,
            }

    def _finish(self, phase: str, *names: str) -> None:
        for name in names:
            self._nodes[name] |= {"phase": phase, "finishedAt": self._clock.now()}

    def _children(self, name: str) -> list[str]:
        found = [child for child in self._child_names(name) if child in self._nodes]
        return [self._id(child) for child in found]

    def _child_names(self, name: str) -> Iterator[str]:
        if self._nodes[name]["type"] == "Retry":
            yield f"{name}(0)"
            return
        dag, _, display = name.rpartition(".")
        stage = display.removesuffix("(0)")
        if name == f"{self.name}(0)":
            yield f"{name}.root-driver"
        elif stage.endswith("-driver"):
            yield f"{dag}.{stage.removesuffix('-driver')}"
        elif name == self._dag:
            yield from (f"{name}.{first}-driver" for first, needed in self._dependencies.items() if not needed)
        elif dag == self._dag:
            yield f"{name}.executor"
            yield from (f"{dag}.{other}-driver" for other, needed in self._dependencies.items() if stage in needed)

    def _phase(self, name: str) -> str | None:
        return self._nodes[name]["phase"] if name in self._nodes else None

    def _id(self, name: str) -> str:
        return name if name == self.name else f"{self.name}-{fnv1a(name)}"

    def _pod(self, node: dict[str, Any]) -> str:
        return f"{self.name}-{node['templateName']}-{node['id'].rpartition('-')[2]}"


def _dependencies(spec: dict[str, Any], dag: dict[str, Any]) -> dict[str, list[str]]:
    """Returns each task of a DAG and those that it depends on; of a DAG with an exit task, those of the other task."""
    tasks = dag["tasks"]
    for task in tasks.values():
        component = spec["components"][task["componentRef"]["name"]]
        if "dag" in component and "parameterIterator" not in task:
            return _dependencies(spec, component["dag"])
    return {name: task.get("dependentTasks", []) for name, task in tasks.items()}


def _task(run_id: str, node: dict[str, Any], created: str, children: list[str]) -> dict[str, Any]:
    state = _STATES[node["phase"]]
    return {
        "run_id": run_id,
        "task_id": str(uuid.uuid5(uuid.NAMESPACE_URL, run_id + node["name"])),
        "display_name": node["displayName"],
        "create_time": created,
        "start_time": node["startedAt"],
        "end_time": node["finishedAt"] or NEVER,
        **({"state": state} if state else {}),
        "state_history": [{"update_time": node["startedAt"], **({"state": state} if state else {})}],
        **({"child_tasks": [{"pod_name": child} for child in children]} if children else {}),
    }
