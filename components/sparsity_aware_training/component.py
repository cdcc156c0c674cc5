"""KFP interface of sparsity_aware_training."""

# Generated from config.py by `make compile`: change that, not this file.

from typing import Optional

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
    max_length_tokens: int = 128,
    seed: int = 42,
    student: Optional[str] = None,
    target_sparsity: Optional[float] = None,
    training_options: dict = {},
    options: dict = {},
    job: dict = {},
) -> None:
    """Train a sparse model without losing a zero, or prune a dense one while it trains.

    A sparse model keeps exactly its zeros. A dense one is pruned to `target_sparsity` on a cubic schedule, the rest of
    the training has fixed masks, and only checkpoints of the final sparsity count. Embeddings, poolers and heads are
    not pruned. Sparsity and score are measured on the saved file.

    Args:
        dataset: Dataset folder that data_prep wrote.
        model: Folder of the classifier to train, sparse or dense.
        soft_labels: Soft labels that teacher_check wrote for this data; without, true labels alone.
        sparse: The sparse model.
        metrics: Validation scores before and after, sparsity, size and compressed size.
        layers: Sparsity of every layer.
        max_length_tokens: Longer inputs are cut to this many tokens.
        seed: Seed of weights, shuffling and dropout.
        student: In place of `model`: a classifier or encoder by hub id, folder or URI, such as one that was pruned
            elsewhere.
        target_sparsity: Fraction of zeros in the encoder's linear layers, such as 0.8. A model that has as many already
            keeps the ones it has; not given, a sparse model keeps its own and an N:M pattern has its own.
        training_options: Options that other stages share: temperature, alpha, backend, batch_size, precision,
            checkpoint_minutes, training_arguments. `options` replace them.
        options: Further configuration: temperature, alpha, batch_size, precision, checkpoint_minutes,
            training_arguments, epochs, learning_rate, pattern, score, scope, exclude, pruning_begin_fraction,
            pruning_end_fraction.
        job: How the training is launched: JobOptions of components/launch.
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
    )
    log_metrics(summary, metrics)
    save_text(summary.facts["layers_markdown"], layers)
