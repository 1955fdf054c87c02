"""Exports models to ONNX, and compares each export with the original before it is used.

BERT-like encoders are written directly (``onnx_graph``); other models are traced by torch's exporter.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import io
import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.embedding.calibration import calibrate
from kb.embedding.onnx_files import (
    Export,
    Form,
    export_folder,
    file_digest,
    find_export,
    forget_failure,
    software,
    write_manifest,
)
from kb.embedding.onnx_graph import OUTPUT, builds, write_graph
from kb.embedding.onnx_runtime import open_onnx, unsuitable
from kb.embedding.references import sample_texts
from kb.embedding.runtime import PROBES, first_line
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kb.embedding.spec import Located
    from kb.embedding.tokens import ModelTokens
    from kb.embedding.torch_runtime import TorchModel

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
        raise ModelError(
            f"torch cannot export the model ({first_line(error)})", "Set embed.runtime to torch"
        ) from error


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
        ModelError: The export fails, cannot be written, or differs too much from the original.
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
    try:
        with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as work:
            draft = Path(work) / target.name
            draft.mkdir()
            exports = []
            for form in forms:
                say(f"{'calibrating and ' if form == 'int8' else ''}writing the graph in {form}")
                _write(original, tokens, draft, form)
                say(f"comparing {len(texts)} texts in {form} with the original")
                exports.append(_checked(draft, form, tokens, texts, expected))
            write_manifest(draft, located.name, located.revision, exports)
            if target.exists():
                target.rename(Path(work) / "before")
            draft.rename(target)
    except OSError as error:
        raise _unwritten(target.parent, error) from error
    forget_failure(located, models)
    return [one for form in forms if (one := find_export(located, form, models))]


def _unwritten(folder: Path, error: OSError) -> ModelError:
    """The error for an export that cannot be written into a folder."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why, remedy = "its disk is full", "Free some space there: an export is as large as the model"
    else:
        why, remedy = error.strerror or str(error), "Check the disk and its permissions"
    return ModelError(f"the ONNX form cannot be written to {folder}: {why}", remedy)


def _require() -> None:
    """Check that the packages for exporting are installed."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ModelError("the package onnx, which writes graphs, is not installed", INSTALL) from error


def _write(original: TorchModel, tokens: ModelTokens, directory: Path, form: Form) -> None:
    path, config = directory / _NAMES[form], original.config()
    if builds(config):
        write_graph(original.weight, config, path, calibrate(original, tokens) if form == "int8" else None)
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
        "first_percentile": float(np.percentile(cosines, 1)),
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
        made_by=software(),
    )
