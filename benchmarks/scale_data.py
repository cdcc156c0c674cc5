"""Measures how time and memory of data_prep grow with the number of rows, on generated data."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from tabulate import tabulate

from compaware.components.core.base.cpu import machine_facts
from compaware.components.core.data.dataset import load_dataset_folder

_BATCH_ROWS = 50_000
_SHARD_BATCHES = 10
_CLASSES = np.array(["negative", "neutral", "positive"])
_WORDS_PER_ROW = 12
_VOCABULARY = 20_000
_DUPLICATES = 0.01
_POLL_S = 0.05


def generate(rows: int, seed: int) -> Iterator[pa.Table]:
    """Generates rows of twelve words with one of three labels; 1 % of them repeat another row of their table.

    Args:
        rows: Total number of rows.
        seed: The same seed gives the same rows.
    """
    rng = np.random.RandomState(seed)
    letters = rng.randint(ord("a"), ord("z") + 1, (_VOCABULARY, 10))
    words = [
        "".join(map(chr, row[:length])) for row, length in zip(letters, rng.randint(2, 10, _VOCABULARY), strict=True)
    ]
    for start in range(0, rows, _BATCH_ROWS):
        count = min(_BATCH_ROWS, rows - start)
        chosen = rng.randint(0, _VOCABULARY, (count, _WORDS_PER_ROW))
        labels = rng.randint(0, len(_CLASSES), count)
        repeats = int(count * _DUPLICATES)
        chosen[count - repeats :], labels[count - repeats :] = chosen[:repeats], labels[:repeats]
        yield pa.table(
            {"text": [" ".join(words[word] for word in row) for row in chosen.tolist()], "label": _CLASSES[labels]}
        )


def write_jsonl(table: pa.Table, file: Path) -> None:
    """Writes one JSON object per line."""
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in table.to_pylist())


_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "parquet": pq.write_table,
    "csv": pyarrow.csv.write_csv,
    "jsonl": write_jsonl,
}


def write_shards(tables: Iterator[pa.Table], kind: str, folder: Path) -> None:
    """Writes a training split in shards of half a million rows."""
    folder.mkdir(parents=True)
    for shard, numbered in groupby(enumerate(tables), key=lambda item: item[0] // _SHARD_BATCHES):
        _WRITERS[kind](pa.concat_tables([table for _, table in numbered]), folder / f"part-{shard:05d}.{kind}")


def measure(data: Path, output: Path) -> dict[str, Any]:
    """Runs data_prep on `data`.

    Returns:
        Wall time and CPU time in seconds, and the peaks of resident memory (total and anonymous) in bytes.
    """
    command = [sys.executable, "-m", "compaware.components.data_prep", f"data={data}", f"output={output}"]
    log = output.with_name("log.txt")
    peaks = {"VmHWM": 0, "RssAnon": 0}
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            for name, kilobytes in re.findall(r"^(VmHWM|RssAnon):\s+(\d+) kB$", status, re.MULTILINE):
                peaks[name] = max(peaks[name], int(kilobytes) * 1024)
            time.sleep(_POLL_S)
    _, failed, usage = ended
    if failed:
        raise SystemExit(f"data_prep failed: {log.read_text(encoding='utf-8')[-2000:]}")
    return {
        "wall_s": time.monotonic() - started,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_bytes": peaks["VmHWM"],
        "peak_anonymous_bytes": peaks["RssAnon"],
    }


def run(rows: int, kind: str, folder: Path) -> dict[str, Any]:
    """Measures one number of rows in one format, and deletes the data afterwards."""
    data, output = folder / "data", folder / "prepared"
    write_shards(generate(rows, seed=1), kind, data / "train")
    source_bytes = sum(file.stat().st_size for file in data.rglob("*.*"))
    figures = measure(data, output)
    manifest = load_dataset_folder(output).manifest
    shutil.rmtree(data)
    shutil.rmtree(output)
    return {
        "format": kind,
        "rows": rows,
        "source_bytes": source_bytes,
        **figures,
        "rows_per_cpu_s": rows / figures["cpu_s"],
        "splits": manifest.splits,
        "notes": manifest.notes,
    }


def table_of(results: list[dict[str, Any]]) -> str:
    """Returns the figures as a Markdown table."""
    lines = []
    for result in results:
        smallest = next(other for other in results if other["format"] == result["format"])
        lines.append(
            {
                "format": result["format"],
                "rows": result["rows"],
                "wall, s": result["wall_s"],
                "CPU, s": result["cpu_s"],
                "rows per CPU s": round(result["rows_per_cpu_s"]),
                "CPU a row, relative": smallest["rows_per_cpu_s"] / result["rows_per_cpu_s"],
                "peak RSS, MB": round(result["peak_rss_bytes"] / 1e6),
                "anonymous, MB": round(result["peak_anonymous_bytes"] / 1e6),
            }
        )
    floats = ("", "", ".1f", ".1f", "", ".2f", "", "")
    return tabulate(lines, headers="keys", tablefmt="github", intfmt=",", floatfmt=floats)


def main() -> None:
    """Measures all combinations of rows and formats of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[500_000, 5_000_000])
    parser.add_argument("--formats", nargs="+", choices=_WRITERS, default=["parquet"])
    parser.add_argument("--folder", type=Path, help="folder for the data; by default the system's temporary folder")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="scale-") as folder:
        for kind in arguments.formats:
            for rows in sorted(arguments.rows):
                results.append(run(rows, kind, Path(folder)))
                print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    print(table_of(results))
    print(json.dumps({"results": results, "machine": machine_facts()}, indent=2))


if __name__ == "__main__":
    main()
