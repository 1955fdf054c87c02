"""The interface of the runtimes: their options, the loaded model, and the texts and checks that verify it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from kb.embedding.spec import REMEDY
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from kb.embedding.spec import Located

Runtime: TypeAlias = Literal["auto", "torch", "onnx"]
Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
Precision: TypeAlias = Literal["auto", "float32", "float16", "bfloat16", "int8"]

PROBES: Final = (
    "water",
    "stone",
    "A river, a stone and a café: 42 \N{EURO SIGN} in Zürich.",
    "def f(x):\n\treturn x  # done\n\n",
    "  水と石 \N{WATER WAVE}  ",
)

# The most by which the length of a vector may differ from 1; in half precision it does in the third decimal place.
_TOLERANCE: Final = 0.01


class OutOfMemory(Exception):
    """The batch does not fit into the device's memory."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The configured way to run a model.

    Attributes:
        runtime: The library that runs it; ``auto`` for the fastest that is available.
        device: The device to run on.
        precision: The number format to compute in.
        threads: CPU threads; 0 for the number of cores.
        models: kb's directory of models; None for the user's data directory.
    """

    runtime: Runtime = "auto"
    device: Device = "auto"
    precision: Precision = "auto"
    threads: int = 0
    models: Path | None = None


class LoadedModel(Protocol):
    """A model that is loaded and verified.

    Attributes:
        where: The runtime, device and precision, for messages.
        shared: Whether several threads may use it at once.
        budget: The tokens of a batch that suit it, including padding.
    """

    where: str
    shared: bool
    budget: int

    def encode(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        """Unit vectors of a batch of texts, without truncation.

        Raises:
            OutOfMemory: The batch is too large for the device.
            ModelError: The vectors are invalid, or a text exceeds the model's limit.
        """


def unit(vectors: NDArray[np.float32], shape: tuple[int, int], where: str) -> NDArray[np.float32]:
    """Normalise vectors to length 1 exactly.

    Args:
        vectors: The vectors from a model, nearly of length 1.
        shape: Their expected shape.
        where: How the model runs, for the error.

    Raises:
        ModelError: Their shape or a length is wrong, or they are not finite.
    """
    import numpy as np

    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if vectors.shape != shape or not bool(np.all(np.abs(norms - 1) < _TOLERANCE)):
        raise ModelError(
            f"the model gives vectors that are not finite or not of length 1 on {where}",
            "Set embed.precision to float32, embed.runtime to torch and embed.device to cpu",
        )
    units: NDArray[np.float32] = vectors / norms
    return units


def out_of_memory(where: str) -> ModelError:
    """The error for a device without memory for a single text beside the model."""
    return ModelError(
        f"not even one text fits into the memory of {where}",
        "Set embed.device to cpu, or embed.model to a smaller model",
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def invalid_model(located: Located, what: str) -> ModelError:
    """The error for a model that loads but fails verification."""
    return ModelError(f"the model in {located.directory} is invalid: {what}", REMEDY)
