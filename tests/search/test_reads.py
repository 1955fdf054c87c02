"""What one question reads of the catalog: nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kb.records import Mode, SearchRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kb.app import LocalKnowledgeBase

TOPICS = ("bread", "bridges", "whales", "violins", "maps", "rivers", "clocks", "glass")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough notes for whether there is an answer to be decided."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(64):
        text = f"Note {number} on {TOPICS[number % 8]}, as of {number} years ago, with the harbour in sight.\n"
        (folder / f"{number}.md").write_text(text, "utf-8")
    return folder


@pytest.fixture
def many(folder: Path, open_kb: Callable[..., LocalKnowledgeBase]) -> LocalKnowledgeBase:
    """A knowledge base of them, which the first test indexes for the others."""
    kb = open_kb(folder, folder.with_name("store-of-many"))
    kb.index()
    return kb


@pytest.mark.parametrize("mode", [Mode.KEYWORD, Mode.HYBRID, Mode.COSINE])
def test_no_passage_is_read_twice_for_an_answer(
    many: LocalKnowledgeBase, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    """Those that are shown are also those by which it is decided whether there is an answer."""
    many.search("how are clocks and maps made?")
    catalog: Any = many._container.catalog
    passages = catalog.passages
    read: list[str] = []

    def counted(ids: Sequence[str]) -> object:
        read.extend(ids)
        return passages(ids)

    monkeypatch.setattr(catalog, "passages", counted)

    hits = many.search(
        SearchRequest("the boiling point of nitrogen by years", mode=mode, limit=8, weak=True, per_file=1)
    ).hits

    assert len(hits) == 8
    assert len(read) == len(set(read))


def test_the_words_of_a_question_are_scored_once(many: LocalKnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a search by words, whose scores also decide whether there is an answer."""
    catalog: Any = many._container.catalog
    matches = catalog.keyword_matches
    asked: list[str] = []

    def counted(question: str, *args: Any, **more: Any) -> object:
        asked.append(question)
        return matches(question, *args, **more)

    monkeypatch.setattr(catalog, "keyword_matches", counted)

    for mode in (Mode.KEYWORD, Mode.HYBRID):
        asked.clear()
        many.search(SearchRequest("the boiling point of nitrogen by years", mode=mode))
        assert asked == ["the boiling point of nitrogen by years"]
