"""KFP interface of distillation."""

# Generated from config.py by `make compile`: change that, not this file.

from typing import List

from kfp import dsl

from compaware.components import images
from compaware.components import task_config as passed


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False, task_config_passthroughs=passed.PASSTHROUGHS)
def distillation(
    dataset: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    soft_labels: dsl.Input[dsl.Artifact],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    max_length_tokens: int = 128,
    seed: int = 42,
    student: str = "",
    student_layers: List[int] = [],
    training_options: dict = {},
    options: dict = {},
    job: dict = {},
    task_config: dsl.TaskConfig = None,
) -> None:
    """Train a student on the soft labels of a teacher.

    The loss is alpha * T^2 * KL(teacher / T || student / T) + (1 - alpha) * cross-entropy, mean squared error for
    regression. The teacher runs only if `hidden_weight` or `attention_weight` is above 0, since soft labels hold logits
    only. The student with the best validation score is kept.

    Args:
        dataset: Dataset folder that data_prep wrote.
        teacher: Teacher folder that teacher_check wrote.
        soft_labels: Soft labels that teacher_check wrote for this data.
        model: The student.
        metrics: Scores of the student and the teacher, sizes and training speed.
        max_length_tokens: Longer inputs are cut to this many tokens.
        seed: Seed of weights, shuffling and dropout.
        student: Student by hub id, folder or URI (file, s3, minio).
        student_layers: In place of `student`: build it from these encoder layers of the teacher; the first is 0.
        training_options: Options that other stages share: temperature, alpha, backend, batch_size, precision,
            checkpoint_minutes, calibrate, training_arguments. `options` replace them.
        options: Further configuration: temperature, alpha, backend, batch_size, precision, checkpoint_minutes,
            calibrate, training_arguments, epochs, learning_rate, student_config, student_tokenizer, frozen_layers,
            hidden_weight, attention_weight, layer_map.
        job: How the training is launched: JobOptions of components/launch.
        task_config: KFP fills it in: settings of the task that apply to the pods of its job (KFP 2.15 or newer).
    """
    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "distillation",
        {
            "output": model,
            "dataset": dataset,
            "teacher": teacher,
            "soft_labels": soft_labels,
            "max_length_tokens": max_length_tokens,
            "seed": seed,
            "student": student,
            "student_layers": student_layers,
            "training_options": training_options,
            "options": options,
        },
        job,
        task_config,
    )
    log_metrics(summary, metrics)
