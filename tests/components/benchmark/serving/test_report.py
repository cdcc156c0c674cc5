"""The report says which rate the model to serve holds, and shows the latency at each rate."""

import pytest

from compaware.components.benchmark.report.render import render_html, render_markdown
from compaware.components.benchmark.report.sentences import sentences
from compaware.components.benchmark.results import Benchmark
from compaware.components.benchmark.serving.flat import serving_metrics
from compaware.components.benchmark.serving.results import Offline, Probe, ServedForm, Server, Serving, SingleStream
from tests.components.benchmark.synthetic import family


def probe(rate: float, p99_ms: float, *, overloaded: bool = False) -> Probe:
    return Probe(
        queries_per_s=rate,
        queries=1000,
        p50_ms=p99_ms / 2,
        p99_ms=p99_ms,
        queries_per_call=2.5,
        overloaded=overloaded,
        is_held=p99_ms <= 50 and not overloaded,
    )


def form(identifier: str, *probes: Probe, p99_ms: float = 4.0) -> ServedForm:
    return ServedForm(
        id=identifier,
        single_stream=SingleStream(queries=500, p50_ms=2.0, p90_ms=3.0, p99_ms=p99_ms),
        offline=Offline(samples_per_s=1500.0, samples=3000, batch_size=8, streams=2),
        server=Server(most_queries_per_call=32, probes=list(probes)),
    )


def served(*forms: ServedForm, reference: str | None = "student_openvino", **fields: object) -> Benchmark:
    found = family()
    found.serving = Serving.model_validate(
        {"latency_bound_ms": 50.0, "reference": reference, "forms": forms, "failures": {}, **fields}
    )
    found.words = sentences(found)
    return found


FAST = form("int8_onnxruntime", probe(1000, 20), probe(1300, 80), probe(1150, 45), probe(500, 6))
SLOW = form("student_openvino", probe(460, 40), probe(700, 90, overloaded=True))


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            served(FAST, SLOW),
            "INT8 in onnxruntime as a server sustains 1,150 queries per second with p99 under 50 ms: 2.5x more than "
            "the FP32 student.",
        ),
        (
            served(FAST, reference=None),
            "INT8 in onnxruntime as a server sustains 1,150 queries per second with p99 under 50 ms.",
        ),
        (
            served(FAST, form("student_openvino", p99_ms=70)),
            "INT8 in onnxruntime as a server sustains 1,150 queries per second with p99 under 50 ms. The "
            "FP32 student does not keep this bound at any measured rate.",
        ),
        (
            served(form("int8_onnxruntime", p99_ms=70), SLOW),
            "INT8 in onnxruntime does not keep p99 under 50 ms at any measured rate: p99 is 70.0 ms even for one "
            "query at a time.",
        ),
        (
            served(form("int8_onnxruntime", probe(60, 99), probe(30, 80)), SLOW),
            "INT8 in onnxruntime does not keep p99 under 50 ms at any measured rate: 30.0 queries per second were "
            "too many.",
        ),
        (
            served(form("int8_onnxruntime"), SLOW),
            "INT8 in onnxruntime does not keep p99 under 50 ms at any measured rate: time_budget_s is too small for "
            "one rate.",
        ),
        (
            served(SLOW, failures={"int8_onnxruntime": "killed by signal 9"}),
            "INT8 in onnxruntime could not be measured as a server: killed by signal 9.",
        ),
    ],
)
def test_one_sentence_gives_the_rate_over_the_reference_or_why_there_is_none(found: Benchmark, sentence: str) -> None:
    assert sentence in found.words
    for text in (render_html(found, {}), render_markdown(found, {})):
        assert "Speed as a server" in text


def test_all_figures_are_in_the_tables_and_the_chart_is_on_the_page() -> None:
    found = served(FAST, SLOW)
    text, page = render_markdown(found, {}), render_html(found, {})
    assert "| INT8 | onnxruntime INT8 | 1,150.0 | 1,500.0 | 8 | 2 | 2.00 | 3.00 | 4.00 | 500 |" in text
    assert "| INT8 | onnxruntime INT8 | 1,300.0 | 1,000 | 40.00 | 80.00 | 2.5 | missed |" in text
    assert "| student | openvino FP32 | 700.0 | 1,000 | ≥ 45.00 | ≥ 90.00 | 2.5 | missed |" in text
    assert 'aria-label="latency by load"' in page and "<svg" not in text


def test_a_benchmark_without_the_scenarios_says_nothing_about_them() -> None:
    found = family()
    assert "as a server" not in render_markdown(found, {}) and not serving_metrics(None, "int8_onnxruntime")
    found.settings["time_budget_s"] = 1.0
    assert "Speed as a server was not measured: it takes a time_budget_s of at least 3." in sentences(found)
    assert Benchmark.model_validate_json(found.model_dump_json(exclude={"serving"})).serving is None


def test_metrics_are_those_of_the_model_to_serve_and_a_rate_of_zero_says_that_none_holds() -> None:
    serving = served(FAST, SLOW).serving
    assert serving_metrics(serving, "int8_onnxruntime") == {
        "serving_single_stream_p99_ms": 4.0,
        "serving_offline_samples_per_s": 1500.0,
        "serving_server_queries_per_s": 1150.0,
    }
    late = served(form("int8_onnxruntime", probe(30, 80))).serving
    assert serving_metrics(late, "int8_onnxruntime")["serving_server_queries_per_s"] == 0
