"""Measures the accuracy and the CPU time of the recipes for SST-2 over several seeds.

    python benchmarks/accuracy.py --data SST2_FOLDER --teacher TEACHER_FOLDER --folder RESULTS --seeds 1 2 3

The recipes are those of the pipelines' `configs/sst2.yaml`: the distilled student, the teacher and the student in INT8
by PTQ and by QAT, and the sparse student in FP32 and INT8. INT8 is evaluated in the runtime that serves it on this CPU.
The validation split is not trained on, but selects the best epoch. The test split selects nothing; it is only used if
the test file has labels, which GLUE's does not.

A recipe is run for all seeds at the same time before the next one begins. The figures are written after each recipe, so
that an interrupted measurement keeps the finished ones.
"""

import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from running import accuracies, arguments, component, recipe, report, training
from tabulate import tabulate

from compaware.components.core.base.cpu import cpu_limit
from compaware.components.core.runtimes.predictors import available, int8_runtime

Figures = dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class Arm:
    """A recipe: one training of one component.

    Attributes:
        name: Its name in the table.
        output: Its output folder within the seed's folder.
        component: Name of the component.
        options: Its options; `{folder}` and `{here}` are the folders of the measurement and of the seed.
        after: The arm whose model it starts from, and whose cost is added.
    """

    name: str
    output: str
    component: str
    options: list[str]
    after: str | None = None


def main() -> None:
    """Runs the measurement."""
    parser = arguments(__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    component("data_prep", "task=sst2", f"data={options.data}", folder / "data")
    parameters = recipe("distillation_then_quantization")
    common = [f"dataset={folder}/data", f"max_length_tokens={parameters['max_length_tokens']}"]
    check = [f"teacher={options.teacher}", f"soft_labels_output={folder}/soft", folder / "teacher"]
    common_s = cpu_time_s(component("teacher_check", *common, *check))
    figures: Figures = {"teacher": [accuracy(folder / "teacher", folder / "data") | {"cpu_s": common_s}]}
    # Each seed gets a share of the cores: several small trainings use them better than one large training.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpu_limit() // len(options.seeds))))
    with ThreadPoolExecutor(len(options.seeds)) as pool:
        for arm in arms():
            runs = pool.map(partial(run_arm, arm, folder, common), options.seeds)
            before = figures[arm.after] if arm.after else [{"cpu_s": common_s}] * len(options.seeds)
            figures[arm.name] = [
                run | {"cpu_s": run["cpu_s"] + earlier["cpu_s"]} for run, earlier in zip(runs, before, strict=True)
            ]
            report(options, figures, table(figures))


def run_arm(arm: Arm, folder: Path, common: list[str], seed: int) -> dict[str, float]:
    """Runs one training and returns its accuracy by split and its CPU time."""
    here = folder / str(seed)
    arm_options = [option.format(folder=folder, here=here) for option in arm.options]
    usage = component(arm.component, *common, f"seed={seed}", *arm_options, here / arm.output)
    return accuracy(here / arm.output, folder / "data") | {"cpu_s": cpu_time_s(usage)}


def arms() -> list[Arm]:
    """Returns the recipes in the order in which they are run."""
    parameters = recipe("distillation_then_quantization")
    soft = "soft_labels={folder}/soft"
    student = [*training(parameters, "student_"), f"student_layers={parameters['student_layers']}"]
    ptq = [soft, "mode=ptq"]
    qat = [soft, "mode=qat", *training(parameters, "qat_")]
    sparse = recipe("sparsity_aware_training")
    zeros = [*training(sparse, "sparsity_"), f"target_sparsity={sparse['target_sparsity']}"]
    share = f"distilled, {100 * sparse['target_sparsity']:.0f} % zeros"
    quantize = "quantization_aware_training"
    return [
        Arm("distilled", "student", "distillation", ["teacher={folder}/teacher", soft, *student]),
        Arm("distilled, PTQ", "ptq", quantize, [*ptq, "model={here}/student"], "distilled"),
        Arm(share, "sparse", "sparsity_aware_training", [soft, *zeros, "model={here}/student"], "distilled"),
        Arm(f"{share}, PTQ", "sparse-ptq", quantize, [*ptq, "model={here}/sparse"], share),
        Arm("distilled, QAT", "qat", quantize, [*qat, "model={here}/student"], "distilled"),
        Arm(f"{share}, QAT", "sparse-qat", quantize, [*qat, "model={here}/sparse"], share),
        Arm("teacher, PTQ", "teacher-ptq", quantize, [*ptq, "model={folder}/teacher"]),
        Arm("teacher, QAT", "teacher-qat", quantize, [*qat, "model={folder}/teacher"]),
    ]


def accuracy(model: Path, data: Path) -> dict[str, float]:
    """Returns the accuracy by split, of INT8 in the runtime that serves it here and of FP32 in PyTorch."""
    served = (int8_runtime()[0], "int8")
    runtime, precision = served if served in available(model) else ("torch", "fp32")
    return accuracies(model, data, runtime=runtime, precision=precision)


def cpu_time_s(usage: Any) -> float:
    """Returns the CPU time of a process."""
    return usage.ru_utime + usage.ru_stime


def table(figures: Figures) -> str:
    """Returns the mean and spread of each recipe over its seeds as a Markdown table."""
    lines: list[dict[str, Any]] = []
    for name, runs in figures.items():
        lines.append({"model": name, "seeds": len(runs)})
        for split in [key for key in runs[0] if key != "cpu_s"]:
            scores = [run[split] for run in runs]
            lines[-1][split] = f"{statistics.mean(scores):.4f} ({min(scores):.4f}-{max(scores):.4f})"
        lines[-1]["CPU minutes, all stages"] = f"{statistics.mean(run['cpu_s'] for run in runs) / 60:.1f}"
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    main()
