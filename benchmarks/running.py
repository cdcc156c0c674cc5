"""Helpers of the measurements: run components in separate processes, and report figures as JSON and tables."""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from compaware.components.core.base.cpu import machine_facts

CONFIGS = Path(__file__).parent.parent / "pipelines"


def component(name: str, *words: Any, without: str | None = None) -> resource.struct_rusage:
    """Runs a component in a process.

    Args:
        name: Name of the component.
        *words: Its configuration as `key=value`, and its output folder last.
        without: A speed-up to turn off; see `without.py`.

    Returns:
        Its resource usage: `ru_utime + ru_stime` in seconds of CPU time, `ru_maxrss` in KiB.
    """
    *options, output = map(str, words)
    program = ["-m", f"compaware.components.{name}"]
    if without:
        program = [str(Path(__file__).with_name("without.py")), without, name]
    command = [sys.executable, *program, *options, "existing_output=overwrite", f"output={output}"]
    _, status, usage = os.wait4(subprocess.Popen(command, stdout=sys.stderr).pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{name} failed")
    return usage


def accuracies(model: Path, data: Path, **options: Any) -> dict[str, float]:
    """Returns the accuracy by split; `options` holds further arguments of `evaluate_folder`."""
    # Imported here because they import torch, which scripts that only start components do not need.
    from compaware.components.core.data.dataset import load_dataset_folder
    from compaware.components.core.evaluation.evaluate import evaluate_folder

    rows = load_dataset_folder(data).manifest.splits
    splits = [name for name in ("validation", "test") if rows.get(name)]
    return {split: evaluate_folder(model, data, split, **options).metrics["accuracy"] for split in splits}


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the options that all measurements on SST-2 share."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="SST-2: a folder with train and validation files")
    parser.add_argument("--teacher", required=True, help="a classifier that is fine-tuned on SST-2")
    parser.add_argument("--json", type=Path, help="JSON file for the figures")
    return parser


def recipe(pipeline: str) -> dict[str, Any]:
    """Returns the pipeline's parameters for SST-2."""
    return yaml.safe_load((CONFIGS / pipeline / "configs/sst2.yaml").read_text(encoding="utf-8"))


def training(parameters: dict[str, Any], prefix: str) -> list[str]:
    """Returns the pipeline's training parameters as `key=value` options of a component."""
    own = {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}
    shared = {name: parameters[name] for name in ("batch_size", "temperature", "alpha") if name in parameters}
    names = ("epochs", "learning_rate", "pattern", "score", "scope")
    return [f"{name}={value}" for name, value in (own | shared).items() if name in (*names, *shared)]


def report(options: argparse.Namespace, figures: Any, table: str) -> None:
    """Prints the table and the machine, and writes figures, options and machine to the file of `--json`."""
    everything = {"figures": figures, "options": vars(options), "machine": machine_facts()}
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2, default=str) + "\n", encoding="utf-8")
    print(table, json.dumps(everything["machine"]), sep="\n\n")
