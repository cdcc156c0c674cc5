"""Validation of a sweep and the list of its branches."""

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import validate
from compaware.components.core.stage.workspace import run_stage
from compaware.components.launch import shared_folder
from compaware.components.sweep_plan.attempts import write_attempt
from compaware.components.sweep_plan.config import SweepPlanConfig
from compaware.components.sweep_plan.plan import run


def plan(**values: object) -> SweepPlanConfig:
    return validate(SweepPlanConfig, {"output": "plan", **values})


def test_each_student_is_trained_at_each_temperature_under_a_unique_name():
    students = [{"student_layers": [0, 5]}, {"student": "hub/Small-BERT"}, {"name": "tiny", "student_config": {"a": 1}}]
    branches = plan(students=students, temperatures=[1, 1.5]).branches
    assert [branch.name for branch in branches] == [
        *("layers_0_5_t1", "layers_0_5_t1_5", "student_small_bert_t1", "student_small_bert_t1_5"),
        *("tiny_t1", "tiny_t1_5"),
    ]
    assert branches[0].member_name(0.8, "int8") == "layers_0_5_t1_s80_int8"
    assert branches[0].member_name(0, "fp32") == "layers_0_5_t1"


def test_only_a_branch_that_is_repeated_changes_between_runs(monkeypatch, tmp_path):
    monkeypatch.delenv("COMPAWARE_WORK_ROOT", raising=False)
    fresh = {"model_type": "bert", "hidden_size": 32}
    runs = iter(range(9))

    def branches() -> list[dict]:
        # KFP passes mappings on in any order.
        config = dict(reversed(fresh.items())) if next(runs) else fresh
        students = [{"student_layers": [0]}, {"name": "fresh", "student_config": config}]
        run_id = f"run-{next(runs)}"
        places = {"output": tmp_path / run_id, "plan_uri": f"{tmp_path}/sweep/{run_id}/plan", "run_id": run_id}
        values = {"students": students, **places}
        config = validate(SweepPlanConfig, values)
        return run_stage(config, lambda workspace: run(config, workspace)).facts["branches"]

    first = branches()
    assert branches() == first and [branch["attempt"] for branch in first] == [0, 0]
    write_attempt(first[1]["attempts"], 1)
    again = branches()
    assert again[0] == first[0] and again[1] == {**first[1], "attempt": 1}


@pytest.mark.parametrize(
    ("uri", "run_id", "place"),
    [
        ("minio://mlpipeline/v2/artifacts/sweep/r-1/sweep-plan/u/plan", "r-1", "minio://mlpipeline/v2/artifacts/sweep"),
        ("minio://mlpipeline/v2/artifacts/sweep/r-1/sweep-plan/u/plan", "r-2", None),
        ("minio://mlpipeline/v2/artifacts/sweep/r-1/sweep-plan/u/plan", "", None),
    ],
)
def test_attempts_are_stored_where_all_runs_of_a_pipeline_find_them(monkeypatch, uri, run_id, place):
    monkeypatch.delenv("COMPAWARE_WORK_ROOT", raising=False)
    assert shared_folder(uri, run_id, "sweep-attempts") == (f"{place}/sweep-attempts" if place else None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"students": []}, "'students' is"),
        ({"students": [{"name": "a"}]}, "exactly one of student, student_layers, student_config"),
        (
            {"students": [{"student_layers": [0]}, {"student_layers": [0]}]},
            "called layers_0_t2: give each student a different name",
        ),
        ({"students": [{"student_layers": [0]}], "temperatures": [0]}, "'temperatures.0' is 0"),
        ({"students": [{"student_layers": [0]}], "temperatures": [2, 2.0]}, "two branches of the sweep are called"),
    ],
)
def test_a_mistake_is_one_line(values, expected):
    with pytest.raises(UserError, match=expected.replace("(", r"\(")) as failed:
        plan(**values)
    assert "\n" not in str(failed.value)
