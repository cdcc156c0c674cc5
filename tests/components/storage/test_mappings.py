"""Stores, addresses and secrets from mappings of the shape of KFP's `providers`, and from the metadata of artifacts."""

import json
import re
from pathlib import Path

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.storage.mappings import artifact_stores, named_secrets
from tests.components.storage.test_connection import connect, keys

# Cut from kubeflow/pipelines, backend/src/v2/config/testdata/provider_cases.yaml, case6 and case9.
KFP_PROVIDERS = """
gs:
  default:
    credentials:
      fromEnv: false
      secretRef: {secretName: gs-test-secret-6, tokenKey: gs-test-tokenKey-6}
minio:
  default:
    endpoint: minio-endpoint-6.com
    region: minio
    disableSSL: true
    credentials:
      fromEnv: false
      secretRef: {secretName: minio-test-secret-6, accessKeyKey: minio-access, secretKeyKey: minio-secret}
  overrides:
    - endpoint: minio-endpoint-9.com
      region: minio-a
      bucketName: minio-bucket-a
      keyPrefix: some/minio/path/a
      credentials:
        fromEnv: true
s3:
  default:
    endpoint: s3.amazonaws.com
    region: us-east-1
    disableSSL: false
    forcePathStyle: false
    credentials:
      fromEnv: false
      secretRef: {secretName: s3-testsecret-6, accessKeyKey: s3-access, secretKeyKey: s3-secret}
  Overrides:
    - bucketName: s3-bucket
      keyPrefix: some/s3/path/b
      endpoint: s3.us-east-2.amazonaws.com
      region: us-east-2
      credentials:
        secretRef: {secretName: s3-test-secret-6-b, accessKeyKey: s3-access, secretKeyKey: s3-secret}
    - bucketName: s3-bucket
      keyPrefix: some/s3/path/b/c
      credentials:
        secretRef: {secretName: never-reached, accessKeyKey: s3-access, secretKeyKey: s3-secret}
"""
# As the metadata of an input artifact was recorded from KFP 2.17.0.
SESSION = json.dumps(
    {
        "Provider": "minio",
        "Params": {
            "accessKeyKey": "accesskey",
            "disableSSL": "true",
            "endpoint": "seaweedfs.kubeflow:9000",
            "fromEnv": "false",
            "maxRetries": "5",
            "region": "minio",
            "secretKeyKey": "secretkey",
            "secretName": "mlpipeline-minio-artifact",
        },
    }
)
DATASET = "minio://mlpipeline/v2/artifacts/compaware-distillation/b3212c66/data-prep/e69d4732/dataset"


@pytest.fixture(autouse=True)
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Secrets as they are mounted into a job's pods; the keys say which secret they are from."""
    for secret in ("minio-test-secret-6", "s3-testsecret-6", "s3-test-secret-6-b", "mlpipeline-minio-artifact", "own"):
        folder = tmp_path / "secrets" / secret
        folder.mkdir(parents=True)
        for key in ("minio-access", "minio-secret", "s3-access", "s3-secret", "accesskey", "secretkey"):
            (folder / key).write_text(f"{key} of {secret}\n")
    monkeypatch.setenv("COMPAWARE_SECRETS_DIR", str(tmp_path / "secrets"))
    return tmp_path / "secrets"


@pytest.fixture
def kfp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAWARE_KFP_PROVIDERS", KFP_PROVIDERS)


@pytest.mark.usefixtures("kfp")
@pytest.mark.parametrize(
    ("uri", "address", "region", "access_key"),
    [
        ("minio://any/key", "http://minio-endpoint-6.com", "minio", "minio-access of minio-test-secret-6"),
        ("minio://minio-bucket-a/some/minio/path/a", "http://minio-endpoint-9.com", "minio-a", "tester"),
        ("minio://minio-bucket-a/some", "http://minio-endpoint-6.com", "minio", "minio-access of minio-test-secret-6"),
        ("s3://any/key", "https://s3.amazonaws.com", "us-east-1", "s3-access of s3-testsecret-6"),
        (
            "s3://s3-bucket/some/s3/path/b/c/model",
            "https://s3.us-east-2.amazonaws.com",
            "us-east-2",
            "s3-access of s3-test-secret-6-b",
        ),
    ],
)
def test_kfps_own_providers_say_where_a_uri_is(uri: str, address: str, region: str, access_key: str) -> None:
    settings = connect(uri)
    assert (settings.address, settings.region, keys(uri)[0]) == (address, region, access_key)
    assert settings.path_style is (False if uri.startswith("s3") else None)


@pytest.mark.usefixtures("kfp")
def test_the_sites_mapping_the_environment_and_the_uri_precede_kfps_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIO_ENDPOINT", "http://from.environment")
    assert (connect("minio://any/key").address, keys("minio://any/key")[0]) == ("http://from.environment", "tester")
    bucket = "minio://minio-bucket-a/some/minio/path/a"
    assert connect(bucket).address == "http://minio-endpoint-9.com", "a prefix says more than a variable"
    override = {
        "bucketName": "minio-bucket-a",
        "endpoint": "own.com",
        "credentials": {"secretRef": {"secretName": "own"}},
    }
    monkeypatch.setenv("COMPAWARE_STORES", json.dumps({"minio": {"overrides": [override]}}))
    assert (connect(bucket).address, keys(bucket)[0]) == ("https://own.com", "accesskey of own")
    assert connect(f"{bucket}?endpoint=uri.com").address == "https://uri.com"
    assert keys(f"{bucket}?endpoint=uri.com")[0] == "tester"


