"""How accurate the recipes for SST-2 are, over several seeds, and what they cost.

    python benchmarks/accuracy.py --data SST2_FOLDER --teacher TEACHER_FOLDER --folder RESULTS --seeds 1 2 3

Each recipe is what its pipeline's `configs/sst2.yaml` says: the student distilled; teacher and student in INT8, after
training (PTQ) and by training (QAT); the student with zeros, and that in INT8. INT8 is measured in the runtime that
this CPU serves it with. The validation sentences are never trained on but choose each training's best epoch; the test
sentences choose nothing (where the folder's test file has labels: GLUE's own has none).

Every recipe is run for all seeds, side by side, before the next begins, and the figures are written after each, so that
a measurement that is stopped has its first recipes whole.
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
        name: What the table calls it.
        output: Its folder, within the seed's.
        component: What is run.
        words: Its configuration; `{folder}` and `{here}` are the folders of the measurement and of the seed.
        after: The arm whose model it takes, and whose cost counts as well.
    """

    name: str
    output: str
    component: str
    words: list[str]
    after: str | None = None


def main() -> None:
    """Measures; see the module."""
    parser = arguments(__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the models are put")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    component("data_prep", "task=sst2", f"data={options.data}", folder / "data")
    parameters = recipe("distillation_then_quantization")
    common = [f"dataset={folder}/data", f"max_length_tokens={parameters['max_length_tokens']}"]
    words = [f"teacher={options.teacher}", f"soft_labels_output={folder}/soft", folder / "teacher"]
    common_s = used_s(component("teacher_check", *common, *words))
    figures: Figures = {"teacher": [accuracy(folder / "teacher", folder / "data") | {"cpu_s": common_s}]}
    # Seeds run side by side with a share of the cores each, which several small trainings use better than one.
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
    """One training: accuracy by split, and its own CPU time."""
    here = folder / str(seed)
    given = [word.format(folder=folder, here=here) for word in arm.words]
    used = component(arm.component, *common, f"seed={seed}", *given, here / arm.output)
    return accuracy(here / arm.output, folder / "data") | {"cpu_s": used_s(used)}


def arms() -> list[Arm]:
    """The recipes, in the order in which they are run."""
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
    """Accuracy by split: of INT8 in the runtime that serves it here, of FP32 in PyTorch."""
    served = (int8_runtime()[0], "int8")
    runtime, precision = served if served in available(model) else ("torch", "fp32")
    return accuracies(model, data, runtime=runtime, precision=precision)


def used_s(used: Any) -> float:
    """CPU time."""
    return used.ru_utime + used.ru_stime


def table(figures: Figures) -> str:
    """Mean and spread of each recipe, over the seeds that it has."""
    lines: list[dict[str, Any]] = []
    for name, runs in figures.items():
        lines.append({"model": name, "seeds": len(runs)})
        for split in [key for key in runs[0] if key != "cpu_s"]:
            found = [run[split] for run in runs]
            lines[-1][split] = f"{statistics.mean(found):.4f} ({min(found):.4f}-{max(found):.4f})"
        lines[-1]["CPU minutes, all stages"] = f"{statistics.mean(run['cpu_s'] for run in runs) / 60:.1f}"
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    main()
