"""The losses equal their formulas."""

import pytest
import torch

from compaware.components.core.training.losses import distillation_loss, task_loss
from compaware.components.distillation.layer_losses import attention_loss, hidden_state_loss


def test_distillation_loss_is_the_weighted_sum_of_the_papers_terms() -> None:
    torch.manual_seed(0)
    student, teacher, labels = torch.randn(5, 3), torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    soft_teacher, soft_student = (teacher / 4).softmax(-1), (student / 4).softmax(-1)
    divergence = (soft_teacher * (soft_teacher / soft_student).log()).sum() / 5
    cross_entropy = -student.softmax(-1)[torch.arange(5), labels].log().mean()
    expected = 0.7 * 16 * divergence + 0.3 * cross_entropy
    torch.testing.assert_close(distillation_loss(student, teacher, labels, temperature=4, alpha=0.7), expected)


def test_a_student_that_equals_its_teacher_has_no_soft_loss() -> None:
    logits, labels = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    assert distillation_loss(logits, logits, labels, temperature=2, alpha=1).item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(distillation_loss(logits, -logits, labels, 2, alpha=0), task_loss(logits, labels))


def test_multi_label_distillation_is_a_binary_divergence_for_each_label() -> None:
    torch.manual_seed(0)
    student, teacher, labels = torch.randn(5, 3), torch.randn(5, 3), torch.randint(0, 2, (5, 3))
    p, q = (teacher / 4).sigmoid(), (student / 4).sigmoid()
    divergence = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    found = student.sigmoid()
    cross_entropy = -torch.where(labels == 1, found, 1 - found).log().mean()
    expected = 0.7 * 16 * divergence + 0.3 * cross_entropy
    torch.testing.assert_close(distillation_loss(student, teacher, labels, temperature=4, alpha=0.7), expected)
    assert distillation_loss(teacher, teacher, labels, temperature=2, alpha=1).item() == pytest.approx(0, abs=1e-6)


def test_regression_mixes_squared_errors_to_teacher_and_truth() -> None:
    student, teacher, labels = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [2.0]]), torch.tensor([1.0, 4.0])
    expected = 0.5 * (1 + 0) / 2 + 0.5 * (0 + 4) / 2
    assert distillation_loss(student, teacher, labels, temperature=9, alpha=0.5).item() == pytest.approx(expected)


def test_padding_counts_in_neither_transfer_loss() -> None:
    mask = torch.tensor([[1, 1, 0]])
    student, teacher = torch.randn(1, 3, 8), torch.randn(1, 3, 8)
    maps, other_maps = torch.rand(1, 2, 3, 3), torch.rand(1, 4, 3, 3)
    before = hidden_state_loss(student, teacher, mask), attention_loss(maps, other_maps, mask)
    student[:, 2], maps[:, :, 2], maps[:, :, :, 2] = 99, 99, 99
    assert before == (hidden_state_loss(student, teacher, mask), attention_loss(maps, other_maps, mask))
    torch.testing.assert_close(before[0], (student - teacher)[:, :2].pow(2).mean())
