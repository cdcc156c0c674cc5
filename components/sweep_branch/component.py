"""KFP interface of sweep_branch."""

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
    target_sparsities: List[float] = [0.0],
    precisions: List[str] = ["fp32", "int8"],
    alpha: float = 0.5,
    sparsity_pattern: str = "unstructured",
    sparsity_score: str = "magnitude",
    sparsity_scope: str = "layer",
    sparsity_epochs: float = 3.0,
    sparsity_learning_rate: float = 5e-5,
    quantization_mode: str = "auto",
    max_metric_loss: float = 0.005,
    calibration_rows: int = 256,
    qat_epochs: float = 2.0,
    qat_learning_rate: float = 2e-5,
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
    queue_name: str = "",
    timeout_hours: float = 24.0,
    job_options: dict = {},
) -> None:
    """Distil one student of a sweep and compress it in every way that is asked for.

    The student is trained once; its sparse forms are made of it, and the INT8 files of each. Every stage is the
    component of that name, in a job of its own. A stage that fails is listed with its reason, and so is what would
    have been made of its model; the task goes on with the rest and succeeds. It fails only where the cluster does not
    answer. Where a stage failed, and not by its options (no memory, preempted, no node for it), the next run of the
    pipeline tries the branch again.

    Args:
        dataset: Data that data_prep prepared.
        teacher: The teacher that teacher_check passed.
        soft_labels: Its logits for the training split.
        models: A folder for each member, and summary.json, which lists all members with what became of them.
        metrics: How many members there are, and how many of them failed.
        branch: Name, temperature, student (choice) and number of the try, as sweep_plan writes them.
        target_sparsities: Fractions of zeros to try, such as 0.8; 0 is the dense student.
        precisions: Precisions to try, fp32 and int8.
        alpha: Weight of the soft labels in all trainings, 0 to 1.
        sparsity_pattern: unstructured, N:M such as 2:4, or blocks ROWSxCOLUMNS such as 4x1.
        sparsity_score: What a weight is worth: magnitude, movement or snip_momentum.
        sparsity_scope: Whether the target holds in every layer (layer) or over all of them (global).
        sparsity_epochs: Passes over the training split while pruning.
        sparsity_learning_rate: Peak learning rate of that.
        quantization_mode: ptq never trains, qat always, auto only where ptq misses the criterion.
        max_metric_loss: Largest loss of the primary metric by quantizing, absolute.
        calibration_rows: Training sentences that ptq takes activation ranges from.
        qat_epochs: Passes over the training split while quantizing.
        qat_learning_rate: Peak learning rate of that.
        epochs: Passes over the training split while distilling.
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
        queue_name: Kueue's LocalQueue that admits the jobs; none when empty.
        timeout_hours: A job that runs longer than this fails.
        job_options: More of components/launch's JobOptions: node_selector, tolerations, image_pull_secrets, ….
    """
    from compaware.components.launch import log_metrics, places_for, run_component

    job = {
        "launcher": launcher,
        "num_nodes": num_nodes,
        "processes_per_node": processes_per_node,
        "cpu_per_node": cpu_per_node,
        "memory_per_node": memory_per_node,
        "queue_name": queue_name or None,
        "timeout_hours": timeout_hours,
        **job_options,
    }
    inputs = places_for(job, {"dataset": dataset, "teacher": teacher, "soft_labels": soft_labels, "models": models})
    sent_to = inputs.pop("models")
    summary = run_component(
        "sweep_branch",
        {
            "output": models.path,
            "models_uri": sent_to if sent_to != models.path else None,
            **inputs,
            "branch": branch,
            "target_sparsities": target_sparsities,
            "precisions": precisions,
            "alpha": alpha,
            "sparsity_pattern": sparsity_pattern,
            "sparsity_score": sparsity_score,
            "sparsity_scope": sparsity_scope,
            "sparsity_epochs": sparsity_epochs,
            "sparsity_learning_rate": sparsity_learning_rate,
            "quantization_mode": quantization_mode,
            "max_metric_loss": max_metric_loss,
            "calibration_rows": calibration_rows,
            "qat_epochs": qat_epochs,
            "qat_learning_rate": qat_learning_rate,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "max_length_tokens": max_length_tokens,
            "seed": seed,
            "precision": precision,
            "training_arguments": training_arguments,
            "job": job,
        },
    )
    log_metrics(summary, metrics)
