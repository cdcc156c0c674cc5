"""The history page of a prefix."""

import json
import math
import re
from pathlib import Path
from typing import Any

from compaware.components.publish.history_files import Entry, Published
from compaware.components.publish.history_page import write_history_pages


def entry(metric_name: str, metric: float, version: str, **values: Any) -> Entry:
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
        **values,
    )


def test_scores_of_another_metric_are_named_and_are_not_in_the_chart(tmp_path: Path) -> None:
    write_history_pages(tmp_path, "words", [entry("f1", 0.7, "one"), entry("accuracy", 0.9, "two")])
    page, text = ((tmp_path / name).read_text(encoding="utf-8") for name in ("history.html", "history.md"))
    assert "| F1 0.7000 |" in text and "| 0.9000 |" in text
    assert "accuracy by version" in page and "F1 0.7000" in page
    assert "of models chosen on these rows" in page and "of models chosen on these rows" in text


def test_scores_on_test_stand_beside_those_on_validation(tmp_path: Path) -> None:
    tested = entry("accuracy", 0.9, "two", test_rows=1821, test_metric=0.88)
    write_history_pages(tmp_path, "words", [entry("accuracy", 0.7, "one"), tested])
    page, text = ((tmp_path / name).read_text(encoding="utf-8") for name in ("history.html", "history.md"))
    assert "| accuracy | test |" in text and "| 0.9000 | 0.8800 |" in text and "| 0.7000 | – |" in text
    assert page.count('<td class="figure">0.8800</td>') == 1
    assert "test was used for no decision" in page and "test was used for no decision" in text


def test_a_history_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    written = entry("accuracy", 0.9, "one").model_dump(mode="json")
    earlier = {name: value for name, value in written.items() if "test" not in name}
    (tmp_path / "history.json").write_text(json.dumps([earlier]), encoding="utf-8")
    (tmp_path / "latest.json").write_text(json.dumps(earlier), encoding="utf-8")
    published = Published.read(str(tmp_path))
    assert published.latest is not None and published.latest.test_metric is None


def test_an_undefined_score_on_test_is_said_in_words(tmp_path: Path) -> None:
    write_history_pages(tmp_path, "words", [entry("f1", 0.7, "one", test_rows=40, test_metric=math.nan)])
    for name in ("history.html", "history.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "undefined" in text and not re.search(r"\bnan\b", text)
