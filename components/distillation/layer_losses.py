"""Losses between the layers of student and teacher."""

import torch


def hidden_state_loss(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared error between hidden states of real tokens (TinyBERT, Jiao et al. 2020, arXiv:1909.10351, eq. 8).

    Args:
        student: (batch, sequence, hidden), already projected to the teacher's width where they differ.
        teacher: (batch, sequence, hidden).
        mask: (batch, sequence), 1 for real tokens.
    """
    error = (student.float() - teacher.float()).pow(2).mean(dim=-1)
    return (error * mask).sum() / mask.sum()


def attention_loss(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared error between attention probabilities, averaged over heads (TinyBERT, eq. 7).

    Args:
        student: (batch, heads, sequence, sequence); the number of heads may differ from the teacher's.
        teacher: (batch, heads, sequence, sequence).
        mask: (batch, sequence), 1 for real tokens.
    """
    error = (student.float().mean(dim=1) - teacher.float().mean(dim=1)).pow(2)
    pairs = mask.unsqueeze(1) * mask.unsqueeze(2)
    return (error * pairs).sum() / pairs.sum()
