"""Measures how time and memory of soft labels and of a training's start grow with the number of rows.

    python benchmarks/scale_training.py --rows 500000 5000000 --json scale_training.json

For each number of rows, teacher_check runs on two ranks with a tiny fine-tuned teacher, and then distillation runs a
few steps on two ranks. Wall times vary on a busy machine; CPU times do not. All files (at most about 250 bytes per row)
are deleted at the end.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from tabulate import tabulate

from compaware.components.core.base import cpu
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import GROUP_ROWS
from compaware.components.core.data.dataset_writer import write_dataset_folder

RANKS = 2
STEPS = 20
WORDS_PER_ROW = 12
TINY_BERT = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
_TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(RANKS)]
_POLL_S = 0.25
_JOBS = ("teacher_check", "distillation")
_TOKENIZING_BEGINS, _TOKENIZING, _FIRST_STEP = "threads of each process", "tokenizing train", f"step 1/{STEPS}"


@dataclass
class Job:
    """Time and memory of one torchrun.

    Attributes:
        wall_s: Wall time from start to end.
        cpu_s: User and system time of all its processes, including imports.
        peak_mib: Peak resident memory of each rank, including mapped files (VmHWM).
        anonymous_mib: Peak observed anonymous memory of each rank (RssAnon).
        seen_s: By text, the seconds from the start to the last log line that contains it.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: list[int] = field(default_factory=list)
    anonymous_mib: list[int] = field(default_factory=list)
    seen_s: dict[str, float] = field(default_factory=dict)


def main() -> None:
    """Measures each number of rows and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[500_000, 5_000_000])
    parser.add_argument("--json", type=Path, help="JSON file for the figures")
    parser.add_argument("--folder", type=Path, help="folder for the data; by default the system's temporary folder")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="scale-", dir=arguments.folder))
    try:
        teacher = make_teacher(root / "small")
        results = []
        for rows in arguments.rows:
            results.append(measure(root / str(rows), rows, teacher))
            report = {"results": results, "growth": growth(results), "machine": cpu.machine_facts()}
            if arguments.json:
                arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        print(table(results), json.dumps({key: report[key] for key in ("growth", "machine")}), sep="\n\n")
    finally:
        shutil.rmtree(root)


def make_teacher(folder: Path) -> Path:
    """Trains the tiny teacher and its tokenizer on a few thousand rows, and returns its folder."""
    data = make_data(folder / "data", 6_000)
    words = [f"dataset={data}", f"teacher_config={json.dumps(TINY_BERT)}", "vocabulary_size=3000", "learning_rate=0.01"]
    words += ["fine_tune_if_needed=true", "training_arguments={max_steps: 150}"]
    words += [f"output={folder}/model", f"soft_labels_output={folder}/soft"]
    subprocess.run([sys.executable, "-m", "compaware.components.teacher_check", *words], check=True)
    return folder / "model"


def make_data(folder: Path, rows: int) -> Path:
    """Writes a Dataset artifact in which one word of a row decides its label."""
    folder.mkdir(parents=True)
    write_dataset_folder(
        folder,
        {"train": _tables(rows, seed=1), "validation": _tables(1000, seed=2)},
        task="custom",
        problem_type="classification",
        text_columns=["text"],
        label_column="label",
        label_names=["negative", "positive"],
        metric="accuracy",
        source={"generated": "benchmarks/scale_training.py"},
        notes=[],
    )
    return folder


def _tables(rows: int, seed: int) -> Iterator[pa.Table]:
    letters = random.Random(0)
    words = np.array(["".join(letters.choices("abcdefghij", k=letters.randint(2, 6))) for _ in range(1000)])
    decisive = np.array([["bad", "dull", "poor"], ["good", "great", "warm"]])
    rng = np.random.default_rng(seed)
    for start in range(0, rows, GROUP_ROWS):
        count = min(GROUP_ROWS, rows - start)
        labels = rng.integers(0, 2, count)
        chosen = words[rng.integers(0, len(words), (count, WORDS_PER_ROW))]
        places = rng.integers(0, WORDS_PER_ROW, count)
        chosen[np.arange(count), places] = decisive[labels, rng.integers(0, decisive.shape[1], count)]
        yield pa.table({"text": [" ".join(row) for row in chosen.tolist()], "label": labels})


def measure(folder: Path, rows: int, teacher: Path) -> dict[str, Any]:
    """Runs both jobs on `rows` rows, deletes their files, and returns the figures."""
    started = time.monotonic()
    data = make_data(folder / "data", rows)
    generated_s = time.monotonic() - started
    common = [f"dataset={data}", "max_length_tokens=32"]
    words = [f"teacher={teacher}", f"output={folder}/model", f"soft_labels_output={folder}/soft"]
    labelling = run_job("teacher_check", [*common, *words, "soft_label_batch_size=256"])
    words = [f"teacher={folder}/model", f"soft_labels={folder}/soft", f"output={folder}/student"]
    words += [f"student_config={json.dumps(TINY_BERT)}", f"training_arguments={{max_steps: {STEPS}, logging_steps: 1}}"]
    training = run_job("distillation", [*common, *words])
    soft_labels_s = Summary.load(folder / "model").metrics["soft_labels_s"]
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder)
    return {
        "rows": rows,
        "generated_s": generated_s,
        "artifacts_mib": size >> 20,
        "soft_labels_s": soft_labels_s,
        "soft_labels_per_s": rows / soft_labels_s,
        "tokenizing_s": training.seen_s[_TOKENIZING] - training.seen_s[_TOKENIZING_BEGINS],
        "start_to_first_step_s": training.seen_s[_FIRST_STEP],
        "teacher_check": asdict(labelling),
        "distillation": asdict(training),
    }


def run_job(component: str, words: list[str]) -> Job:
    """Runs a component on `RANKS` ranks, polls its processes' memory, and reads its log."""
    job = Job()
    started = time.monotonic()
    module = f"compaware.components.{component}"
    process = subprocess.Popen([*_TORCHRUN, "-m", module, *words], stderr=subprocess.PIPE, text=True)
    reader = threading.Thread(target=_read_log, args=(process, job, started))
    reader.start()
    peaks: dict[int, tuple[int, ...]] = {}
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        for child in psutil.Process(process.pid).children():
            seen = zip(peaks.get(child.pid, (0, 0)), _memory_kib(child.pid), strict=True)
            peaks[child.pid] = tuple(max(values) for values in seen)
        time.sleep(_POLL_S)
    reader.join()
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{component} failed")
    job.wall_s = time.monotonic() - started
    job.cpu_s = usage.ru_utime + usage.ru_stime
    job.peak_mib = [highest >> 10 for highest, _ in peaks.values()]
    job.anonymous_mib = [anonymous >> 10 for _, anonymous in peaks.values()]
    return job


