"""ONNX files that are published with a model: used if they are verified or the only weights."""

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
    """A copy of the tiny model, laid out like a clone of bge-m3, with ``onnx/model.onnx`` and its data."""
    model = copy_model(tiny, tmp_path)
    (model / "onnx").mkdir()
    for file in ("model.onnx", "model.onnx.data"):
        shutil.copy(export_folder(tiny_encoder.located, forms) / file, model / "onnx" / file)
    return model


def runs(model: Path | str, tmp_path: Path, **wanted: str) -> str:
    """How a model would be run."""
    located = locate(str(model), offline=True, cache_dir=tmp_path / "hub")
    return str(choose(located, ModelTokens(located.directory), Wanted(models=tmp_path / "none", **wanted)))  # type: ignore[arg-type]


def test_weights_are_preferred_to_unverified_onnx_files(cloned: Path, tmp_path: Path) -> None:
    """A model that was trained further may still have the old ``onnx/``, which gives the old vectors."""
    assert runs(cloned, tmp_path).startswith("torch (its published ONNX files are not verified")
    assert "kb model export" in runs(cloned, tmp_path)
    with pytest.raises(ModelError, match="published ONNX files are not verified") as caught:
        runs(cloned, tmp_path, runtime="onnx")
    assert "kb model export" in caught.value.remedy


def test_onnx_files_are_used_if_there_are_no_other_weights(cloned: Path, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """The fingerprint names them, and torch has nothing to run."""
    before = Encoder(locate(str(cloned))).fingerprint
    (cloned / "pytorch_model.bin").unlink()

    encoder = Encoder(locate(str(cloned)), models=tmp_path / "none")

    assert encoder.choice().runtime == "onnx"
    np.testing.assert_allclose(encoder.embed_query("a river"), tiny_encoder.embed_query("a river"), atol=1e-5)
    assert " unit onnx " in encoder.fingerprint
    assert " unit float " in before
    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder(locate(str(cloned)), runtime="torch").load()


def test_unverified_files_of_a_hub_model_have_their_own_fingerprint(cloned: Path, tmp_path: Path) -> None:
    """One machine may have the weights of a commit and another its ONNX files; their vectors must not mix."""
    prints = []
    for place in ("whole", "graph"):
        fake_hub_cache(tmp_path / place, cloned, name="some/model")
        prints.append(Encoder(locate("some/model", SHA, offline=True, cache_dir=tmp_path / place)).fingerprint)
        (cloned / "pytorch_model.bin").unlink(missing_ok=True)

    assert f"some/model@{SHA} cls unit float " in prints[0]
    assert f"some/model@{SHA} cls unit onnx " in prints[1]


def test_published_files_are_checked_against_published_cosines(
    cloned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of bge-m3 are used without an export, and refused if they are another model's."""
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


def test_incomplete_onnx_files_are_not_used(cloned: Path, tmp_path: Path) -> None:
    """If the graph's data is missing, torch runs the weights; without weights, the error names the file."""
    (cloned / "onnx" / "model.onnx.data").unlink()
    fake_hub_cache(tmp_path / "hub", cloned)

    assert runs(BGE_M3, tmp_path).startswith("torch (there is no ONNX form")
    (cloned / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"onnx/model\.onnx\.data missing"):
        locate(str(cloned))
