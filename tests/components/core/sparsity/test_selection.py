"""Masks have exactly the target number of zeros, in the pattern, where the scores are lowest."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.core.sparsity.patterns import Blocks, NofM, Pattern
from compaware.components.core.sparsity.selection import mask_from_scores

PATTERNS = st.one_of(
    st.builds(Blocks, st.integers(1, 4), st.integers(1, 4)),
    st.integers(2, 6).flatmap(lambda m: st.builds(NofM, st.integers(1, m - 1), st.just(m))),
)
SHAPES = st.lists(st.tuples(st.integers(1, 24), st.integers(1, 24)), min_size=1, max_size=3)


def scores_of(shapes: list[tuple[int, int]], levels: int, seed: int) -> dict[str, torch.Tensor]:
    """Scores with many ties where there are few levels."""
    generator = torch.Generator().manual_seed(seed)
    return {
        f"layer.{index}": torch.randint(0, levels, shape, generator=generator).float()
        for index, shape in enumerate(shapes)
    }


@settings(max_examples=150, deadline=None)
@given(
    PATTERNS,
    SHAPES,
    st.floats(0, 1),
    st.sampled_from(["layer", "global"]),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_any_mask_has_the_target_sparsity_in_the_pattern_or_is_rejected(
    pattern: Pattern, shapes, part, scope, levels, seed
):
    scores = scores_of(shapes, levels, seed)
    sparsity = part * pattern.max_sparsity
    if not all(pattern.divides(shape) for shape in shapes):
        with pytest.raises(UserError, match=f"pattern {pattern} does not divide 'layer"):
            mask_from_scores(scores, sparsity, pattern, scope)
        return
    masks = mask_from_scores(scores, sparsity, pattern, scope)
    groups = [list(masks)] if scope == "global" else [[name] for name in masks]
    for names in groups:
        units = sum(masks[name].numel() for name in names) // pattern.unit_size
        zeros = sum(int((~masks[name]).sum()) for name in names)
        assert zeros == round(sparsity * units) * pattern.unit_size
    assert all(pattern.admits(mask) for mask in masks.values())
    if part == 1:
        assert all(pattern.holds(mask) for mask in masks.values())


@settings(max_examples=60, deadline=None)
@given(PATTERNS, st.integers(0, 99), st.sampled_from(["layer", "global"]))
def test_zeros_only_grow(pattern: Pattern, seed, scope):
    side = pattern.m * 4 if isinstance(pattern, NofM) else pattern.rows * pattern.columns * 2
    shapes = [(side, side), (side, 2 * side)]
    first = mask_from_scores(scores_of(shapes, 1000, seed), 0.3 * pattern.max_sparsity, pattern, scope)
    second = mask_from_scores(scores_of(shapes, 1000, seed + 1), 0.8 * pattern.max_sparsity, pattern, scope, first)
    for name, mask in second.items():
        assert not (mask & ~first[name]).any()
    zeros = sum(int((~mask).sum()) for mask in second.values())
    units = sum(mask.numel() for mask in second.values()) // pattern.unit_size
    assert abs(zeros / pattern.unit_size - 0.8 * pattern.max_sparsity * units) <= 1


def test_the_lowest_scores_are_pruned():
    scores = {"a": torch.tensor([[1.0, 2.0, 3.0, 4.0]]), "b": torch.tensor([[5.0, 6.0, 7.0, 8.0]])}
    by_layer = mask_from_scores(scores, 0.5, Blocks(), "layer")
    assert by_layer["a"].tolist() == by_layer["b"].tolist() == [[False, False, True, True]]
    everywhere = mask_from_scores(scores, 0.5, Blocks(), "global")
    assert not everywhere["a"].any()
    assert everywhere["b"].all()


def test_two_of_four_keeps_the_best_two_of_every_four_inputs():
    scores = {"a": torch.tensor([[9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0]])}
    mask = mask_from_scores(scores, 0.5, NofM(2, 4))["a"]
    assert mask.tolist() == [[True, True, False, False, False, False, True, True]]


def test_more_zeros_than_a_pattern_allows_are_rejected():
    with pytest.raises(UserError, match=r"allows a sparsity from 0 to 0\.5"):
        mask_from_scores({"a": torch.ones(2, 4)}, 0.8, NofM(2, 4))
