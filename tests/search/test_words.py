"""Which words of a question say what it is about."""

from __future__ import annotations

import pytest

from kb.search.words import content_words, inflected, weights, words_of


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("what is it about?", ""),
        ("What's it, and where don't they?", ""),
        ("where is the serial number XK-4471-B?", "serial number XK-4471-B?"),
        ("what does l'homme do with C++ or C#", "l'homme C++ C#"),
        ("was ist das Bundesverfassungsgericht", "Bundesverfassungsgericht"),
        ("x 7 \u732b ...", "7 \u732b"),
    ],
)
def test_what_tells_is_left_as_it_stands(question: str, expected: str) -> None:
    """What every question has goes, identifiers stay whole."""
    assert content_words(question) == expected


def test_words_with_vowel_signs_are_found_whole() -> None:
    """A mark ends no word, and none is found in another."""
    book = "\u0915\u093f\u0924\u093e\u092c"  # Hindi

    assert words_of(book).spans(f"a {book}.") == [(2, 7)]
    assert words_of(book[:4]).spans(book) == []


TEXTS = {"boiler": "Heating\nServiced by Dieter", "bread": "Baking and heat", "car": "Service of the car", "x": ""}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("services heating", {"boiler"}),
        ("heated servicing", {"boiler"}),
        ("service", {"boiler", "car"}),
        ("services, heating?", {"boiler"}),
        ("services windows", set()),
        ("heat", {"boiler", "bread"}),
        ("", set()),
        ("XK-4471", set()),
        ("by", set()),
    ],
)
def test_inflected_words_are_found_in_any_language(words: str, expected: set[str]) -> None:
    """Each of them has to stand there, and nothing that has no endings counts."""
    assert inflected(words, TEXTS, 0.5) == expected


def test_what_most_texts_have_says_nothing() -> None:
    """It tells none of them from the others."""
    assert inflected("service", TEXTS, 0.4) == frozenset()


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("smorrebrod", "Vi spiste sm\u00f8rrebr\u00f8d.", ["sm\u00f8rrebr\u00f8d"]),
        ("habitacao", "A habita\u00e7\u00e3o", ["habita\u00e7\u00e3o"]),
        ("cafe\u0301", "one caf\u00e9", ["caf\u00e9"]),
        ("caf\u00e9", "one cafe\u0301.", ["cafe\u0301"]),
        ("strasse", "Die Stra\u00dfe hier", ["Stra\u00dfe"]),
        ("pelican", "The pel\u200bican here", ["pel\u200bican"]),
        ("nummer", "Ver\u00adsicherung, Num\u00admer 7", ["Num\u00admer"]),
        ("\u0142\u00f3d\u017a", "miasto Lodz", ["Lodz"]),
    ],
)
def test_words_are_marked_as_they_stand_in_the_text(question: str, text: str, expected: list[str]) -> None:
    """Whatever accents and unseen characters they have there, the marked stretch is that of the text itself."""
    words = words_of(question)

    assert [text[first:last] for first, last in words.spans(text)] == expected
    assert weights([text, "nothing"], words)[1] == 0
    assert weights([text, "nothing"], words)[0] > 0
