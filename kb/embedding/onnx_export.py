"""Exports models to ONNX, and compares each export with the original before it is used.

BERT-like encoders are written directly; other models are traced by torch's exporter.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import tempfile
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from kb.embedding.onnx_files import Export, Form, export_folder, file_digest, find_export, write_manifest
from kb.embedding.onnx_runtime import open_onnx, unsuitable
from kb.embedding.references import sample_texts
from kb.embedding.runtime import PROBES
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.embedding.spec import Located
    from kb.embedding.tokens import ModelTokens
    from kb.embedding.torch_runtime import TorchModel

# BERT-like encoders, in ONNX Runtime's fused operations: twice as fast as a traced graph, because attention, residual
# normalisation and activation are one operation each, and texts of equal length need no padding. See
# https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.

OUTPUT: Final = "token_embeddings"
# Position ids of the RoBERTa family begin after the padding index.
FROM_PADDING: Final = frozenset({"camembert", "roberta", "xlm-roberta"})
KINDS: Final = FROM_PADDING | {"bert"}
_OPSET: Final = 17
_IR: Final = 8
_MICROSOFT: Final = "com.microsoft"
# Weights are aligned to pages, so that the file can be memory-mapped.
_PAGE: Final = 4096
# Seven bits: on processors with AVX2 alone, sums of pairs of eight-bit products overflow sixteen bits.
_MOST: Final = 63


def builds(config: Mapping[str, Any]) -> bool:
    """Whether kb can write the graph of a model directly."""
    return (
        config.get("model_type") in KINDS
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
    )


def write_graph(
    weight: Callable[[str], NDArray[np.float32]], config: Mapping[str, Any], path: Path, *, int8: bool = False
) -> None:
    """Write a graph, with its weights in ``<path>.data``.

    Args:
        weight: Returns a float32 weight by its name in transformers.
        config: The model's configuration, which ``builds`` accepts.
        path: The file to write.
        int8: Quantise weights with a scale for each column, and activations dynamically.
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
    # Outliers in the first layer cause most of the int8 error, so its second dense step stays in float32.
    return closed(active, attended, f"{there}.output", "narrow", eight=number > 0)


_NORM: Final = ("weight", "bias")


class _Graph:
    """A graph under construction; weights are written to the file at once to save memory.

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
            values.tofile(self._data)
            for key, value in (("location", self._location), ("offset", start), ("length", values.nbytes)):
                small.external_data.add(key=key, value=str(value))
        self.initializers.append(small)
        return name

    def rows(self, name: str, table: NDArray[np.float32]) -> str:
        """Add an embedding lookup; in int8 with a scale for each row."""
        if not self._int8:
            return self.node("Gather", [self.tensor(f"{name}.table", table), "input_ids"], name)
        eight, scale = _eight_bits(table, axis=1, most=127)
        taken = self.node("Gather", [self.tensor(f"{name}.table", eight), "input_ids"], f"{name}.taken")
        scales = self.node("Gather", [self.tensor(f"{name}.scale", scale), "input_ids"], f"{name}.scales")
        return self.node("Mul", [self.node("Cast", [taken], f"{name}.cast", to=1), scales], name)

    def dense(self, x: str, steps: Sequence[tuple[str, NDArray[np.float32]]], *, eight: bool = True) -> list[str]:
        """Multiply one input by several matrices of shape (outputs, inputs), as torch stores them."""
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
    """Quantise values symmetrically to integers up to ``most`` with a scale for each row or column."""
    largest = np.max(np.abs(values), axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / most, 1.0).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


# Other models: traced by torch's exporter and quantised by ONNX Runtime. torch's older exporter silently produces wrong
# graphs for some models, so the one based on ``torch.export`` is used.

_LONGEST: Final = 512


def trace(original: TorchModel, path: Path) -> None:
    """Trace a model that is loaded in torch, and write its graph and weights.

    Raises:
        ModelError: It cannot be traced.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise ModelError(
            "the package onnxscript, with which torch exports models, is not installed",
            "Run: pip install onnx onnxscript",
        )
    import torch

    transformer = original.transformer.eval()

    class Encoder(torch.nn.Module):
        """The transformer with two inputs and one output."""

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            """The token embeddings."""
            found: torch.Tensor = transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return found

    ids = torch.full((2, 16), 5)
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    axes = {0: torch.export.Dim("texts", min=1, max=_LONGEST), 1: torch.export.Dim("tokens", min=2, max=_LONGEST)}
    quiet = logging.getLogger("torch.onnx")
    quiet.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Encoder(),
                (ids, mask),
                str(path),
                input_names=["input_ids", "attention_mask"],
                output_names=[OUTPUT],
                dynamic_shapes={"input_ids": axes, "attention_mask": axes},
                dynamo=True,
                external_data=True,
                verbose=False,
            )
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"torch cannot export the model ({reason})", "Set embed.runtime to torch") from error


