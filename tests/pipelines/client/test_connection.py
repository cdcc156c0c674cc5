"""Connecting to a server: what is not one, one that is not available, and tokens that cannot be sent."""

import pytest

from tests.components.storage.answering import answering
from tests.pipelines.client.conftest import Ask
from tests.pipelines.client.replay import FAILED, Replay

HEALTH = "/apis/v2beta1/healthz"


@pytest.mark.parametrize(
    ("status", "body", "code", "error"),
    [
        (200, "<html>login</html>", 2, "is not the address of a Kubeflow Pipelines API (status 200): check --host"),
        (302, "", 2, "is not the address of a Kubeflow Pipelines API (status 302): check --host"),
        (404, '{"code": 5}', 2, "is not the address of a Kubeflow Pipelines API (status 404): check --host"),
        (503, "upstream connect error", 75, "is not available (status 503)"),
    ],
)
def test_what_is_not_the_server_is_refused_at_once_in_one_line(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, status: int, body: str, code: int, error: str
):
    monkeypatch.delenv("KF_PIPELINES_TOKEN", raising=False)
    with answering({HEALTH: (status, body)}) as other:
        for words in (("status", "first"), ("schedule", "list")):
            ended, _, err = ask(*words, "--host", other.address)
            assert ended == code and error in err and err.count("\n") == 1


def test_an_address_without_a_scheme_is_named_as_it_is_used(ask: Ask):
    assert (
        "no Kubeflow Pipelines server answers at https://127.0.0.1:9: "
        in ask("status", "a", "--host", "127.0.0.1:9")[2]
    )


def test_a_token_from_a_file_works_and_one_that_cannot_be_sent_is_not_shown(
    server: Replay, ask: Ask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "s3cret\n")
    assert ask("status", FAILED["run_id"])[0] == 0
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "s3cret\nand more")
    code, _, err = ask("status", FAILED["run_id"])
    assert code == 2 and "KF_PIPELINES_TOKEN is not a token" in err and "s3cret" not in err


def test_a_service_account_that_cannot_exist_is_refused(server: Replay, ask: Ask):
    code, _, err = ask("submit", "distillation", "--service-account", "Default Editor")
    assert code == 2 and "'Default Editor' is no name of a service account" in err
