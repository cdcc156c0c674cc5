"""The history page of a prefix."""

from pathlib import Path

from compaware.components.publish.history_files import Entry
from compaware.components.publish.history_page import write_history_pages


def entry(metric_name: str, metric: float, version: str) -> Entry:
    return Entry(
        version=version,
        time="2026-01-01T00:00:00+00:00",
        published=True,
        reason="made up",
        changed=[],
        role="int8",
        runtime="openvino",
        precision="int8",
        metric_name=metric_name,
        metric=metric,
        earlier_version=None,
        earlier_metric=None,
        size_bytes=1,
        p50_ms=1.0,
        model_fingerprint="",
        fingerprints={},
    )


def test_scores_of_another_metric_are_named_and_are_not_in_the_chart(tmp_path: Path) -> None:
    write_history_pages(tmp_path, "words", [entry("f1", 0.7, "one"), entry("accuracy", 0.9, "two")])
    page, text = ((tmp_path / name).read_text(encoding="utf-8") for name in ("history.html", "history.md"))
    assert "| F1 0.7000 |" in text and "| 0.9000 |" in text
    assert "accuracy by version" in page and "F1 0.7000" in page
