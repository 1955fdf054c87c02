"""The terms of passages and questions in every script: words, identifiers and versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.store.languages import stemmer_for
from kb.store.terms import BESIDE, INSIDE, NAME, parts_of, terms_of, terms_of_name, wanted


def terms(text: str, language: str = "en") -> list[str]:
    """The words of a text, without additional terms."""
    return [term for term in terms_of(text, stemmer_for(language)) if not term.startswith((INSIDE, BESIDE))]


def beside(text: str, language: str = "en") -> set[str]:
    """The additional terms of a text."""
    return {term[1:] for term in terms_of(text, stemmer_for(language)) if term.startswith(BESIDE)}


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Indexing the Folders", "en", ["index", "the", "folder"]),
        ("naïve café", "en", ["naiv", "cafe"]),
        ("las canciones", "es", ["las", "cancion"]),
        ("Häuser und Straßen", "de", ["haus", "und", "strass"]),
        ("новые книги", "ru", ["нов", "книг"]),
        ("東京都", "ja", ["東", "京", "都", "東京", "京都"]),
        ("ประเทศ", "th", ["ประ", "ระเ", "ะเท", "เทศ"]),
        ("한국어", "ko", ["한", "국", "어", "한국", "국어"]),
        ("max_tokens", "en", ["max_tokens", "max", "token"]),
        ("parseHTTPResponse", "", ["parsehttprespons", "pars", "http", "respons"]),
        ("v1.5.9", "", ["v1.5.9", "v1", "5", "9"]),
        ("kb/store/catalog.py", "", ["kb/store/catalog.py", "kb", "store", "catalog", "py"]),
        ("C++ and C#", "en", ["c++", "c", "and", "c#", "c"]),
        ("don't", "en", ["don", "t"]),
        ("\uff36\uff25\uff23\uff34\uff2f\uff32", "en", ["vector"]),  # full-width letters
        ("... -- !?", "en", []),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "hi", ["\u0939\u093f\u0928\u094d\u0926"]),  # the stem of "Hindi"
        ("\u0995\u09bf\u09a4\u09be\u09ac", "bn", ["\u0995\u09bf\u09a4\u09be\u09ac"]),  # Bengali, no stemmer
        (
            "\u0baa\u0bc1\u0ba4\u0bcd\u0ba4\u0b95\u0bae\u0bcd",
            "ta",
            ["\u0baa\u0bc1\u0ba4\u0bcd\u0ba4\u0b95\u0bae\u0bcd"],
        ),  # Tamil
        ("\u0936\u0915\u094d\u200d\u0924\u093f", "", terms("\u0936\u0915\u094d\u0924\u093f")),  # an unseen joiner
        ("\u0643\u0650\u062a\u064e\u0627\u0628\u064c", "ar", terms("\u0643\u062a\u0627\u0628")),  # vocalised Arabic
        ("\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "he", terms("\u05e9\u05dc\u05d5\u05dd")),  # pointed Hebrew
    ],
)
def test_terms_of_a_text(text: str, language: str, expected: list[str]) -> None:
    """Case, accents and endings are removed; parts of tokens are additional terms."""
    folded = [term.replace("parsehttpresponse", "parsehttprespons") for term in terms(text, language)]

    assert [one for one in folded if len(one) > 0] == expected or set(expected) <= set(folded)


def test_marks_belong_to_their_letters() -> None:
    """A word of a script with vowel signs is one term, and so is each word of a sentence."""
    assert len(terms("\u0939\u093f\u0928\u094d\u0926\u0940 \u0915\u093f\u0924\u093e\u092c", "hi")) == 2
    assert terms("\u0928\u092e\u0938\u094d\u0924\u0947-\u0926\u0941\u0928\u093f\u092f\u093e", "hi")[1:] == [
        *terms("\u0928\u092e\u0938\u094d\u0924\u0947"),
        *terms("\u0926\u0941\u0928\u093f\u092f\u093e"),
    ]


def test_a_phrase_has_the_terms_of_the_text_however_long_its_words() -> None:
    """Words are limited to the same length in both."""
    text = "x" * 80

    assert {term for word in parts_of(text, ["english"]) for term in word.terms} == set(terms(text))


def test_long_words_give_letter_runs_in_languages_with_compounds() -> None:
    """In German, but not in English."""
    german = list(terms_of("Bundesverfassungsgericht", "german"))

    assert {INSIDE + part for part in ("geric", "erich", "richt")} <= set(german)
    assert not any(term.startswith(INSIDE) for term in terms_of("internationalisation", "english"))


def test_a_question_is_stemmed_in_every_language_of_the_index() -> None:
    """A short question does not reveal its language, so each stemmer of the index is applied."""
    (word,) = wanted("canciones", ["english", "spanish"])

    stems = {"cancion"} | set(terms("canciones", "en")) | set(terms("canciones", "es"))
    assert set(word.terms) == stems | {BESIDE + one for one in stems}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("10.0.0.17:8080", {"10.0.0.17", "0.0.17", "17:8080"}),
        ("v2.14.3-rc1", {"2.14.3", "v2.14", "2.14"}),
        ("jo.doe@mail.example.org", {"jo.doe", "example.org", "mail.example.org"}),
        ("Wi-Fi", {"wifi"}),
        ("getUserName", {"usernam"}),
        ("load_max_tokens", {"max_tokens", "maxtoken", "loadmax"}),
        ("covid-19", {"covid19"}),
        ("3.14-0.5", {"3.14", "0.5"}),
        ("978-0-306-40615-7", {"9780306406157"}),
        ("0-8044-2957-X", {"080442957x"}),
        ("+49-170-1234567", {"491701234567"}),
        ("2024-03-17T08:15:42.123Z", {"08:15", "2024-03-17", "08:15:42"}),
        ("https://kb.example.net/a", {"kb.example.net", "example.net"}),
        ("می‌خوانم", set()),  # Persian: whole, without its joint, is below
    ],
)
def test_sequences_of_parts_are_additional_terms(text: str, parts: set[str]) -> None:
    """An address without its port, a version without its letter, hyphenated words also as one word."""
    assert parts <= beside(text)
    assert "314" not in beside(text)


def test_dates_are_not_joined() -> None:
    """Nor ranges, versions and addresses: only numbers that are long."""
    assert not {"20240506", "10001200", "192168001"} & set(beside("2024-05-06 1000-1200 192.168.0.0.1"))


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("10.0.0.17", "10.0.0.17:8080"),
        ("2.14.3", "v2.14.3-rc1"),
        ("v1.9", "1.9"),
        ("example.org", "jo.doe@mail.example.org"),
        ("WiFi", "Wi-Fi"),
        ("Wi-Fi", "wifi"),
        ("max_tokens", "setMaxTokens"),
        ("a/b/c/d/e/f", "/x/y/a/b/c/d/e/f/g/h"),
        ("00:1b:44:11:3a", "eth0.00:1b:44:11:3a:b7"),
        ("میخوانم", "می‌خوانم"),
        ("don\u02bct", "don't"),
        ("9780306406157", "ISBN 978-0-306-40615-7"),
        ("978-0-306-40615-7", "9780306406157"),
    ],
)
def test_tokens_are_searched_in_all_their_forms(typed: str, text: str) -> None:
    """A part, with and without signs; a part of a found token need not occur again separately."""
    there = set(terms_of(text, "english"))
    words = wanted(typed, ["english"])

    def stands(terms: tuple[str, ...]) -> bool:
        return not there.isdisjoint(terms)

    whole = words[0]
    assert stands(whole.terms) or (whole.together and there.issuperset(whole.together))
    assert all(stands(word.terms) or stands(word.part_of) for word in words[1:])


@pytest.mark.parametrize(
    ("typed", "text", "language"),
    [
        ("smorrebrod", "smørrebrød", "da"),
        ("aebler", "æbler", "da"),
        ("lodz", "Łódź", "pl"),
        ("zolw", "Żółw", "pl"),
        ("isiklar", "Iş\u0131klar", "tr"),
        ("duong", "Đường", "vi"),
        ("oeuvres", "œuvres", "fr"),
        ("thing", "þíngaþ".replace("aþ", ""), "is"),
        ("strasse", "Straße", "de"),
        ("habitacao", "habitação", "pt"),
        ("habitacion", "habitación", "es"),
        ("preferee", "préférée", "fr"),
        ("evenements", "événements", "fr"),
        ("corazones", "corazonés", "es"),
        ("hobza", "ħobża", ""),
    ],
)
def test_letters_match_with_and_without_accents(typed: str, text: str, language: str) -> None:
    """Strokes and ligatures too, and stems that depend on an accent."""
    stemmer = stemmer_for(language)

    for asked, held in ((typed, text), (text, typed)):
        (word,) = wanted(asked, ["english", stemmer])
        assert not set(terms_of(held, stemmer)).isdisjoint(word.terms)


@pytest.mark.parametrize(
    ("typed", "text", "language"),
    [
        ("Eigentuemer", "die Eigentümer", "german"),
        ("Müller", "Herr Mueller", "german"),
        ("Foehn-Gewitter", "Föhn-Gewitter", "german"),
        ("smoerrebroed", "smørrebrød", "danish"),
        ("Aarhus", "Århus", "danish"),
        ("Goeteborg", "Göteborg", "swedish"),
    ],
)
def test_letters_typed_as_two(typed: str, text: str, language: str) -> None:
    """In texts of their language alone: an English *blue* is no German *blü*."""
    (word, *_) = wanted(typed, ["english", language])

    assert not set(terms_of(text, language)).isdisjoint(word.terms)
    (blue,) = wanted("blue", ["english", "german"])
    assert dict(zip(blue.terms, blue.stemmers, strict=True))["blu"] == ("german",)


@pytest.mark.parametrize("unseen", "\u00ad\u200b\u200c\u200d\u200e\u2060\u2063\ufeff\u061c\u3164\ufe0f\U000e0061")
def test_invisible_characters_divide_no_word(unseen: str) -> None:
    """Soft hyphens, zero-width spaces, joiners, marks of direction, selectors, tags."""
    assert terms(f"pel{unseen}ican") == terms("pelican")


def test_a_soft_hyphen_at_the_end_of_a_line_divides_no_word() -> None:
    """It is seen there; a blank line or a number behind it ends the word."""
    assert terms("pel\u00ad\n  ican") == terms("pelican")
    assert terms("pel\u00ad\n\nican") == terms("pel ican")
    assert terms("pel\u00ad\n2") == terms("pel 2")


def test_names_of_files_that_are_encoded_as_addresses() -> None:
    """As programs that save web pages write them; a percent sign alone stays."""
    assert {NAME + "vogel", NAME + "liste"} <= terms_of_name("V%C3%B6gel%20Liste 50%.html", "")


@given(st.text(max_size=200), st.sampled_from(["english", "german", "spanish", "turkish"]))
def test_a_text_contains_the_terms_of_its_own_words(text: str, language: str) -> None:
    """Each word of a question that is the text of a passage has a term in the passage."""
    there = set(terms_of(text, language))

    assert all(there.intersection(word.terms) for word in wanted(text, [language]))
    assert all(there.intersection(word.terms) for word in parts_of(text, [language]))
