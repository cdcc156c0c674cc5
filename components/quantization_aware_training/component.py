"""KFP interface of quantization_aware_training."""

# Generated from config.py by `make compile`: change that, not this file.

from kfp import dsl

from compaware.components import images
from compaware.components import task_config as passed


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False, task_config_passthroughs=passed.PASSTHROUGHS)
def quantization_aware_training(
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    quantized: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    statistics: dsl.Output[dsl.Markdown],
    soft_labels: dsl.Input[dsl.Artifact] = None,
    max_length_tokens: int = 128,
    seed: int = 42,
    training_options: dict = {},
    options: dict = {},
    job: dict = {},
    task_config: dsl.TaskConfig = None,
) -> None:
    """Convert an FP32 classifier to INT8 files for OpenVINO and onnxruntime, with training if needed.

    Linear layers and embeddings become INT8. Post-training quantization runs first; training with fake quantization
    follows if it misses the accuracy criterion, or always with mode=qat. The criterion compares the saved file, run in
    a new process, with the FP32 input model. A model that misses it is saved and marked as failed; accuracy_gate
    decides how to proceed.

    neural-compressor does the post-training quantization: it calibrates the exported graph with a second method only if
    the loss with the first one is larger than allowed. torchao does two steps on the same graph: training, which
    neural-compressor no longer supports for INT8, and embeddings, which it leaves in FP32.

    Args:
        dataset: Dataset folder that data_prep wrote.
        model: Folder of the FP32 classifier: fine-tuned, distilled or sparse.
        soft_labels: Soft labels that teacher_check wrote for this data; without them, the true labels are used.
        quantized: The INT8 model: OpenVINO IR, ONNX, configuration and tokenizer.
        metrics: Scores of the baseline and of each file, agreement and sizes.
        statistics: Operators by precision, and the scores of FP32, PTQ and QAT side by side.
        max_length_tokens: Longer inputs are cut to this many tokens.
        seed: Seed of weights, shuffling and dropout.
        training_options: Options that other stages share: temperature, alpha, backend, batch_size, precision,
            checkpoint_minutes, calibrate, training_arguments. `options` replace them.
        options: Further configuration: temperature, alpha, batch_size, precision, checkpoint_minutes, calibrate,
            training_arguments, epochs, learning_rate, mode, max_metric_loss, max_relative_metric_loss, gate_on,
            calibration_rows, freeze_observers_fraction, aot_package.
        job: How the training is launched: JobOptions of components/launch.
        task_config: KFP fills it in: settings of the task that apply to the pods of its job (KFP 2.15 or newer).
    """
    from compaware.components.launch import log_metrics, run_component, save_text

    summary = run_component(
        "quantization_aware_training",
        {
            "output": quantized,
            "dataset": dataset,
            "model": model,
            "soft_labels": soft_labels,
            "max_length_tokens": max_length_tokens,
            "seed": seed,
            "training_options": training_options,
            "options": options,
        },
        job,
        task_config,
    )
    log_metrics(summary, metrics)
    save_text(summary.facts["statistics_markdown"], statistics)
