"""Hostile names and texts from data are escaped and complete in every page and document."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import ModelCard

from compaware.components.benchmark.report.render import render_html, render_markdown
from compaware.components.core.base.rendering import cut
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.sparsity.measure import LayerSparsity, layers_markdown
from compaware.components.core.sparsity.patterns import parse_pattern
from compaware.components.core.stage.workspace import run_stage
from compaware.components.data_prep import prepare
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.publish.bundle import write_version
from compaware.components.publish.config import PublishConfig
from compaware.components.publish.history_files import Entry
from compaware.components.publish.history_page import write_history_pages
from compaware.components.publish.release import Release
from compaware.components.sweep_benchmark.judge import judge
from compaware.components.sweep_benchmark.pareto import Constraint
from compaware.components.sweep_benchmark.sweep_report import render
from tests.components.benchmark.synthetic import benchmark, family, measured, quality
from tests.components.sweep_benchmark.test_judge import member
from tests.markup import HOSTILE, Document, Page, seen
from tests.tiny import make_dataset, make_model

# Lone surrogates are not tested, because no readable file contains them.
NAMES = [name for name in HOSTILE if "\ud83d" not in name]
ALL_OF_THEM = " / ".join(NAMES[:-1])
ACTING = {"script", "img", "link", "iframe", "object", "a", "b", "html_block"}


def _check_page(text: str, names: list[str], allowed: set[str] = frozenset()) -> None:
    page = Page(text)
    assert not page.tags & (ACTING - allowed) and not page.acting
    shown = " ".join(page.text.split())
    for name in names:
        assert seen(cut(name)) in shown


def _check_document(text: str, names: list[str]) -> None:
    document = Document(text)
    assert not document.kinds & {"link_open", "image", "html_inline", "html_block", "s_open", "em_open", "hr"}
    shown = " ".join(document.texts)
    for name in names:
        assert seen(cut(name)) in shown
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in block.splitlines()}) == 1


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data card of classes, columns and texts with hostile names."""
    root = tmp_path_factory.mktemp("hostile")
    rows = [(f"{index} {name}", name) for name in NAMES for index in range(4)]
    column = "co|umn <script>"
    table = pa.table({column: [row[0] for row in rows], "la`bel\n---": [row[1] for row in rows]})
    pq.write_table(table, root / "a | <b>.parquet")
    config = validate(
        DataPrepConfig,
        {
            "output": root / "out",
            "data": str(root / "a | <b>.parquet"),
            "text_columns": [column],
            "label_column": "la`bel\n---",
            "validation_fraction": 0.25,
        },
    )
    run_stage(config, lambda workspace: prepare.run(config, workspace))
    return root / "out"


def test_the_data_card(card: Path) -> None:
    names = [*NAMES, "co|umn <script>", "la`bel ---", "a | <b>.parquet"]
    _check_page((card / "card.html").read_text(encoding="utf-8"), names)
    _check_document((card / "card.md").read_text(encoding="utf-8"), names)


def test_the_benchmark_report() -> None:
    found = family()
    found.data["task"] = found.machine["cpu"] = ALL_OF_THEM
    found.words = [*found.words, *NAMES]
    found.quality = quality(tuple(NAMES), text=ALL_OF_THEM)
    rows = [{"op_type": name, "total": 1} for name in NAMES]
    summaries = {
        "int8": Summary(component="i", version="0", config={}, metrics={}, facts={"tune_results": rows}, machine={})
    }
    _check_page(render_html(found, summaries), NAMES, {"b"})
    _check_document(render_markdown(found, summaries), NAMES)


def test_the_sweep_report() -> None:
    figures = benchmark(
        [
            measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 20.0}),
            measured("two_t2", "openvino", role="student", metric=0.84, milliseconds={1: 3.0}),
        ]
    )
    lost = [member(f"lost_{index}", failure=name) for index, name in enumerate(NAMES)]
    sweep = judge(figures, [member("two_t2"), *lost], Constraint())
    page, text = render(figures, sweep, "Serve it")
    _check_page(page, NAMES[:-1], {"b"})
    _check_document(text, NAMES[:-1])


def test_the_model_card_and_the_history(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", 32, 16)
    manifest = json.loads((dataset.path / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"label_names": NAMES, "task": NAMES[0], "notes": NAMES, "source": {"kind": "hub", "data": ALL_OF_THEM}}
    dataset = type(dataset)(dataset.path, dataset.manifest.model_validate(manifest))
    make_model(tmp_path / "model", make_dataset(tmp_path / "other", 8, 8))
    (tmp_path / "results").mkdir()
    for name in ("benchmark.json", "report.html"):
        (tmp_path / "results" / name).write_text("{}", encoding="utf-8")
    folders = {"dataset": dataset.path, "model": tmp_path / "model", "results": tmp_path / "results"}
    config = validate(
        PublishConfig,
        {"output": tmp_path / "out", "publish_uri": str(tmp_path / "a b"), "teacher": tmp_path, "run_id": NAMES[0]}
        | folders,
    )
    stage: dict[str, Any] = {"version": "0", "metrics": {}, "facts": {}, "machine": {}}
    stages = [
        Summary(component="teacher_check", config={"teacher": ALL_OF_THEM}, **stage),
        Summary(component="distillation", config={"student": NAMES[2]}, **stage),
    ]
    figures = family()
    figures.machine["cpu"] = NAMES[2]
    entry = Entry(
        version="1.0",
        time="2026-01-01T00:00:00",
        published=True,
        reason=ALL_OF_THEM,
        changed=NAMES,
        role="student",
        runtime="torch",
        precision="fp32",
        metric_name="accuracy",
        metric=0.9,
        earlier_version=None,
        earlier_metric=None,
        size_bytes=1,
        p50_ms=1.0,
        model_fingerprint="f",
        fingerprints={"data": "d"},
    )
    release = Release(config, "a-b", dataset, figures, stages, "student", "torch", "fp32", "f", {})
    write_version(release, entry, tmp_path / "card")
    text = (tmp_path / "card/README.md").read_text(encoding="utf-8")
    front, _, body = text.removeprefix("---\n").partition("\n---\n")
    assert yaml.safe_load(front)["datasets"] == [ALL_OF_THEM]
    metadata = ModelCard.load(tmp_path / "card/README.md").data
    assert (metadata.library_name, metadata.license, metadata.datasets) == ("transformers", None, [ALL_OF_THEM])
    _check_document(body, NAMES)
    yaml.safe_load((tmp_path / "card/inference-service.yaml").read_text(encoding="utf-8"))
    compile((tmp_path / "card/load.py").read_text(encoding="utf-8"), "load.py", "exec")
    write_history_pages(tmp_path, ALL_OF_THEM, [entry])
    _check_page((tmp_path / "history.html").read_text(encoding="utf-8"), NAMES[:-1])
    _check_document((tmp_path / "history.md").read_text(encoding="utf-8"), NAMES[:-1])


def test_the_table_of_layers() -> None:
    layers = [LayerSparsity(name=name, shape=(2, 2), zeros=2, follows_pattern=True) for name in NAMES]
    _check_document(layers_markdown(layers, parse_pattern("unstructured")), NAMES[:-1])