def test_an_artifact_is_read_from_where_kfp_stored_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither name is known to a name server here, so the address is the recorded one."""
    monkeypatch.setenv("COMPAWARE_ARTIFACT_STORES", artifact_stores([(DATASET, {"store_session_info": SESSION})]))
    assert connect(f"{DATASET}/manifest.json").address == "http://seaweedfs.kubeflow:9000"
    assert connect(f"{DATASET}/manifest.json").region == "minio"
    assert keys(DATASET)[0] == "tester", "KFP's own secret is in the environment"
    other = SESSION.replace("mlpipeline-minio-artifact", "own").replace("seaweedfs.kubeflow:9000", "ceph.example.com")
    monkeypatch.setenv("COMPAWARE_ARTIFACT_STORES", artifact_stores([(DATASET, {"store_session_info": other})]))
    assert (connect(DATASET).address, keys(DATASET)[0]) == ("http://ceph.example.com", "accesskey of own")


def test_artifacts_without_an_address_need_no_mapping() -> None:
    from_environment = json.dumps({"Provider": "s3", "Params": {"fromEnv": "true"}})
    assert (
        artifact_stores([(DATASET, {}), ("s3://b/k", {"store_session_info": from_environment}), ("/tmp/a", {})]) == ""
    )


def test_an_artifact_in_a_store_that_only_kfp_reads_needs_no_mapping() -> None:
    google = json.dumps({"Provider": "gs", "Params": {"fromEnv": "true", "endpoint": "storage.googleapis.com"}})
    for session in (google, "null", ""):
        assert artifact_stores([("gs://bucket/v2/artifacts/dataset", {"store_session_info": session})]) == ""


def test_all_named_secrets_are_known_once() -> None:
    named = named_secrets({"COMPAWARE_KFP_PROVIDERS": KFP_PROVIDERS, "COMPAWARE_STORES": KFP_PROVIDERS})
    names = [secret.secret_name for secret in named]
    assert names == ["s3-testsecret-6", "s3-test-secret-6-b", "never-reached", "minio-test-secret-6"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minio: [", "kfp-launcher is invalid: it is not YAML"),
        ("minio", "kfp-launcher is invalid: it is not a mapping"),
        ("s3: {default: {credentials: {secretRef: {}}}}", "'s3.default.credentials.secretref.secretname' is missing"),
        ("s3: {default: {disableSSL: maybe}}", "'s3.default.disablessl' is \"maybe\""),
    ],
)
def test_an_invalid_mapping_is_one_line(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAWARE_KFP_PROVIDERS", text)
    with pytest.raises(UserError, match="kfp-launcher") as caught:
        connect("s3://bucket/key")
    assert expected in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3: {default: {endpont: hidden.com}}", "'s3.default': unknown key 'endpont': did you mean 'endpoint'?"),
        ("s4: {default: {endpoint: hidden.com}}", "unknown key 's4': "),
        ("s3: {default: {accessKey: hidden, endpoint: host}}", "'s3.default': unknown key 'accesskey'"),
        ("s3: {overrides: [{keyPrefix: data, endpoint: hidden.com}]}", "'s3.overrides': each entry needs a bucketName"),
    ],
)
def test_the_sites_mapping_has_no_unknown_keys(text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """KFP ignores them in its own, so that is not refused."""
    monkeypatch.setenv("S3_ENDPOINT", "http://host")
    monkeypatch.setenv("COMPAWARE_KFP_PROVIDERS", text)
    assert connect("s3://bucket/key").address == "http://host"
    monkeypatch.setenv("COMPAWARE_STORES", text)
    with pytest.raises(UserError, match=f"COMPAWARE_STORES is invalid: {re.escape(expected)}") as caught:
        connect("s3://bucket/key")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["reviews", "reviews/", "/reviews"])
def test_a_prefix_is_a_folder(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    override = f"{{bucketName: bucket, keyPrefix: {prefix}, endpoint: other}}"
    monkeypatch.setenv("COMPAWARE_STORES", f"s3: {{default: {{endpoint: host}}, overrides: [{override}]}}")
    assert connect("s3://bucket/reviews").address == "https://other"
    assert connect("s3://bucket/reviews/train.csv").address == "https://other"
    assert connect("s3://bucket/reviews-old/train.csv").address == "https://host"


def test_a_mapping_for_s3_without_an_address_means_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a role instead of keys, as on EKS, KFP's `providers` need none."""
    monkeypatch.setenv("COMPAWARE_KFP_PROVIDERS", "s3: {default: {region: eu-west-1, credentials: {fromEnv: true}}}")
    assert connect("s3://bucket/key").address == "https://s3.amazonaws.com"
    monkeypatch.setenv("S3_ENDPOINT", "http://host")
    assert connect("s3://bucket/key").address == "http://host"


def test_a_secret_that_is_not_mounted_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = "s3: {default: {endpoint: host, credentials: {secretRef: {secretName: absent}}}}"
    monkeypatch.setenv("COMPAWARE_STORES", mapping)
    with pytest.raises(UserError, match=r"cannot read the secret absent: mount it at .*/absent"):
        connect("s3://bucket/key")
