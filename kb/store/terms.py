"""The terms of a text for keyword search: one function reads passages and questions, whatever their language.

Words lose case, accents and vowel points and are stemmed by Snowball in the language of their document; a word with
accents also gives the stem that it has without them, since whoever leaves them out is stemmed so. Scripts without
spaces give overlapping runs of characters. Identifiers, versions, addresses and paths give themselves, their parts, and
what stands on its own in them, from one sign to another. In languages that join words into one, long words also give
their inside, so that *Gericht* finds *Bundesverfassungsgericht*.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kb.records.characters import MARKS, SPACELESS, THREES, TWOS, one_sign, seen, unaccented, unpointed
from kb.store.languages import COMPOUNDING, ENGLISH, stemmer_of_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from Stemmer import Stemmer

INSIDE: Final = "\x01"
"""Begins a term that stands for five letters inside a long word."""

BESIDE: Final = "\x06"
"""Begins a term that a text has beside its words: parts of what is joined, and stems without accents."""

NAME: Final = "\x07"
"""Begins a term of the name of the file, or of its folders."""

_LETTERS: Final = rf"[^\W{SPACELESS}]"
# The non-joiner sets the parts of Persian words apart, as a hyphen does elsewhere.
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
# The s of GPUs and RXRs is no part of them; a stemmer, which sees no capitals, leaves it where no vowel precedes.
_PLURALS: Final = re.compile(r"(?<![^\W_])[A-Z][A-Z0-9]+s(?![^\W_])")
# Nobody writes as one word what stands on both sides of these.
_NAMES: Final = re.compile(r"[/:@+#]")
_LETTERS_THEN_DIGITS: Final = re.compile(r"[^\W\d_]+(?=\d)")
_DIGITS_THEN_LETTERS: Final = re.compile(r"\d+(?=[^\W\d_])")
_VERSION: Final = re.compile(r"v(?=\d)")
_GRAM, _LONG = 5, 8
_LONGEST: Final = 64
# What stands on its own in something joined is told by so many of its parts in a row; of more by the rows in it.
_ROW: Final = 4
# So many parts are joined without their signs, and of something with more parts none are: it is a number or a key.
_JOINED_ROW: Final = 3
_MOST_PARTS: Final = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """One word of a question.

    Attributes:
        terms: What stands for it; any of these counts.
        inside: The runs of letters inside it.
        together: What stands for it where all of these do.
        part_of: The terms of what it was taken from: where that stands, its part need not stand again.
        stemmers: For each term the stemmers that give it, in whose texts alone it stands for the word; none of them
            where it does in all.
    """

    terms: tuple[str, ...]
    inside: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    part_of: tuple[str, ...] = ()
    stemmers: tuple[tuple[str, ...], ...] = field(default=(), compare=False)


def terms_of(text: str, language: str) -> Iterator[str]:
    """Every term of a text, by the stemmer of its language, repeated as often as it stands there."""
    for kind, token in _tokens(text):
        if kind == "word":
            for word in words_in(token):
                own = stem(word, language)
                yield own
                if (other := _unaccented_stem(word, language)) != own:
                    yield BESIDE + other
                if language in COMPOUNDING:
                    yield from inside(word)
            for part in (*rows_in(token), *joined_in(token)):
                yield BESIDE + stem(part, language)
            yield from _singular(token).values()
        else:
            yield from runs(kind, token)


@lru_cache(maxsize=1024)
def terms_of_name(path: str, language: str) -> frozenset[str]:
    """The terms of the name of a file and of its folders."""
    found = (term for term in terms_of(path, language) if not term.startswith(INSIDE))
    return frozenset(NAME + term.removeprefix(BESIDE) for term in found)


def wanted(question: str, languages: Iterable[str]) -> list[Wanted]:
    """What a question asks for, word by word, in an index whose texts were read by these stemmers."""
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
            same = (word, *_otherwise(token)) if at == 0 else (word,)
            given = _forms(same, known or (ENGLISH,))
            if word in singular:
                given.setdefault(singular[word], ())
            letters = tuple(inside(word, shortest=_GRAM)) if compounds else ()
            rows = tuple(BESIDE + row for row in _rows_of(token)) if at == 0 else ()
            found.append(Wanted(tuple(given), letters, rows, whole, tuple(given.values())))
            if at == 0:
                whole = tuple(given)
    return found


def _singular(token: str) -> dict[str, str]:
    """Abbreviations in a token that have the s of a plural, in lower case, with what they are without it."""
    return {plural.casefold(): plural[:-1].casefold() for plural in _PLURALS.findall(token)}


def _forms(words: Iterable[str], languages: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The terms by which texts may have a word in one of its spellings, and the stemmers that give each.

    No stemmers where all of them give it: it stands for the word in every text.
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        for language in languages:
            for form in dict.fromkeys((stem(word, language), _unaccented_stem(word, language))):
                for term in (form, BESIDE + form):
                    if language not in found.get(term, ()):
                        found[term] = (*found.get(term, ()), language)
    return {term: () if len(by) == len(languages) else by for term, by in found.items()}


def _otherwise(token: str) -> Iterator[str]:
    """How something joined is written otherwise: without its signs, a version without its letter."""
    joined = "".join(pieces := _pieces(token))
    if joined != token and not _NAMES.search(token) and _may_be_joined(pieces):
        yield joined.casefold()[:_LONGEST]
    if found := _VERSION.match(token.casefold()):
        yield token.casefold()[found.end() :][:_LONGEST]


def parts_of(phrase: str, languages: Iterable[str]) -> list[Wanted]:
    """The terms that surely stand in any passage with this phrase in it: none of a piece that may be part of a run."""
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
    """The words of a token, each with the marks of its letters."""
    return (_PIECE if token.isascii() else _MARKED_PIECE).findall(token)


def words_in(token: str) -> Iterator[str]:
    """A token in lower case and, where it is joined from several, its parts, and theirs by capital letters."""
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


def rows_in(token: str) -> Iterator[str]:
    """What stands on its own in something joined, up to four of its parts in a row: the address before its port.

    A row may begin or end where the letters of a part meet its digits: the version without its *v*.
    """
    spans = [found.span() for found in (_PIECE if token.isascii() else _MARKED_PIECE).finditer(token)]
    if len(spans) < 2:  # noqa: PLR2004  (one part stands for itself)
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


def _rows_of(token: str) -> list[str]:
    """The rows of four parts of something with more of them: where all of them stand, it stands in something longer."""
    spans = [found.span() for found in (_PIECE if token.isascii() else _MARKED_PIECE).finditer(token)]
    if len(spans) <= _ROW:
        return []
    rows = zip(spans, spans[_ROW - 1 :], strict=False)
    return [unaccented(token[first[0] : last[1]].casefold()[:_LONGEST]) for first, last in rows]


def joined_in(token: str) -> Iterator[str]:
    """Parts in a row written as one word: *wifi* of *Wi-Fi*, and *username* of *getUserName*, which capitals divide."""
    words = set(words_in(token))
    for name in _NAMES.split(token):
        parts = [part for piece in _pieces(name) for part in (_CASES.findall(piece) if piece.isascii() else [piece])]
        for first in range(len(parts) if len(parts) <= _MOST_PARTS else 0):
            for last in range(first + 2, min(first + _JOINED_ROW, len(parts)) + 1):
                row = parts[first:last]
                joined = "".join(row).casefold()[:_LONGEST]
                if joined not in words and _may_be_joined(row):
                    yield joined


def _may_be_joined(parts: Sequence[str]) -> bool:
    """Whether parts can be written as one: numbers in a row cannot."""
    return not any(before[-1].isdigit() and after[0].isdigit() for before, after in pairwise(parts))


def runs(kind: str, token: str) -> Iterator[str]:
    """Overlapping runs of characters of a script without spaces; single characters too where two make a word."""
    width = _width(kind)
    if kind == "twos":
        yield from token
    elif len(token) < width:
        yield token
    yield from (token[at : at + width] for at in range(len(token) - width + 1))


def _width(kind: str) -> int:
    return 3 if kind == "threes" else 2


def inside(word: str, shortest: int = _LONG) -> list[str]:
    """Every five letters in a row of a word that may be joined from several, without accents."""
    plain = unaccented(word)
    if len(plain) < shortest or not plain.isalpha():
        return []
    return [INSIDE + plain[at : at + _GRAM] for at in range(len(plain) - _GRAM + 1)]


@lru_cache(maxsize=65536)
def stem(word: str, language: str) -> str:
    """The stem of a word in lower case, without accents; words with digits or signs stay as they are."""
    if not (word.isalpha() or _ANY_MARK.sub("", word).isalpha()):
        return unaccented(word)
    algorithm = language if _LATIN.match(word) else stemmer_of_script(word[0])
    return unaccented(_stemmer(algorithm).stemWord(word)) if algorithm else unaccented(word)


def _unaccented_stem(word: str, language: str) -> str:
    """The stem of a word written without its accents: *habitacao* has another one than *habitação*."""
    return stem(word, language) if word.isascii() else stem(unaccented(word), language)


@lru_cache
def _stemmer(algorithm: str) -> Stemmer:
    import Stemmer

    return Stemmer.Stemmer(algorithm)


def version() -> str:
    """Whatever changes a term, as one line: an index made under another version has to be made again."""
    import Stemmer

    return f"terms 3, snowball {Stemmer.version()}, unicode {unicodedata.unidata_version}"
