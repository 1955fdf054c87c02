"""How fast this machine runs a model: measured with the model itself, or estimated by multiplications of its shape."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from kb.embedding.locate import BGE_M3
from kb.embedding.onnx_files import FORMS, Form
from kb.embedding.onnx_runtime import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kb.embedding.encoder import Encoder

# Of the rate at which matrices of its shape are multiplied, what an encoder reaches.
_REACHED: Final[dict[Form, float]] = {"float32": 0.88, "int8": 0.6}
_ROWS: Final = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of an encoder that determine its speed.

    Attributes:
        layers: The number of its layers.
        hidden: The length of a token's vector.
        inner: The length between the two dense steps of a layer.
    """

    layers: int
    hidden: int
    inner: int

    def operations(self, length: int) -> float:
        """The operations for a token of a text of this many tokens; a multiplication with an addition is two."""
        weights = 4 * self.hidden**2 + 2 * self.hidden * self.inner
        return 2.0 * self.layers * (weights + 2 * self.hidden * length)


# Known before the model is on this machine.
_SHAPES: Final = {BGE_M3: Shape(24, 1024, 4096)}


def shape_of(name: str, directory: Path | None) -> Shape | None:
    """The shape of a model from its configuration, or of one that kb knows by name; None if it is not known."""
    if directory is None:
        return _SHAPES.get(name)
    try:
        config = json.loads((directory / "config.json").read_text("utf-8"))
        return Shape(int(config["num_hidden_layers"]), int(config["hidden_size"]), int(config["intermediate_size"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def estimated_rates(shape: Shape, length: int, seconds: float, threads: int = 0) -> dict[Form, float]:
    """Estimate the tokens that ONNX Runtime embeds in a second, in float32 and int8, by multiplications of the shape.

    Args:
        shape: The shape of the model.
        length: The usual length of a text, in tokens.
        seconds: How long to measure each.
        threads: How many texts are embedded at once; 0 for the number of cores.
    """
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    given = {"x": np.random.default_rng(1).standard_normal((_ROWS, shape.hidden), np.float32)}
    rates: dict[Form, float] = {}
    for form in FORMS:
        graph = _multiplication(shape, int8=form == "int8")
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        each = _per_second(partial(session.run, None, given), seconds, threads or cores())
        rates[form] = _REACHED[form] * each * 2.0 * _ROWS * shape.hidden * shape.inner / shape.operations(length)
    return rates


def _per_second(run: Callable[[], object], seconds: float, threads: int) -> float:
    """How often something can be done in a second by several threads with a core each, whatever else runs now."""
    run()

    def repeat(_: int) -> float:
        count, until, began = 0, time.perf_counter() + seconds, time.thread_time()
        while time.perf_counter() < until or not count:
            run()
            count += 1
        return count / max(time.thread_time() - began, 1e-6)

    with ThreadPoolExecutor(threads, thread_name_prefix="kb-speed") as pool:
        return sum(pool.map(repeat, range(threads)))


def _multiplication(shape: Shape, *, int8: bool) -> bytes:
    """An ONNX model that multiplies a matrix ``x`` by a constant one; the package onnx, an extra, is not needed."""
    if not int8:
        weight = _tensor("w", _FLOAT, (shape.hidden, shape.inner), b"\0\0\0\x3d" * (shape.hidden * shape.inner))
        nodes, constants = [_node("MatMul", "x w", "y")], [weight]
    else:
        weight = _tensor("w", _INT8, (shape.hidden, shape.inner), b"\x11" * (shape.hidden * shape.inner))
        scale = _tensor("s", _FLOAT, (shape.inner,), b"\0\0\0\x3d" * shape.inner)
        zero = _tensor("z", _INT8, (shape.inner,), bytes(shape.inner))
        quantize = _node("DynamicQuantizeLinear", "x", "q a o")
        nodes = [quantize, _node("MatMulIntegerToFloat", "q w a s o z", "y", "com.microsoft")]
        constants = [weight, scale, zero]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"g")
    graph += b"".join(_field(5, one) for one in constants)
    graph += _field(11, _value("x", (_ROWS, shape.hidden))) + _field(12, _value("y", (_ROWS, shape.inner)))
    opsets = _field(8, _field(2, 17)) + _field(8, _field(1, b"com.microsoft") + _field(2, 1))
    return _field(1, 8) + _field(7, graph) + opsets


# Messages of ONNX in the format of protocol buffers: onnx.proto of ONNX 1.17 has the numbers.
_FLOAT: Final = 1
_INT8: Final = 3
# The bit of a byte that says that another one follows.
_MORE: Final = 0x80


def _node(operation: str, inputs: str, outputs: str, domain: str = "") -> bytes:
    names = b"".join(_field(1, one.encode()) for one in inputs.split())
    names += b"".join(_field(2, one.encode()) for one in outputs.split())
    return names + _field(4, operation.encode()) + (_field(7, domain.encode()) if domain else b"")


def _tensor(name: str, kind: int, shape: tuple[int, ...], data: bytes) -> bytes:
    return b"".join(_field(1, size) for size in shape) + _field(2, kind) + _field(8, name.encode()) + _field(9, data)


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, sizes)))


def _field(number: int, value: int | bytes) -> bytes:
    """A field with a number or with bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    made = bytearray()
    while value >= _MORE:
        made.append(value % _MORE | _MORE)
        value //= _MORE
    return bytes([*made, value])


def measured_rate(encoder: Encoder, texts: Sequence[str], tokens: Sequence[int], seconds: float) -> float:
    """Measure the tokens that a model embeds in a second, after it was loaded.

    Args:
        encoder: The model.
        texts: The texts to embed; not empty.
        tokens: Their lengths in tokens.
        seconds: How long to measure. It takes one turn more than that: as many texts as there are cores.

    Raises:
        ModelError: The model cannot be loaded.
    """
    encoder.load()
    turn = max(1, encoder.at_once)
    encoder.embed_documents(texts[:turn], tokens[:turn])
    done, place, began = 0, 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or not done:
        chosen = [(place + step) % len(texts) for step in range(turn)]
        encoder.embed_documents([texts[one] for one in chosen], [tokens[one] for one in chosen])
        done += sum(tokens[one] for one in chosen)
        place += turn
    return done / passed
