"""The best sentences of a passage, and the question's words in them."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from any_answers import texts
from hypothesis import given
from hypothesis import strategies as st

from kb.cli.output.snippet import snippet as snippet_of
from kb.search.sentences import sentences as sentences_of
from kb.search.words import words_of

_PASSAGE = """\
# Tools

We tried many things. SQLite keeps rows well. It was a rainy autumn, and nobody minded.
For vector data stored locally, use ChromaDB. It is embedded,
so nothing has to run beside it.

- Postgres needs a server.
- Files need care.
"""


def snippet(*arguments: Any, **named: Any) -> str:
    """The text of a snippet alone."""
    return snippet_of(*arguments, **named).text


def sentences(text: str) -> list[str]:
    """The texts of the sentences alone."""
    return [sentence.text for sentence in sentences_of(text)]


def marked(text: str, question: str) -> list[str]:
    """The words of a text that are marked for a question."""
    return [text[first:last] for first, last in words_of(question).spans(text)]


def test_the_sentence_that_answers_is_chosen() -> None:
    """Of a passage with many sentences the one with most of the question's words is shown, with ellipses around."""
    best = snippet(_PASSAGE, words_of("What tool should I use to store vector data locally?"), budget=60)

    assert best == "… For vector data stored locally, use ChromaDB. …"


def test_sentences_keep_their_order_and_what_is_left_out_is_marked() -> None:
    """Chosen sentences stand as in the passage, however well each answers."""
    best = snippet(_PASSAGE, words_of("ChromaDB server SQLite"))

    assert (
        best
        == "… SQLite keeps rows well. … For vector data stored locally, use ChromaDB. … - Postgres needs a server. …"
    )


def test_room_that_is_left_goes_to_what_stands_beside() -> None:
    """The sentence after the one with the question's words is where the answer often is."""
    text = "Intro here. Where do backups go? To the shed. Every Sunday. Never elsewhere."

    assert snippet(text, words_of("Where do the backups go?"), budget=70, most=2) == (
        "… Where do backups go? To the shed. …"
    )


def test_a_passage_without_the_words_begins_at_its_beginning() -> None:
    """A hit by meaning alone shows the first sentences."""
    best = snippet(_PASSAGE, words_of("elephants"), budget=50)

    assert best == "We tried many things. SQLite keeps rows well. …"


def test_a_long_sentence_is_cut_around_the_words() -> None:
    """A sentence over the budget is shown where the question's words stand, cut between words."""
    text = "lorem ipsum " * 50 + "the vector store is here " + "dolor sit " * 50

    best = snippet(text, words_of("vector store"), budget=80)

    assert "vector store" in best
    assert best.startswith("… ")
    assert best.endswith(" …")
    assert len(best) <= 84
    assert set(best.strip("… ").split()) <= set(text.split())


def test_headings_fences_and_rules_are_no_sentences() -> None:
    """Items, rows and lines of code stand by themselves; soft line ends do not end a sentence."""
    text = (
        "# Head\n\nOne\ntwo. Three e.g. this.\n---\n| a | b |\n|---|---|\n| c | d |\n"
        "```sh\n# comment\nls -l\n```\n1. item"
    )

    assert sentences(text) == [
        "One two.",
        "Three e.g. this.",
        "| a | b |",
        "| c | d |",
        "# comment",
        "ls -l",
        "1. item",
    ]


def test_a_lone_heading_is_shown() -> None:
    """A passage that is nothing but a heading is not shown empty."""
    assert snippet("## Only this\n", words_of("x")) == "## Only this"


@pytest.mark.parametrize(
    ("question", "text", "found"),
    [
        ("Which databases?", "A database, two databases, a databank", ["database", "databases"]),
        ("storing notes", "He stored a note in the store; a story", ["stored", "note", "store"]),
        ("What is the index?", "Indexing the Index is what it is", ["Indexing", "Index"]),
        ("to be or not to be", "to be", ["to", "be"]),
        ("log", "logs of a catalogue log", ["logs", "log"]),
        ("向量数据库", "使用向量数据存储", ["向量数据"]),
        ("query", "queries, querying, query", ["queries", "querying", "query"]),
        ("c++ [regex] (", "regex", ["regex"]),
    ],
)
def test_words_are_found_with_their_endings(question: str, text: str, found: list[str]) -> None:
    """Content words are found whatever their ending and case; the words any question has are not."""
    assert marked(text, question) == found


@given(texts, texts)
def test_a_snippet_says_only_what_the_passage_says(text: str, question: str) -> None:
    """Every part between ellipses stands in the passage, white space aside, and the whole is not long."""
    best = snippet(text, words_of(question), budget=40)

    whole = " ".join(unicodedata.normalize("NFC", text).split())
    assert all(part.strip() in whole for part in best.split("…"))
    assert len(best) <= 60
    assert "\n" not in best


@given(st.lists(st.sampled_from(["apple pie.", "Banana bread.", "Cherry cake.", "Date tart."]), min_size=1, max_size=9))
def test_a_word_of_the_question_is_never_left_out(parts: list[str]) -> None:
    """Where any sentence has the word, the snippet has it."""
    text = " ".join(["Nothing here."] * 5 + parts)

    best = snippet(text, words_of("banana"), budget=30)

    assert ("Banana" in best) == ("Banana bread." in parts)


@given(texts, texts)
def test_marks_are_in_order_and_apart(text: str, question: str) -> None:
    """Spans lie within the text, do not touch, and none is empty."""
    spans = words_of(question).spans(text)

    flat = [at for span in spans for at in span]
    assert flat == sorted(set(flat))
    assert all(0 <= at <= len(text) for at in flat)


def test_a_snippet_knows_its_line() -> None:
    """The line is the one on which the first sentence that is shown begins."""
    lines = _PASSAGE.split("\n")

    for question, begin in (("vector data", "For vector"), ("SQLite rows", "We tried"), ("server", "- Postgres")):
        best = snippet_of(_PASSAGE, words_of(question), budget=40)
        assert lines[best.line].startswith(begin), question


@given(texts)
def test_every_sentence_begins_on_its_line(text: str) -> None:
    """The first word of a sentence stands on the line it names."""
    lines = unicodedata.normalize("NFC", text).split("\n")

    for sentence in sentences_of(text):
        first = sentence.text.split()[0] if sentence.text.split() else ""
        assert first in " ".join(lines[sentence.line].split())
