"""Cross-encoders: found by directory or in the hub's cache, verified when loaded, with the scores of the bare model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tiny_bge_m3 import copy_model, fake_hub_cache
from tiny_cross_encoder import build_tiny_cross_encoder

from kb.embedding.cross_encoder import BGE_RERANKER, BGE_RERANKER_REVISION, CrossEncoderReranker, locate_reranker
from kb.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = "water in the river"
TEXTS = ["the river is water", "python library", "notes of stone and a folder with search", "water " * 200]


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cross-encoder; tests must not change it."""
    return build_tiny_cross_encoder(tmp_path_factory.mktemp("cross") / "model")


def test_scores_are_those_of_the_bare_model(cross: Path) -> None:
    """The sigmoid of the logit of transformers' own classes, one pair at a time."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(cross)
    model = AutoModelForSequenceClassification.from_pretrained(cross).eval()
    expected = []
    for text in TEXTS:
        with torch.inference_mode():
            logits = model(**tokenizer(QUESTION, text, return_tensors="pt", truncation=True)).logits
        expected.append(float(torch.sigmoid(logits[0, 0])))

    found = CrossEncoderReranker(locate_reranker(str(cross), offline=True)).scores(QUESTION, TEXTS)

    assert found == pytest.approx(expected, abs=1e-5)
    assert len(set(found)) == len(TEXTS)


def test_published_model_comes_from_the_cache_at_its_pinned_revision(cross: Path, tmp_path: Path) -> None:
    """By its name and offline, without a request to the hub."""
    fake_hub_cache(tmp_path, cross, name=BGE_RERANKER, sha=BGE_RERANKER_REVISION)

    located = locate_reranker(BGE_RERANKER, offline=True, cache_dir=tmp_path)

    assert located.revision == BGE_RERANKER_REVISION
    assert len(CrossEncoderReranker(located).scores(QUESTION, TEXTS[:2])) == 2


def test_missing_model_is_reported(tmp_path: Path) -> None:
    """The error has a remedy."""
    with pytest.raises(ModelError, match="not on this machine"):
        locate_reranker(BGE_RERANKER, offline=True, cache_dir=tmp_path)
    with pytest.raises(ModelError, match="no reranker directory"):
        locate_reranker(str(tmp_path / "nowhere"), offline=True)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_incomplete_model_is_refused(cross: Path, tmp_path: Path, missing: str) -> None:
    """Such a model would load and give meaningless scores."""
    broken = copy_model(cross, tmp_path)
    (broken / missing).unlink()

    with pytest.raises(ModelError, match="incomplete"):
        locate_reranker(str(broken), offline=True)


def test_weights_that_lack_a_part_are_refused(cross: Path, tmp_path: Path) -> None:
    """The missing classification head would be random."""
    from safetensors.torch import load_file, save_file

    broken = copy_model(cross, tmp_path)
    weights = load_file(broken / "model.safetensors")
    del weights["classifier.out_proj.weight"]
    save_file(weights, broken / "model.safetensors")

    with pytest.raises(ModelError, match="lack 1 of"):
        CrossEncoderReranker(locate_reranker(str(broken), offline=True)).load()


def test_broken_weights_are_reported(cross: Path, tmp_path: Path) -> None:
    """In one sentence, whatever the library raises."""
    broken = copy_model(cross, tmp_path)
    (broken / "model.safetensors").write_bytes(b"nothing")

    with pytest.raises(ModelError, match="cannot be loaded"):
        CrossEncoderReranker(locate_reranker(str(broken), offline=True)).load()


def test_a_model_of_another_kind_is_refused(tiny: Path, tmp_path: Path) -> None:
    """An embedding model, or one with three scores per pair, is not a reranker."""
    with pytest.raises(ModelError, match="not a cross-encoder"):
        locate_reranker(str(tiny), offline=True)
    with pytest.raises(ModelError, match="not a cross-encoder"):
        locate_reranker(str(build_tiny_cross_encoder(tmp_path / "three", labels=3)), offline=True)


def test_a_broken_config_is_reported(cross: Path, tmp_path: Path) -> None:
    """It is not JSON, or has no content."""
    broken = copy_model(cross, tmp_path)
    (broken / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        locate_reranker(str(broken), offline=True)
    (broken / "config.json").write_text(json.dumps({"model_type": "xlm-roberta"}), "utf-8")
    with pytest.raises(ModelError, match="unknown kind"):
        locate_reranker(str(broken), offline=True)
