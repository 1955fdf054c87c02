"""The code that loads bge-m3, compared with an independent computation on a model of its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiny_bge_m3 import build_tiny_bge_m3, fake_hub_cache

from kb.embedding.encoder import Encoder
from kb.embedding.locate import BGE_M3, locate
from kb.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TEXTS = [
    "water of the river",
    "python library for vector search",
    "stone",
    "the notes in a folder",
    "caf\u00e9 in Z\u00fcrich",
]


def by_hand(directory: Path, text: str, pooling: str) -> NDArray[np.float32]:
    """Embed one text with transformers only: no padding, no sentence-transformers."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(directory))
    model = AutoModel.from_pretrained(str(directory)).eval()
    with torch.inference_mode():
        hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    vector: NDArray[np.float32] = (hidden[0] if pooling == "cls" else hidden.mean(0)).numpy()
    return vector / np.float32(np.linalg.norm(vector))


def embed(encoder: Encoder, texts: list[str]) -> NDArray[np.float32]:
    """The vectors of texts."""
    return encoder.embed_documents(texts, encoder.tokens.count(texts))


def test_bge_m3_shape_is_pooled_by_cls_and_normalised(tiny: Path, tiny_encoder: Encoder) -> None:
    """The vector is the normalised state of the first token, as in an independent computation."""
    expected = np.stack([by_hand(tiny, text, "cls") for text in TEXTS])

    np.testing.assert_allclose(embed(tiny_encoder, TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(tiny_encoder.embed_query(TEXTS[0]), expected[0], atol=1e-5)


def test_pooling_is_the_configured_one(tiny: Path, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """The same weights with mean pooling give the mean, which differs from cls."""
    model = build_tiny_bge_m3(tmp_path / "mean", pooling="mean")
    encoder = Encoder(locate(str(model)))

    vectors = embed(encoder, TEXTS)

    np.testing.assert_allclose(vectors, [by_hand(model, text, "mean") for text in TEXTS], atol=1e-5)
    assert float((vectors * embed(tiny_encoder, TEXTS)).sum(axis=1).max()) < 0.99
    assert by_hand(tiny, TEXTS[0], "mean") == pytest.approx(vectors[0], abs=1e-5)


def test_model_from_the_hubs_cache_is_the_same_model(tiny: Path, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """By its name, from the cache and offline, it gives the same vectors as from a directory."""
    fake_hub_cache(tmp_path, tiny)

    encoder = Encoder(locate(BGE_M3, offline=True, cache_dir=tmp_path))

    np.testing.assert_allclose(embed(encoder, TEXTS), embed(tiny_encoder, TEXTS), atol=1e-6)


def test_safe_weights_are_taken_before_pickled_ones(tiny: Path, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """If there is a model.safetensors, pytorch_model.bin is not opened."""
    import torch
    from safetensors.torch import save_file
    from tiny_bge_m3 import copy_model

    model = copy_model(tiny, tmp_path)
    weights = torch.load(model / "pytorch_model.bin", weights_only=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, model / "model.safetensors")
    (model / "pytorch_model.bin").write_bytes(b"no pickle")

    np.testing.assert_allclose(embed(Encoder(locate(str(model))), TEXTS), embed(tiny_encoder, TEXTS), atol=1e-6)


def test_longest_text_fits_the_positions(tiny_encoder: Encoder) -> None:
    """The model has positions for a text of exactly the limit."""
    text = "? " * 255

    assert tiny_encoder.tokens.count([text]) == [512]
    assert embed(tiny_encoder, [text]).shape == (1, 32)


def test_loading_prints_nothing(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bars, reports or warnings of the libraries."""
    Encoder(locate(str(tiny))).embed_query("water")

    assert capfd.readouterr() == ("", "")


def test_a_device_without_room_beside_the_model_is_told(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents and questions end in a sentence with a remedy."""

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("sentence_transformers.SentenceTransformer.encode", full)
    encoder = Encoder(locate(str(tiny)))

    with pytest.raises(ModelError, match="not even one text fits into the memory of torch cpu"):
        embed(encoder, ["stone"])
    with pytest.raises(ModelError, match="not even one text fits into the memory of torch cpu"):
        encoder.embed_query("stone")
