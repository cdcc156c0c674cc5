"""KFP interface of teacher_check."""

from typing import Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def teacher_check(
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    soft_labels: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    confusion_matrix: dsl.Output[dsl.ClassificationMetrics],
    teacher: Optional[str] = None,
    teacher_config: Optional[dict] = None,
    tokenizer: Optional[str] = None,
    label_order: Optional[list] = None,
    min_score: Optional[float] = None,
    fine_tune_if_needed: bool = False,
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
    """Check that a teacher is fine-tuned for the data and write its soft labels once.

    The teacher's labels are matched to the data's by name and its head is put in the data's order. On the validation
    split it must be clearly better than answers that ignore the text. Where it falls short the task stops and says what
    to do, or fine-tunes it when `fine_tune_if_needed` is set. Its logits for the training split are written once, so
    that no training step runs the teacher again.

    Args:
        dataset: Data that data_prep prepared.
        model: The teacher, its labels in the data's order.
        soft_labels: The teacher's logits for the training split, bound to this data.
        metrics: Validation scores of the teacher and of the best answers that ignore the text.
        confusion_matrix: Of the validation split; with two classes, the ROC curve, too.
        teacher: Hub id, folder or URI (file, s3, minio) of the teacher.
        teacher_config: In place of `teacher`, a transformers configuration to train from scratch.
        tokenizer: Hub id or folder; by default the teacher's own, or one trained on the data.
        label_order: The teacher's label names in the order of the data's, where names do not match.
        min_score: Least validation score that is enough; by default, clearly more than answers that ignore the text.
        fine_tune_if_needed: Fine-tune a teacher that falls short.
        epochs: Passes over the training split, if it is fine-tuned.
        learning_rate: Peak learning rate of that.
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
    from compaware.components.launch import log_classification, log_metrics, run_component

    summary = run_component(
        "teacher_check",
        {
            "output": model,
            "soft_labels_output": soft_labels,
            "dataset": dataset,
            "teacher": teacher,
            "teacher_config": teacher_config,
            "tokenizer": tokenizer,
            "label_order": label_order,
            "min_score": min_score,
            "fine_tune_if_needed": fine_tune_if_needed,
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
    log_classification(summary, confusion_matrix)