def _read_log(process: subprocess.Popen[str], job: Job, started: float) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        for text in (_TOKENIZING_BEGINS, _TOKENIZING, _FIRST_STEP):
            if text in line:
                job.seen_s[text] = time.monotonic() - started


def _memory_kib(process_id: int) -> tuple[int, int]:
    """Returns VmHWM and RssAnon, or zeros for a process that has ended."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    values = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines) if value.strip()}
    return int(values.get("VmHWM", 0)), int(values.get("RssAnon", 0))


def growth(results: list[dict[str, Any]]) -> dict[str, float]:
    """Returns the time per row of the last measurement over that of the first, which is 1 if time is linear."""
    first, last = results[0], results[-1]
    keys = ("generated_s", "soft_labels_s", "tokenizing_s")
    return {key: (last[key] / last["rows"]) / (first[key] / first["rows"]) for key in keys}


def table(results: list[dict[str, Any]]) -> str:
    """Returns a table with a line for each number of rows."""
    lines = [
        {
            "rows": each["rows"],
            "soft labels s": each["soft_labels_s"],
            "rows/s": each["soft_labels_per_s"],
            "tokenizing s": each["tokenizing_s"],
            "to step 1 s": each["start_to_first_step_s"],
            "CPU s, labels / training": " / ".join(f"{each[name]['cpu_s']:.0f}" for name in _JOBS),
            "peak MiB of ranks": " / ".join(str(max(each[name]["peak_mib"])) for name in _JOBS),
            "of it anonymous": " / ".join(str(max(each[name]["anonymous_mib"])) for name in _JOBS),
        }
        for each in results
    ]
    return tabulate(lines, headers="keys", tablefmt="github", floatfmt=".1f")


if __name__ == "__main__":
    main()
