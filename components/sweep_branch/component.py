"""KFP interface of sweep_branch."""

# Generated from config.py by `make compile`: change that, not this file.

from typing import List

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def sweep_branch(
    dataset: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    soft_labels: dsl.Input[dsl.Artifact],
    models: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    branch: dict,
    sparsity_options: dict = {},
    target_sparsities: List[float] = [0.0],
    precisions: List[str] = ["fp32", "int8"],
    student_options: dict = {},
    quantization_options: dict = {},
    training_options: dict = {},
    max_length_tokens: int = 128,
    seed: int = 42,
    job: dict = {},
) -> None:
    """Distil one student of a sweep, prune it to each sparsity, and quantize the results.

    The student is trained once, then pruned to each sparsity, and each result is quantized. Every stage runs the
    component of that name in a separate job. If a stage fails, its member and the members that depend on it are listed
    with the reason, and the task continues with the others and succeeds. It fails only if the cluster does not respond.
    If a stage failed for a reason other than its options (out of memory, preempted, no free node), the next run of the
    pipeline repeats the branch.

    Args:
        dataset: Folder or URI of the dataset that data_prep wrote.
        teacher: Folder or URI of the teacher that teacher_check wrote.
        soft_labels: Folder or URI of the soft labels that teacher_check wrote.
        models: A folder for each member, and summary.json, which lists all members including those that failed.
        metrics: Number of members, and number of failed members.
        branch: Name, temperature and student (choice), as sweep_plan writes them.
        sparsity_options: Options of sparsity_aware_training.
        target_sparsities: Fractions of zeros to try, such as 0.8; 0 is the dense student.
        precisions: Precisions to try: fp32, int8.
        student_options: Options of distillation.
        quantization_options: Options of quantization_aware_training.
        training_options: Options of all trainings; the options of a single stage override them.
        max_length_tokens: Longer inputs are cut to this many tokens.
        seed: Seed of weights, shuffling and dropout.
        job: JobOptions of components/launch for each training.
    """
    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "sweep_branch",
        {
            "output": models,
            "dataset": dataset,
            "teacher": teacher,
            "soft_labels": soft_labels,
            "branch": branch,
            "sparsity_options": sparsity_options,
            "target_sparsities": target_sparsities,
            "precisions": precisions,
            "student_options": student_options,
            "quantization_options": quantization_options,
            "training_options": training_options,
            "max_length_tokens": max_length_tokens,
            "seed": seed,
            "job": job,
        },
    )
    log_metrics(summary, metrics)
