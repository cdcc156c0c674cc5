"""A namespace for each test on a real API server, behind a proxy that can cause faults."""

import base64
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from compaware.components.core.base.errors import UserError
from compaware.components.launch.api import Api
from compaware.components.launch.errors import JobError
from compaware.components.launch.job import Job, JobKind, job_name
from compaware.components.launch.kinds import cluster_launcher
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pytorchjob import PYTORCHJOB
from tests.services.launch.operator import OPERATORS, Operator
from tests.services.launch.proxy import Proxy


class Site:
    """The proxy, the API through it, and the API without it, which plays the operator."""

    def __init__(self, proxy: Proxy, api: Api, direct: Api, kubeconfig: Path):
        self.proxy = proxy
        self.api = api
        self.direct = direct
        self.kubeconfig = kubeconfig

    def job(self, component: str = "distillation", **options: Any) -> Job:
        """A job of two nodes by default."""
        name = job_name(component, "run", "task")
        return Job(name, component, {"output": "s3://bucket/out"}, JobOptions(**{"num_nodes": 2, **options}))

    def job_uids(self) -> list[str]:
        """The PyTorchJobs in the namespace."""
        return [item["metadata"]["uid"] for item in self.direct.get(PYTORCHJOB.path(self.api.namespace))["items"]]

    def operator(self, job: Job, kind: JobKind = PYTORCHJOB) -> Operator:
        """The operator of a job."""
        return OPERATORS[kind.title](self.direct, self.proxy, job)


class Waiting(threading.Thread):
    """Creates a job and waits for it in a thread."""

    def __init__(self, site: Site, job: Job, kind: JobKind = PYTORCHJOB):
        super().__init__(daemon=True)
        self._launcher = cluster_launcher(kind, site.api)
        self._job = job
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._launcher.create(self._job)
            self._launcher.wait(self._job)
        except (UserError, JobError) as error:
            self._error = error

    def end(self, timeout_s: float = 40.0) -> None:
        """Waits for the end; raises the launcher's error."""
        self.join(timeout_s)
        assert not self.is_alive(), "the launcher still waits"
        if self._error:
            raise self._error


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A namespace that is deleted after the test."""
    if "KUBECONFIG" not in os.environ:
        pytest.fail("set KUBECONFIG to a cluster for tests that has the PyTorchJob and TrainJob definitions")
    settings = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
    cluster = settings["clusters"][0]["cluster"]
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    proxy = Proxy(cluster["server"], str(ca_file), settings["users"][0]["user"]["token"])
    namespace = f"launch-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    settings["contexts"][0]["context"]["namespace"] = namespace
    direct = _api(settings, tmp_path / "direct", monkeypatch)
    direct.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    settings["clusters"][0]["cluster"] = {"server": proxy.url}
    kubeconfig = tmp_path / "kubeconfig"
    yield Site(proxy, _api(settings, kubeconfig, monkeypatch), direct, kubeconfig)
    proxy.shutdown()
    proxy.server_close()
    direct.delete(f"/api/v1/namespaces/{namespace}")


def _api(settings: dict[str, Any], file: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    return Api()
