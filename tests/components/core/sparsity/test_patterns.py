"""Patterns are parsed and printed, and reject other zeros."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.core.sparsity.patterns import Blocks, NofM, parse_pattern, resolve_sparsity


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("unstructured", Blocks(1, 1)), ("4x1", Blocks(4, 1)), ("1x16", Blocks(1, 16)), ("2:4", NofM(2, 4))],
)
def test_a_pattern_is_parsed_and_printed_the_same(text, pattern):
    assert parse_pattern(text) == pattern
    assert str(pattern) == text


@given(st.text(max_size=8).filter(lambda text: text != "unstructured"))
def test_any_text_is_a_pattern_or_one_line_that_names_the_choices(text):
    try:
        pattern = parse_pattern(text)
    except UserError as error:
        refusal = str(error)
        assert all(choice in refusal for choice in ("unstructured", "2:4", "4x1"))
    else:
        assert isinstance(pattern, Blocks | NofM)


@pytest.mark.parametrize("text", ["", "dense", "4:2", "4:4", "0:4", "0x4", "4x0", "4x", "2:4:8", "-1:4"])
def test_invalid_patterns_are_rejected(text):
    with pytest.raises(UserError, match="is not one of"):
        parse_pattern(text)


def test_n_of_m_implies_its_sparsity_and_refuses_another():
    assert resolve_sparsity(NofM(1, 4), None) == 0.75
    assert resolve_sparsity(NofM(2, 4), 0.5) == 0.5
    with pytest.raises(UserError, match="does not fit pattern 2:4"):
        resolve_sparsity(NofM(2, 4), 0.8)


@pytest.mark.parametrize("sparsity", [0.0, 1.0, -0.1, 80.0])
def test_a_sparsity_that_is_not_a_fraction_is_refused(sparsity):
    with pytest.raises(UserError, match="between 0 and 1"):
        resolve_sparsity(Blocks(), sparsity)


def test_zeros_of_another_pattern_are_detected():
    half = torch.tensor([[True, False], [True, True]])
    assert Blocks(1, 1).holds(half)
    assert Blocks(2, 1).holds(torch.tensor([[True, False], [True, False]]))
    assert not Blocks(2, 1).holds(half)
    assert not Blocks(4, 1).holds(half)
    assert NofM(1, 2).admits(half)
    assert not NofM(1, 2).holds(half)
    assert not NofM(2, 4).admits(torch.tensor([[True, False, False, False]]))
