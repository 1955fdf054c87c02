"""The terms of passages and questions in any language, for keyword search.

Words lose case, accents and vowel points, and Snowball stems them in the language of their document. A word with
accents also gives its stem without them, for questions that leave them out. Scripts without spaces give overlapping
runs of characters. Identifiers, versions, addresses and paths give themselves, their parts, and sequences of parts. In
languages that write compounds as one word, long words also give runs of their letters, so that *Gericht* finds
*Bundesverfassungsgericht*.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from kb.records.characters import MARKS, SPACELESS, THREES, TWOS, one_sign, seen, unaccented, unpointed
from kb.store.languages import COMPOUNDING, ENGLISH, stemmer_of_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from Stemmer import Stemmer

INSIDE: Final = "\x01"
"""The prefix of terms for five letters inside a long word."""

BESIDE: Final = "\x06"
"""The prefix of additional terms: sequences of the parts of a token, and stems without accents."""

NAME: Final = "\x07"
"""The prefix of terms in the path of the file."""

_LETTERS: Final = rf"[^\W{SPACELESS}]"
# In Persian, the zero-width non-joiner separates the parts of a word, like a hyphen in other languages.
_JOINS: Final = r"./:@+\u200c\-"
_TOKEN: Final = re.compile(
    rf"(?P<threes>[{THREES}]+)|(?P<twos>[{TWOS}]+)"
    rf"|(?P<word>{_LETTERS}+(?:(?:[{_JOINS}](?={_LETTERS})|[{MARKS}]+){_LETTERS}*)*(?:\+\+|#)?)"
)
_PIECE: Final = re.compile(r"[^\W_]+")
_MARKED_PIECE: Final = re.compile(rf"(?:[^\W_]|[{MARKS}])+")
_ANY_MARK: Final = re.compile(f"[{MARKS}]")
_CASES: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LATIN: Final = re.compile(r"[a-z\u00df-\u024f]+")
# The plural s of GPUs and RXRs. A stemmer sees them in lower case, and keeps an s without a vowel before it.
_PLURALS: Final = re.compile(r"(?<![^\W_])[A-Z][A-Z0-9]+s(?![^\W_])")
# Parts on both sides of these signs are never written as one word.
_NAMES: Final = re.compile(r"[/:@+#]")
# A version begins with a letter; between the day and the time of a moment stands one (2026-11-22T08:15).
_LETTERS_THEN_DIGITS: Final = re.compile(r"\d*[^\W\d_]+(?=\d)")
_DIGITS_THEN_LETTERS: Final = re.compile(r"\d+(?=[^\W\d_])")
_VERSION: Final = re.compile(r"v(?=\d)")
# A long number in groups, as ISBNs, telephone and card numbers are printed; a date is shorter.
_GROUPED: Final = re.compile(r"(?<![\w-])\d+(?:-\d+){2,}-?X?(?![\w-])")
_LONG_NUMBER: Final = 9
_GRAM, _LONG = 5, 8
_LONGEST: Final = 64
# Letters with marks and how they are typed without them, by stemmer.
_GERMAN: Final = (("\u00e4", "ae"), ("\u00f6", "oe"), ("\u00fc", "ue"))
_NORDIC: Final = (("\u00f8", "oe"), ("\u00e5", "aa"))
_TYPED: Final = {
    "german": _GERMAN,
    "danish": _NORDIC,
    "norwegian": _NORDIC,
    "swedish": (("\u00e4", "ae"), ("\u00f6", "oe"), ("\u00e5", "aa")),
    "finnish": (("\u00e4", "ae"), ("\u00f6", "oe")),
}
# The most parts in a sequence; a longer one in a question is found by the sequences in it.
_ROW: Final = 4
# The most parts that are joined without signs, and the most parts of a token for that: longer ones are numbers or keys.
_JOINED_ROW: Final = 3
_MOST_PARTS: Final = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """One word of a question.

    Attributes:
        terms: Its terms; a passage with any of them contains the word.
        inside: The runs of letters in it.
        together: Terms that count as the word if a passage has all of them.
        part_of: The terms of the token that it is part of; a passage with one of them contains the word.
        stemmers: For each term the stemmers that give it: in the texts of others it may be another word. Empty for all.
    """

    terms: tuple[str, ...]
    inside: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    part_of: tuple[str, ...] = ()
    stemmers: tuple[tuple[str, ...], ...] = field(default=(), compare=False)


def terms_of(text: str, language: str) -> Iterator[str]:
    """All terms of a text, stemmed in its language, each as often as it occurs."""
    for kind, token in _tokens(text):
        yield from _terms_of_word(token, language) if kind == "word" else runs(kind, token)


# Most words of a text occurred before, in it or in others.
@lru_cache(maxsize=65536)
def _terms_of_word(token: str, language: str) -> tuple[str, ...]:
    """All terms of a token of a script with spaces."""
    if token.isascii() and token.isalpha() and token.islower():
        # One word, as most are: it has no parts and no accents.
        word = token[:_LONGEST]
        return (stem(word, language), *(inside(word) if language in COMPOUNDING else ()))
    found: list[str] = []
    for word in words_in(token):
        own = stem(word, language)
        found.append(own)
        if (other := _unaccented_stem(word, language)) != own:
            found.append(BESIDE + other)
        if language in COMPOUNDING:
            found += inside(word)
    found += [BESIDE + stem(part, language) for part in (*sequences_in(token), *joined_in(token))]
    found += _singular(token).values()
    return tuple(found)


@lru_cache(maxsize=1024)
def terms_of_name(path: str, language: str) -> frozenset[str]:
    """The terms in the path of a file."""
    # Programs that save web pages encode names as in addresses.
    found = (term for term in terms_of(unquote(path), language) if not term.startswith(INSIDE))
    return frozenset(NAME + term.removeprefix(BESIDE) for term in found)


def wanted(question: str, languages: Iterable[str]) -> list[Wanted]:
    """The words of a question, for an index whose texts were read by these stemmers."""
    known = tuple(languages)
    compounds = not COMPOUNDING.isdisjoint(known)
    found: list[Wanted] = []
    for kind, token in _tokens(question):
        if kind != "word":
            found += [Wanted((run,)) for run in runs(kind, token)]
            continue
        words, singular = list(words_in(token)), _singular(token)
        whole: tuple[str, ...] = ()
        for at, word in enumerate(words):
            same = (word, *_variants(token)) if at == 0 else (word,)
            given = _forms(same, known or (ENGLISH,))
            if word in singular:
                given.setdefault(singular[word], ())
            letters = tuple(inside(word, shortest=_GRAM)) if compounds else ()
            rows = tuple(BESIDE + row for row in _sequences_of(token)) if at == 0 else ()
            found.append(Wanted(tuple(given), letters, rows, whole, tuple(given.values())))
            if at == 0:
                whole = tuple(given)
    return found


def _singular(token: str) -> dict[str, str]:
    """Abbreviations in a token with a plural s, in lower case, and their singular."""
    return {plural.casefold(): plural[:-1].casefold() for plural in _PLURALS.findall(token)}


def _forms(words: Iterable[str], languages: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The terms for the spellings of a word, and the stemmers that give each; empty if all of them do."""
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        for language in languages:
            typed = (stem(other, language) for other in _typed_otherwise(word, language))
            for form in dict.fromkeys((stem(word, language), _unaccented_stem(word, language), *typed)):
                for term in (form, BESIDE + form):
                    if language not in found.get(term, ()):
                        found[term] = (*found.get(term, ()), language)
    return {term: () if len(by) == len(languages) else by for term, by in found.items()}


