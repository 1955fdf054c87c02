"""Which words of a question say what it is about."""

from __future__ import annotations

import pytest

from kb.search.words import telling, words_of


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
    assert telling(question) == expected


def test_words_with_vowel_signs_are_found_whole() -> None:
    """A mark ends no word, and none is found in another."""
    book = "\u0915\u093f\u0924\u093e\u092c"  # Hindi

    assert words_of(book).spans(f"a {book}.") == [(2, 7)]
    assert words_of(book[:4]).spans(book) == []
