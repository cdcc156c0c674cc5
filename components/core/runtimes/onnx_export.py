"""Saves a graph as an ONNX file with the operators that onnxruntime runs fastest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from onnxscript.optimizer import optimize_ir
from onnxscript.rewriter import pattern, rewrite

from compaware.components.core.runtimes.export import dynamic_shapes, example_inputs
from compaware.components.core.runtimes.formats import OUTPUT_NAME

# The domain of onnxruntime's own operators.
_ONNXRUNTIME = "com.microsoft"
# Embedding tables up to this size, such as those of positions, take little memory in FP32.
_SMALL_TABLE_ROWS = 1024


def onnx_program(
    program: torch.export.ExportedProgram, names: Sequence[str], max_tokens: int
) -> torch.onnx.ONNXProgram:
    """Translates an exported graph to ONNX, with one output called `logits`."""
    converted = torch.onnx.export(
        program,
        (),
        kwargs=example_inputs(list(names)),
        dynamic_shapes=dynamic_shapes(list(names), max_tokens),
        input_names=list(names),
        output_names=[OUTPUT_NAME],
        # The first version with one operator for attention, in place of twenty small ones.
        opset_version=23,
        # The optimizer would fuse rotary embeddings in a way that onnxruntime rejects for batches.
        optimize=False,
        dynamo=True,
        verbose=False,
    )
    assert converted is not None
    optimize_ir(converted.model)
    return converted


def save_onnx(program: torch.export.ExportedProgram, names: Sequence[str], max_tokens: int, file: Path) -> None:
    """Saves a graph, in FP32 or with quantize and dequantize nodes, rewritten for onnxruntime."""
    rules = [kind.rule() for kind in (_LookUpInt8Rows, _KeepSumUnfused, _DropHeadTransposes)]
    # Layers with shared weights (ALBERT) share a dequantize node, which is removed when the last layer is rewritten.
    rules += [kind.rule(remove_nodes=False) for kind in (_FuseBiasIntoMatMul, _FuseBiasIntoGemm)]
    model = rewrite(onnx_program(program, names, max_tokens).model, rules)
    if any(node.domain == _ONNXRUNTIME for node in model.graph):
        model.opset_imports[_ONNXRUNTIME] = 1
    ClearMetadataAndDocStringPass()(model)  # The export's stack traces can be larger than the weights.
    onnx_ir.save(model, file)


class _LookUpInt8Rows(pattern.RewriteRuleClassBase):
    """Gather(Dequantize(table), ids) → Cast(Gather(table, ids)) · Gather(scale, ids).

    onnxruntime then converts only the rows that are looked up to FP32, not the whole table at every call. For a small
    table, rows of Cast(table) · scale are looked up, which it computes once when it loads the file. (It folds the
    transposes of linear layers' weights by itself.)
    """

    def pattern(self, op: Any, table: Any, scale: Any, zero_point: Any, ids: Any) -> Any:
        """Matches an embedding with one scale a row."""
        return op.Gather(op.DequantizeLinear(table, scale, zero_point, axis=0), ids)

    def check(self, context: Any, table: onnx_ir.Value, scale: onnx_ir.Value, **_: Any) -> bool:
        """Accepts constant tables only."""
        return table.const_value is not None and scale.const_value is not None

    def rewrite(self, op: Any, table: onnx_ir.Value, scale: onnx_ir.Value, ids: Any, **_: Any) -> Any:
        """Returns the replacement; tables are symmetric, so their zero point is 0."""
        assert table.const_value is not None and scale.const_value is not None
        column = op.initializer(onnx_ir.tensor(scale.const_value.numpy().reshape(-1, 1)), name=f"{scale.name}_column")
        if len(table.const_value.numpy()) <= _SMALL_TABLE_ROWS:
            return op.Gather(op.Mul(op.Cast(table, to=onnx_ir.DataType.FLOAT), column), ids)
        return op.Mul(op.Cast(op.Gather(table, ids), to=onnx_ir.DataType.FLOAT), op.Gather(column, ids))


class _KeepSumUnfused(pattern.RewriteRuleClassBase):
    """LayerNormalization(Add(x, y)) → LayerNormalization(Sum(x, y)).

    onnxruntime would fuse the former into its SkipLayerNormalization, which is slower on CPUs than the two operators
    (version 1.32: 2.0 against 0.7 ms for 832 tokens of width 384).
    """

    def pattern(self, op: Any, x: Any, y: Any, weight: Any, bias: Any) -> Any:
        """Matches a residual connection and its normalization."""
        return op.LayerNormalization(op.Add(x, y), weight, bias, _allow_other_attributes=True, _outputs=["normalized"])

    def rewrite(self, op: Any, x: Any, y: Any, weight: Any, bias: Any, normalized: onnx_ir.Value, **_: Any) -> Any:
        """Returns the replacement."""
        node = normalized.producer()
        assert node is not None
        return op.LayerNormalization(op.Sum(x, y), weight, bias, **node.attributes)


class _DropHeadTransposes(pattern.RewriteRuleClassBase):
    """Attention over (batch, sequence, hidden) instead of (batch, heads, sequence, head).

    The operator takes either; the former needs no transposes around it.
    """

    def pattern(self, op: Any, q: Any, k: Any, v: Any, mask: Any, q4: Any, k4: Any, v4: Any, joined: Any) -> Any:
        """Matches attention between transposes that split off the heads and join them again."""
        heads = [
            op.Transpose(op.Reshape(value, shape), perm=[0, 2, 1, 3]) for value, shape in ((q, q4), (k, k4), (v, v4))
        ]
        attended = op.Attention(*heads, mask, _allow_other_attributes=True, _outputs=["attended"])
        return op.Reshape(op.Transpose(attended, perm=[0, 2, 1, 3]), joined, _outputs=["result"])

    def check(self, context: Any, q: Any, k: Any, v: Any, attended: onnx_ir.Value, result: Any, **_: Any) -> bool:
        """Accepts three axes and a known number of heads; GPT-2 continues with (batch x sequence, hidden)."""
        three_axes = all(value.shape is not None and len(value.shape) == 3 for value in (q, k, v, result))
        return three_axes and all(isinstance(heads, int) for heads in _heads(attended))

    def rewrite(self, op: Any, q: Any, k: Any, v: Any, mask: Any, attended: onnx_ir.Value, **_: Any) -> Any:
        """Returns the replacement."""
        node = attended.producer()
        assert node is not None
        q_heads, kv_heads = _heads(attended)
        return op.Attention(q, k, v, mask, q_num_heads=q_heads, kv_num_heads=kv_heads, **node.attributes)


def _heads(attended: onnx_ir.Value) -> tuple[Any, Any]:
    node = attended.producer()
    assert node is not None
    q, k = node.inputs[:2]
    assert q is not None and k is not None and q.shape is not None and k.shape is not None
    return q.shape[1], k.shape[1]


class _FuseBiasIntoMatMul(pattern.RewriteRuleClassBase):
    """Add(MatMul(Dequantize(x), Dequantize(weight)), bias) → MatMulIntegerToFloat with the bias.

    onnxruntime fuses Dequantize and MatMul into MatMulIntegerToFloat by itself, but adds the bias separately.
    """

    def pattern(self, op: Any, x: Any, weight: Any, scale: Any, zero_point: Any, bias: Any) -> Any:
        """Matches `torch.nn.functional.linear` over three axes."""
        weights = op.Transpose(op.DequantizeLinear(weight, scale, zero_point, axis=0), perm=[1, 0])
        return op.Add(op.MatMul(x, weights), bias)

    def check(self, context: Any, x: onnx_ir.Value, weight: onnx_ir.Value, bias: onnx_ir.Value, **_: Any) -> bool:
        """Accepts products of INT8 with INT8 and constant weights only."""
        return _is_dequantized(x) and weight.const_value is not None and bias.const_value is not None

    def rewrite(self, op: Any, x: onnx_ir.Value, weight: Any, scale: Any, bias: Any, **_: Any) -> Any:
        """Returns the replacement."""
        node = x.producer()
        assert node is not None and weight.const_value is not None
        bytes_in, x_scale, x_zero_point = node.inputs
        columns = np.ascontiguousarray(weight.const_value.numpy().T)
        by_column = _constant(op, columns, f"{weight.name}_by_column", weight.graph)
        zero = _constant(op, np.zeros((), columns.dtype), f"{weight.name}_zero", weight.graph)
        inputs = (bytes_in, by_column, x_scale, scale, x_zero_point, zero, bias)
        return op.MatMulIntegerToFloat(*inputs, _domain=_ONNXRUNTIME, _version=1)


class _FuseBiasIntoGemm(_FuseBiasIntoMatMul):
    """The same for a linear layer over two axes, whose weights onnxruntime would convert to FP32 at every call."""

    def pattern(self, op: Any, x: Any, weight: Any, scale: Any, zero_point: Any, bias: Any) -> Any:
        """Matches `torch.nn.functional.linear` over two axes."""
        weights = op.DequantizeLinear(weight, scale, zero_point, axis=0)
        return op.Gemm(x, weights, bias, transB=1, alpha=1.0, beta=1.0, _allow_other_attributes=True)


def _constant(op: Any, array: np.ndarray, name: str, graph: onnx_ir.Graph | None) -> onnx_ir.Value:
    """Returns the graph's constant of this name; creates it if it does not exist."""
    existing = graph.initializers.get(name) if graph else None
    return existing or op.initializer(onnx_ir.tensor(array), name=name)


def _is_dequantized(value: onnx_ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type == "DequantizeLinear"