def quantize(source: Path, target: Path) -> None:
    """Quantise the matrices of a graph to int8 with a scale for each column.

    Seven of the eight bits are used, since processors with AVX2 alone overflow otherwise.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().disabled, before = True, logging.getLogger().disabled
    try:
        quantize_dynamic(
            source,
            target,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
            use_external_data_format=True,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.getLogger().disabled = before


# The largest difference from the original in any component of a vector, so that both share a fingerprint.
LARGEST_DIFFERENCE: Final = 1e-5
# Below this cosine the ranking suffers more than the speed is worth.
LEAST_MEAN_COSINE: Final = 0.97
INSTALL: Final = "Run: pip install onnx onnxscript"
_NAMES: Final[dict[Form, str]] = {"float32": "model.onnx", "int8": "model-int8.onnx"}
_PACKAGES: Final = ("torch", "transformers", "onnx", "onnxruntime")


def export(
    located: Located,
    tokens: ModelTokens,
    *,
    int8: bool = False,
    models: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Export]:
    """Export a model to ONNX, optionally in int8 too.

    The export is written to a temporary directory, compared with the original on sample texts, and then moved into
    place. An earlier export is kept until then.

    Args:
        located: The model.
        tokens: Its tokenizer.
        int8: Export to int8 too. An existing int8 export is always renewed.
        models: kb's directory of models.
        say: Called with each step.

    Raises:
        ModelError: The export fails, or differs too much from the original.
    """
    _require()
    if why := unsuitable(tokens):
        raise ModelError(f"{located.name} cannot be exported to ONNX: {why}", "Set embed.runtime to torch")
    from kb.embedding.torch_runtime import load_model

    forms: list[Form] = ["float32"]
    if int8 or find_export(located, "int8", models):
        forms.append("int8")
    target = export_folder(located, models)
    target.parent.mkdir(parents=True, exist_ok=True)
    say("loading the original in torch")
    original = load_model(located, tokens, device="cpu", precision="float32")
    texts = sample_texts(tokens)
    # One by one, because a batch would be padded to its longest text.
    expected = np.concatenate([original.encode([text], tokens.spec.document_prompt) for text in texts])
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as work:
        draft = Path(work) / target.name
        draft.mkdir()
        exports = []
        for form in forms:
            say(f"writing the graph in {form}")
            _write(original, draft, form)
            say(f"comparing {len(texts)} texts in {form} with the original")
            exports.append(_checked(draft, form, tokens, texts, expected))
        write_manifest(draft, located.name, located.revision, exports)
        if target.exists():
            target.rename(Path(work) / "before")
        draft.rename(target)
    return [one for form in forms if (one := find_export(located, form, models))]


def _require() -> None:
    """Check that the packages for exporting are installed."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ModelError("the package onnx, which writes graphs, is not installed", INSTALL) from error


def _write(original: TorchModel, directory: Path, form: Form) -> None:
    path, config = directory / _NAMES[form], original.config()
    if builds(config):
        write_graph(original.weight, config, path, int8=form == "int8")
        return

    if form == "float32":
        trace(original, path)
    else:
        quantize(directory / _NAMES["float32"], path)


def _checked(
    directory: Path, form: Form, tokens: ModelTokens, texts: Sequence[str], expected: NDArray[np.float32]
) -> Export:
    """Compare an export with the original, and return it.

    Raises:
        ModelError: It differs too much.
    """
    made = open_onnx(directory / _NAMES[form], tokens, form)
    found = made.encode(texts, tokens.spec.document_prompt)
    difference = float(np.max(np.abs(found - expected)))
    cosines = np.sum(found * expected, axis=1, dtype=np.float64)
    if form == "float32" and difference > LARGEST_DIFFERENCE:
        raise ModelError(
            f"the ONNX graph gives other vectors than the model: they differ by {difference:.2g}, and at most "
            f"{LARGEST_DIFFERENCE:.0e} is allowed",
            "Set embed.runtime to torch for this model",
        )
    if form == "int8" and float(np.mean(cosines)) < LEAST_MEAN_COSINE:
        raise ModelError(
            f"the model is too inaccurate in int8: its vectors have a mean cosine of {np.mean(cosines):.3f} with the "
            f"original's, and at least {LEAST_MEAN_COSINE} is required",
            "Set embed.precision to float32 for this model",
        )
    measured = {
        "texts": float(len(texts)),
        "largest_difference": difference,
        "mean_cosine": float(np.mean(cosines)),
        "least_cosine": float(np.min(cosines)),
    }
    stem = _NAMES[form].removesuffix(".onnx")
    files = sorted(file for file in directory.iterdir() if file.name.removesuffix(".data") == f"{stem}.onnx")
    return Export(
        directory=directory,
        graph=_NAMES[form],
        form=form,
        files={file.name: file.stat().st_size for file in files},
        checksums={file.name: file_digest(file) for file in files},
        probe=tuple(float(number) for number in made.encode(PROBES[:1], "")[0]),
        measured=measured,
        made_by={"kb": _kb_version(), **{name: version(name) for name in _PACKAGES}},
    )


def _kb_version() -> str:
    with suppress(ImportError):
        from kb import __version__

        return __version__
    return ""
