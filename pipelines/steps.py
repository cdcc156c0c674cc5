"""The steps of all pipelines: each component with the names of its parameters in a pipeline.

A stage's main parameters keep their names, so that stages with the same one share it. What else it takes is one mapping
with the stage's prefix, such as `student_options`.
"""

from kfp import dsl

from compaware.components.accuracy_gate.component import accuracy_gate
from compaware.components.benchmark.component import benchmark
from compaware.components.change_check.component import change_check
from compaware.components.data_prep.component import data_prep
from compaware.components.distillation.component import distillation
from compaware.components.launch import site
from compaware.components.publish.component import publish
from compaware.components.quantization_aware_training.component import quantization_aware_training
from compaware.components.sparsity_aware_training.component import sparsity_aware_training
from compaware.components.sweep_benchmark.component import sweep_benchmark
from compaware.components.sweep_branch.component import sweep_branch
from compaware.components.sweep_plan.component import sweep_plan
from compaware.components.teacher_check.component import teacher_check
from compaware.pipelines.definition import Step

# KFP fills it in as the task starts.
RUN_ID = dsl.PIPELINE_JOB_ID_PLACEHOLDER

PREPARE_DATA = Step(
    data_prep,
    "data",
    given=("inputs_fingerprint",),
    descriptions={"seed": "Seed of data limits, fresh weights, shuffling and dropout, in all steps."},
    cpu="2",
    memory="8Gi",
)

CHECK_TEACHER = Step(teacher_check, "teacher")

DISTIL = Step(distillation, "student")

QUANTIZE = Step(quantization_aware_training, "quantization")

SPARSIFY = Step(sparsity_aware_training, "sparsity")

BENCHMARK = Step(benchmark, "benchmark", cpu="4", memory="16Gi", measures=True)

GATE = Step(accuracy_gate, names={"on_failure": "on_accuracy_loss"})

# change_check reads from outside of KFP, and publish writes there, so a cached result of either would be wrong.
#
# The stages depend on change_check only through the fingerprint that data_prep gets from it. If nothing is new, each
# stage's result comes from KFP's cache. With `dsl.If` around the stages, the run would have no results.
CHECK_CHANGES = Step(change_check, given=("student", "run_id"), memory="2Gi", cached=False)

PUBLISH = Step(
    publish,
    "publish",
    given=("run_id",),
    cpu="4",
    memory="16Gi",
    cached=False,
    secrets={site.REGISTRY_SECRET: site.REGISTRY_KEYS},
)

# Not cached: it reads which branches failed and are worth repeating.
PLAN_SWEEP = Step(sweep_plan, given=("run_id",), cached=False)

SWEEP_BRANCH = Step(sweep_branch, given=("branch",))

SWEEP_BENCHMARK = Step(sweep_benchmark, "benchmark", cpu="4", memory="24Gi", measures=True)
