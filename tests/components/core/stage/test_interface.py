"""Options are merged into a component's configuration, and the sample has defaults of its own."""

import json
from pathlib import Path

import pytest

from compaware.components.change_check.config import ChangeCheckConfig
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import read_values
from compaware.components.core.stage.interface import option_names
from compaware.components.core.stage.sample_defaults import DEFAULTS, with_sample_defaults
from compaware.components.distillation.config import DistillationConfig
from compaware.components.quantization_aware_training.config import QuantizationAwareTrainingConfig
from compaware.components.sparsity_aware_training.config import SparsityAwareTrainingConfig
from compaware.components.sweep_benchmark.config import SweepBenchmarkConfig
from compaware.pipelines.client.catalog import config_class


def test_options_of_a_step_override_those_that_trainings_share() -> None:
    written = {"seed": 7, "training_options": {"alpha": 0.1, "batch_size": 8}, "options": {"alpha": 0.9, "epochs": 2}}
    assert DistillationConfig.merged(written) == {"seed": 7, "alpha": 0.9, "batch_size": 8, "epochs": 2}


def test_shared_options_that_a_component_lacks_are_for_others() -> None:
    assert QuantizationAwareTrainingConfig.merged({"training_options": {"backend": "torch", "alpha": 1}}) == {
        "alpha": 1
    }
    assert ChangeCheckConfig.merged({"data_options": {"hub_revision": "v2", "max_train_rows": 9}}) == {
        "hub_revision": "v2"
    }


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"options": {"epcohs": 2}}, "unknown key 'options.epcohs': did you mean 'options.epochs'?"),
        (
            {"training_options": {"apha": 1}},
            "unknown key 'training_options.apha': did you mean 'training_options.alpha'?",
        ),
        ({"options": {"output": "/"}}, "unknown key 'options.output'"),
        ({"options": {"seed": 1}}, "unknown key 'options.seed'"),
        ({"epochs": 1, "options": {"epochs": 2}}, "'epochs' and 'options.epochs' differ: leave one of them out"),
        ({"options": [1]}, "'options' must be a mapping"),
    ],
)
def test_a_mistake_in_options_is_one_line(written: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as caught:
        DistillationConfig.merged(written)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def dataset(folder: Path, task: str) -> str:
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"task": task}), encoding="utf-8")
    return str(folder)


def test_the_samples_defaults_are_for_the_sample_alone_and_replace_nothing_given(tmp_path: Path) -> None:
    sample, own = dataset(tmp_path / "sample", "sample"), dataset(tmp_path / "own", "custom")
    completed = with_sample_defaults("teacher_check", {"dataset": sample, "teacher": None, "epochs": 1})
    assert completed["fine_tune_if_needed"] is True and completed["epochs"] == 1
    for given in ({"dataset": own}, {"dataset": sample, "teacher": "t"}, {"dataset": str(tmp_path / "none")}):
        assert with_sample_defaults("teacher_check", given) == given
    as_uri = with_sample_defaults("distillation", {"dataset": (tmp_path / "sample").as_uri()})
    assert as_uri["student_layers"] == [0, 3]


def test_the_samples_defaults_are_settings_that_exist() -> None:
    for component, defaults in DEFAULTS.items():
        config = config_class(component)
        assert config is not None
        assert {*defaults.values, *defaults.unless} <= config.model_fields.keys()
        assert "output" not in option_names(config)


def test_an_empty_parameter_stands_for_one_that_was_not_given():
    """KFP requires a value for each parameter of a group of tasks."""
    empty = {"student": "", "student_layers": [], "seed": 0, "max_length_tokens": 64}
    assert DistillationConfig.merged(empty) == {"seed": 0, "max_length_tokens": 64}
    limits = {"max_latency_ms": 0.0, "max_size_mb": 5.0, "min_accuracy": 0}
    assert SweepBenchmarkConfig.merged(limits) == {"max_size_mb": 5.0}


@pytest.mark.parametrize("text", ['{"target_sparsity": 0.0, "seed": 0}', '{"target_sparsity": 0, "seed": 0}'])
def test_a_zero_in_a_file_stands_for_none_as_well(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task passes its parameters in COMPAWARE_CONFIG, whose numbers are text until their fields are known."""
    monkeypatch.setenv("COMPAWARE_CONFIG", text)
    config = SparsityAwareTrainingConfig
    assert read_values(config, None, [], config.merged) == {"seed": 0}
