"""Writes the ONNX graphs of BERT-like encoders, in ONNX Runtime's fused operations.

They are twice as fast as traced graphs, because attention, residual normalisation and activation are one operation
each, and texts of equal length need no padding. See
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from kb.embedding.quantization import quantized_columns, quantized_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kb.embedding.calibration import Calibration

OUTPUT: Final = "token_embeddings"
# Position ids of the RoBERTa family begin after the padding index.
FROM_PADDING: Final = frozenset({"camembert", "roberta", "xlm-roberta"})
KINDS: Final = FROM_PADDING | {"bert"}
_OPSET: Final = 17
_IR: Final = 8
_MICROSOFT: Final = "com.microsoft"
# Weights are aligned to pages, so that the file can be memory-mapped.
_PAGE: Final = 4096


def builds(config: Mapping[str, Any]) -> bool:
    """Whether kb can write the graph of a model directly."""
    return (
        config.get("model_type") in KINDS
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
    )


def write_graph(
    weight: Callable[[str], NDArray[np.float32]],
    config: Mapping[str, Any],
    path: Path,
    calibration: Calibration | None = None,
) -> None:
    """Write a graph, with its weights in ``<path>.data``.

    Args:
        weight: Returns a float32 weight by its name in transformers.
        config: The model's configuration, which ``builds`` accepts.
        path: The file to write.
        calibration: How to compute in int8, with the range of activations found for each text; None for float32.
    """
    import onnx

    with path.with_name(f"{path.name}.data").open("wb") as data:
        graph = _Graph(data, f"{path.name}.data", calibration)
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
    """Add the nodes of the encoder; returns the name of its output."""
    epsilon = float(config["layer_norm_eps"])
    norm = [graph.tensor(f"embeddings.norm.{part}", weight(f"embeddings.LayerNorm.{part}")) for part in _NORM]
    words = graph.rows("embeddings.words", weight("embeddings.word_embeddings.weight"))
    # There is only one token type, so its vector is added to each position.
    places = weight("embeddings.position_embeddings.weight") + weight("embeddings.token_type_embeddings.weight")[0]
    summed = graph.node("Add", [words, _places(graph, places, config)], "embeddings.sum")
    x = graph.node("LayerNormalization", [summed, *norm], "embeddings.out", axis=-1, epsilon=epsilon)
    for number in range(int(config["num_hidden_layers"])):
        x = _layer(graph, weight, x, number, int(config["num_attention_heads"]), epsilon)
    return x


def _places(graph: _Graph, table: NDArray[np.float32], config: Mapping[str, Any]) -> str:
    """Add the position embeddings."""
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
    """Add one layer: attention and two dense steps, each with residual and normalisation."""
    there, name = f"encoder.layer.{number}", f"layer.{number}"
    query, key, value = (f"{there}.attention.self.{part}" for part in ("query", "key", "value"))
    attention, intermediate, output = f"{there}.attention.output", f"{there}.intermediate", f"{there}.output"
    # What attention mixes is divided by dividing what makes the values.
    divisor = graph.divisor(f"{attention}.dense")
    values = weight(f"{value}.weight") / divisor[:, np.newaxis]
    matrices = [(f"{name}.query", weight(f"{query}.weight")), (f"{name}.key", weight(f"{key}.weight"))]
    parts = graph.dense(graph.divided(x, query), query, [*matrices, (f"{name}.value", values)])
    biases = np.concatenate([weight(f"{query}.bias"), weight(f"{key}.bias"), weight(f"{value}.bias") / divisor])
    bias = graph.tensor(f"{name}.attention.bias", biases)
    mixed = graph.node("MultiHeadAttention", [*parts, bias], f"{name}.attention", _MICROSOFT, num_heads=heads)

    def closed(came: str, residual: str, at: str, step: str) -> str:
        (made,) = graph.dense(came, f"{at}.dense", [(f"{name}.{step}", weight(f"{at}.dense.weight"))])
        norm = [graph.tensor(f"{name}.{step}.norm.{part}", weight(f"{at}.LayerNorm.{part}")) for part in _NORM]
        norm.append(graph.tensor(f"{name}.{step}.bias", weight(f"{at}.dense.bias")))
        inputs = [made, residual, *norm]
        return graph.node("SkipLayerNormalization", inputs, f"{name}.{step}.out", _MICROSOFT, epsilon=epsilon)

    attended = closed(mixed, x, attention, "attended")
    wider = [(f"{name}.wide", weight(f"{intermediate}.dense.weight"))]
    (wide,) = graph.dense(graph.divided(attended, f"{intermediate}.dense"), f"{intermediate}.dense", wider)
    wide_bias = graph.tensor(f"{name}.wide.bias", weight(f"{intermediate}.dense.bias"))
    active = graph.node("BiasGelu", [wide, wide_bias], f"{name}.active", _MICROSOFT)
    return closed(graph.divided(active, f"{output}.dense"), attended, output, "narrow")


_NORM: Final = ("weight", "bias")


class _Graph:
    """A graph under construction; weights are written to the file at once to save memory.

    Args:
        data: Where weights are written.
        location: The name of that file.
        calibration: How dense steps are computed in int8; None for float32.
    """

    def __init__(self, data: BinaryIO, location: str, calibration: Calibration | None) -> None:
        self._data = data
        self._location = location
        self._calibration = calibration
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def node(self, operation: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: object) -> str:
        """Add an operation with one output; returns its name."""
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
            # NumPy's own tofile does not tell why it failed.
            self._data.write(values.data)
            for key, value in (("location", self._location), ("offset", start), ("length", values.nbytes)):
                small.external_data.add(key=key, value=str(value))
        self.initializers.append(small)
        return name

    def rows(self, name: str, table: NDArray[np.float32]) -> str:
        """Add an embedding lookup; in int8 with a scale for each row."""
        if self._calibration is None:
            return self.node("Gather", [self.tensor(f"{name}.table", table), "input_ids"], name)
        eight, scale = quantized_rows(table)
        taken = self.node("Gather", [self.tensor(f"{name}.table", eight), "input_ids"], f"{name}.taken")
        scales = self.node("Gather", [self.tensor(f"{name}.scale", scale), "input_ids"], f"{name}.scales")
        return self.node("Mul", [self.node("Cast", [taken], f"{name}.cast", to=1), scales], name)

    def divisor(self, at: str) -> NDArray[np.float32]:
        """What the channels of a dense step's input are divided by; 1 where it is computed in float32."""
        calibration = self._calibration
        if calibration is None or at in calibration.exact:
            return np.ones(1, np.float32)
        return calibration.divisors[at]

    def divided(self, x: str, at: str) -> str:
        """Add the division of a dense step's input, unless it is computed in float32."""
        divisor = self.divisor(at)
        if divisor.size == 1:
            return x
        return self.node("Mul", [x, self.tensor(f"{at}.factor", 1 / divisor)], f"{at}.divided")

    def dense(self, x: str, at: str, steps: Sequence[tuple[str, NDArray[np.float32]]]) -> list[str]:
        """Multiply one input, already divided, by several matrices of shape (outputs, inputs), as torch stores them.

        Args:
            x: The input.
            at: The step, as the calibration names it.
            steps: The name of each product, and its matrix.
        """
        if self._calibration is None or at in self._calibration.exact:
            return [self.node("MatMul", [x, self.tensor(f"{name}.weight", w.T)], name) for name, w in steps]
        parts = [f"{x}.eight", f"{x}.scale", f"{x}.zero"]
        self._add("DynamicQuantizeLinear", [x], parts, "", {})
        made = []
        for name, w in steps:
            values, scale = quantized_columns((w * self.divisor(at)).T)
            right = [self.tensor(f"{name}.weight", values), self.tensor(f"{name}.scale", scale)]
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
