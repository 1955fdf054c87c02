"""The calibration of int8: which channels are divided, which steps stay in float32, and that nothing else changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kb.embedding.calibration import Calibration, calibrate
from kb.embedding.calibration_texts import TEXTS
from kb.embedding.locate import locate
from kb.embedding.onnx_graph import write_graph
from kb.embedding.onnx_runtime import open_onnx
from kb.embedding.references import SENTENCES, sample_texts
from kb.embedding.tokens import ModelTokens
from kb.embedding.torch_runtime import TorchModel, load_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LAYERS = 2
LOUD = 3


@pytest.fixture(scope="module")
def tokens(tiny: Path) -> ModelTokens:
    """The tokenizer of the tiny model."""
    return ModelTokens(tiny)


@pytest.fixture(scope="module")
def loud(tiny: Path, tokens: ModelTokens) -> TorchModel:
    """The tiny model, with a channel that is a hundred times as large as the others where the last layer widens."""
    model = load_model(locate(str(tiny)), tokens, device="cpu", precision="float32")
    norm = model.transformer.get_submodule("encoder.layer.1.attention.output.LayerNorm")
    norm.weight.data[LOUD] *= 100
    return model


@pytest.fixture(scope="module")
def before(loud: TorchModel) -> NDArray[np.float32]:
    """The vector of a text from the model before it was calibrated."""
    return loud.encode(["a river"], "")


@pytest.fixture(scope="module")
def calibrated(loud: TorchModel, tokens: ModelTokens, before: NDArray[np.float32]) -> Calibration:  # noqa: ARG001 - made before
    """The calibration of the loud model."""
    return calibrate(loud, tokens)


def test_a_loud_channel_is_divided_more(calibrated: Calibration) -> None:
    """The channel with the large values has by far the largest divisor; the mean of all is 1."""
    divisors = calibrated.divisors

    wide = divisors["encoder.layer.1.intermediate.dense"]
    assert int(np.argmax(wide)) == LOUD
    assert wide[LOUD] > 5 * np.median(wide)
    for one in divisors.values():
        assert float(np.exp(np.mean(np.log(one)))) == pytest.approx(1, rel=1e-4)
    assert len(divisors) == 4 * LAYERS


def test_int8_is_nearer_with_calibration(
    loud: TorchModel, tokens: ModelTokens, calibrated: Calibration, tmp_path: Path
) -> None:
    """Of the same model, dividing a loud channel saves most of the loss; the graph is the same function otherwise.

    The loss is the median of the texts': with random weights, a text of which two attentions are nearly equal can move
    by a hundred times as much as the others, either way.
    """
    plain = Calibration({step: np.ones_like(one) for step, one in calibrated.divisors.items()}, calibrated.exact)
    texts = [text for text in SENTENCES if len(text) > 20]
    exact = np.concatenate([loud.encode([text], "") for text in texts])

    def loss(calibration: Calibration | None, name: str) -> float:
        write_graph(loud.weight, loud.config(), tmp_path / name, calibration)
        found: NDArray[np.float32] = open_onnx(tmp_path / name, tokens, "int8").encode(texts, "")
        return 1 - float(np.median(np.sum(found * exact, axis=1)))

    assert loss(None, "float32.onnx") < 1e-6
    assert loss(calibrated, "calibrated.onnx") < loss(plain, "plain.onnx") / 2


def test_all_steps_in_float32_give_the_model(
    loud: TorchModel, tokens: ModelTokens, calibrated: Calibration, tmp_path: Path
) -> None:
    """A step that stays in float32 is not divided: only the embedding table is rounded then."""
    whole = Calibration(calibrated.divisors, frozenset(calibrated.divisors))
    write_graph(loud.weight, loud.config(), tmp_path / "all.onnx", whole)

    vectors = open_onnx(tmp_path / "all.onnx", tokens, "int8").encode(["water and stone"], "")

    assert float(vectors[0] @ loud.encode(["water and stone"], "")[0]) > 0.9999


def test_the_worst_last_step_stays_in_float32(tiny: Path, tokens: ModelTokens) -> None:
    """Of the last steps of the layers, the one whose rounding moves vectors most is left alone."""
    for layer in range(LAYERS):
        model = load_model(locate(str(tiny)), tokens, device="cpu", precision="float32")
        # One channel so large that the rounding of all others is lost, and that weights cannot make up for.
        wide = model.transformer.get_submodule(f"encoder.layer.{layer}.intermediate.dense")
        wide.bias.data[LOUD] += 1e7
        model.transformer.get_submodule(f"encoder.layer.{layer}.output.dense").weight.data[:, LOUD] = 0

        assert calibrate(model, tokens).exact == {f"encoder.layer.{layer}.output.dense"}


def test_calibrating_leaves_the_model_as_it_was(
    loud: TorchModel, tokens: ModelTokens, before: NDArray[np.float32], calibrated: Calibration
) -> None:
    """No hook stays behind, and calibrating twice gives the same."""
    first, second = calibrated, calibrate(loud, tokens)

    np.testing.assert_array_equal(loud.encode(["a river"], ""), before)
    assert first.exact == second.exact
    for step, divisor in first.divisors.items():
        np.testing.assert_array_equal(divisor, second.divisors[step])
    modules: list[Any] = list(loud.transformer.modules())
    assert not any(module._forward_hooks for module in modules)


def test_no_calibration_text_is_compared(tokens: ModelTokens) -> None:
    """An export is compared with its model on texts that it was not calibrated on."""
    assert not set(TEXTS) & {*SENTENCES, *sample_texts(tokens)}
