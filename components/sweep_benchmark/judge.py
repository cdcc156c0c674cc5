"""Work of sweep_benchmark: measures all members, finds the Pareto fronts, recommends a member, writes the report."""

import logging

from compaware.components.benchmark.config import BenchmarkConfig, Candidate, MeasuringOptions
from compaware.components.benchmark.flat_metrics import score_metrics
from compaware.components.benchmark.measure import measure, print_figures
from compaware.components.benchmark.recommendation import fastest_and_smallest
from compaware.components.benchmark.results import FILE_NAME, Benchmark, Recommended
from compaware.components.benchmark.serving.flat import serving_metrics
from compaware.components.benchmark.serving.scenarios import measure_serving
from compaware.components.core.base.files import write_text
from compaware.components.core.base.summary import Summary
from compaware.components.core.stage.workspace import Workspace
from compaware.components.sweep_benchmark.config import SweepBenchmarkConfig
from compaware.components.sweep_benchmark.members import mark_unmeasured, read_members
from compaware.components.sweep_benchmark.pareto import Constraint, Standing, choose_member, pareto_front
from compaware.components.sweep_benchmark.sweep_report import render
from compaware.components.sweep_benchmark.sweep_results import SWEEP_FILE, Sweep
from compaware.components.sweep_benchmark.sweep_sentences import headline, sentences
from compaware.components.sweep_plan.grid import Member

log = logging.getLogger(__name__)


def run(config: SweepBenchmarkConfig, workspace: Workspace) -> Summary:
    """Measures all members and writes the report; if none meets the constraint, the report names the nearest.

    Raises:
        UserError: All members failed, or none could be measured.
    """
    members, candidates = read_members(config.branches)
    for member in members:
        if member.failure:
            log.warning("%s is missing because it failed in %s", member.name, member.failure)
    teacher = Candidate(name="teacher", role="teacher", folder=config.teacher)
    measuring = BenchmarkConfig(
        output=config.output,
        dataset=config.dataset,
        candidates=(teacher, *candidates),
        **config.model_dump(include=set(MeasuringOptions.model_fields)),
    )
    benchmark, _, variants = measure(measuring, workspace.work)
    members = mark_unmeasured(members, benchmark)
    sweep = judge(benchmark, members, Constraint(**config.model_dump(include=set(Constraint.model_fields))))
    if sweep.is_met:
        benchmark.recommended = Recommended(
            id=sweep.chosen, by_batch=dict.fromkeys(benchmark.batch_sizes, sweep.chosen)
        )
    teacher_forms = [item for item in benchmark.of("teacher") if item.precision == "fp32"]
    benchmark.serving = measure_serving(benchmark, [sweep.chosen], teacher_forms, variants, measuring, workspace.work)
    title = headline(benchmark, sweep)
    benchmark.words = [f"{title}.", *sentences(benchmark, sweep)]
    page, text = render(benchmark, sweep, title)
    write_text(workspace.output / FILE_NAME, benchmark.model_dump_json(indent=2) + "\n")
    write_text(workspace.output / SWEEP_FILE, sweep.model_dump_json(indent=2) + "\n")
    write_text(workspace.output / "report.html", page)
    write_text(workspace.output / "report.md", text)
    print_figures(benchmark, title)
    return Summary.create("sweep_benchmark", config, flat_metrics(benchmark, sweep), {"headline": title})


def judge(benchmark: Benchmark, members: list[Member], constraint: Constraint) -> Sweep:
    """Finds the Pareto fronts of all measured members and chooses the member to serve."""
    names = [member.name for member in members if not member.failure]
    standings = [_standing(benchmark, name) for name in names]
    latency_front = pareto_front([(item.latency_ms, item.accuracy) for item in standings])
    size_front = pareto_front([(item.size_mb, item.accuracy) for item in standings])
    for item, by_latency, by_size in zip(standings, latency_front, size_front, strict=True):
        item.on_latency_front, item.on_size_front = by_latency, by_size
    chosen, is_met = choose_member(standings, constraint)
    return Sweep(constraint=constraint, chosen=chosen.id, is_met=is_met, standings=standings, members=members)


def _standing(benchmark: Benchmark, name: str) -> Standing:
    size = benchmark.batch_sizes[0]
    best = fastest_and_smallest(benchmark.accurate_forms(name), size)
    return Standing(
        id=best.id,
        name=name,
        accuracy=best.metric,
        interval=best.interval,
        test=best.test,
        latency_ms=best.batches[size].p50_ms,
        size_mb=best.size_bytes / 1e6,
    )


def flat_metrics(benchmark: Benchmark, sweep: Sweep) -> dict[str, float]:
    """Returns flat numbers; those of the recommended member have the same names in every sweep."""
    metric = benchmark.candidates[0].metric_name
    named = [(item.name, item) for item in sweep.standings] + [("recommended", sweep.by_id(sweep.chosen))]
    metrics: dict[str, float] = {}
    for name, item in named:
        metrics |= score_metrics(name, metric, item.accuracy, item.interval, item.test)
        metrics[f"{name}_p50_ms"] = item.latency_ms
        metrics[f"{name}_size_mb"] = item.size_mb
    return (
        metrics
        | serving_metrics(benchmark.serving, sweep.chosen)
        | {
            "constraint_met": sweep.is_met,
            "members": len(sweep.members),
            "failed_members": len(sweep.failed),
        }
    )
