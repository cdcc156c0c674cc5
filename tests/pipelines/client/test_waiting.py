"""Waiting for a run, and what a terminal, a closed pipe, Ctrl-C and an unknown certificate make of a command."""

import copy
import ipaddress
import json
import os
import pty
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from compaware.components.core.base.errors import UnavailableError
from compaware.pipelines.client import polling
from compaware.pipelines.client.server import connect
from compaware.pipelines.client.waiting import wait
from tests.pipelines.client.conftest import Ask
from tests.pipelines.client.replay import FAILED, STOPPED, STOPPING, SUCCEEDED, Replay, serving

RUNNING = copy.deepcopy(STOPPING) | {"state": "RUNNING", "state_history": []}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLL_S", 0.1)


def test_waiting_says_a_line_for_each_change_in_the_pipelines_order(server: Replay):
    server.runs[STOPPED["run_id"]] = [RUNNING, RUNNING, STOPPED]
    lines: list[str] = []
    status = wait(connect(None, None), STOPPED["run_id"], lines.append)
    assert status.state == "stopped"
    assert [click.unstyle(line) for line in lines] == [
        "10:42:53 change-check: succeeded after 10 s",
        "10:43:14 data-prep: succeeded after 10 s",
        "10:43:24 teacher-check: running",
        "10:44:20 teacher-check: stopped after 56 s",
    ]


def test_waiting_outlives_a_restart_of_the_server(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TZ", "UTC")
    with serving(RUNNING) as first:
        client, port = connect(first.address, None), first.server.server_port
        ended = threading.Thread(target=lambda: (time.sleep(0.5), first.close()))
        ended.start()
        restarted: list[Replay] = []

        def restart() -> None:
            ended.join()
            time.sleep(0.7)
            restarted.append(Replay(STOPPED, port=port))

        threading.Thread(target=restart).start()
        status = wait(client, STOPPED["run_id"], lambda line: None)
    restarted[0].close()
    assert status.state == "stopped"
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    assert lines[0].startswith("trying again: the Kubeflow Pipelines server does not answer")
    assert lines[1] == "the server answers again"
    assert not caplog.records


def test_ctrl_c_says_that_the_run_goes_on_and_how_to_stop_it(server: Replay, ask: Ask, monkeypatch: pytest.MonkeyPatch):
    server.runs[RUNNING["run_id"]] = [RUNNING]

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(polling.time, "sleep", interrupt)
    code, _, err = ask("logs", RUNNING["run_id"], "--follow", "--host", server.address)
    assert code == 130
    assert err == (
        f"interrupted: the run goes on; see compaware status {RUNNING['run_id']} --host {server.address}, "
        f"or stop it: compaware stop {RUNNING['run_id']} --host {server.address}\n"
    )


def compaware(*words: str, **streams: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "compaware.pipelines.client.main", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **streams)


def test_only_a_terminal_sees_colours(server: Replay, ask: Ask):
    assert "\x1b" not in ask("status", "tj")[1]
    ours, terminal = pty.openpty()
    process = compaware("status", "tj", stdout=terminal)
    os.close(terminal)
    assert process.wait() == 0
    assert b"\x1b[32msucceeded\x1b[0m" in os.read(ours, 4096)
    os.close(ours)


def test_a_closed_pipe_is_no_traceback(server: Replay):
    process = compaware("status", "tj", stdout=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() in (0, 141)


def test_a_certificate_of_ones_own_authority_is_named(tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "a-secret-token")
    files = tmp_path / "ca.pem", tmp_path / "key.pem"
    write_certificate(*files)
    with serving(SUCCEEDED, FAILED) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        host = ("--host", server.address.replace("http:", "https:"))
        code, _, err = ask("status", "tj", *host)
        assert code == 2 and err.count("\n") == 1 and "--ca or KF_PIPELINES_CA_CERT" in err
        code, out, err = ask("status", "bad", *host, "--ca", str(files[0]))
        assert code == 0 and f"{host[1]} --ca {files[0]} --stage change-check" in out, err
        monkeypatch.setenv("KF_PIPELINES_CA_CERT", str(files[0]))
        assert ask("status", "tj", *host)[0] == 0
        assert "a-secret-token" not in out + err
    code, _, err = ask("status", "tj", *host, "--ca", "nowhere.pem")
    assert code == 2 and err.startswith("error: there is no certificate file nowhere.pem")


def write_certificate(certificate: Path, key: Path) -> None:
    """Writes a certificate for 127.0.0.1 that signs itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def test_without_an_address_the_option_for_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"name": "away", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "away", "context": {"cluster": "away", "user": "away"}}
    kubeconfig = {"clusters": [cluster], "contexts": [context], "users": [{"name": "away", "user": {}}]}
    (tmp_path / "config").write_text(json.dumps({**kubeconfig, "current-context": "away"}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    with pytest.raises(UnavailableError, match="set --host or KF_PIPELINES_ENDPOINT"):
        connect(None, None)
