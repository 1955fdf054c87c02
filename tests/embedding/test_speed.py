"""How fast this machine runs a model: by multiplications of its shape, and by the model itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kb.embedding.encoder import Encoder
from kb.embedding.locate import BGE_M3, locate
from kb.embedding.onnx_files import FORMS
from kb.embedding.speed import Shape, estimated_rates, measured_rate, shape_of

if TYPE_CHECKING:
    from pathlib import Path

    from kb.embedding.onnx_files import Form
    from kb.embedding.spec import Located

SMALL = Shape(layers=6, hidden=384, inner=1536)


def test_the_shape_is_that_of_the_configuration(minilm: Located, tiny: Path, tmp_path: Path) -> None:
    """From the model's own file; before bge-m3 is here, from what is known of it, and of others nothing."""
    assert shape_of(minilm.name, minilm.directory) == SMALL
    assert shape_of(str(tiny), tiny) == Shape(2, 32, 64)
    assert shape_of(BGE_M3, None) == Shape(24, 1024, 4096)
    assert shape_of("intfloat/e5-base", None) is None
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    assert shape_of("broken", tmp_path) is None


def test_larger_models_and_longer_texts_are_slower() -> None:
    """Four times the layers are a quarter of the rate; each token of a longer text costs more."""
    assert Shape(24, 384, 1536).operations(100) == pytest.approx(4 * SMALL.operations(100))
    assert SMALL.operations(500) > 1.2 * SMALL.operations(10)


def test_both_precisions_are_estimated() -> None:
    """The models that are made by hand are ones that ONNX Runtime runs; which is faster depends on the processor."""
    rates = estimated_rates(SMALL, 100, 0.05, threads=1)

    assert set(rates) == set(FORMS)
    assert min(rates.values()) > 0


@pytest.mark.parametrize(("precision", "factor"), [("float32", 1.5), ("int8", 2.0)])
@pytest.mark.slow
def test_the_estimate_is_near_the_truth(minilm: Located, forms: Path, precision: Form, factor: float) -> None:
    """Of the bundled model in ONNX Runtime, in processor time.

    What int8 saves differs more between processors. Other processes have the caches and the memory in turns, so that
    one pair of several has to agree.
    """
    import time

    # Not onnx_minilm, which computes each batch once.
    encoder = Encoder(minilm, runtime="onnx", threads=1, precision=precision, models=forms)
    text = "a note about rivers, stones and the weather of the last week " * 11
    length = encoder.tokens.count([text])[0]
    encoder.embed_documents([text], [length])

    def times_the_truth() -> float:
        began = time.process_time()
        encoder.embed_documents([text] * 12, [length] * 12)
        real = 12 * length / (time.process_time() - began)
        return estimated_rates(SMALL, length, 0.5, threads=1)[precision] / real

    assert any(1 / factor < times_the_truth() < factor for _ in range(5))


def test_a_slow_model_is_measured_as_slow(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is how long the model takes, in tokens per second, after it was loaded."""
    import time

    encoder = Encoder(locate(str(tiny)), runtime="torch")
    encoder.load()
    slow = encoder.embed_documents

    def embed(texts: list[str], tokens: list[int]) -> object:
        time.sleep(0.05 * len(texts))
        return slow(texts, tokens)

    monkeypatch.setattr(encoder, "embed_documents", embed)
    texts = ["water and stone", "a river"]
    tokens = encoder.tokens.count(texts)

    rate = measured_rate(encoder, texts, tokens, 0.3)

    assert rate < sum(tokens) / len(tokens) / 0.05
