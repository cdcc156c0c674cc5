"""Settings of a store come from the URI, else the environment, else the mounted secret."""

from pathlib import Path

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.storage.connection import Connection, connection
from compaware.components.storage.uri import Location, parse


def connect(uri: str) -> Connection:
    location = parse(uri)
    assert isinstance(location, Location)
    return connection(location)


def test_the_default_endpoint_of_minio_uris_is_the_service_in_the_cluster() -> None:
    assert connect("minio://bucket/key").address == "http://minio-service.kubeflow:9000"


def test_s3_uris_need_an_endpoint() -> None:
    with pytest.raises(UserError, match="set S3_ENDPOINT"):
        connect("s3://bucket/key")


def test_the_uri_takes_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "https://other")
    monkeypatch.setenv("AWS_REGION", "eu-1")
    assert connect("minio://bucket/key").address == "https://other"
    settings = connect("s3://bucket/key?endpoint=host:9000&region=eu-2")
    assert (settings.address, settings.region) == ("https://host:9000", "eu-2")
    assert connect("s3://bucket/key?endpoint=host:9000&disable_https=1").address == "http://host:9000"


@pytest.mark.parametrize("endpoint", ["http://", "ftp://host", "https://user:hidden@host", "https://host/path", "h:x"])
def test_an_invalid_endpoint_is_refused_without_showing_it(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", endpoint)
    with pytest.raises(UserError, match="not an address") as caught:
        connect("s3://bucket/key")
    assert "hidden" not in str(caught.value)


def test_an_access_key_without_a_secret_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match="AWS_SECRET_ACCESS_KEY"):
        connect("minio://bucket/key")


def test_the_environment_takes_precedence_over_the_mounted_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "accesskey").write_text("mounted\n")
    (tmp_path / "secretkey").write_text("mounted secret\n")
    monkeypatch.setenv("COMPAWARE_S3_SECRET_DIR", str(tmp_path))
    assert connect("minio://bucket/key").access_key == "tester"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    settings = connect("minio://bucket/key")
    assert (settings.access_key, settings.secret_key) == ("mounted", "mounted secret")
    (tmp_path / "secretkey").unlink()
    with pytest.raises(UserError, match="mount the secret mlpipeline-minio-artifact"):
        connect("minio://bucket/key")


def test_the_keys_of_the_secret_are_read_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("accesskey", "from the secret")
    monkeypatch.setenv("secretkey", "hidden")
    settings = connect("minio://bucket/key")
    assert (settings.access_key, settings.secret_key) == ("from the secret", "hidden")
    assert "hidden" not in repr(settings)


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
        connect("minio://bucket/key")
