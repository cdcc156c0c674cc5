"""KFP interface of teacher_check."""

# Generated from config.py by `make compile`: change that, not this file.

from kfp import dsl

from compaware.components import images
from compaware.components import task_config as passed


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False, task_config_passthroughs=passed.PASSTHROUGHS)
def teacher_check(
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    soft_labels: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    confusion_matrix: dsl.Output[dsl.ClassificationMetrics],
    max_length_tokens: int = 128,
    seed: int = 42,
    teacher: str = "",
    training_options: dict = {},
    options: dict = {},
    job: dict = {},
    task_config: dsl.TaskConfig = None,
) -> None:
    """Check that a teacher is fine-tuned for the data, and save its soft labels.

    The teacher's labels are matched with the data's by name, and its outputs are put in the data's order. On the
    validation split it must be clearly better than predictions that ignore the text. Otherwise the task stops and says
    what to change, or fine-tunes the teacher if `fine_tune_if_needed` is set. Its logits for the training split are
    saved once, so that no training step runs the teacher again. On a CPU with BF16 hardware they are computed in BF16
    if they agree with FP32, unless `precision` is fp32.

    Args:
        dataset: Dataset folder that data_prep wrote.
        model: The teacher, its labels in the data's order.
        soft_labels: The teacher's logits for the training split, tied to this data.
        metrics: Scores of the teacher and of the best predictions that ignore the text.
        confusion_matrix: Confusion matrix of the validation split; for two classes, the ROC curve, too.
        max_length_tokens: Longer inputs are cut to this many tokens.
        seed: Seed of weights, shuffling and dropout.
        teacher: Teacher by hub id, folder or URI (file, s3, minio).
        training_options: Options that other stages share: temperature, alpha, backend, batch_size, precision,
            checkpoint_minutes, calibrate, training_arguments. `options` replace them.
        options: Further configuration: backend, batch_size, precision, checkpoint_minutes, calibrate,
            training_arguments, epochs, learning_rate, teacher_config, tokenizer, vocabulary_size, label_order,
            min_score, fine_tune_if_needed, soft_label_batch_size.
        job: How the training is launched: JobOptions of components/launch.
        task_config: KFP fills it in: settings of the task that apply to the pods of its job (KFP 2.15 or newer).
    """
    from compaware.components.launch import log_classification, log_metrics, run_component

    summary = run_component(
        "teacher_check",
        {
            "output": model,
            "soft_labels_output": soft_labels,
            "dataset": dataset,
            "max_length_tokens": max_length_tokens,
            "seed": seed,
            "teacher": teacher,
            "training_options": training_options,
            "options": options,
        },
        job,
        task_config,
    )
    log_metrics(summary, metrics)
    log_classification(summary, confusion_matrix)
