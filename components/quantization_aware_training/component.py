"""KFP interface of quantization_aware_training."""

from typing import Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def quantization_aware_training(
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    quantized: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    statistics: dsl.Output[dsl.Markdown],
    soft_labels: dsl.Input[dsl.Artifact] = None,
    temperature: float = 2.0,
    alpha: float = 0.5,
    mode: str = "auto",
    max_metric_loss: float = 0.005,
    max_relative_metric_loss: Optional[float] = None,
    calibration_rows: int = 256,
    freeze_observers_fraction: float = 0.25,
    aot_package: bool = False,
    epochs: float = 2.0,
    learning_rate: float = 2e-5,
    batch_size: int = 32,
    max_length_tokens: int = 128,
    seed: int = 42,
    precision: str = "auto",
    training_arguments: dict = {},
    launcher: str = "auto",
    num_nodes: int = 1,
    processes_per_node: int = 1,
    cpu_per_node: str = "4",
    memory_per_node: str = "16Gi",
    queue_name: Optional[str] = None,
    timeout_hours: float = 24.0,
    job_options: dict = {},
) -> None:
    """Turn an FP32 classifier into INT8 files that OpenVINO and onnxruntime load, training where that is needed.

    Linear layers and embeddings become INT8. Post-training quantization is tried first; training with fake
    quantization follows where that misses the accuracy criterion, or always with mode=qat. The criterion is judged
    on the saved file, in a new process, against the FP32 model that came in. A model that misses it is delivered and
    marked as failed: accuracy_gate decides what that means.

    Post-training quantization is the work of neural-compressor: it calibrates the exported graph, and its
    accuracy-aware tuning goes on to another way of finding ranges only while the loss is larger than allowed. Two
    steps are torchao's, on the same graph: training, which neural-compressor no longer has for INT8, and embeddings,
    which it leaves in FP32.

    Args:
        dataset: Data that data_prep prepared.
        model: The FP32 classifier: fine-tuned, distilled or sparse (its zeros stay).
        quantized: The INT8 model: OpenVINO IR, ONNX, configuration and tokenizer.
        metrics: Validation scores of the baseline and of each file, agreement and sizes.
        statistics: Operators by precision, and the scores of FP32, PTQ and QAT side by side.
        soft_labels: A teacher's logits for the training split, for distillation while quantizing.
        temperature: Softens the distributions of teacher and student.
        alpha: Weight of the soft labels, 0 to 1.
        mode: ptq never trains, qat always, auto only where ptq misses the criterion.
        max_metric_loss: Largest loss of the primary metric, absolute.
        max_relative_metric_loss: In its place, largest loss as a part of the FP32 model's metric.
        calibration_rows: Training sentences that ptq takes activation ranges from.
        freeze_observers_fraction: Last part of the training, in which ranges stand still.
        aot_package: Also compile an AOTInductor package for the machine's CPU.
        epochs: Passes over the training split.
        learning_rate: Peak learning rate.
        batch_size: Sentences in a step of one process.
        max_length_tokens: Longer inputs are cut.
        seed: Of calibration rows, shuffling and dropout.
        precision: As the other trainings have it; fake-quantized training runs in FP32 whatever is asked.
        training_arguments: Any other transformers.TrainingArguments.
        launcher: auto (a PyTorchJob in a cluster, torchrun elsewhere), torchrun, pytorchjob or trainjob.
        num_nodes: Nodes that train together; more than one needs a cluster.
        processes_per_node: Processes that train together on a node.
        cpu_per_node: CPUs of a node in a cluster.
        memory_per_node: Memory of a node in a cluster.
        queue_name: Kueue's LocalQueue that admits the job.
        timeout_hours: Running longer than this fails the job.
        job_options: More of components/launch's JobOptions: node_selector, tolerations, image_pull_secrets, ….
    """
    from pathlib import Path

    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "quantization_aware_training",
        {
            "output": quantized,
            "dataset": dataset,
            "model": model,
            "soft_labels": soft_labels,
            "temperature": temperature,
            "alpha": alpha,
            "mode": mode,
            "max_metric_loss": max_metric_loss,
            "max_relative_metric_loss": max_relative_metric_loss,
            "calibration_rows": calibration_rows,
            "freeze_observers_fraction": freeze_observers_fraction,
            "aot_package": aot_package,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "max_length_tokens": max_length_tokens,
            "seed": seed,
            "precision": precision,
            "training_arguments": training_arguments,
        },
        {
            "launcher": launcher,
            "num_nodes": num_nodes,
            "processes_per_node": processes_per_node,
            "cpu_per_node": cpu_per_node,
            "memory_per_node": memory_per_node,
            "queue_name": queue_name,
            "timeout_hours": timeout_hours,
            **job_options,
        },
    )
    log_metrics(summary, metrics)
    Path(statistics.path).write_text(summary.facts["statistics_markdown"], encoding="utf-8")
