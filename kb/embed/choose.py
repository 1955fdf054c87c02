"""Which way a model is run here: what is there and fastest, unless the configuration says. Imports nothing heavy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.embed.exports import INT8, Export, Form, find_export
from kb.embed.golden import golden_of
from kb.embed.onnx_load import load_onnx, unsuitable
from kb.embed.spec import makers_onnx, only_onnx, present
from kb.errors import ModelError

if TYPE_CHECKING:
    from kb.embed.model import LoadedModel, Wanted
    from kb.embed.spec import Located
    from kb.embed.tokens import ModelTokens

EXPORT: Final = "Make it with: kb model export"
# The driver's own file on Linux, and that of Windows' Linux.
_NVIDIA: Final = ("/dev/nvidiactl", "/dev/dxg")
_HALF: Final = ("float16", "bfloat16")
_NO_FORM: Final = "there is no ONNX form: kb model export makes one"
_UNPROVED: Final = "its makers' ONNX files were never compared with its weights: kb model export makes a form that is"


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to run a model.

    Attributes:
        export: The ONNX form to load; None: torch runs the model.
        form: The precision of the ONNX form, or what is asked of torch.
        why: What speaks for it, as ``kb status`` tells it.
    """

    export: Export | None
    form: str
    why: str

    @property
    def runtime(self) -> str:
        """The library that runs the model."""
        return "torch" if self.export is None else "onnx"

    def __str__(self) -> str:
        return f"{self.runtime} ({self.why})"


def choose(located: Located, tokens: ModelTokens, wanted: Wanted, *, question: bool = False) -> Choice:
    """How a model is run.

    Args:
        located: The model.
        tokens: Its token counter.
        wanted: What the configuration says.
        question: For one question, where starting torch costs more than any device gains.

    Raises:
        ModelError: What the configuration wants is not there.
    """
    if wanted.runtime == "torch" and wanted.precision == "int8":
        raise ModelError("embed.precision is int8, and torch does not run it", "Set embed.runtime to auto or onnx.")
    against = _against(tokens, wanted)
    needed = wanted.runtime == "onnx" or wanted.precision == "int8"
    if against and needed:
        raise ModelError(f"{located.name} cannot be run by ONNX Runtime: {against}", "Set embed.runtime to torch.")
    if not against and (needed or wanted.runtime == "auto"):
        form: Form = "int8" if wanted.precision == "int8" else "float32"
        export = _form(located, form, wanted.models)
        if export is None and needed:
            unproved = ", and its makers' ONNX files were never compared with its weights"
            raise ModelError(
                f"There is no ONNX form of {located.name} in {form} here{unproved if _unproved(located) else ''}",
                f"{EXPORT}{' --int8' if form == 'int8' else ''}.",
            )
        if export is not None and (needed or question or not _gpu(wanted)):
            return Choice(export, form, f"its ONNX form in {form}, {'as configured' if needed else 'the fastest here'}")
        against = "there is a GPU" if export else _UNPROVED if _unproved(located) else _NO_FORM
    return Choice(None, wanted.precision, "as configured" if wanted.runtime == "torch" else against)


def numbers(located: Located, wanted: Wanted) -> str:
    """The kind of numbers a model computes in, and what it computes from, as far as that makes other vectors."""
    if wanted.precision == "int8":
        return f"int8/{INT8}"
    return "onnx" if _unproved(located) and only_onnx(located.directory) else "float"


def load(located: Located, tokens: ModelTokens, wanted: Wanted, choice: Choice) -> LoadedModel:
    """Load a model the way that was chosen.

    Raises:
        ModelError: It cannot be loaded, or is not what it should be.
    """
    if choice.export is not None:
        return load_onnx(located, tokens, choice.export, wanted.threads)
    from kb.embed.load import load_model

    return load_model(located, tokens, device=wanted.device, precision=wanted.precision, threads=wanted.threads)


def _against(tokens: ModelTokens, wanted: Wanted) -> str:
    """Why ONNX Runtime cannot do what is wanted; empty where it can."""
    if wanted.device in {"cuda", "mps"}:
        return f"embed.device is {wanted.device}, and kb runs ONNX forms on the CPU"
    if wanted.precision in _HALF:
        return f"embed.precision is {wanted.precision}, and ONNX forms are in float32 and int8"
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed"
    return unsuitable(tokens)


def _form(located: Located, form: Form, models: Path | None) -> Export | None:
    """The ONNX form to run: one that was compared with the weights, else the makers' own as far as they are proved.

    They are where their cosines were published, and where there are no weights that they could differ from.
    """
    unproved = _unproved(located)
    alone = unproved and only_onnx(located.directory)
    if not alone and (found := find_export(located, form, models)):
        return found
    files = makers_onnx(located.directory)
    if form != "float32" or not files or not all(map(present, files)) or (unproved and not alone):
        return None
    graph = files[0]
    return Export(graph.parent, graph.name, form, {file.name: file.stat().st_size for file in files}, {}, ())


def _unproved(located: Located) -> bool:
    """Whether the makers of a model put ONNX files beside its weights, and no cosines were published for it."""
    return golden_of(located) is None and bool(makers_onnx(located.directory))


def _gpu(wanted: Wanted) -> bool:
    """Whether torch would find a GPU, told without starting torch."""
    if wanted.device == "cpu":
        return False
    try:
        build = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return not build.endswith("+cpu") and any(Path(device).exists() for device in _NVIDIA)
