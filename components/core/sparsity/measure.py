"""Measures the sparsity and the compressed size of a saved model from its file."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from compaware.components.core.base.escaping import markdown
from compaware.components.core.sparsity.patterns import Pattern

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class LayerSparsity:
    """The zeros of one saved matrix.

    Attributes:
        name: Parameter name.
        shape: (outputs, inputs).
        zeros: Number of exact zeros.
        follows_pattern: Whether the zeros follow the pattern.
    """

    name: str
    shape: tuple[int, ...]
    zeros: int
    follows_pattern: bool

    @property
    def weights(self) -> int:
        """Number of weights, zeros included."""
        return self.shape[0] * self.shape[1]

    @property
    def sparsity(self) -> float:
        """Fraction of zeros."""
        return self.zeros / self.weights


def measure_layers(weights_file: Path, names: Sequence[str], pattern: Pattern) -> list[LayerSparsity]:
    """Counts the zeros of matrices in a safetensors file."""
    layers = []
    with safe_open(weights_file, framework="pt") as file:
        for name in names:
            kept = file.get_tensor(name) != 0
            layers.append(LayerSparsity(name, tuple(kept.shape), int((~kept).sum()), pattern.holds(kept)))
    return layers


def total_sparsity(layers: Sequence[LayerSparsity]) -> float:
    """Returns the fraction of zeros in all layers together."""
    return sum(layer.zeros for layer in layers) / sum(layer.weights for layer in layers)


def compressed_bytes(file: Path) -> int:
    """Returns the size of a file compressed with DEFLATE at level 6, the default of zip and gzip."""
    compressor = zlib.compressobj(6)
    size = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            size += len(compressor.compress(chunk))
    return size + len(compressor.flush())


def layers_markdown(layers: Sequence[LayerSparsity], pattern: Pattern) -> str:
    """Returns a Markdown table with one row for each layer and the total."""
    total_zeros, total_weights = sum(layer.zeros for layer in layers), sum(layer.weights for layer in layers)
    lines = [f"| layer | shape | zeros | sparsity | {markdown(pattern)} |", "|---|---|---:|---:|---|"]
    for layer in layers:
        shape = " x ".join(str(length) for length in layer.shape)
        follows = "yes" if layer.follows_pattern else "no"
        lines.append(f"| {markdown(layer.name)} | {shape} | {layer.zeros:,} | {layer.sparsity:.2%} | {follows} |")
    follows = "yes" if all(layer.follows_pattern for layer in layers) else "no"
    total = f"{total_zeros:,} of {total_weights:,} | {total_sparsity(layers):.2%}"
    lines.append(f"| all | | {total} | {follows} |")
    return "\n".join(lines) + "\n"
