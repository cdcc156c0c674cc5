"""KFP interface of sparsity_aware_training."""

# Generated from config.py by `make compile`: change that, not this file.

from kfp import dsl

from compaware.components import images
from compaware.components import task_config as passed


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False, task_config_passthroughs=passed.PASSTHROUGHS)
def sparsity_aware_training(
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    sparse: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    layers: dsl.Output[dsl.Markdown],
    soft_labels: dsl.Input[dsl.Artifact] = None,
    max_length_tokens: int = 128,
    seed: int = 42,
    student: str = "",
    target_sparsity: float = 0.0,
    training_options: dict = {},
    options: dict = {},
    job: dict = {},
    task_config: dsl.TaskConfig = None,
) -> None:
    """Train a sparse model and keep its zeros, or prune a dense model during training.

    A sparse model keeps exactly its zeros. A dense model is pruned to `target_sparsity` by a cubic schedule; then the
    masks are fixed, and only checkpoints with the final sparsity can be the best one. Embeddings, poolers and heads are
    not pruned. Sparsity and score are measured on the saved file.

    Args:
        dataset: Dataset folder that data_prep wrote.
        model: Folder of the classifier to train, sparse or dense.
        soft_labels: Soft labels that teacher_check wrote for this data; without them, the true labels are used.
        sparse: The sparse model.
        metrics: Scores before and after, sparsity, size and compressed size.
        layers: Sparsity of every layer.
        max_length_tokens: Longer inputs are cut to this many tokens.
        seed: Seed of weights, shuffling and dropout.
        student: In place of `model`: a classifier or encoder by hub id, folder or URI, such as one that was pruned
            elsewhere.
        target_sparsity: Fraction of zeros in the encoder's linear layers, such as 0.8. A model with as many zeros keeps
            them. By default (0), a sparse model keeps its zeros, and an N:M pattern sets the fraction.
        training_options: Options that other stages share: temperature, alpha, backend, batch_size, precision,
            checkpoint_minutes, calibrate, training_arguments. `options` replace them.
        options: Further configuration: temperature, alpha, batch_size, precision, checkpoint_minutes, calibrate,
            training_arguments, epochs, learning_rate, pattern, score, scope, exclude, pruning_begin_fraction,
            pruning_end_fraction.
        job: How the training is launched: JobOptions of components/launch.
        task_config: KFP fills it in: settings of the task that apply to the pods of its job (KFP 2.15 or newer).
    """
    from compaware.components.launch import log_metrics, run_component, save_text

    summary = run_component(
        "sparsity_aware_training",
        {
            "output": sparse,
            "dataset": dataset,
            "model": model,
            "soft_labels": soft_labels,
            "max_length_tokens": max_length_tokens,
            "seed": seed,
            "student": student,
            "target_sparsity": target_sparsity,
            "training_options": training_options,
            "options": options,
        },
        job,
        task_config,
    )
    log_metrics(summary, metrics)
    save_text(summary.facts["layers_markdown"], layers)
