"""Mixed-precision statistics: how many operators of each type compute in INT8, counted from the converted graph."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

_ATEN = torch.ops.aten
# Operator → its name in the table, and which arguments must be INT8 for it to compute in INT8.
_COUNTED: dict[Callable[..., Any], tuple[str, tuple[int, ...]]] = {
    _ATEN.embedding.default: ("Embedding", (0,)),
    _ATEN.linear.default: ("Linear", (0, 1)),
    _ATEN.matmul.default: ("MatMul", (0, 1)),
    _ATEN.scaled_dot_product_attention.default: ("Attention", (0, 1, 2)),
    _ATEN.layer_norm.default: ("LayerNorm", (0,)),
    _ATEN.softmax.int: ("Softmax", (0,)),
    _ATEN.gelu.default: ("GELU", (0,)),
    _ATEN.relu.default: ("ReLU", (0,)),
    _ATEN.tanh.default: ("Tanh", (0,)),
}
_DEQUANTIZE = {
    torch.ops.quantized_decomposed.dequantize_per_tensor.default,
    torch.ops.quantized_decomposed.dequantize_per_tensor.tensor,
    torch.ops.quantized_decomposed.dequantize_per_channel.default,
}
COLUMNS = ("op_type", "total", "int8", "bf16", "fp32")


def mixed_precision(graph: torch.fx.GraphModule) -> list[dict[str, Any]]:
    """Counts a converted graph's operators by type and precision.

    An operator computes in INT8 when all its tensor operands are dequantized right before it: that is the pattern that
    runtimes fuse into one INT8 kernel. BF16 is read from the operator's own result type.

    Returns:
        One row a type, with the keys `COLUMNS`, in the order of `_COUNTED`.
    """
    rows = {name: dict.fromkeys(COLUMNS[1:], 0) for name, _ in _COUNTED.values()}
    for node in graph.graph.nodes:
        if node.op == "call_function" and node.target in _COUNTED:
            name, operands = _COUNTED[node.target]
            rows[name]["total"] += 1
            rows[name][_precision(node, operands)] += 1
    return [{"op_type": name, **counts} for name, counts in rows.items() if counts["total"]]


def _precision(node: torch.fx.Node, operands: tuple[int, ...]) -> str:
    sources = [node.args[index] for index in operands]
    if all(isinstance(source, torch.fx.Node) and source.target in _DEQUANTIZE for source in sources):
        return "int8"
    value = node.meta.get("val")
    return "bf16" if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16 else "fp32"


def markdown_table(rows: Iterable[dict[str, Any]], columns: Iterable[str], titles: Iterable[str]) -> str:
    """Formats rows as a Markdown table that also reads well as plain text; numbers are right-aligned.

    Args:
        rows: One mapping a row; missing values are shown as a dash.
        columns: Keys of the rows.
        titles: Headings, one a column.
    """
    keys, heads = list(columns), list(titles)
    cells = [[_cell(row.get(key)) for key in keys] for row in rows]
    widths = [max(len(line[index]) for line in [heads, *cells]) for index in range(len(keys))]
    lines = [_line(heads, widths)]
    lines.append("|" + "|".join("-" * (width + 1) + ("-" if i == 0 else ":") for i, width in enumerate(widths)) + "|")
    lines += [_line(line, widths) for line in cells]
    return "\n".join(lines)


def _line(cells: list[str], widths: list[int]) -> str:
    aligned = [
        f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(aligned) + " |"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
