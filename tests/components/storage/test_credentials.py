"""Credentials of roles, public buckets, and secrets that are read from the Kubernetes API.

The token service, the metadata services and the Kubernetes API are stand-ins with the answers that their documentation
gives; none of them can run here. tests/services/launch/test_secrets.py reads a secret from a real API server.
"""

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.storage import credentials, exists, secrets
from tests.components.storage.answering import Answering, answering
from tests.components.storage.test_connection import connect, keys
from tests.components.storage.test_objects import certificate  # noqa: F401

STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <SessionToken>session-of-the-role</SessionToken><SecretAccessKey>hidden</SecretAccessKey>
    <Expiration>2126-01-01T00:00:00Z</Expiration><AccessKeyId>ASIAROLE</AccessKeyId>
  </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
ROLE = json.dumps(
    {
        "Code": "Success",
        "AccessKeyId": "ASIANODE",
        "SecretAccessKey": "hidden",
        "Token": "session-of-the-node",
        "Expiration": "2126-01-01T00:00:00Z",
    }
)
URI = "s3://bucket/model"


@pytest.fixture(autouse=True)
def no_keys(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither keys nor roles that an earlier test has found."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(credentials, "_RETRY", urllib3.Retry(total=1, backoff_factor=0, status_forcelist=(500,)))
    cached = (credentials._web_identity, credentials._container_role, credentials._instance_role, secrets._from_api)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.fixture
def web_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that EKS gives a pod whose service account has a role."""
    (tmp_path / "token").write_text("token-of-the-pod")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/training")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def sign_of(server: Answering) -> tuple[str, str | None]:
    """Access key and session token of the last request."""
    headers = server.requests[-1][2]
    return headers["Authorization"].partition("Credential=")[2].partition("/")[0], headers["X-Amz-Security-Token"]


@pytest.mark.usefixtures("web_identity")
def test_a_pod_with_a_role_uses_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering({"/sts": (200, STS)}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{server.address}/sts")
        monkeypatch.setenv("S3_ENDPOINT", server.address)
        assert not exists(URI) and not exists(URI)
        assert sign_of(server) == ("ASIAROLE", "session-of-the-role")
    asked = [path for _, path, _ in server.requests if path.startswith("/sts")]
    assert len(asked) == 1, "the credentials are used until they expire"
    assert "WebIdentityToken=token-of-the-pod" in asked[0] and "role%2Ftraining" in asked[0]


@pytest.mark.usefixtures("web_identity")
def test_the_token_service_may_have_a_certificate_of_the_sites_authority(
    certificate: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMPAWARE_CA_FILE", str(certificate))
    with answering({"/sts": (200, STS)}, certificate) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{server.address}/sts")
        assert keys(f"{URI}?endpoint=host")[0] == "ASIAROLE"


@pytest.mark.usefixtures("web_identity")
def test_a_role_precedes_kfps_keys_for_aws_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """KFP's secret exists on EKS, too, but its keys are not those of S3."""
    monkeypatch.setenv("MINIO_ACCESS_KEY", "minio")
    monkeypatch.setenv("MINIO_SECRET_KEY", "minio123")
    with answering({"/sts": (200, STS)}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{server.address}/sts")
        assert keys("s3://bucket/key?endpoint=s3.eu-west-1.amazonaws.com")[0] == "ASIAROLE"
        assert keys("s3://bucket/key?endpoint=host")[0] == "minio", "the keys of a store that is not AWS"
        assert keys("minio://bucket/key?endpoint=host")[0] == "minio"
        kfp = "{secretRef: {secretName: mlpipeline-minio-artifact, accessKeyKey: accesskey, secretKeyKey: secretkey}}"
        monkeypatch.setenv("COMPAWARE_KFP_PROVIDERS", f"s3: {{default: {{endpoint: host, credentials: {kfp}}}}}")
        assert keys("s3://bucket/key")[0] == "minio", "KFP's providers name its secret"
        monkeypatch.setenv("COMPAWARE_STORES", "minio: {default: {endpoint: host, credentials: {fromEnv: true}}}")
        assert keys("minio://bucket/key")[0] == "ASIAROLE", "as KFP uses it with fromEnv"


@pytest.mark.usefixtures("web_identity")
@pytest.mark.parametrize(("status", "body"), [(403, "<ErrorResponse/>"), (200, "<html>")])
def test_a_refused_role_is_one_line_without_the_token(status: int, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering({"/sts": (status, body)}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{server.address}/sts")
        with pytest.raises(UserError, match=r"the role arn:aws:iam::1:role/training .* trust policy") as caught:
            exists(f"{URI}?endpoint=host&region=eu-west-1")
    message = f"{caught.value!r} {caught.value.__cause__}"
    assert "token-of-the-pod" not in message and "\n" not in message


@pytest.mark.usefixtures("web_identity")
def test_a_token_service_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="gives no credentials: it does not answer"):
        exists(f"{URI}?endpoint=host&region=eu-west-1")


def test_a_pod_with_an_identity_of_eks_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("token-of-the-pod")
    with answering({"/v1/credentials": (200, ROLE)}) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.address}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert keys(f"{URI}?endpoint=host")[0] == "ASIANODE"
    assert server.requests[0][2]["Authorization"] == "token-of-the-pod"


def test_a_machine_with_a_role_uses_it_for_aws_only(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "/latest/meta-data/iam/security-credentials/"
    answers = {"/latest/api/token": (200, "imds"), f"{folder}node": (200, ROLE), folder: (200, "node")}
    with answering(answers) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.address)
        assert connect(f"{URI}?endpoint=ceph.example.com").credentials is None
        assert not server.requests
        assert keys(f"{URI}?endpoint=s3.amazonaws.com")[0] == "ASIANODE"
    assert server.requests[0][0] == "PUT" and server.requests[-1][2]["X-Aws-Ec2-Metadata-Token"] == "imds"


def test_a_laptop_without_a_metadata_service_waits_for_seconds_and_reads_without_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert connect(f"{URI}?endpoint=s3.amazonaws.com").credentials is None
        assert connect(f"{URI}?endpoint=s3.eu-west-1.amazonaws.com").credentials is None
        assert time.monotonic() - started < 5
    credentials._instance_role.cache_clear()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert connect(f"{URI}?endpoint=s3.amazonaws.com").credentials is None


def test_temporary_keys_are_sent_with_their_session_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering() as server:
        monkeypatch.setenv("S3_ENDPOINT", server.address)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        assert not exists(URI)
        assert server.requests[-1][2]["Authorization"] is None, "a public bucket needs no keys"
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, f"value of {name}"[9:])
        assert not exists(URI)
        assert sign_of(server) == ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN")


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: Path) -> Path:  # noqa: F811
    """What Kubernetes mounts into a KFP task's pod."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("token-of-the-account")
    (folder / "namespace").write_text("kubeflow")
    (folder / "ca.crt").write_bytes(certificate.read_bytes())
    monkeypatch.setattr(secrets, "_ACCOUNT", folder)
    monkeypatch.setattr(secrets, "_RETRY", urllib3.Retry(total=1, backoff_factor=0, status_forcelist=(403, 500)))
    monkeypatch.setenv("COMPAWARE_STORES", "s3: {default: {endpoint: h, credentials: {secretRef: {secretName: own}}}}")
    return folder


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("status", "data", "expected"),
    [
        (200, {"accesskey": "reviews", "secretkey": "hidden"}, ""),
        (200, {"accesskey": "reviews"}, "the secret own has no key secretkey"),
        (403, {}, "this task may not read the secret own in namespace kubeflow"),
        (404, {}, "there is no secret own in namespace kubeflow"),
        (500, {}, "the Kubernetes API answers HTTP 500"),
    ],
)
def test_a_task_reads_a_secret_as_kfps_launcher_does(
    status: int,
    data: dict[str, str],
    expected: str,
    certificate: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    path = "/api/v1/namespaces/kubeflow/secrets/own"
    with answering({path: (status, json.dumps({"data": encoded}))}, certificate) as server:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.address.rpartition(":")[2])
        if expected:
            with pytest.raises((UserError, UnavailableError), match=expected):
                keys("s3://bucket/key")
        else:
            assert keys("s3://bucket/key") == keys("s3://bucket/other") == ("reviews", "hidden")
            assert server.paths() == [f"GET {path}"], "it is read once"
            assert server.requests[0][2]["Authorization"] == "Bearer token-of-the-account"


@pytest.mark.usefixtures("account")
def test_the_secret_of_a_job_replaces_kfps(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.delenv("COMPAWARE_STORES")
    monkeypatch.setenv("MINIO_ACCESS_KEY", "minio")
    monkeypatch.setenv("MINIO_SECRET_KEY", "minio123")
    monkeypatch.setenv("COMPAWARE_STORAGE_SECRET", "own")
    encoded = base64.b64encode(b"of the job").decode()
    with answering(
        {"/": (200, json.dumps({"data": {"accesskey": encoded, "secretkey": encoded}}))}, certificate
    ) as api:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", api.address.rpartition(":")[2])
        assert keys("minio://bucket/key?endpoint=host") == ("of the job", "of the job")


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hidden"},
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        ({"MINIO_ROOT_USER": "key", "MINIO_SECRET_KEY": "hidden"}, "MINIO_ROOT_USER and MINIO_SECRET_KEY"),
        ({"COMPAWARE_S3_SECRET_DIR": "secrets/own"}, "the secret that is mounted at secrets/own"),
        ({"COMPAWARE_STORAGE_SECRET": "own"}, "the secret own"),
    ],
)
def test_refused_credentials_are_named_by_their_source(
    code: str, settings: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "secrets" / "own"
    own.mkdir(parents=True)
    for key in ("accesskey", "secretkey"):
        (own / key).write_text("hidden")
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COMPAWARE_SECRETS_DIR": "secrets", **settings}.items():
        monkeypatch.setenv(name, value)
    refusal = {"/": (403, f"<Error><Code>{code}</Code></Error>")}
    with answering(refusal) as store, pytest.raises(UserError, match=f"check .*{expected}") as caught:
        exists(f"{URI}?endpoint={store.address}&region=eu-west-1")
    assert "hidden" not in str(caught.value)


def test_a_missing_key_is_named_where_access_without_one_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    refusal = {"/": (403, "<Error><Code>AccessDenied</Code></Error>")}
    with answering(refusal) as store, pytest.raises(UserError, match="denied without credentials, and none were found"):
        exists(f"{URI}?endpoint={store.address}&region=eu-west-1")
