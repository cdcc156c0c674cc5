"""Quantization: evaluates the FP32 model, runs PTQ and, if needed, QAT, and applies the accuracy criterion."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, set_seed

from compaware.components.core.base import cpu
from compaware.components.core.base.distributed import broadcast, call_on_main, is_main, local_world_size
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import size_bytes
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import TEST
from compaware.components.core.evaluation.calibration import save_temperature
from compaware.components.core.evaluation.criterion import FACT, Criterion, CriterionResult, HeldOutScores, sort_key
from compaware.components.core.evaluation.evaluate import Evaluation, evaluate_folder
from compaware.components.core.evaluation.held_out import describe_rows, evaluate_on_test, metrics_on_test
from compaware.components.core.evaluation.intervals import paired_difference
from compaware.components.core.evaluation.label_order import require_order
from compaware.components.core.evaluation.metrics import compute_metrics, metric_label, require_defined, why_undefined
from compaware.components.core.int8.convert import convert_graph, fold_for_simulation
from compaware.components.core.int8.fake_quantized import FakeQuantizedClassifier, FreezeObservers
from compaware.components.core.int8.ptq import quantize_after_training
from compaware.components.core.runtimes.formats import RuntimeName
from compaware.components.core.runtimes.predictors import int8_runtime
from compaware.components.core.sparsity.masks import MaskLock, masks_of_zeros, zero_fraction
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.objectives import LogitObjective
from compaware.components.core.training.trainer import train
from compaware.components.quantization_aware_training.candidate import (
    QuantizedCandidate,
    RuntimeResult,
    SimulatedLogits,
    copy_public_files,
    load_candidate,
    save_candidate,
)
from compaware.components.quantization_aware_training.config import QuantizationAwareTrainingConfig
from compaware.components.quantization_aware_training.inputs import QuantizationInputs
from compaware.components.quantization_aware_training.tables import (
    statistics_markdown,
    statistics_table,
    tune_result_table,
    tune_results,
)

_WEIGHTS = "model.safetensors"
log = logging.getLogger(__name__)


def run(config: QuantizationAwareTrainingConfig, workspace: Workspace) -> Summary:
    """Quantizes the model and saves its public INT8 files in the output folder.

    A model that misses the criterion is saved as well, and reported as failed.

    Raises:
        UserError: The model does not fit the data, its labels are in another order, or its logits are NaN; or the soft
            labels belong to other data.
    """
    inputs = QuantizationInputs.read(config, workspace.work)
    runtime, reason = broadcast(int8_runtime())
    log.info("the criterion is applied to INT8 in %s: %s", runtime, reason)
    torch.set_num_threads(cpu.threads(local_world_size()))
    metric = inputs.dataset.manifest.metric
    baseline = call_on_main(
        evaluate_folder, inputs.folder, config.dataset, max_length_tokens=config.max_length_tokens, warm=True
    )
    if math.isnan(baseline.metrics[metric]):
        labels = inputs.dataset.labels("validation")
        require_defined(metric, labels)
        undefined = why_undefined(metric, labels, baseline.logits)
        raise UserError(
            f"{metric_label(metric)} of {config.model} is undefined on validation, since {undefined}: train it again "
            "with a lower learning rate, or choose another metric"
        )
    require_order(config.model, baseline.logits, inputs.dataset)
    criterion = Criterion.create(
        metric, baseline.metrics[metric], config.max_metric_loss, config.max_relative_metric_loss, config.gate_on
    )
    ptq = call_on_main(_ptq, inputs, baseline, criterion, workspace.work / "ptq")
    candidates = [ptq]
    served = ptq.served[runtime]
    passed = criterion.passes(served.metrics[metric], served.difference)
    log.info("PTQ %s the criterion", "meets" if passed else "misses")
    if config.mode == "qat" or (config.mode == "auto" and not passed):
        candidates.append(_qat(inputs, baseline, workspace))
    chosen = candidates[-1]
    if config.mode == "auto":
        chosen = max(candidates, key=lambda candidate: _sort_key(candidate.served[runtime], criterion))
    if is_main():
        copy_public_files(workspace.work / chosen.name.lower(), workspace.output)
        if calibration := chosen.served[runtime].calibration:
            save_temperature(workspace.output, calibration.temperature)
    test, test_metrics = _evaluate_on_test(inputs, workspace.output, runtime)
    summary = _summarise(inputs, baseline, criterion, candidates, chosen, runtime, reason, test)
    return summary.model_copy(update={"metrics": summary.metrics | test_metrics})


def _ptq(inputs: QuantizationInputs, baseline: Evaluation, criterion: Criterion, folder: Path) -> QuantizedCandidate:
    """Quantizes without training, or loads the candidate that a killed run has finished."""
    finished = load_candidate(folder)
    if finished:
        return finished
    log.info("PTQ: calibrating on %d sentences", inputs.config.calibration_rows)
    started = time.monotonic()
    metric, labels = criterion.metric_name, inputs.simulated_labels()
    logits: list[np.ndarray] = []

    def score(graph: torch.fx.GraphModule) -> float:
        logits.append(inputs.simulate(fold_for_simulation(graph)))
        return compute_metrics(metric, logits[-1], labels)[metric]

    before = baseline.logits[inputs.simulated_rows]
    simulated_criterion = criterion.with_baseline(compute_metrics(metric, before, labels)[metric])

    def passes(score: float) -> bool:
        return simulated_criterion.passes(score, paired_difference(metric, logits[-1], before, labels))

    tuned = quantize_after_training(inputs.model, inputs.calibration_batches(), score, passes)
    simulated = SimulatedLogits(rows=inputs.simulated_rows, logits=logits[tuned.chosen])
    return save_candidate("PTQ", tuned.graph, simulated, baseline, started, inputs, folder, tuned.trials)


def _sort_key(served: RuntimeResult, criterion: Criterion) -> tuple[float, float]:
    """Returns a key that sorts results by what the criterion judges, then by the score."""
    score = served.metrics[criterion.metric_name]
    return sort_key(criterion.judged(score, served.difference)), sort_key(score)


def _qat(inputs: QuantizationInputs, baseline: Evaluation, workspace: Workspace) -> QuantizedCandidate:
    """Trains with fake quantization on all ranks and saves the candidate on rank 0, or loads a finished candidate."""
    config, folder = inputs.config, workspace.work / "qat"
    finished = call_on_main(load_candidate, folder)
    if finished:
        return finished
    started = time.monotonic()
    set_seed(config.seed)
    model = FakeQuantizedClassifier(inputs.model)
    callbacks: list[TrainerCallback] = [FreezeObservers(model, config.freeze_observers_fraction)]
    masks = masks_of_zeros(model)
    if masks:
        log.info("the model is sparse: its zeros (%.2f %% of the sparse matrices) are kept", 100 * zero_fraction(masks))
        callbacks.append(MaskLock(masks))
    if config.precision == "bf16":
        log.warning("QAT trains in FP32: fake-quantized operators have no BF16 form")
    trained = train(
        model,
        inputs.tokenizer,
        inputs.dataset,
        config.model_copy(update={"precision": "fp32"}),
        workspace,
        soft_labels=inputs.soft_labels,
        objective=LogitObjective(config.temperature, config.alpha),
        callbacks=callbacks,
    )
    trained = trained.model_copy(update={"precision_reason": "fake-quantized operators have no BF16 form"})
    candidate = None
    if is_main():
        # The INT8 files are made on the CPU, also after training on a GPU.
        model.to("cpu").eval()
        simulated = SimulatedLogits(rows=inputs.simulated_rows, logits=inputs.simulate(model.graph))
        graph = convert_graph(model.graph)
        candidate = save_candidate("QAT", graph, simulated, baseline, started, inputs, folder, trained=trained)
    candidate = broadcast(candidate)
    assert candidate is not None
    return candidate


def _evaluate_on_test(
    inputs: QuantizationInputs, output: Path, runtime: RuntimeName
) -> tuple[HeldOutScores | None, dict[str, float]]:
    """Evaluates the FP32 model and the finished INT8 model on the test split, if the data has one.

    Returns:
        The scores side by side, and all metrics.
    """
    manifest, length = inputs.dataset.manifest, inputs.config.max_length_tokens
    baseline = evaluate_on_test(inputs.folder, inputs.dataset, max_length_tokens=length)
    int8 = evaluate_on_test(output, inputs.dataset, max_length_tokens=length, runtime=runtime, precision="int8")
    if baseline is None or int8 is None:
        return None, {}
    scores = HeldOutScores(
        rows=manifest.splits[TEST],
        measured=int8.metrics[manifest.metric],
        baseline=baseline.metrics[manifest.metric],
    )
    return scores, metrics_on_test("baseline", baseline) | metrics_on_test("int8", int8)


def _summarise(
    inputs: QuantizationInputs,
    baseline: Evaluation,
    criterion: Criterion,
    candidates: list[QuantizedCandidate],
    chosen: QuantizedCandidate,
    runtime: RuntimeName,
    reason: str,
    test: HeldOutScores | None,
) -> Summary:
    served = chosen.served[runtime]
    trained = candidates[-1].trained
    result = CriterionResult(
        **criterion.model_dump(),
        measured=served.metrics[criterion.metric_name],
        runtime=runtime,
        runtime_reason=reason,
        difference=served.difference,
        test=test,
    )
    passed = result.passed
    baseline_bytes = size_bytes(inputs.folder / _WEIGHTS)
    results = tune_results(baseline, baseline_bytes, candidates, criterion, runtime)
    if test:
        results[0]["test_metric"] = test.baseline
        served_row = next(row for row in results if (row["candidate"], row["runtime"]) == (chosen.name, runtime))
        served_row["test_metric"] = test.measured
    statistics = {name: statistics_table(chosen.served[name].mixed_precision) for name in chosen.served}
    tune_table = tune_result_table(results, criterion.metric_name)
    for name, table in statistics.items():
        log.info("Mixed Precision Statistics (%s, as %s computes it)\n%s", chosen.name, name, table)
    log.info("Tune Result\n%s", tune_table)
    write_log = log.info if passed else log.error
    rows = describe_rows(inputs.dataset.manifest, "the quantization")
    verdict = "met" if passed else "MISSED"
    compared, beside = result.describe_result(), result.describe_rows()
    write_log("accuracy criterion %s in %s: %s (%s)", verdict, runtime, compared, beside)
    metrics: dict[str, Any] = {f"baseline_{name}": value for name, value in baseline.metrics.items()}
    # Metrics must be the same in every run; the scores of QAT are in the tune result.
    metrics |= {f"ptq_{name}": value for name, value in candidates[0].served[runtime].metrics.items()}
    metrics |= {"made_in_s": sum(candidate.made_in_s for candidate in candidates), "trained": trained is not None}
    metrics |= {f"int8_{name}": value for name, value in served.metrics.items()}
    for name, served_result in chosen.served.items():
        metrics |= {f"int8_{name}_{key}": value for key, value in served_result.metrics.items()}
        metrics |= {f"{name}_agreement": served_result.agreement, f"{name}_size_bytes": served_result.size_bytes}
    metrics |= {"int8_difference_low": served.difference.low, "int8_difference_high": served.difference.high}
    metrics |= {"size_bytes": served.size_bytes, "baseline_size_bytes": baseline_bytes, "criterion_passed": passed}
    facts = {
        FACT: result.model_dump(mode="json"),
        "chosen": chosen.name,
        "mixed_precision": served.mixed_precision,
        "tune_results": results,
        "statistics_markdown": statistics_markdown(statistics, tune_table, rows),
        "training": trained.model_dump() if trained else None,
    }
    if served.calibration:
        facts["calibration"] = served.calibration.model_dump()
    return Summary.create("quantization_aware_training", inputs.config, metrics, facts)
