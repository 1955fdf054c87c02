"""Reranking from the command line down to the model: loaded only when wished, told in the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny_cross_encoder import build_tiny_cross_encoder

from kb.app import LocalKnowledgeBase
from kb.embedding.cross_encoder import CrossEncoderReranker, locate_reranker
from kb.search.rerank import text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUESTION = "What tool should I use to store vector data locally?"


@pytest.mark.parametrize(
    "kind",
    ["colbert", pytest.param("cross-encoder", marks=pytest.mark.slow), pytest.param("lexical", marks=pytest.mark.slow)],
)
def test_hits_are_read_again(kind: str, tmp_path: Path, notes: Path, tiny: Path) -> None:
    """By each kind, over bge-m3's shape; the cosines are those of an answer that was not reranked."""
    cross = build_tiny_cross_encoder(tmp_path / "cross")
    values = {
        "embed.model": str(tiny),
        "embed.offline": "true",
        "folders.paths": f'["{notes}"]',
        "store.path": str(tmp_path / "store"),
        "search.rerank_model": str(cross),
    }
    with LocalKnowledgeBase.open(overrides=values) as kb:
        kb.index()
        plain = kb.search(QUESTION, weak=True)
        found = kb.search(QUESTION, rerank=kind, limit=2, weak=True)  # type: ignore[arg-type]

    assert plain.reranking is None
    assert found.reranking
    assert (found.reranking.by, found.reranking.read, found.reranking.of) == (kind, 4, 4)
    cosines = {hit.passage.id: hit.score for hit in plain.hits}
    assert all(cosines[hit.passage.id] == hit.score for hit in found.hits)
    scores = [hit.rerank or 0.0 for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    if kind == "cross-encoder":
        texts = [text_of(hit.passage) for hit in plain.hits]
        best = max(CrossEncoderReranker(locate_reranker(str(cross))).scores(QUESTION, texts))
        assert scores[0] == pytest.approx(best, abs=1e-5)


def test_nothing_is_loaded_unless_wished(open_kb: Callable[..., LocalKnowledgeBase], notes: Path) -> None:
    """A reranker that is not there matters only to a question that wants one."""
    kb = open_kb(notes, search__rerank_model="nobody/nothing")
    kb.index()

    assert kb.search(QUESTION).hits
