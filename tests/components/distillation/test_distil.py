"""distillation: the three kinds of student, transfer losses, and rejected inputs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.data.soft_labels import model_fingerprint
from compaware.components.core.data.tokenizer import load_tokenizer, tokenizer_fingerprint
from compaware.components.core.models.layers import keep_layers
from compaware.components.core.models.load import load_classifier
from compaware.components.core.stage.workspace import run_stage
from compaware.components.core.training.objectives import LogitObjective
from compaware.components.distillation.config import DistillationConfig
from compaware.components.distillation.distil import run
from compaware.components.distillation.layer_losses import hidden_state_loss
from compaware.components.distillation.transfer import TransferObjective
from tests.tiny import SMALL_BERT, make_dataset, make_model, make_soft_labels, turn_head


class Inputs:
    """Data with a teacher that was not trained: its soft labels are the true labels, which any student can learn."""

    def __init__(self, root: Path):
        self.data = make_dataset(root / "data")
        self.teacher = make_model(root / "teacher", self.data)
        Summary.create("teacher_check", self.config(root), {"teacher_accuracy": 1.0}, {"parameters": 1}).save(
            self.teacher
        )
        self.soft = make_soft_labels(root / "soft", self.data, **fingerprints(self.teacher))

    def config(self, root: Path, **options: object) -> DistillationConfig:
        values = {
            "output": root / "student",
            "dataset": self.data.path,
            "teacher": getattr(self, "teacher", root),
            "soft_labels": getattr(self, "soft", root),
            "epochs": 5,
            "learning_rate": 3e-3,
            "max_length_tokens": 32,
        }
        return validate(DistillationConfig, {**values, **({"student_layers": [0]} | options)})


def fingerprints(teacher: Path) -> dict[str, str]:
    return {
        "teacher_fingerprint": model_fingerprint(teacher),
        "tokenizer_fingerprint": tokenizer_fingerprint(teacher),
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("inputs"))


def distil(config: DistillationConfig) -> Summary:
    return run_stage(config, lambda workspace: run(config, workspace))


def test_a_student_of_the_teachers_layers_learns_and_reloads_with_its_score(tmp_path: Path, inputs: Inputs) -> None:
    summary = distil(inputs.config(tmp_path))
    assert summary.metrics["student_accuracy"] > 0.9
    student = load_classifier(tmp_path / "student")
    assert student.config.num_hidden_layers == 1 and student.fresh_parameters == []
    assert load_tokenizer(tmp_path / "student").get_vocab() == load_tokenizer(inputs.teacher).get_vocab()
    # As a student whose labels have no names, and are in another order.
    turned = turn_head(tmp_path / "student", tmp_path / "turned", ["LABEL_0", "LABEL_1"])
    again = inputs.config(tmp_path / "again", student=str(turned), student_layers=None, epochs=1, learning_rate=1e-9)
    assert distil(again).metrics["student_accuracy"] == summary.metrics["student_accuracy"]


def test_frozen_layers_stay_as_the_teacher_has_them_and_all_others_change(tmp_path: Path, inputs: Inputs) -> None:
    distil(inputs.config(tmp_path, student_layers=[0, 1], frozen_layers=1))
    before = load_classifier(inputs.teacher).state_dict()
    after = load_classifier(tmp_path / "student").state_dict()
    same = {name for name, value in after.items() if torch.equal(value, before[name])}
    frozen = {name for name in after if ".embeddings." in name or ".layer.0." in name}
    assert frozen and same == frozen


def test_alpha_one_learns_from_soft_labels_alone(tmp_path: Path, inputs: Inputs) -> None:
    opposite = 8 * np.eye(2, dtype=np.float32)[1 - inputs.data.labels("train")]
    soft = make_soft_labels(tmp_path / "soft", inputs.data, opposite, **fingerprints(inputs.teacher))
    config = inputs.config(tmp_path, alpha=1.0, soft_labels=soft)
    # The soft labels say the opposite of the truth, so a student of theirs alone is wrong throughout; its best
    # checkpoint is the first, before it has learnt them.
    history = distil(config).facts["training"]["history"]
    assert min(point.get("eval_accuracy", 1) for point in history) < 0.2


def test_a_fresh_student_may_have_its_own_tokenizer(tmp_path: Path, inputs: Inputs) -> None:
    other = make_model(tmp_path / "other", inputs.data)
    options = {"student_layers": None, "student_config": {**SMALL_BERT, "hidden_size": 16}, "epochs": 8}
    summary = distil(inputs.config(tmp_path, **options, student_tokenizer=str(other), max_length_tokens=10))
    assert summary.metrics["student_accuracy"] > 0.8
    tokens = load_tokenizer(other)(inputs.data.split("train")["text"].to_pylist())["input_ids"]
    assert summary.metrics["cut_rows"] == sum(len(row) > 10 for row in tokens) > 0
    assert load_classifier(tmp_path / "student").config.hidden_size == 16


def test_transfer_pulls_hidden_states_and_attentions_towards_the_teachers(inputs: Inputs) -> None:
    torch.manual_seed(0)
    tokenizer = load_tokenizer(inputs.teacher)
    student = keep_layers(load_classifier(inputs.teacher), [0])
    objective = TransferObjective(
        LogitObjective(alpha=0.0),
        student=student,
        student_tokenizer=tokenizer,
        teacher_folder=inputs.teacher,
        hidden_weight=10.0,
        attention_weight=10.0,
        layer_map=None,
    )
    batch = dict(
        tokenizer(inputs.data.split("train").column("text").to_pylist()[:64], padding=True, return_tensors="pt")
    )
    labels = torch.tensor([index % 2 for index in range(64)])
    optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)

    def distance() -> float:
        wanted = {"output_hidden_states": True}
        teacher = load_classifier(inputs.teacher).eval()
        with torch.no_grad():
            pair = student(**batch, **wanted).hidden_states[-1], teacher(**batch, **wanted).hidden_states[-1]
        return hidden_state_loss(*pair, batch["attention_mask"]).item()

    before = distance()
    for _ in range(30):
        loss, _ = objective(student, batch, labels, None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = distance()
    assert after < 0.75 * before


def test_the_wrong_student_or_soft_labels_stop_before_training(tmp_path: Path, inputs: Inputs) -> None:
    three = make_dataset(tmp_path / "three", 9, 9, kind="three_class")
    narrow = str(make_model(tmp_path / "narrow", inputs.data, hidden_size=16))
    wide = str(make_model(tmp_path / "wide", three))
    other = make_dataset(tmp_path / "data", seed=9)
    for options, says in [
        ({"student": wide, "student_layers": None}, "the student has 3 outputs"),
        ({"student": narrow, "student_layers": None, "hidden_weight": 1.0}, "hidden_weight needs equal hidden sizes"),
        ({"hidden_weight": 1.0, "layer_map": {0: 7}}, "layer_map 0: 7 is out of range"),
        ({"student_layers": [5]}, "different layers of the teacher"),
        ({"frozen_layers": 1}, "frozen_layers 1 leaves none of the student's 1 layers to train"),
        ({"dataset": other.path}, "belong to other data"),
        ({"training_arguments": {"nonsense": 1}}, "unknown key 'nonsense'"),
    ]:
        with pytest.raises(UserError, match=says):
            distil(inputs.config(tmp_path, existing_output="overwrite", **options))
        assert not (tmp_path / "student").exists()
