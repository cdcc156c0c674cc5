"""Settings of a store come from the URI, a mapping, the environment, or Kubeflow's own services."""

import socket
from pathlib import Path

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.storage.connection import Connection, connection
from compaware.components.storage.uri import Location, parse


def connect(uri: str) -> Connection:
    location = parse(uri)
    assert isinstance(location, Location)
    return connection(location)


def keys(uri: str) -> tuple[str, str]:
    """Access key and secret key for a URI."""
    credentials = connect(uri).credentials
    assert credentials
    found = credentials.retrieve()
    return found.access_key, found.secret_key


def resolve(monkeypatch: pytest.MonkeyPatch, *hosts: str, error: int = socket.EAI_NONAME) -> None:
    """Plays a name server that knows these hosts only; there is none here for names of a cluster."""

    def look_up(host: str, *_: object) -> list[object]:
        if host not in hosts:
            raise socket.gaierror(error, "not known")
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize(
    ("hosts", "error", "expected"),
    [
        (["seaweedfs.kubeflow"], socket.EAI_NONAME, "seaweedfs.kubeflow"),
        (["minio-service.kubeflow"], socket.EAI_NONAME, "minio-service.kubeflow"),
        (["seaweedfs.kubeflow", "minio-service.kubeflow"], socket.EAI_NONAME, "seaweedfs.kubeflow"),
        ([], socket.EAI_AGAIN, "seaweedfs.kubeflow"),
    ],
)
def test_the_default_endpoint_of_minio_uris_is_the_service_in_the_cluster(
    hosts: list[str], error: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    resolve(monkeypatch, *hosts, error=error)
    assert connect("minio://bucket/key").address == f"http://{expected}:9000"


@pytest.mark.parametrize("error", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_minio_uris_need_an_endpoint_outside_a_cluster(error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    resolve(monkeypatch, error=error)
    monkeypatch.setenv("S3_ENDPOINT", "http://other")
    with pytest.raises(UserError, match="set MINIO_ENDPOINT, because neither seaweedfs"):
        connect("minio://bucket/key")


def test_s3_uris_need_an_endpoint() -> None:
    with pytest.raises(UserError, match="set S3_ENDPOINT"):
        connect("s3://bucket/key")


def test_the_uri_takes_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "https://other")
    monkeypatch.setenv("AWS_REGION", "eu-1")
    assert connect("s3://bucket/key").address == "https://other"
    settings = connect("s3://bucket/key?endpoint=host:9000&region=eu-2")
    assert (settings.address, settings.region) == ("https://host:9000", "eu-2")
    assert connect("s3://bucket/key?endpoint=host:9000&disable_https=1").address == "http://host:9000"


def test_each_scheme_has_an_endpoint_and_keys_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "https://s3.example.com")
    monkeypatch.setenv("MINIO_ENDPOINT", "http://seaweedfs.example.com:9000")
    assert connect("s3://bucket/key").address == "https://s3.example.com"
    assert connect("minio://bucket/key").address == "http://seaweedfs.example.com:9000"
    assert keys("minio://bucket/key")[0] == "tester", "one pair is enough for both"
    monkeypatch.setenv("MINIO_ACCESS_KEY", "kubeflow")
    monkeypatch.setenv("MINIO_SECRET_KEY", "its secret")
    assert (keys("s3://bucket/key")[0], keys("minio://bucket/key")[0]) == ("tester", "kubeflow")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert keys("s3://bucket/key")[0] == "kubeflow", "one pair is enough for both"


@pytest.mark.parametrize("endpoint", ["http://", "ftp://host", "https://user:hidden@host", "https://host/path", "h:x"])
def test_an_invalid_endpoint_is_refused_without_showing_it(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", endpoint)
    with pytest.raises(UserError, match="not an address") as caught:
        connect("s3://bucket/key")
    assert "hidden" not in str(caught.value)


def test_an_access_key_without_a_secret_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match="AWS_SECRET_ACCESS_KEY"):
        connect("s3://bucket/key?endpoint=host")


def test_the_environment_takes_precedence_over_the_mounted_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "accesskey").write_text("mounted\n")
    (tmp_path / "secretkey").write_text("mounted secret\n")
    monkeypatch.setenv("COMPAWARE_S3_SECRET_DIR", str(tmp_path))
    monkeypatch.setenv("MINIO_ENDPOINT", "http://host")
    assert keys("minio://bucket/key")[0] == "tester"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert keys("minio://bucket/key") == ("mounted", "mounted secret")
    (tmp_path / "secretkey").unlink()
    with pytest.raises(UserError, match="COMPAWARE_S3_SECRET_DIR needs a mount of mlpipeline-minio-artifact"):
        connect("minio://bucket/key")


def test_the_keys_of_the_secret_are_read_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("accesskey", "from the secret")
    monkeypatch.setenv("secretkey", "hidden")
    assert keys("minio://bucket/key?endpoint=host") == ("from the secret", "hidden")
    assert "hidden" not in repr(connect("minio://bucket/key?endpoint=host"))


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("COMPAWARE_CA_FILE", "/no/such/ca.pem", "no certificate file /no/such/ca.pem"),
        ("COMPAWARE_STORAGE_PATIENCE_S", "soon", "number of seconds"),
        ("COMPAWARE_STORAGE_PATIENCE_S", "0", "number of seconds"),
    ],
)
def test_an_invalid_variable_is_named(
    variable: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=expected):
        connect("minio://bucket/key?endpoint=host")
