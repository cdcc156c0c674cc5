"""Load for the scenarios: arrival times, batches of all rows, and the search for the highest rate within the bound."""

from collections.abc import Callable, Sequence

import numpy as np

from compaware.components.benchmark.serving.results import Probe

# With less time for all candidates, there are too few queries for a 99th percentile.
LEAST_SECONDS = 3.0
# The search ends when the rates that hold and miss the bound differ by less than this fraction.
_PRECISION = 0.03
_MOST_RATES = 8
# Fractions of the found rate that are measured after the search, for the curve.
_LOWER_LOADS = (0.5, 0.25)


def poisson_arrivals(queries_per_s: float, queries: int, generator: np.random.Generator) -> list[float]:
    """Returns the seconds at which queries arrive: the gaps of a Poisson process are exponentially distributed."""
    arrivals: list[float] = np.cumsum(generator.exponential(1 / queries_per_s, queries)).tolist()
    return arrivals


def offline_batches(
    lengths: np.ndarray, batch_size: int, most_rows: int, generator: np.random.Generator
) -> list[list[int]]:
    """Returns batches of rows of similar length, the longest first, so that no stream ends with a long one.

    Args:
        lengths: (rows,) number of tokens in each row.
        batch_size: Rows in a batch; the last batch may have fewer.
        most_rows: If there are more rows, this many are drawn at random.
        generator: Draws the rows.
    """
    rows = generator.permutation(len(lengths))[:most_rows]
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    return [rows[start : start + batch_size].tolist() for start in range(0, len(rows), batch_size)]


def search_rates(measure: Callable[[float], Probe | None], highest: float) -> list[Probe]:
    """Finds the highest rate whose p99 stays within the bound, by bisection, and returns all probes.

    A rate that misses the bound is tried twice unless it was too high by far, because one pause of the machine makes
    more than a hundredth of the queries late.

    Args:
        measure: Measures a rate; returns None if there is no time left for it.
        highest: Upper end of the search, which is not measured itself.
    """
    probes: list[Probe] = []

    def try_rate(rate: float) -> bool | None:
        found = measure(rate)
        if found and not found.is_held and not found.overloaded:
            probes.append(found)
            found = measure(rate)
        if found is None:
            return None
        probes.append(found)
        return found.is_held

    held, missed = 0.0, highest
    for _ in range(_MOST_RATES):
        if missed - held < _PRECISION * missed:
            break
        rate = (held + missed) / 2
        is_held = try_rate(rate)
        if is_held is None:
            return probes
        held, missed = (rate, missed) if is_held else (held, rate)
    for fraction in _LOWER_LOADS if held else ():
        if probe := measure(fraction * held):
            probes.append(probe)
    return probes


def curve(probes: Sequence[Probe]) -> list[Probe]:
    """Returns the last probe of each rate, by rate."""
    return sorted({probe.queries_per_s: probe for probe in probes}.values(), key=lambda probe: probe.queries_per_s)
