"""What a real object store refuses; collected only where `S3_ENDPOINT` names one."""

from pathlib import Path

import pytest

from compaware.components.core.errors import UserError
from compaware.components.storage import fetch


def test_a_wrong_secret(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(UserError, match="the secret does not fit"):
        fetch(f"s3://{bucket}/reviews", tmp_path)


def test_an_unknown_access_key(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with pytest.raises(UserError, match="unknown"):
        fetch(f"s3://{bucket}/reviews", tmp_path)


def test_without_credentials(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match="access is denied"):
        fetch(f"s3://{bucket}/reviews", tmp_path)
