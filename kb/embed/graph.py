"""Writes the ONNX graph of a BERT-like encoder from its weights, in the fused operations of ONNX Runtime.

Written directly, and not traced by torch's exporter, the graph is twice as fast: its attention, its normalisation with
the residual, and its activation are one operation each, and it knows no padding, since every run is of texts of one
length. The operations are those of https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

OUTPUT: Final = "token_embeddings"
# Positions of the RoBERTa family begin after the padding index, and padding has none of its own.
FROM_PADDING: Final = frozenset({"camembert", "roberta", "xlm-roberta"})
KINDS: Final = FROM_PADDING | {"bert"}
_OPSET: Final = 17
_IR: Final = 8
_MICROSOFT: Final = "com.microsoft"
# Each weight begins at a page, so that the file can be mapped into memory as it is.
_PAGE: Final = 4096
# Seven bits: on processors with AVX2 alone, sums of pairs of eight-bit products overflow sixteen bits.
_MOST: Final = 63


def builds(config: Mapping[str, Any]) -> bool:
    """Whether a model is of the kind that is written here."""
    return (
        config.get("model_type") in KINDS
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
    )


def write_graph(
    weight: Callable[[str], NDArray[np.float32]], config: Mapping[str, Any], path: Path, *, int8: bool = False
) -> None:
    """Write the graph, and its weights beside it in ``<path>.data``.

    Args:
        weight: Gives each weight by its name in transformers, in float32.
        config: The model's configuration, for which ``builds`` holds.
        path: Where to write it.
        int8: Whether to keep weights in eight bits, each column by a scale of its own; what is multiplied with them is
            brought to eight bits by the range it has at that moment.
    """
    import onnx

    with path.with_name(f"{path.name}.data").open("wb") as data:
        graph = _Graph(data, f"{path.name}.data", int8=int8)
        out = _encoder(graph, weight, config)
        graph.node("Identity", [out], OUTPUT)
    helper, kind = onnx.helper, onnx.TensorProto
    hidden = int(config["hidden_size"])
    made = helper.make_graph(
        graph.nodes,
        "encoder",
        [helper.make_tensor_value_info("input_ids", kind.INT64, ["texts", "tokens"])],
        [helper.make_tensor_value_info(OUTPUT, kind.FLOAT, ["texts", "tokens", hidden])],
        graph.initializers,
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
    path.write_bytes(helper.make_model(made, opset_imports=opsets, ir_version=_IR).SerializeToString())


def _encoder(graph: _Graph, weight: Callable[[str], NDArray[np.float32]], config: Mapping[str, Any]) -> str:
    """The nodes of the whole encoder; the name of its output."""
    epsilon = float(config["layer_norm_eps"])
    norm = [graph.tensor(f"embeddings.norm.{part}", weight(f"embeddings.LayerNorm.{part}")) for part in _NORM]
    words = graph.rows("embeddings.words", weight("embeddings.word_embeddings.weight"))
    # There is one kind of text only, so its vector is added to that of each place.
    places = weight("embeddings.position_embeddings.weight") + weight("embeddings.token_type_embeddings.weight")[0]
    summed = graph.node("Add", [words, _places(graph, places, config)], "embeddings.sum")
    x = graph.node("LayerNormalization", [summed, *norm], "embeddings.out", axis=-1, epsilon=epsilon)
    for number in range(int(config["num_hidden_layers"])):
        x = _layer(graph, weight, x, number, int(config["num_attention_heads"]), epsilon)
    return x


def _places(graph: _Graph, table: NDArray[np.float32], config: Mapping[str, Any]) -> str:
    """The vectors of the places of a text."""
    tensor = graph.tensor("embeddings.places.table", table)
    if config["model_type"] not in FROM_PADDING:
        first = graph.tensor("zero", np.zeros(1, np.int64))
        count = graph.node("Shape", ["input_ids"], "count", start=1, end=2)
        return graph.node("Slice", [tensor, first, count, first], "embeddings.places")
    padding = graph.tensor("padding", np.array(config["pad_token_id"], np.int64))
    axis = graph.tensor("axis", np.array(1, np.int64))
    same = graph.node("Equal", ["input_ids", padding], "is.padding")
    real = graph.node("Cast", [graph.node("Not", [same], "no.padding")], "counted", to=7)
    order = graph.node("Mul", [graph.node("CumSum", [real, axis], "order"), real], "order.counted")
    ids = graph.node("Add", [order, padding], "places")
    return graph.node("Gather", [tensor, ids], "embeddings.places")


def _layer(  # noqa: PLR0917 - private, and called once
    graph: _Graph,
    weight: Callable[[str], NDArray[np.float32]],
    x: str,
    number: int,
    heads: int,
    epsilon: float,
) -> str:
    """One layer: attention, then two dense steps, each followed by its residual and normalisation."""
    there, name = f"encoder.layer.{number}", f"layer.{number}"
    of = [f"{there}.attention.self.{part}" for part in ("query", "key", "value")]
    parts = graph.dense(x, [(f"{name}.{one.rpartition('.')[2]}", weight(f"{one}.weight")) for one in of])
    bias = graph.tensor(f"{name}.attention.bias", np.concatenate([weight(f"{one}.bias") for one in of]))
    mixed = graph.node("MultiHeadAttention", [*parts, bias], f"{name}.attention", _MICROSOFT, num_heads=heads)

    def closed(came: str, residual: str, at: str, step: str, *, eight: bool) -> str:
        (made,) = graph.dense(came, [(f"{name}.{step}", weight(f"{at}.dense.weight"))], eight=eight)
        norm = [graph.tensor(f"{name}.{step}.norm.{part}", weight(f"{at}.LayerNorm.{part}")) for part in _NORM]
        norm.append(graph.tensor(f"{name}.{step}.bias", weight(f"{at}.dense.bias")))
        inputs = [made, residual, *norm]
        return graph.node("SkipLayerNormalization", inputs, f"{name}.{step}.out", _MICROSOFT, epsilon=epsilon)

    attended = closed(mixed, x, f"{there}.attention.output", "attended", eight=True)
    (wide,) = graph.dense(attended, [(f"{name}.wide", weight(f"{there}.intermediate.dense.weight"))])
    wide_bias = graph.tensor(f"{name}.wide.bias", weight(f"{there}.intermediate.dense.bias"))
    active = graph.node("BiasGelu", [wide, wide_bias], f"{name}.active", _MICROSOFT)
    # Outliers in the first layer cost most of what eight bits lose; its second dense step stays as it is.
    return closed(active, attended, f"{there}.output", "narrow", eight=number > 0)


_NORM: Final = ("weight", "bias")


class _Graph:
    """A graph as it grows; its weights go to the file at once, so that few are in memory.

    Args:
        data: Where weights are written.
        location: The name of that file.
        int8: Whether dense steps keep their weights in eight bits.
    """

    def __init__(self, data: BinaryIO, location: str, *, int8: bool) -> None:
        self._data = data
        self._location = location
        self._int8 = int8
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def node(self, operation: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: object) -> str:
        """Add an operation with one output."""
        self._add(operation, inputs, [output], domain, attributes)
        return output

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant."""
        import onnx

        values = np.ascontiguousarray(values) if values.ndim else values
        small = onnx.numpy_helper.from_array(values if values.nbytes < _PAGE else values[:0], name)
        if values.nbytes >= _PAGE:
            small = onnx.TensorProto(
                name=name, data_type=small.data_type, dims=values.shape, data_location=onnx.TensorProto.EXTERNAL
            )
            start = -(-self._data.tell() // _PAGE) * _PAGE
            self._data.seek(start)
            values.tofile(self._data)
            for key, value in (("location", self._location), ("offset", start), ("length", values.nbytes)):
                small.external_data.add(key=key, value=str(value))
        self.initializers.append(small)
        return name

    def rows(self, name: str, table: NDArray[np.float32]) -> str:
        """The rows of a table that the tokens name; in eight bits by a scale for each row."""
        if not self._int8:
            return self.node("Gather", [self.tensor(f"{name}.table", table), "input_ids"], name)
        eight, scale = _eight_bits(table, axis=1, most=127)
        taken = self.node("Gather", [self.tensor(f"{name}.table", eight), "input_ids"], f"{name}.taken")
        scales = self.node("Gather", [self.tensor(f"{name}.scale", scale), "input_ids"], f"{name}.scales")
        return self.node("Mul", [self.node("Cast", [taken], f"{name}.cast", to=1), scales], name)

    def dense(self, x: str, steps: Sequence[tuple[str, NDArray[np.float32]]], *, eight: bool = True) -> list[str]:
        """One input multiplied by several matrices, each of shape (outputs, inputs) as torch keeps them."""
        if not (self._int8 and eight):
            return [self.node("MatMul", [x, self.tensor(f"{name}.weight", w.T)], name) for name, w in steps]
        parts = [f"{x}.eight", f"{x}.scale", f"{x}.zero"]
        self._add("DynamicQuantizeLinear", [x], parts, "", {})
        made = []
        for name, w in steps:
            values, scale = _eight_bits(w.T, axis=0, most=_MOST)
            right = [self.tensor(f"{name}.weight", values), self.tensor(f"{name}.scale", scale.reshape(-1))]
            zero = self.tensor(f"{name}.zero", np.zeros(w.shape[0], np.int8))
            inputs = [parts[0], right[0], parts[1], right[1], parts[2], zero]
            made.append(self.node("MatMulIntegerToFloat", inputs, name, _MICROSOFT))
        return made

    def _add(
        self,
        operation: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        domain: str,
        attributes: Mapping[str, Any],
    ) -> None:
        import onnx

        made = onnx.helper.make_node(operation, inputs, outputs, name=outputs[0], domain=domain, **attributes)
        self.nodes.append(made)


def _eight_bits(values: NDArray[np.float32], axis: int, most: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Values as whole numbers up to ``most`` and a scale for each row or column: symmetric, to the nearest."""
    largest = np.max(np.abs(values), axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / most, 1.0).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale
