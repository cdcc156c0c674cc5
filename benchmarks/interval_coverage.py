"""Simulates how often 95 % intervals of scores and of paired differences contain the true value.

Two models that mostly make the same mistakes are compared on many small samples of one population. The true values come
from large samples.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from compaware.components.core.evaluation import intervals
from compaware.components.core.evaluation.intervals import paired_difference, score_interval
from compaware.components.core.evaluation.metrics import compute_metrics, metric_label

_LARGE_SAMPLE_ROWS = 200_000
# The true values must be much more certain than a sample's: one large sample for each of these rows of a sample.
_ROWS_PER_LARGE_SAMPLE = 1_000
# Draws some rows: the labels, and the logits of two models.
Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
Population = Callable[[np.random.Generator, int], Sample]


@dataclass(frozen=True)
class Coverage:
    """The result of a simulation.

    Attributes:
        score: Fraction of the intervals of a score that contain the true score.
        difference: Fraction of the intervals of a difference that contain the true difference.
        width: Mean width of the intervals of a difference.
    """

    score: float
    difference: float
    width: float


def classes(shares: list[float], accuracy: float = 0.88, disagreement: float = 0.15) -> Population:
    """Returns a population with these shares of the classes.

    Args:
        shares: Probability of each class.
        accuracy: Accuracy of the candidate; the reference is 2 points better.
        disagreement: Fraction of the rows on which the two models are right or wrong independently.
    """

    def draw(generator: np.random.Generator, rows: int) -> Sample:
        labels = generator.choice(len(shares), rows, p=shares)
        shared = generator.random(rows)
        logits = []
        for part_right in (accuracy, accuracy + 0.02):
            difficulty = np.where(generator.random(rows) < disagreement, generator.random(rows), shared)
            other = (labels + generator.integers(1, len(shares), rows)) % len(shares)
            logits.append(np.eye(len(shares))[np.where(difficulty < part_right, labels, other)])
        return labels, logits[0], logits[1]

    return draw


def label_sets(shares: list[float]) -> Population:
    """Returns a population of multi-label rows with these shares of the labels."""

    def draw(generator: np.random.Generator, rows: int) -> Sample:
        labels = (generator.random((rows, len(shares))) < shares).astype(np.int64)
        shared = generator.normal(size=labels.shape)
        noise = [shared + 0.5 * generator.normal(size=labels.shape) for _ in range(2)]
        return labels, labels - 0.5 + 0.38 * noise[0], labels - 0.5 + 0.35 * noise[1]

    return draw


def numbers(generator: np.random.Generator, rows: int) -> Sample:
    """Draws rows of a regression."""
    labels, shared = generator.normal(size=(2, rows))
    first, second = (shared + 0.5 * generator.normal(size=rows) for _ in range(2))
    return labels, (labels + 0.6 * first)[:, None], (labels + 0.5 * second)[:, None]


# As in GoEmotions, some labels are frequent and most are rare; hardly any two rows have the same labels and decisions.
_SHARES_OF_28_LABELS = np.geomspace(0.3, 0.02, 28).tolist()
POPULATIONS: dict[str, tuple[str, Population]] = {
    "accuracy": ("accuracy", classes([0.5, 0.5])),
    "accuracy, hardly any disagreement": ("accuracy", classes([0.5, 0.5], disagreement=0.02)),
    "f1": ("f1", classes([0.7, 0.3])),
    "f1_macro": ("f1_macro", classes([0.3, 0.25, 0.2, 0.15, 0.1])),
    "f1_micro": ("f1_micro", label_sets([0.5, 0.3, 0.2, 0.1])),
    "f1_micro, 28 labels": ("f1_micro", label_sets(_SHARES_OF_28_LABELS)),
    "f1_macro, 28 labels": ("f1_macro", label_sets(_SHARES_OF_28_LABELS)),
    "matthews_correlation": ("matthews_correlation", classes([0.7, 0.3])),
    "pearson": ("pearson", numbers),
    "spearman": ("spearman", numbers),
}


def simulate(metric: str, population: Population, rows: int, trials: int, seed: int = 0) -> Coverage:
    """Draws many samples and counts how often the intervals contain the true values."""
    generator = np.random.default_rng(seed)
    large = [population(generator, _LARGE_SAMPLE_ROWS) for _ in range(max(1, rows // _ROWS_PER_LARGE_SAMPLE))]
    true, reference = np.mean(
        [[compute_metrics(metric, each, labels)[metric] for each in logits] for labels, *logits in large], axis=0
    )
    hits = np.empty((trials, 2), bool)
    widths = np.empty(trials)
    for trial in range(trials):
        labels, candidate_logits, reference_logits = population(generator, rows)
        score = score_interval(metric, candidate_logits, labels, seed=trial)
        difference = paired_difference(metric, candidate_logits, reference_logits, labels, seed=trial)
        hits[trial] = (score.low <= true <= score.high, difference.low <= true - reference <= difference.high)
        widths[trial] = difference.high - difference.low
    return Coverage(*hits.mean(axis=0).tolist(), width=float(widths.mean()))


def main() -> None:
    """Runs the simulations and prints their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 872, 5000], help="rows of a sample")
    parser.add_argument("--trials", type=int, default=1000, help="samples")
    parser.add_argument("--resamples", type=int, default=2000, help="resamples of an interval")
    parser.add_argument("--seed", type=int, default=0, help="seed of the samples")
    parser.add_argument("--populations", nargs="+", default=list(POPULATIONS), choices=POPULATIONS, metavar="NAME")
    arguments = parser.parse_args()
    intervals._RESAMPLES = arguments.resamples
    table = []
    for name in arguments.populations:
        for rows in arguments.rows:
            started = time.perf_counter()
            found = simulate(*POPULATIONS[name], rows, arguments.trials, arguments.seed)
            label = name.replace(POPULATIONS[name][0], metric_label(POPULATIONS[name][0]))
            table.append([label, rows, 100 * found.score, 100 * found.difference, 100 * found.width])
            seconds = time.perf_counter() - started
            print(f"{name}, {rows} rows: {found} in {seconds:.0f} s", file=sys.stderr, flush=True)
    titles = ["metric", "rows", "score, %", "difference, %", "width of the difference, points"]
    print(tabulate(table, titles, "pipe", floatfmt=("", "", ".1f", ".1f", ".1f")))


if __name__ == "__main__":
    main()
