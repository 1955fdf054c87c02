"""Calibrates an encoder for int8: finds which channels are large, and which steps have to stay in float32.

A text's activations share one scale in int8, so that a few channels with large values leave few steps for all others.
Each channel is therefore divided by a number that makes them alike, and the weights that it meets are multiplied by
it, which changes no product. See G. Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for
Large Language Models", ICML 2023. The numbers come from the model's own activations over texts of kb, so an export
needs no data and two machines make the same one.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from kb.embedding.calibration_texts import TEXTS
from kb.embedding.quantization import quantized_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.embedding.tokens import ModelTokens
    from kb.embedding.torch_runtime import TorchModel

    Array: TypeAlias = NDArray[np.float32]

# How much of the difference between channels moves from the activations (1) into the weights (0).
_SHARE: Final = 0.65
# One in so many layers keeps its last step in float32: an eighteenth of all multiplications.
_LAYERS_PER_EXACT: Final = 6
# A channel that is nearly always 0 counts as this part of the largest.
_SMALLEST: Final = 1e-3
# So many of the texts decide which steps stay in float32; each takes a run for every layer.
_DECIDING: Final = 6


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the dense steps of an encoder are computed in int8, by their names in transformers.

    Attributes:
        divisors: What each channel of a step's input is divided by. Query, key and value share those of the query.
        exact: The steps that stay in float32.
    """

    divisors: Mapping[str, NDArray[np.float32]]
    exact: frozenset[str]


def calibrate(original: TorchModel, tokens: ModelTokens) -> Calibration:
    """Calibrate a BERT-like encoder on kb's texts.

    Args:
        original: The model in float32 on the CPU.
        tokens: Its tokenizer.
    """
    layers, prompt = int(original.config()["num_hidden_layers"]), tokens.spec.document_prompt
    texts = [text for text in TEXTS if tokens.count([text])[0] <= tokens.limit]
    steps = {f"encoder.layer.{number}.{step}": weights for number in range(layers) for step, weights in _STEPS.items()}
    largest = _largest(original, list(steps), texts, prompt)
    divisors = {}
    for step, weights in steps.items():
        layer = step.removesuffix(weights[0])
        matrix = np.concatenate([original.weight(f"{layer}{name}.weight") for name in weights])
        divisors[step] = _divisor(largest[step], np.max(np.abs(matrix), axis=0))
    last = [f"encoder.layer.{number}.output.dense" for number in range(layers)]
    some = texts[:: max(1, len(texts) // _DECIDING)]
    exact = [original.encode([text], prompt)[0] for text in some]
    losses = {step: _loss(original, step, divisors[step], some, prompt, exact) for step in last}
    count = max(1, layers // _LAYERS_PER_EXACT)
    return Calibration(divisors, frozenset(sorted(last, key=losses.__getitem__)[-count:]))


# The steps of a layer with an input of their own, and those that share it.
_STEPS: Final[dict[str, tuple[str, ...]]] = {
    "attention.self.query": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.output.dense": ("attention.output.dense",),
    "intermediate.dense": ("intermediate.dense",),
    "output.dense": ("output.dense",),
}


def _divisor(activations: Array, weights: Array) -> Array:
    """The divisors of a step's channels, around 1, from the largest activation and weight of each channel."""
    ratio = _positive(activations) ** _SHARE / _positive(weights) ** (1 - _SHARE)
    divisor: Array = (ratio / np.exp(np.mean(np.log(ratio)))).astype(np.float32)
    return divisor


def _positive(values: Array) -> Array:
    """The values of channels, with those that are nearly 0 raised."""
    least = float(np.max(values)) * _SMALLEST
    return np.maximum(values, least) if least > 0 else np.ones_like(values)


def _largest(original: TorchModel, steps: Sequence[str], texts: Sequence[str], prompt: str) -> dict[str, Array]:
    """The largest activation of each channel of a step's input: the mean over texts, so that one moves it little."""
    found: dict[str, list[Array]] = {step: [] for step in steps}
    with _hooked(original, steps, lambda step, given: found[step].append(np.max(np.abs(given), axis=(0, 1)))):
        for text in texts:
            original.encode([text], prompt)
    return {step: np.mean(rows, axis=0, dtype=np.float32) for step, rows in found.items()}


def _loss(  # noqa: PLR0917 - private, and called once
    original: TorchModel, step: str, divisor: Array, texts: Sequence[str], prompt: str, exact: Sequence[Array]
) -> float:
    """How far vectors move when this step alone is computed in int8: one minus the mean cosine with exact ones."""
    weights, scales = quantized_columns((original.weight(f"{step}.weight") * divisor).T)
    matrix, bias = weights * scales, original.weight(f"{step}.bias")
    with _hooked(original, [step], lambda _, given: _eight_bits(given / divisor) @ matrix + bias):
        moved = [original.encode([text], prompt)[0] for text in texts]
    return 1 - float(np.mean([first @ second for first, second in zip(exact, moved, strict=True)]))


def _eight_bits(values: Array) -> Array:
    """The values as ``DynamicQuantizeLinear`` rounds them, in float32."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / 255 or 1.0
    zero = np.rint(-low / scale)
    rounded: Array = ((np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale).astype(np.float32)
    return rounded


@contextmanager
def _hooked(original: TorchModel, steps: Sequence[str], see: Callable[[str, Array], Array | None]) -> Iterator[None]:
    """Call a function with the name and input of these steps; what it returns replaces their output."""

    def hook(step: str) -> Any:  # noqa: ANN401 - the type of a hook is torch's
        def call(_: object, given: tuple[Any, ...], output: Any) -> Any:  # noqa: ANN401 - tensors
            replaced = see(step, given[0].numpy())
            return None if replaced is None else output.new_tensor(replaced)

        return call

    hooks = [original.transformer.get_submodule(step).register_forward_hook(hook(step)) for step in steps]
    try:
        yield
    finally:
        for one in hooks:
            one.remove()
