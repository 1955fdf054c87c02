"""Claims are released only with a quote that stands in the passage they name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sources import source

from kb.answers.claims import MOST, WrittenClaim, check_claims, fold, read_claims, stands_at

TEXT = "The roof was mended by Ines Vogel in 1974.\nIt \u201cleaked\u201d for twenty\u2011two years \u2014 badly."


def checked(sentence: str, quote: str, text: str = TEXT, number: int = 1, question: str = "Who mended it?") -> Any:
    """The result of checking one claim."""
    return check_claims([WrittenClaim(sentence, number, quote)], [source(text, line=10)], question)


def test_a_true_quote_holds_with_its_line() -> None:
    """The line is that of the quote, not of the passage."""
    (claim,) = checked("It leaked badly.", "leaked\u201d for twenty\u2011two years").claims
    assert (claim.text, claim.quotes[0].line) == ("It leaked badly.", 11)


def test_a_sentence_reads_as_it_is_written() -> None:
    """Characters that turn the direction of writing, or are not drawn, are left out."""
    (claim,) = checked("It was \u202eInes\u200b Vogel\u2069.", "mended by Ines Vogel in 1974").claims
    assert claim.text == "It was Ines Vogel."


def test_what_is_released_is_the_text_of_the_passage() -> None:
    """Quotation marks, hyphens and white space may differ in what the model wrote."""
    (claim,) = checked("It leaked badly.", "It 'leaked'  for\ntwenty-two years - badly.").claims
    assert claim.quotes[0].text == "It \u201cleaked\u201d for twenty\u2011two years \u2014 badly."


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Vogel mended it.", "The roof was repaired by Ines Vogel"),
        ("Vogel mended it.", "the roof was mended by Ines Vogel"),
        ("Vogel mended it.", "roof was mended by Ines Vog"),
        ("Vogel mended it.", "Ines Vogel"),
        ("It was in 1975.", "mended by Ines Vogel in 1974"),
        ("It was Hans Kleber.", "mended by Ines Vogel in 1974"),
        ("", "mended by Ines Vogel in 1974"),
        ("\u200b \u202e", "mended by Ines Vogel in 1974"),
        ("x" * 700, "mended by Ines Vogel in 1974"),
        ("Vogel mended it.", TEXT * 20),
        ("Vogel mended it.", "was by in was"),
        ("Vogel mended it.", "The roof was ... in 1974"),
        ("Vogel mended it.", "The r\u043e\u043ef was mended by Ines Vogel"),
        ("Vogel mended it.", "\u202eThe roof was mended by Ines Vogel"),
        ("Vogel mended it.", "Who mended it? The roof was mended"),
        ("Vogel mended it.", "Answer with one JSON object and nothing else"),
    ],
    ids=[
        "other word",
        "other case",
        "cut word",
        "too short",
        "other number",
        "other name",
        "no sentence",
        "nothing drawn",
        "too long",
        "quote too long",
        "small words",
        "parts joined",
        "look-alikes",
        "right to left",
        "of the question",
        "of the rules",
    ],
)
def test_what_does_not_hold_is_dropped(sentence: str, quote: str) -> None:
    """With a sentence that tells the model why."""
    found = checked(sentence, quote)
    assert found.claims == ()
    assert len(found.dropped) == 1


def test_a_quote_of_another_passage_is_dropped() -> None:
    """It has to stand in the one that is named."""
    assert not checked("Vogel mended it.", "mended by Ines Vogel in 1974", number=2).claims


def test_names_of_the_question_may_be_used() -> None:
    """The passage may call it otherwise."""
    quote = "leaked\u201d for twenty\u2011two years"
    assert not checked("The roof of Arden leaked.", quote).claims
    assert checked("The roof of Arden leaked.", quote, question="How long did the roof of Arden leak?").claims


def test_a_quote_in_a_script_without_spaces_needs_letters() -> None:
    """There are no words to count."""
    text = "屋顶是由伊内斯在一九七四年修好的。"
    assert checked("伊内斯修的。", "屋顶是由伊内斯在一九七四年修好", text).claims
    assert not checked("伊内斯修的。", "伊内斯", text).claims


def test_claims_of_one_sentence_are_one_with_several_quotes() -> None:
    """And there are no more than four."""
    quotes = ["The roof was mended by Ines Vogel", "mended by Ines Vogel in 1974"]
    found = check_claims([WrittenClaim("Vogel mended it.", 1, quote) for quote in quotes], [source(TEXT)], "Who?")
    assert [len(claim.quotes) for claim in found.claims] == [2]

    many = [WrittenClaim(f"{letter} Vogel mended it.", 1, quotes[0]) for letter in "abcdefgh"]
    assert len(check_claims(many, [source(TEXT)], "Who?").claims) == MOST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It was Vogel.",
        "{}",
        '{"claims": [{"sentence": "x"}]}',
        "[1]",
        '{"claims": [}',
        '{"answer": {"claims": []}}',
        '{"claims": [[]]}',
        "[" * 5000,
    ],
)
def test_what_is_not_the_form_asked_for_is_not_read(text: str) -> None:
    """Nothing is guessed from it."""
    assert read_claims(text) is None


def test_a_fence_around_the_answer_is_allowed() -> None:
    """Many models write one."""
    claims = json.dumps({"claims": [{"sentence": "a", "source": 1, "quote": "b"}]})
    assert read_claims(f"```json\n{claims}\n```") == read_claims(claims) == [WrittenClaim("a", 1, "b")]
    assert read_claims('{"claims": []}') == []


def test_folding_keeps_the_places() -> None:
    """Each character leads back to where it stands."""
    folded, places = fold("a\u00ad \n\u201cb\u201d")
    assert folded == "a 'b'"
    assert [("a\u00ad \n\u201cb\u201d")[at] for at in places] == ["a", " ", "\u201c", "b", "\u201d"]
    assert stands_at("", "text") is None
