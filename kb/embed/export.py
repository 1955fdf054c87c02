"""Makes the ONNX form of a model, and holds it against the original before anyone uses it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.embed import graph
from kb.embed.exports import Export, Form, export_folder, file_digest, find_export, write_manifest
from kb.embed.model import PROBES
from kb.embed.onnx_load import open_onnx, unsuitable
from kb.embed.samples import sample_texts
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kb.embed.load import TorchModel
    from kb.embed.spec import Located
    from kb.embed.tokens import ModelTokens

# The most that any number of a vector may differ from the original's: what lets both share a fingerprint.
LARGEST_DIFFERENCE: Final = 1e-5
# Below this the ranking would suffer more than the speed is worth.
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
    """Make the ONNX form of a model from its weights, beside it the one in int8 where that is wanted.

    It is made in a folder beside its place, compared with the original on texts of many languages and lengths, and put
    in its place only then. What was made before stays until that moment.

    Args:
        located: The model.
        tokens: Its tokenizer.
        int8: Make the form in eight bits too. One that was there is made again in any case.
        models: Where kb keeps models.
        say: Told of each step.

    Raises:
        ModelError: It cannot be made, or differs from the original by too much.
    """
    _require()
    if why := unsuitable(tokens):
        raise ModelError(f"{located.name} has no ONNX form in kb: {why}", "It runs in torch: embed.runtime = torch.")
    from kb.embed.load import load_model

    forms: list[Form] = ["float32"]
    if int8 or find_export(located, "int8", models):
        forms.append("int8")
    target = export_folder(located, models)
    target.parent.mkdir(parents=True, exist_ok=True)
    say("loading the original in torch")
    original = load_model(located, tokens, device="cpu", precision="float32")
    texts = sample_texts(tokens)
    # One by one: in one batch the short texts would be padded to the longest.
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
    """See that what only the making of a graph needs is there."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ModelError("The package onnx, which writes graphs, is not installed", INSTALL) from error


def _write(original: TorchModel, directory: Path, form: Form) -> None:
    path, config = directory / _NAMES[form], original.config()
    if graph.builds(config):
        graph.write_graph(original.weight, config, path, int8=form == "int8")
        return
    from kb.embed.trace import quantize, trace

    if form == "float32":
        trace(original, path)
    else:
        quantize(directory / _NAMES["float32"], path)


def _checked(
    directory: Path, form: Form, tokens: ModelTokens, texts: Sequence[str], expected: NDArray[np.float32]
) -> Export:
    """The form that lies in a folder, compared with the original.

    Raises:
        ModelError: It differs by too much.
    """
    made = open_onnx(directory / _NAMES[form], tokens, form)
    found = made.encode(texts, tokens.spec.document_prompt)
    difference = float(np.max(np.abs(found - expected)))
    cosines = np.sum(found * expected, axis=1, dtype=np.float64)
    if form == "float32" and difference > LARGEST_DIFFERENCE:
        raise ModelError(
            f"The ONNX graph gives other vectors than the model: they differ by {difference:.2g}, and at most "
            f"{LARGEST_DIFFERENCE:.0e} would be rounding",
            "Stay with embed.runtime = torch for this model.",
        )
    if form == "int8" and float(np.mean(cosines)) < LEAST_MEAN_COSINE:
        raise ModelError(
            f"In int8 the model loses too much: its vectors have a mean cosine of {np.mean(cosines):.3f} with the "
            f"original's, and at least {LEAST_MEAN_COSINE} is asked for",
            "Stay with embed.precision = float32 for this model.",
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
