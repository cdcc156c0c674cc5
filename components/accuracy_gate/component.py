"""KFP interface of accuracy_gate."""

# Generated from config.py by `make compile`: change that, not this file.

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def accuracy_gate(
    quantized: dsl.Input[dsl.Model],
    verdict: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    on_failure: str = "fail",
) -> None:
    """Stop the pipeline if the quantized model misses its accuracy criterion.

    quantization_aware_training evaluated the criterion against its FP32 input. Run this task after the benchmark, so
    that the report exists even if the gate fails.

    Args:
        quantized: Folder of the quantized model, whose summary holds the criterion.
        verdict: The criterion with its figures, as JSON.
        metrics: Whether the model passed, and its loss.
        on_failure: What to do if the criterion is missed: fail, or only warn.
    """
    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "accuracy_gate",
        {
            "output": verdict,
            "quantized": quantized,
            "on_failure": on_failure,
        },
    )
    log_metrics(summary, metrics)
