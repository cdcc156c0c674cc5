"""BitDropout drops and scales like torch's dropout, and changes nothing else in a model."""

import pytest
import torch

from compaware.components.core.training.speedups.bit_dropout import BitDropout, use_bit_dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.003])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_expected_number_of_elements_is_dropped_and_the_rest_is_scaled(
    probability: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    dropped = BitDropout(probability)(torch.ones(1000, 1001, dtype=dtype))
    assert dropped.dtype == dtype
    # Ten standard errors of the share, for each of the four numbers that one draw gives.
    for lane in range(4):
        share = (dropped.flatten()[lane::4] == 0).double().mean().item()
        assert share == pytest.approx(probability, abs=10 * (probability / 250_000) ** 0.5)
    kept = dropped[dropped != 0].float()
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - probability)), rtol=1e-2, atol=0)


def test_the_gradient_goes_through_what_was_kept() -> None:
    torch.manual_seed(0)
    rows = torch.randn(33, 7, requires_grad=True)
    dropped = BitDropout(0.3)(rows)
    dropped.sum().backward()
    assert rows.grad is not None
    torch.testing.assert_close(rows.grad * rows, dropped)
    assert 0 < (dropped == 0).sum() < rows.numel()


def test_a_seed_gives_the_same_elements() -> None:
    dropout, rows = BitDropout(0.3), torch.ones(50)
    torch.manual_seed(3)
    first, second = dropout(rows), dropout(rows)
    torch.manual_seed(3)
    assert torch.equal(dropout(rows), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("probability", "left"), [(0.0, 1.0), (1.0, 0.0)])
def test_probabilities_0_and_1_use_torchs_dropout(probability: float, left: float) -> None:
    assert torch.equal(BitDropout(probability)(torch.ones(5)), torch.full((5,), left))


def test_a_model_keeps_its_weights_names_and_logits() -> None:
    inner = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.2))
    model = torch.nn.Sequential(inner, torch.nn.Linear(4, 2))
    before, rows = model.state_dict(), torch.randn(3, 4)
    wanted = model.eval()(rows)
    use_bit_dropout(model)
    assert isinstance(inner[1], BitDropout) and inner[1].p == 0.2
    assert model.state_dict().keys() == before.keys()
    assert torch.equal(model.eval()(rows), wanted)
    model.train()
    assert not torch.equal(model(rows), model(rows))
