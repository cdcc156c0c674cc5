"""KFP interface of sparsity_aware_training."""

from typing import List, Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def sparsity_aware_training(
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    sparse: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    layers: dsl.Output[dsl.Markdown],
    soft_labels: dsl.Input[dsl.Artifact] = None,
    student: Optional[str] = None,
    temperature: float = 2.0,
    alpha: float = 0.5,
    target_sparsity: Optional[float] = None,
    pattern: str = "unstructured",
    score: str = "magnitude",
    scope: str = "layer",
    exclude: List[str] = [],
    pruning_begin_fraction: float = 0.05,
    pruning_end_fraction: float = 0.6,
    epochs: float = 3.0,
    learning_rate: float = 5e-5,
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
    """Train a sparse model without losing a zero, or prune a dense one while it trains.

    A sparse model keeps exactly its zeros. A dense one is pruned to `target_sparsity` on a cubic schedule, the rest of
    the training has fixed masks, and only checkpoints of the final sparsity count. Embeddings, poolers and heads are
    not pruned. Sparsity and score are measured on the saved file.

    Args:
        dataset: Data that data_prep prepared.
        model: The classifier, sparse or dense.
        sparse: The sparse model.
        metrics: Validation scores before and after, sparsity, size and compressed size.
        layers: Sparsity of every layer.
        soft_labels: A teacher's logits for the training split, for distillation while pruning.
        student: Classifier or encoder to train in place of `model`, by hub id, folder or URI.
        temperature: Softens the distributions of teacher and student.
        alpha: Weight of the soft labels, 0 to 1.
        target_sparsity: Fraction of zeros in the encoder's linear layers; not given, a sparse model keeps its own.
        pattern: unstructured, N:M such as 2:4 (N of M inputs kept), or blocks ROWSxCOLUMNS such as 4x1.
        score: What a weight is worth: magnitude, movement or snip_momentum.
        scope: Whether the target holds in every layer (layer) or over all of them (global).
        exclude: More modules to leave dense, as shell patterns of their names.
        pruning_begin_fraction: Part of the training after which zeros begin to grow.
        pruning_end_fraction: Part of the training after which the zeros stay as they are.
        epochs: Passes over the training split.
        learning_rate: Peak learning rate.
        batch_size: Sentences in a step of one process.
        max_length_tokens: Longer inputs are cut.
        seed: Of weights, shuffling and dropout.
        precision: Of training: auto, fp32 or bf16.
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
        "sparsity_aware_training",
        {
            "output": sparse,
            "dataset": dataset,
            "model": model,
            "soft_labels": soft_labels,
            "student": student,
            "temperature": temperature,
            "alpha": alpha,
            "target_sparsity": target_sparsity,
            "pattern": pattern,
            "score": score,
            "scope": scope,
            "exclude": exclude,
            "pruning_begin_fraction": pruning_begin_fraction,
            "pruning_end_fraction": pruning_end_fraction,
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
    Path(layers.path).write_text(summary.facts["layers_markdown"], encoding="utf-8")
