"""KFP interface of distillation."""

from typing import List, Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def distillation(
    dataset: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    soft_labels: dsl.Input[dsl.Artifact],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    student: Optional[str] = None,
    student_layers: Optional[List[int]] = None,
    student_config: Optional[dict] = None,
    student_tokenizer: Optional[str] = None,
    frozen_layers: int = 0,
    temperature: float = 2.0,
    alpha: float = 0.5,
    hidden_weight: float = 0.0,
    attention_weight: float = 0.0,
    layer_map: Optional[dict] = None,
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
    """Train a student on the soft labels of a teacher.

    The loss is alpha * T^2 * KL(teacher / T || student / T) + (1 - alpha) * cross-entropy, mean squared error for
    regression. The teacher does not run, unless `hidden_weight` or `attention_weight` ask for what the soft labels do
    not hold. The student with the best validation score is kept.

    Args:
        dataset: Data that data_prep prepared.
        teacher: The teacher that teacher_check passed.
        soft_labels: Its logits for the training split.
        model: The student.
        metrics: Validation scores of the student and the teacher, sizes and training speed.
        student: Hub id, folder or URI (file, s3, minio) of the student.
        student_layers: In place of `student`, the encoder layers of the teacher to make it of; 0 is the first.
        student_config: In place of `student`, a transformers configuration with fresh weights.
        student_tokenizer: Hub id or folder; by default the student's own, else the teacher's.
        frozen_layers: Above 0, the student's embeddings and so many of its first encoder layers stay as they are.
        temperature: Softens the distributions of teacher and student.
        alpha: Weight of the soft labels, 0 to 1.
        hidden_weight: Weight of the hidden-state loss; above 0 the teacher runs at every step.
        attention_weight: Weight of the attention loss; above 0 the teacher runs at every step.
        layer_map: Student layer to teacher layer for these two losses; spread evenly by default.
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
    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "distillation",
        {
            "output": model,
            "dataset": dataset,
            "teacher": teacher,
            "soft_labels": soft_labels,
            "student": student,
            "student_layers": student_layers,
            "student_config": student_config,
            "student_tokenizer": student_tokenizer,
            "frozen_layers": frozen_layers,
            "temperature": temperature,
            "alpha": alpha,
            "hidden_weight": hidden_weight,
            "attention_weight": attention_weight,
            "layer_map": layer_map,
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
