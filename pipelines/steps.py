"""The steps that pipelines are made of: each component with the names that its parameters have in a pipeline.

Parameters of one stage alone carry its name (`teacher_epochs`, `qat_epochs`); those that all trainings share do not.
"""

from kfp import dsl

from compaware.components.accuracy_gate.component import accuracy_gate
from compaware.components.benchmark.component import benchmark
from compaware.components.change_check.component import change_check
from compaware.components.data_prep.component import data_prep
from compaware.components.distillation.component import distillation
from compaware.components.publish.component import publish
from compaware.components.quantization_aware_training.component import quantization_aware_training
from compaware.components.sparsity_aware_training.component import sparsity_aware_training
from compaware.components.sweep_benchmark.component import sweep_benchmark
from compaware.components.sweep_branch.component import sweep_branch
from compaware.components.sweep_plan.component import sweep_plan
from compaware.components.teacher_check.component import teacher_check
from compaware.pipelines.definition import Step, same

# KFP fills it in as the task starts.
RUN_ID = dsl.PIPELINE_JOB_ID_PLACEHOLDER

_SHARED_BY_TRAININGS = same(
    "batch_size",
    "max_length_tokens",
    "seed",
    "precision",
    "training_arguments",
    "launcher",
    "num_nodes",
    "processes_per_node",
    "cpu_per_node",
    "memory_per_node",
    "queue_name",
    "timeout_hours",
    "job_options",
)
_SOFT_LABEL_LOSS = same("temperature", "alpha")

PREPARE_DATA = Step(
    data_prep,
    same(
        "task",
        "data",
        "hub_config",
        "hub_revision",
        "read_options",
        "text_columns",
        "label_column",
        "label_names",
        "problem_type",
        "max_train_rows",
        "max_validation_rows",
        "max_test_rows",
        "validation_fraction",
        "keep_duplicates",
        "seed",
    )
    | {"card_tokenizer": "tokenizer"},
    {"seed": "Of data limits, fresh weights, shuffling and dropout, in all steps."},
    cpu="2",
    memory="8Gi",
)

CHECK_TEACHER = Step(
    teacher_check,
    {
        "teacher": "teacher",
        "teacher_config": "teacher_config",
        "teacher_tokenizer": "tokenizer",
        "teacher_label_order": "label_order",
        "min_teacher_score": "min_score",
        "fine_tune_teacher_if_needed": "fine_tune_if_needed",
        "teacher_epochs": "epochs",
        "teacher_learning_rate": "learning_rate",
        **_SHARED_BY_TRAININGS,
    },
)

DISTIL = Step(
    distillation,
    same(
        "student",
        "student_layers",
        "student_config",
        "student_tokenizer",
        "frozen_layers",
        "hidden_weight",
        "attention_weight",
        "layer_map",
    )
    | {"student_epochs": "epochs", "student_learning_rate": "learning_rate"}
    | _SOFT_LABEL_LOSS
    | _SHARED_BY_TRAININGS,
)

QUANTIZE = Step(
    quantization_aware_training,
    {
        "quantization_mode": "mode",
        **same("max_metric_loss", "max_relative_metric_loss", "calibration_rows"),
        "qat_epochs": "epochs",
        "qat_learning_rate": "learning_rate",
        **_SOFT_LABEL_LOSS,
        **_SHARED_BY_TRAININGS,
    },
)

SPARSIFY = Step(
    sparsity_aware_training,
    {
        "student": "student",
        "target_sparsity": "target_sparsity",
        "sparsity_pattern": "pattern",
        "sparsity_score": "score",
        "sparsity_scope": "scope",
        "dense_modules": "exclude",
        **same("pruning_begin_fraction", "pruning_end_fraction"),
        "sparsity_epochs": "epochs",
        "sparsity_learning_rate": "learning_rate",
        **_SOFT_LABEL_LOSS,
        **_SHARED_BY_TRAININGS,
    },
)

_MEASURING = {
    "benchmark_batch_sizes": "batch_sizes",
    "benchmark_rounds": "rounds",
    "benchmark_time_budget_s": "time_budget_s",
    "benchmark_threads": "threads",
    "benchmark_padded": "padded",
    "max_length_tokens": "max_length_tokens",
}

BENCHMARK = Step(benchmark, _MEASURING, cpu="4", memory="16Gi")

GATE = Step(accuracy_gate, {"on_accuracy_loss": "on_failure"})

# What this reads and that writes is outside of KFP, so a cached result of either would be wrong.
#
# Nothing but data_prep's fingerprint ties the stages to change_check, on purpose. `dsl.If` around them would read well,
# but the inputs of its sub-DAG are all required, and KFP up to 2.15 cannot pass on a parameter that was not given; most
# of ours are optional. With nothing new, KFP's cache answers for every stage instead.
CHECK_CHANGES = Step(
    change_check, same("task", "data", "hub_revision", "teacher", "publish_uri"), memory="2Gi", cached=False
)

PUBLISH = Step(
    publish,
    same("publish_uri", "max_loss_to_published_points", "max_length_tokens"),
    cpu="4",
    memory="16Gi",
    cached=False,
)

# It reads which branches are to be tried again.
PLAN_SWEEP = Step(sweep_plan, same("students", "temperatures"), cached=False)

SWEEP_BRANCH = Step(
    sweep_branch,
    same(
        *("target_sparsities", "precisions", "alpha"),
        *("sparsity_pattern", "sparsity_score", "sparsity_scope", "sparsity_epochs", "sparsity_learning_rate"),
        *("quantization_mode", "max_metric_loss", "calibration_rows", "qat_epochs", "qat_learning_rate"),
    )
    | {"student_epochs": "epochs", "student_learning_rate": "learning_rate"}
    | _SHARED_BY_TRAININGS,
)

SWEEP_BENCHMARK = Step(
    sweep_benchmark, same("max_latency_ms", "max_size_mb", "min_accuracy") | _MEASURING, cpu="4", memory="24Gi"
)
