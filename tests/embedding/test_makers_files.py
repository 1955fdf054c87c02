"""The ONNX files that makers put beside weights: taken where they are proved or all there is, never guessed at."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiny_bge_m3 import SHA, copy_model, fake_hub_cache

from kb.embedding import references
from kb.embedding.encoder import Encoder, choose
from kb.embedding.locate import BGE_M3, locate
from kb.embedding.onnx_files import export_folder
from kb.embedding.runtime import Wanted
from kb.embedding.tokens import ModelTokens
from kb.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cloned(tiny: Path, tiny_encoder: Encoder, forms: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model as a clone of bge-m3 lies: with ``onnx/model.onnx`` and its data beside the weights."""
    model = copy_model(tiny, tmp_path)
    (model / "onnx").mkdir()
    for file in ("model.onnx", "model.onnx.data"):
        shutil.copy(export_folder(tiny_encoder.located, forms) / file, model / "onnx" / file)
    return model


def runs(model: Path | str, tmp_path: Path, **wanted: str) -> str:
    """How a model would be run."""
    located = locate(str(model), offline=True, cache_dir=tmp_path / "hub")
    return str(choose(located, ModelTokens(located.directory), Wanted(models=tmp_path / "none", **wanted)))  # type: ignore[arg-type]


def test_weights_go_before_files_that_were_never_compared_with_them(cloned: Path, tmp_path: Path) -> None:
    """A model trained further keeps the old ``onnx/`` beside it; nobody is to get the old vectors unasked."""
    assert runs(cloned, tmp_path).startswith("torch (its published ONNX files are not verified")
    assert "kb model export" in runs(cloned, tmp_path)
    with pytest.raises(ModelError, match="published ONNX files are not verified") as caught:
        runs(cloned, tmp_path, runtime="onnx")
    assert "kb model export" in caught.value.remedy


def test_without_other_weights_they_are_the_model(cloned: Path, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """Its fingerprint says what made the vectors, and torch has nothing to run."""
    before = Encoder(locate(str(cloned))).fingerprint
    (cloned / "pytorch_model.bin").unlink()

    encoder = Encoder(locate(str(cloned)), models=tmp_path / "none")

    assert encoder.choice().runtime == "onnx"
    np.testing.assert_allclose(encoder.embed_query("a river"), tiny_encoder.embed_query("a river"), atol=1e-5)
    assert " unit onnx " in encoder.fingerprint
    assert " unit float " in before
    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder(locate(str(cloned)), runtime="torch").load()


def test_unproved_files_of_a_hub_model_have_a_fingerprint_of_their_own(cloned: Path, tmp_path: Path) -> None:
    """One commit may be here with its weights and there with its ONNX files alone: their vectors do not mix."""
    prints = []
    for place in ("whole", "graph"):
        fake_hub_cache(tmp_path / place, cloned, name="some/model")
        prints.append(Encoder(locate("some/model", SHA, offline=True, cache_dir=tmp_path / place)).fingerprint)
        (cloned / "pytorch_model.bin").unlink(missing_ok=True)

    assert f"some/model@{SHA} cls unit float " in prints[0]
    assert f"some/model@{SHA} cls unit onnx " in prints[1]


def test_published_files_are_held_against_published_cosines(
    cloned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name of bge-m3 they are used before any export, and refused where they are another model's."""
    fake_hub_cache(tmp_path / "hub", cloned)
    located = locate(BGE_M3, offline=True, cache_dir=tmp_path / "hub")
    encoder = Encoder(located, models=tmp_path / "none")

    assert encoder.choice().runtime == "onnx"
    assert " unit float " in encoder.fingerprint
    with pytest.raises(ModelError, match="its ONNX files give the cosines"):
        encoder.load()

    vectors = Encoder(located, runtime="torch")
    answers = vectors.embed_documents(references.ANSWERS, vectors.tokens.count(references.ANSWERS))
    monkeypatch.setitem(references.GOLDEN, BGE_M3, tuple((answers @ vectors.embed_query(references.QUESTION)).tolist()))
    assert encoder.load() == "onnx cpu (float32)"


def test_half_of_the_files_is_no_model(cloned: Path, tmp_path: Path) -> None:
    """Without the numbers that the graph names, torch runs the weights; without weights either, the file is named."""
    (cloned / "onnx" / "model.onnx.data").unlink()
    fake_hub_cache(tmp_path / "hub", cloned)

    assert runs(BGE_M3, tmp_path).startswith("torch (there is no ONNX form")
    (cloned / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"onnx/model\.onnx\.data missing"):
        locate(str(cloned))