def _typed_otherwise(word: str, language: str) -> Iterator[str]:
    """Other spellings of a word in a language whose letters with marks are typed as two: *Müller* and *Mueller*."""
    pairs = _TYPED.get(language, ())
    for one, two in ((0, 1), (1, 0)):
        other = word
        for pair in pairs:
            other = other.replace(pair[one], pair[two])
        if other != word:
            yield other


def _variants(token: str) -> Iterator[str]:
    """Other spellings of a token: without its signs, and a version without its letter."""
    yield from _ungrouped(token)
    joined = "".join(pieces := _pieces(token))
    if joined != token and not _NAMES.search(token) and _may_be_joined(pieces):
        yield joined.casefold()[:_LONGEST]
    if found := _VERSION.match(token.casefold()):
        yield token.casefold()[found.end() :][:_LONGEST]


def parts_of(phrase: str, languages: Iterable[str]) -> list[Wanted]:
    """The terms that every passage with this phrase has. Pieces that may be part of a longer run have none."""
    known = tuple(languages) or (ENGLISH,)
    found: list[Wanted] = []
    for kind, token in _tokens(phrase):
        if kind == "word":
            for piece in _pieces(token):
                word = piece.casefold()[:_LONGEST]
                found.append(Wanted(tuple(dict.fromkeys(stem(word, language) for language in known))))
        elif kind == "twos" or len(token) >= _width(kind):
            found += [Wanted((run,)) for run in runs(kind, token)]
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(unpointed(seen(unicodedata.normalize("NFKC", one_sign(text))))):
        yield str(match.lastgroup), match[0]


def _pieces(token: str) -> list[str]:
    """The words of a token, including combining marks."""
    return (_PIECE if token.isascii() else _MARKED_PIECE).findall(token)


def words_in(token: str) -> Iterator[str]:
    """A token in lower case and, if it has several parts, each part, and the parts between capital letters."""
    pieces = _pieces(token)
    whole = token.casefold()
    if pieces != [token]:
        yield whole[:_LONGEST]
    for piece in pieces:
        if piece.casefold() != whole or pieces == [token]:
            yield piece.casefold()[:_LONGEST]
        humps = _CASES.findall(piece) if piece.isascii() else []
        if len(humps) > 1:
            yield from (hump.lower() for hump in humps if len(hump) > 1)


