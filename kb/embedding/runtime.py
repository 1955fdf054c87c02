"""What the ways to run a model have in common: what is asked of them, what they give, and what proves them right."""

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


class OutOfMemory(Exception):
    """The device has no room for this batch."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a model is to be run.

    Attributes:
        runtime: By which library. ``auto``: what is there and fastest.
        device: Where.
        precision: What to compute in.
        threads: CPU threads. 0: all cores.
        models: Where kb keeps models. None: the user's data folder.
    """

    runtime: Runtime = "auto"
    device: Device = "auto"
    precision: Precision = "auto"
    threads: int = 0
    models: Path | None = None


class LoadedModel(Protocol):
    """A model that is ready and was proved to be what it should be.

    Attributes:
        where: The runtime, device and precision it runs in.
        shared: Whether several threads may use it at once; else one after another.
        budget: How many tokens, padding included, suit it at once.
    """

    where: str
    shared: bool
    budget: int

    def encode(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        """Unit vectors of a batch of texts, each read whole.

        Raises:
            OutOfMemory: The batch is too large for the device.
            ModelError: The vectors are none, or a text has more tokens than the model has positions.
        """


def unit(
    vectors: NDArray[np.float32], shape: tuple[int, int], where: str, *, most: float = 0.01
) -> NDArray[np.float32]:
    """Vectors made exactly as long as one.

    Args:
        vectors: What a model gave.
        shape: What shape that has to have.
        where: How the model runs, for the error.
        most: How far lengths may be from one already; half precision loses it in the third place.

    Raises:
        ModelError: They are no vectors of this model.
    """
    import numpy as np

    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if vectors.shape != shape or not bool(np.all(np.abs(norms - 1) < most)):
        raise ModelError(
            f"The model gives vectors that are not finite and of length one on {where}",
            "Set embed.precision to float32, embed.runtime to torch and embed.device to cpu.",
        )
    units: NDArray[np.float32] = vectors / norms
    return units


def not_as_stated(located: Located, what: str) -> ModelError:
    """The error for a model that loads but is not what its directory says."""
    return ModelError(f"The model in {located.directory} is not what it should be: {what}", REMEDY)
