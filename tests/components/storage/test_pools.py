"""Requests to a store go through the proxy that the environment names, except to the hosts in NO_PROXY."""

import base64
from pathlib import Path

import pytest

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.storage import exists
from tests.components.storage.answering import answering
from tests.components.storage.test_objects import certificate  # noqa: F401

STORE = "http://store.example.com:9000"


def test_a_store_without_tls_is_reached_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        assert not exists(f"s3://bucket/model?endpoint={STORE}&region=eu-west-1")
    assert proxy.paths()[0] == f"GET {STORE}/bucket/model/.compaware-manifest.json"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_store_with_tls_of_the_sites_authority_is_reached_through_a_proxy_with_a_password(
    variable: str,
    certificate: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with answering() as proxy, answering(certificate=certificate) as store:
        monkeypatch.setenv(variable, proxy.address.replace("//", "//user:hidden@"))
        assert not exists(f"s3://bucket/model?endpoint={store.address}&region=eu-west-1")
    assert proxy.paths()[0] == f"CONNECT {store.address.removeprefix('https://')}"
    expected = f"Basic {base64.b64encode(b'user:hidden').decode()}"
    assert proxy.requests[0][2]["Proxy-Authorization"] == expected
    assert store.paths()[0] == "GET /bucket/model/.compaware-manifest.json"


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "localhost,127.0.0.0/8", "*"])
def test_hosts_and_ranges_without_proxy_are_reached_directly(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with answering() as store:
        assert not exists(f"s3://bucket/model?endpoint={store.address}&region=eu-west-1")
    assert store.requests


@pytest.mark.parametrize(("no_proxy", "is_direct"), [(".svc,.kubeflow", True), (".svc", False), ("seaweedfs", False)])
def test_suffixes_without_proxy(no_proxy: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compaware.components.storage.store._FIRST_ANSWER_S", 0.1)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with answering() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        uri = "s3://bucket/model?endpoint=http://seaweedfs.kubeflow:9000&region=eu-west-1"
        if is_direct:
            with pytest.raises(UnavailableError, match="no such host"):
                exists(uri)
        else:
            assert not exists(uri)
    assert bool(proxy.requests) is not is_direct


@pytest.mark.parametrize(
    ("proxy", "error", "expected"),
    [
        (
            "http://127.0.0.1:9",
            UnavailableError,
            "the proxy does not answer or refuses .*: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
        ),
        ("socks5://user:hidden@127.0.0.1:9", UserError, "HTTP_PROXY is not a proxy's address"),
    ],
)
def test_a_proxy_that_does_not_work_is_named_without_its_password(
    proxy: str, error: type[Exception], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compaware.components.storage.store._FIRST_ANSWER_S", 0.1)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(error, match=expected) as caught:
        exists(f"s3://bucket/model?endpoint={STORE}&region=eu-west-1")
    assert "hidden" not in str(caught.value)
