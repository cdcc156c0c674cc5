"""The report holds all figures and loads nothing from the network."""

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from compaware.components.benchmark.comparisons import fill_comparisons, fill_criteria
from compaware.components.benchmark.recommendation import recommend
from compaware.components.benchmark.report.charts import throughput_by_batch
from compaware.components.benchmark.report.render import render_html, render_markdown
from compaware.components.benchmark.report.scatter_charts import accuracy_against_latency
from compaware.components.benchmark.report.sentences import headline, sentences
from compaware.components.benchmark.results import Benchmark, Measured, Unmeasured
from tests.components.benchmark.synthetic import LAYERS, SUMMARIES, benchmark, family, measured, quality
from tests.markup import Document

# Elements of HTML that have no end tag, and those of SVG that are written without one.
VOID = {"meta", "link", "br", "hr", "img", "path", "use", "rect", "circle"}


class Outline(HTMLParser):
    """Collects tags, addresses and text, and checks that elements nest."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(family(), SUMMARIES)


def test_the_page_needs_no_network_and_no_scripts(page: str):
    outline = Outline(page)
    assert not outline.tags & {"script", "link", "img", "iframe", "object"}
    assert all(address.startswith("#") for address in outline.addresses)
    assert "http://" not in page and "https://" not in page and "@import" not in page
    assert len(set(outline.ids)) == len(outline.ids)


def test_every_reference_inside_the_charts_has_its_target(page: str):
    used = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))
    assert used <= set(Outline(page).ids)


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_every_candidate_is_in_the_tables_with_its_figures(render):
    found = family()
    text = render(found, SUMMARIES)
    for item in found.candidates:
        assert f"{item.runtime} {item.precision.upper()}" in text and f"{item.metric:.4f}" in text
        for batch in item.batches.values():
            assert f"{batch.p50_ms:.2f}" in text and f"{batch.samples_per_s:.1f}" in text


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_words_machine_and_the_stages_own_tables_are_there(render):
    found = family()
    written = render(found, SUMMARIES)
    text = Outline(written).text if render is render_html else "\n".join(Document(written).texts)
    for wanted in (*found.words, "Example CPU", "avx2", "Mixed precision statistics", "Embedding", "Tune result"):
        assert wanted in text


def test_charts_use_the_pages_colours_only(page: str):
    drawings = page[page.index("<figure>") : page.rindex("</figure>")]
    drawings = "".join(re.findall(r"<figure>.*?</figure>", drawings + "</figure>", re.DOTALL))
    # Accuracy against latency and size, throughput; latencies of three batch sizes; curves of one training; sparsity.
    assert drawings.count("<svg") == 3 + 3 + 1 + 1
    assert not re.search(r"#[0-9a-fA-F]{6}\b", re.sub(r'(href="|url\(|id=")#?[^")]*', "", drawings))
    assert "prefers-color-scheme: dark" in page


def test_the_bars_leave_out_a_floor_beside_which_they_could_not_be_compared():
    found = family()
    found.candidates.append(measured("tfidf", "sklearn", role="floor", metric=0.8, milliseconds={1: 0.1, 8: 1, 32: 2}))
    bars = throughput_by_batch(found)
    assert "INT8, onnxruntime" in bars and "TF-IDF" not in bars
    assert "TF-IDF" in accuracy_against_latency(found, 1)


def test_details_are_folded_and_what_was_not_measured_is_not():
    found = family()
    found.unmeasured = [Unmeasured(name="sparse", role="sparse", reason="it broke")]
    page = render_html(found, SUMMARIES)
    assert "<details open>\n    <summary>Not measured</summary>" in page
    for name in ("Speed by batch size", "Spread of the latency", "Learning curves", "Tune result: INT8"):
        assert f"<details>\n    <summary>{name}</summary>" in page


@pytest.mark.parametrize(("count", "folded"), [(8, 0), (9, 3)])
def test_a_long_summary_folds_its_last_sentences(count: int, folded: int):
    found = family()
    found.words = [f"Sentence {number}." for number in range(count)]
    page = render_html(found, {})
    assert (f"More findings ({folded})" in page) == bool(folded)
    for sentence in found.words:
        assert sentence in page and sentence in render_markdown(found, {})


def test_markdown_leaves_long_tables_to_the_page():
    summary = SUMMARIES["sparse"].model_copy(update={"facts": {"layers": LAYERS * 3}})
    text = render_markdown(family(), {"sparse": summary})
    assert "This table has 36 rows: see report.html." in text and "layer.11" not in text
    assert "layer.11" in render_html(family(), {"sparse": summary})


def test_markdown_has_no_html_and_its_tables_are_even():
    text = render_markdown(family(), SUMMARIES)
    assert not re.search(r"</?[a-z]+[ >]", text)
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_hostile_names_do_not_break_out_of_the_page():
    found = family()
    found.data["task"] = "<script>alert(1)</script>"
    found.machine["cpu"] = "a | b <img src=x>"
    assert "script" not in Outline(render_html(found, {})).tags
    assert "a \\| b" in render_markdown(found, {})


def test_the_report_names_the_node_that_it_was_measured_on():
    found = family()
    assert "instance type" not in render_markdown(found, {})
    found.machine |= {"node": "ip-10-0-3-7", "node_type": "c7i.2xlarge"}
    text = render_markdown(found, {})
    assert "| node | ip-10-0-3-7 |" in text and "| instance type | c7i.2xlarge |" in text


def test_the_rounds_and_calls_really_done_are_said():
    milliseconds = {1: 10.0, 8: 40.0}
    few = measured("teacher", "torch", role="teacher", metric=0.9, milliseconds=milliseconds, rounds=4, calls=2)
    more = measured("student", "torch", role="student", metric=0.9, milliseconds=milliseconds, rounds=10, calls=20)
    text = render_markdown(benchmark([few, more]), {})
    assert "4–10 rounds with 8–200 calls at batch 1 and 4–10 rounds with 8–200 calls at batch 8" in text


@pytest.mark.parametrize("metric", [0.0, 0.5, 1.0])
def test_one_candidate_makes_a_report_too(metric: float):
    alone: Benchmark = benchmark([measured("teacher", "torch", role="teacher", metric=metric, milliseconds={1: 5.0})])
    assert "Teacher in torch" in Outline(render_html(alone, {})).text


def test_figures_of_the_predictions_are_in_the_page_and_their_texts_only_there():
    found = family()
    found.quality = quality(loss=0.05)
    page, text = render_html(found, {}), render_markdown(found, {})
    for written in (page, text):
        for heading in ("By class", "By slice", "Calibration", "INT8 against FP32"):
            assert heading in written
        assert "872 test rows" in written and "shop" in written and "unlabelled" in written
    assert "a dull film" in page and "a dull film" not in text and "a dull film" not in found.model_dump_json()


def test_figures_on_validation_say_that_these_rows_decided():
    found = family()
    found.quality = quality()
    found.quality.split = "validation"
    assert "872 validation rows (chosen on these rows)" in render_markdown(found, {})


def test_regression_has_slices_and_drift_and_no_classes():
    found = family()
    found.data["metric"] = "pearson"
    found.quality = quality()
    found.quality.classes = found.quality.calibration = {}
    found.quality.disagreements[0].int8 = "2.5"
    page = render_html(found, {})
    assert "mean absolute error, INT8 (95 %)" in page and "By class" not in page and "<td>2.5</td>" in page


def test_a_report_of_a_file_without_figures_of_the_predictions():
    assert "By class" not in render_html(family(), {})


def test_labels_of_multi_label_data_have_the_scores_of_each_model():
    found = family()
    found.quality = quality()
    found.candidates[0].f1_by_label = {"negative": 0.5, "positive": 0.5}
    text = render_markdown(found, {})
    columns, _, *lines = [
        line.strip("| ").split(" | ") for line in text[text.index("## By label") :].split("\n\n")[2].splitlines()
    ]
    assert [line[0] for line in lines] == ["negative", "positive"]
    for name in ("teacher", "student", "sparse", "INT8"):
        assert min(float(line[columns.index(f"F1 {name}")]) for line in lines) > 0.9


@pytest.mark.parametrize("names", [{"int8"}, {"teacher", "student", "sparse", "int8"}])
def test_an_undefined_metric_is_said_once_and_meets_no_criterion(names: set[str]) -> None:
    found = family()
    logits = {"validation": np.linspace(0, 1, 50), "test": np.linspace(0, 1, 60)}
    for item in found.candidates:
        item.metric_name = "pearson"
        item.metric = math.nan if item.name in names else item.metric

    def load(item: Measured, split: str) -> np.ndarray:
        return (0.0 if item.name in names else 1.0) * logits[split][:, None]

    found.data["test_rows"] = 60
    fill_criteria(found, {})
    fill_comparisons(found, logits, load)
    found.recommended = recommend(found)
    found.words = sentences(found)
    texts = [*found.words, headline(found), render_markdown(found, {})]
    assert not any(re.search(r"\bnan\b", text) for text in (*texts, Outline(render_html(found, {})).text))
    said = [text for text in found.words if "is undefined on validation" in text]
    assert len(said) == 1 and "since its labels or the predictions are all the same: no criterion is met" in said[0]
    assert not any(found.meets_criterion(item) for item in found.candidates if item.name in names)
    assert Benchmark.model_validate_json(found.model_dump_json()).model_dump_json() == found.model_dump_json()


def test_the_notes_say_why_a_metric_is_undefined_on_test_only() -> None:
    found = benchmark(family().candidates, test=dict.fromkeys(("teacher", "student", "sparse", "int8"), 0.9))
    for item in found.candidates:
        item.test = item.test.model_copy(update={"metric": math.nan})
    said = [text for text in sentences(found) if "is undefined on" in text]
    assert len(said) == 1 and "is undefined on test, since" in said[0]
