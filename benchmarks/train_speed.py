"""Measures the speed of distillation against two plain scripts, and without each of its speed-ups.

    python benchmarks/train_speed.py --data SST2_FOLDER --teacher TEACHER_FOLDER --rounds 2

All arms train a student of the same shape on the same rows for the same epochs. Times include the evaluation after each
epoch and the teacher's pass over the training rows. The arms take turns; ratios are medians over the rounds. The first
script is typical: it runs the teacher at every step. The second has the usual optimizations in plain PyTorch.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from running import accuracies, arguments, component, report
from tabulate import tabulate

from compaware.components.core.base.summary import Summary

LAYERS = [0, 2, 5]
MAX_TOKENS = 128
ALPHA = 0.5
REFERENCE = "teacher at every step, padded to 128, batch 8"
PLAIN = "plain PyTorch: soft labels once, by length, batch 32, BF16 where the CPU has it"
OURS = "ours"
AGAIN = "ours, again"
# Ours without one speed-up, or with other settings of the component.
WITHOUT: dict[str, tuple[str | None, dict[str, Any]]] = {
    OURS: (None, {}),
    "ours, frozen layers not cached": ("frozen_states", {}),
    "ours, no layer frozen": (None, {"frozen_layers": 0}),
    "ours, no layer frozen, the whole vocabulary": ("vocabulary", {"frozen_layers": 0}),
    "ours, the whole last layer": ("first_token", {}),
    "ours, torch's own dropout": ("dropout", {}),
    "ours, rows in random order": (None, {"training_arguments": "{train_sampling_strategy: random}"}),
    "ours, batch 64": (None, {"batch_size": 64, "learning_rate": 5e-4}),
    "ours, batch 8": (None, {"batch_size": 8, "learning_rate": 1e-4}),
}


def main() -> None:
    """Runs the measurement."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--quick", action="store_true", help="only the two scripts, and ours before and after")
    parser.add_argument(
        "--no-typical",
        action="store_true",
        help="leave out scripts that run the teacher at every step: hours for all data",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        component("data_prep", "task=sst2", f"data={options.data}", f"max_train_rows={options.rows}", folder / "data")
        rounds = [measure(options, folder / str(number)) for number in range(options.rounds)]
    report(options, rounds, table(rounds))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Runs every arm once, and ours first and last, because the speed of a shared machine changes within minutes."""
    data = folder.parent / "data"
    folder.mkdir()
    soft_labels_s = soft_labels(options, data, folder)
    figures = {OURS: ours(options, data, folder, OURS, soft_labels_s)}
    figures[PLAIN] = script("plain_loop.py", options, data, "--learning-rate", "3e-4")
    if not options.no_typical:
        figures[REFERENCE] = reference(options, data, "--batch-size", "8", "--pad-to", "128")
    if not options.quick:
        if not options.no_typical:
            figures["teacher at every step, padded to the longest, batch 8"] = reference(options, data, "--pad-to", "0")
        for name in WITHOUT:
            if name != OURS:
                figures[name] = ours(options, data, folder, name, soft_labels_s)
    figures[AGAIN] = ours(options, data, folder, OURS, soft_labels(options, data, folder))
    for name, arm in figures.items():
        print(f"{name}: {arm}", file=sys.stderr, flush=True)
    return figures


def soft_labels(options: argparse.Namespace, data: Path, folder: Path) -> float:
    """Computes the soft labels for the next arms and returns the seconds of the teacher's pass."""
    words = [f"dataset={data}", f"teacher={options.teacher}", f"max_length_tokens={MAX_TOKENS}"]
    component("teacher_check", *words, f"soft_labels_output={folder}/soft", folder / "teacher")
    return Summary.load(folder / "teacher").metrics["soft_labels_s"]


def ours(options: argparse.Namespace, data: Path, folder: Path, name: str, soft_labels_s: float) -> dict[str, float]:
    """Trains a student with the settings of an arm and returns its figures."""
    without, other = WITHOUT[name]
    settings: dict[str, Any] = {
        "dataset": data,
        "teacher": folder / "teacher",
        "soft_labels": folder / "soft",
        "alpha": ALPHA,
    }
    settings |= {"student_layers": LAYERS, "frozen_layers": 1, "epochs": options.epochs, "learning_rate": 3e-4}
    settings |= {"seed": options.seed, "max_length_tokens": MAX_TOKENS}
    output = folder / "student"
    usage = component(
        "distillation", *(f"{key}={value}" for key, value in (settings | other).items()), output, without=without
    )
    return {
        "seconds": Summary.load(output).metrics["training_s"] + soft_labels_s,
        "soft_labels_s": soft_labels_s,
        "peak_rss_bytes": usage.ru_maxrss * 1024.0,
    } | accuracies(output, data)


def reference(options: argparse.Namespace, data: Path, *words: str) -> dict[str, float]:
    """Runs the typical script and returns its figures."""
    return script("reference_loop.py", options, data, "--learning-rate", "1e-4", *words)


def script(name: str, options: argparse.Namespace, data: Path, *words: str) -> dict[str, float]:
    """Runs a script of this folder that trains the student and returns the figures that it prints."""
    command = [sys.executable, str(Path(__file__).with_name(name)), "--dataset", str(data)]
    command += ["--teacher", options.teacher, "--epochs", str(options.epochs), *words]
    command += ["--layers", *map(str, LAYERS), "--alpha", str(ALPHA), "--seed", str(options.seed)]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(process.stdout.splitlines()[-1])


def table(rounds: list[dict[str, dict[str, float]]]) -> str:
    """Returns a table of the arms with medians over the rounds; speedups have their range in brackets."""
    lines = []
    for name in rounds[0]:
        line: dict[str, Any] = {"arm": name, "s": f"{statistics.median(each[name]['seconds'] for each in rounds):.1f}"}
        for baseline, title in {REFERENCE: "x faster", PLAIN: "x faster than plain PyTorch"}.items():
            if baseline in rounds[0]:
                ratios = [each[baseline]["seconds"] / each[name]["seconds"] for each in rounds]
                line[title] = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        if "soft_labels_s" in rounds[0][name]:
            shares = [each[name]["soft_labels_s"] / each[name]["seconds"] for each in rounds]
            line["teacher's pass"] = f"{100 * statistics.median(shares):.0f} %"
        line["peak MB"] = f"{max(each[name]['peak_rss_bytes'] for each in rounds) / 1e6:.0f}"
        for split in ("validation", "test"):
            if split in rounds[0][name]:
                line[split] = f"{statistics.median(each[name][split] for each in rounds):.4f}"
        lines.append(line)
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    main()
