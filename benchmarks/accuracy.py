"""How accurate the recipes for SST-2 are, over several seeds, and what they cost.

    python benchmarks/accuracy.py --data SST2_FOLDER --teacher TEACHER_FOLDER --folder RESULTS --seeds 1 2 3

Each recipe is what its pipeline's `configs/sst2.yaml` says: the student distilled; teacher and student in INT8; the
student with zeros, and that in INT8. INT8 is measured in the runtime that this CPU serves it with. The validation
sentences are never trained on but choose each training's best epoch; the test sentences choose nothing (where the
folder's test file has labels: GLUE's own has none).
"""

import statistics
from pathlib import Path
from typing import Any

from running import arguments, component, recipe, report, training
from tabulate import tabulate

from compaware.components.core.dataset import load_dataset_folder
from compaware.components.core.evaluation import evaluate_folder
from compaware.components.core.runtimes import available, int8_runtime


def main() -> None:
    """Measures; see the module."""
    parser = arguments(__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the models are put")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    distillation = recipe("distillation_then_quantization")
    rows = [f"max_train_rows={distillation['max_train_rows']}"] if distillation.get("max_train_rows") else []
    component("data_prep", "task=sst2", f"data={options.data}", *rows, folder / "data")
    data = [f"dataset={folder}/data", f"max_length_tokens={distillation['max_length_tokens']}"]
    words = [f"teacher={options.teacher}", f"soft_labels_output={folder}/soft", folder / "teacher"]
    common_s = used_s(component("teacher_check", *data, *words))
    runs = [one_seed([*data, f"seed={seed}"], folder, folder / str(seed), common_s) for seed in options.seeds]
    teacher = accuracy(folder / "teacher", folder / "data")
    report(options, {"teacher": teacher, "runs": runs}, table(teacher, runs))


def one_seed(data: list[str], folder: Path, here: Path, common_s: float) -> dict[str, dict[str, float]]:
    """Runs every recipe once: accuracy by split, and the CPU time of all stages up to it."""
    here.mkdir(exist_ok=True)
    figures: dict[str, dict[str, float]] = {}

    def measure(arm: str, spent_s: float, output: str, name: str, *words: Any) -> float:
        spent_s += used_s(component(name, *data, *words, f"soft_labels={folder}/soft", here / output))
        figures[arm] = accuracy(here / output, folder / "data") | {"cpu_s": spent_s}
        return spent_s

    parameters = recipe("distillation_then_quantization")
    student = [*training(parameters, "student_"), f"student_layers={parameters['student_layers']}"]
    spent_s = measure("distilled", common_s, "student", "distillation", f"teacher={folder}/teacher", *student)
    quantize = ("quantization_aware_training", f"max_metric_loss={parameters['max_metric_loss']}")
    measure("teacher, INT8", 0.0, "teacher-int8", *quantize, f"model={folder}/teacher")
    measure("distilled, INT8", spent_s, "int8", *quantize, f"model={here}/student")
    parameters = recipe("sparsity_aware_training")
    pruning = [*training(parameters, "sparsity_"), f"target_sparsity={parameters['target_sparsity']}"]
    share = f"{100 * parameters['target_sparsity']:.0f} % zeros"
    spent_s = measure(
        f"distilled, {share}", spent_s, "sparse", "sparsity_aware_training", *pruning, f"model={here}/student"
    )
    measure(f"distilled, {share}, INT8", spent_s, "sparse-int8", *quantize, f"model={here}/sparse")
    return figures


def accuracy(model: Path, data: Path) -> dict[str, float]:
    """Accuracy by split: of INT8 in the runtime that serves it here, of FP32 in PyTorch."""
    served = (int8_runtime()[0], "int8")
    runtime, precision = served if served in available(model) else ("torch", "fp32")
    splits = [name for name in ("validation", "test") if load_dataset_folder(data).manifest.splits.get(name)]
    return {
        split: evaluate_folder(model, data, split, runtime=runtime, precision=precision).metrics["accuracy"]
        for split in splits
    }


def used_s(used: Any) -> float:
    """CPU time."""
    return used.ru_utime + used.ru_stime


def table(teacher: dict[str, float], runs: list[dict[str, dict[str, float]]]) -> str:
    """Mean and spread of each recipe."""
    lines: list[dict[str, Any]] = [{"model": "teacher", **{split: f"{value:.4f}" for split, value in teacher.items()}}]
    for arm in runs[0]:
        lines.append({"model": arm})
        for split in teacher:
            found = [run[arm][split] for run in runs]
            lines[-1][split] = f"{statistics.mean(found):.4f} ({min(found):.4f}-{max(found):.4f})"
        lines[-1]["CPU minutes, all stages"] = f"{statistics.mean(run[arm]['cpu_s'] for run in runs) / 60:.1f}"
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    main()