def sequences_in(token: str) -> Iterator[str]:
    """Sequences of two to four parts of a token, such as the address without its port.

    A sequence may begin or end between the letters and digits of a part: the version without its *v*.
    """
    spans = [found.span() for found in (_PIECE if token.isascii() else _MARKED_PIECE).finditer(token)]
    if len(spans) < 2:  # noqa: PLR2004  (a single part has no sequences)
        return
    folded = token.casefold() if token.isascii() else ""
    for first in range(len(spans)):
        for last in range(first + 1, min(first + _ROW, len(spans))):
            for start in _starts(token, *spans[first]):
                for end in _ends(token, *spans[last]):
                    if end - start < len(token):
                        yield (folded[start:end] if folded else token[start:end].casefold())[:_LONGEST]


def _starts(token: str, start: int, end: int) -> tuple[int, ...]:
    found = _LETTERS_THEN_DIGITS.match(token, start, end)
    return (start, found.end()) if found else (start,)


def _ends(token: str, start: int, end: int) -> tuple[int, ...]:
    found = _DIGITS_THEN_LETTERS.match(token, start, end)
    return (end, found.end()) if found else (end,)


def _sequences_of(token: str) -> list[str]:
    """The sequences of four parts of a token with more parts; a text with all of them contains the token."""
    spans = [found.span() for found in (_PIECE if token.isascii() else _MARKED_PIECE).finditer(token)]
    if len(spans) <= _ROW:
        return []
    rows = zip(spans, spans[_ROW - 1 :], strict=False)
    return [unaccented(token[first[0] : last[1]].casefold()[:_LONGEST]) for first, last in rows]


def joined_in(token: str) -> Iterator[str]:
    """Consecutive parts written as one word: *wifi* of *Wi-Fi*, and *username* of *getUserName*; a number ungrouped."""
    yield from _ungrouped(token)
    words = set(words_in(token))
    for name in _NAMES.split(token):
        parts = [part for piece in _pieces(name) for part in (_CASES.findall(piece) if piece.isascii() else [piece])]
        for first in range(len(parts) if len(parts) <= _MOST_PARTS else 0):
            for last in range(first + 2, min(first + _JOINED_ROW, len(parts)) + 1):
                row = parts[first:last]
                joined = "".join(row).casefold()[:_LONGEST]
                if joined not in words and _may_be_joined(row):
                    yield joined


def _ungrouped(token: str) -> Iterator[str]:
    """Long numbers in a token without the hyphens between their groups."""
    for found in _GROUPED.findall(token):
        if len(number := found.replace("-", "")) >= _LONG_NUMBER:
            yield number.casefold()[:_LONGEST]


def _may_be_joined(parts: Sequence[str]) -> bool:
    """Whether parts can be written as one word, which consecutive numbers cannot."""
    return not any(before[-1].isdigit() and after[0].isdigit() for before, after in pairwise(parts))


def runs(kind: str, token: str) -> Iterator[str]:
    """Overlapping runs of characters in a script without spaces; single ones too where runs have two characters."""
    width = _width(kind)
    if kind == "twos":
        yield from token
    elif len(token) < width:
        yield token
    yield from (token[at : at + width] for at in range(len(token) - width + 1))


def _width(kind: str) -> int:
    return 3 if kind == "threes" else 2


def inside(word: str, shortest: int = _LONG) -> list[str]:
    """All runs of five letters, without accents, in a word long enough to be a compound."""
    plain = unaccented(word)
    if len(plain) < shortest or not plain.isalpha():
        return []
    return [INSIDE + plain[at : at + _GRAM] for at in range(len(plain) - _GRAM + 1)]


@lru_cache(maxsize=65536)
def stem(word: str, language: str) -> str:
    """The stem of a lower-case word, without accents; words with digits or signs are not stemmed."""
    if not (word.isalpha() or _ANY_MARK.sub("", word).isalpha()):
        return unaccented(word)
    algorithm = language if _LATIN.match(word) else stemmer_of_script(word[0])
    return unaccented(_stemmer(algorithm).stemWord(word)) if algorithm else unaccented(word)


def _unaccented_stem(word: str, language: str) -> str:
    """The stem of a word without its accents: *habitacao* and *habitação* have different stems."""
    return stem(word, language) if word.isascii() else stem(unaccented(word), language)


@lru_cache
def _stemmer(algorithm: str) -> Stemmer:
    import Stemmer

    return Stemmer.Stemmer(algorithm)


def version() -> str:
    """Everything that affects terms, as one line; an index of another version has to be rebuilt."""
    import Stemmer

    return f"terms 5, snowball {Stemmer.version()}, unicode {unicodedata.unidata_version}"
