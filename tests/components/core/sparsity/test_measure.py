"""Sparsity and size are read from the saved file."""

import gzip

import pytest
import torch
from safetensors.torch import save_file

from compaware.components.core.sparsity.measure import (
    compressed_bytes,
    layers_markdown,
    measure_layers,
    total_sparsity,
)
from compaware.components.core.sparsity.patterns import Blocks, NofM


@pytest.fixture
def saved(tmp_path):
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(64, 128, generator=generator)
    half = dense.clone()
    half[:, ::2] = 0
    save_file({"dense": dense, "half": half}, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_zeros_are_counted_by_layer_and_in_all(saved):
    layers = measure_layers(saved, ["dense", "half"], NofM(2, 4))
    assert [layer.sparsity for layer in layers] == [0, 0.5]
    assert [layer.follows_pattern for layer in layers] == [False, True]
    assert total_sparsity(layers) == 0.25


def test_the_table_has_a_row_a_layer_and_a_total(saved):
    table = layers_markdown(measure_layers(saved, ["half", "dense"], Blocks(4, 1)), Blocks(4, 1)).splitlines()
    assert table[2] == "| half | 64 x 128 | 4,096 | 50.00% | yes |"
    assert table[-1] == "| all | | 4,096 of 16,384 | 25.00% | yes |"


def test_compressed_size_is_that_of_gzip(saved):
    packed = len(gzip.compress(saved.read_bytes(), compresslevel=6))
    assert compressed_bytes(saved) == pytest.approx(packed, abs=100)
    assert compressed_bytes(saved) < saved.stat().st_size
