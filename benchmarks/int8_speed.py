"""Measures the speed of the INT8 student against FP32, its teacher, and the same student quantized by other tools.

    python benchmarks/int8_speed.py --data SST2_FOLDER --teacher TEACHER_FOLDER --folder RESULTS

Each model runs in its own process, and they take turns on the validation split, first at the sentences' real lengths
and then padded to a fixed length. The reports stay in the folder. The peers are onnxruntime's dynamic quantization,
neural-compressor's static quantization and, if NNCF is installed, its post-training quantization and its
quantization-aware training.
"""

import json
from pathlib import Path

from peers import make_peers
from running import arguments, component, recipe, report, training
from tabulate import tabulate

from compaware.components.benchmark.results import FILE_NAME, Benchmark, Measured
from compaware.components.core.data.dataset import load_dataset_folder

PADDED_TOKENS = 128


def main() -> None:
    """Runs the measurement."""
    parser = arguments(__doc__)
    parser.add_argument("--student", type=Path, help="a distilled Model artifact; by default one is trained")
    parser.add_argument("--folder", type=Path, required=True, help="folder for models and reports")
    parser.add_argument("--seconds", type=int, default=180, help="seconds for the timed rounds of each report")
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    student = prepare(options.data, options.teacher, options.student, folder)
    peers = make_peers(student, load_dataset_folder(folder / "data"), folder)
    candidates = [
        {"name": "teacher", "role": "teacher", "folder": str(options.teacher), "runtimes": ["torch"]},
        {"name": "student", "role": "student", "folder": str(student)},
        {"name": "int8", "role": "int8", "folder": f"{folder}/int8"},
        *({"name": name, "role": "int8", "folder": str(folder / name)} for name in peers),
    ]
    figures = {}
    for name, padded in (("real lengths", False), (f"padded to {PADDED_TOKENS}", True)):
        output = folder / f"report-{name.split()[0]}"
        words = [f"candidates={json.dumps(candidates)}", f"padded={padded}", f"max_length_tokens={PADDED_TOKENS}"]
        component("benchmark", f"dataset={folder}/data", *words, f"time_budget_s={options.seconds}", output)
        figures[name] = Benchmark.model_validate_json((output / FILE_NAME).read_text(encoding="utf-8"))
    tables = "\n\n".join(f"{name}:\n\n{table(benchmark)}" for name, benchmark in figures.items())
    report(options, {name: benchmark.model_dump() for name, benchmark in figures.items()}, tables)


def prepare(data: str, teacher: str, student: Path | None, folder: Path) -> Path:
    """Prepares the data, trains the student if none is given, quantizes it, and returns the student's folder."""
    component("data_prep", "task=sst2", f"data={data}", folder / "data")
    common = [f"dataset={folder}/data", "max_length_tokens=64"]
    if student is None:
        soft = f"soft_labels={folder}/soft"
        component(
            "teacher_check", *common, f"teacher={teacher}", f"soft_labels_output={folder}/soft", folder / "teacher"
        )
        parameters = recipe("distillation_then_quantization")
        words = [*training(parameters, "student_"), f"student_layers={parameters['student_layers']}"]
        component("distillation", *common, f"teacher={folder}/teacher", soft, *words, folder / "student")
        student = folder / "student"
    component("quantization_aware_training", *common, f"model={student}", "mode=ptq", folder / "int8")
    return student


def table(benchmark: Benchmark) -> str:
    """Returns a table of accuracy and speed, also relative to the teacher and to the student's fastest FP32 runtime."""
    lines = []
    for candidate in benchmark.candidates:
        line = {"candidate": candidate.id, benchmark.data["metric"]: candidate.metric, "MB": candidate.size_bytes / 1e6}
        for size, batch in candidate.batches.items():
            line[f"p50 ms, b{size}"] = batch.p50_ms
            line[f"x teacher, b{size}"] = batch.ratio_to_teacher
            line[f"x best FP32, b{size}"] = batch.speed_over(best_fp32(benchmark, size).batches[size]).median
        lines.append(line)
    return tabulate(lines, headers="keys", tablefmt="github", floatfmt=("", ".4f", ".1f", *[".2f"] * 9))


def best_fp32(benchmark: Benchmark, batch_size: int) -> Measured:
    """Returns the student in its fastest FP32 runtime at a batch size."""
    return max(benchmark.dense(), key=lambda candidate: candidate.batches[batch_size].samples_per_s)


if __name__ == "__main__":
    main()
