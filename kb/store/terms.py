"""The terms of a text for keyword search: one function reads passages and questions, whatever their language.

Words lose case, accents and vowel points and are stemmed by Snowball in the language of their document; scripts without
spaces give overlapping runs of characters; identifiers, versions and paths give themselves and their parts. In
languages that join words into one, long words also give their inside, so that *Gericht* finds
*Bundesverfassungsgericht*.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kb.records.marks import MARKS, unpointed
from kb.records.scripts import SPACELESS, THREES, TWOS
from kb.store.languages import COMPOUNDING, ENGLISH, stemmer_of_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from Stemmer import Stemmer

INSIDE: Final = "\x01"
"""Begins a term that stands for five letters inside a long word."""

_LETTERS: Final = rf"[^\W{SPACELESS}]"
_TOKEN: Final = re.compile(
    rf"(?P<threes>[{THREES}]+)|(?P<twos>[{TWOS}]+)"
    rf"|(?P<word>{_LETTERS}+(?:(?:[./:@+-](?={_LETTERS})|[{MARKS}]+){_LETTERS}*)*(?:\+\+|#)?)"
)
_PIECE: Final = re.compile(r"[^\W_]+")
_MARKED_PIECE: Final = re.compile(rf"(?:[^\W_]|[{MARKS}])+")
_ANY_MARK: Final = re.compile(f"[{MARKS}]")
_CASES: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_MARKS: Final = re.compile(r"[\u0300-\u036f]")
_LATIN: Final = re.compile(r"[a-z\u00df-\u024f]+")
# The s of GPUs and RXRs is no part of them; a stemmer, which sees no capitals, leaves it where no vowel precedes.
_PLURALS: Final = re.compile(r"(?<![^\W_])[A-Z][A-Z0-9]+s(?![^\W_])")
_GRAM, _LONG = 5, 8
_LONGEST: Final = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """One word of a question.

    Attributes:
        terms: What stands for it; any of these counts.
        inside: The runs of letters inside it.
        stemmers: For each term the stemmers that give it, in whose texts alone it stands for the word; none of them
            where it does in all.
    """

    terms: tuple[str, ...]
    inside: tuple[str, ...] = ()
    stemmers: tuple[tuple[str, ...], ...] = field(default=(), compare=False)


def terms_of(text: str, language: str) -> Iterator[str]:
    """Every term of a text, by the stemmer of its language, repeated as often as it stands there."""
    for kind, token in _tokens(text):
        if kind == "word":
            for word in words_in(token):
                yield stem(word, language)
                if language in COMPOUNDING:
                    yield from inside(word)
            yield from _singular(token).values()
        else:
            yield from runs(kind, token)


def wanted(question: str, languages: Iterable[str]) -> list[Wanted]:
    """What a question asks for, word by word, in an index whose texts were read by these stemmers."""
    known = tuple(languages)
    compounds = not COMPOUNDING.isdisjoint(known)
    found: list[Wanted] = []
    for kind, token in _tokens(question):
        if kind != "word":
            found += [Wanted((run,)) for run in runs(kind, token)]
            continue
        singular = _singular(token)
        for word in words_in(token):
            stems: dict[str, tuple[str, ...]] = {}
            for language in known or (ENGLISH,):
                one = stem(word, language)
                stems[one] = (*stems.get(one, ()), language)
            given = {one: () if len(by) == max(1, len(known)) else by for one, by in stems.items()}
            if word in singular:
                given.setdefault(singular[word], ())
            runs_inside = tuple(inside(word, shortest=_GRAM)) if compounds else ()
            found.append(Wanted(tuple(given), runs_inside, tuple(given.values())))
    return found


def _singular(token: str) -> dict[str, str]:
    """Abbreviations in a token that have the s of a plural, in lower case, with what they are without it."""
    return {plural.casefold(): plural[:-1].casefold() for plural in _PLURALS.findall(token)}


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
    for match in _TOKEN.finditer(unpointed(unicodedata.normalize("NFKC", text))):
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
    plain = _plain(word)
    if len(plain) < shortest or not plain.isalpha():
        return []
    return [INSIDE + plain[at : at + _GRAM] for at in range(len(plain) - _GRAM + 1)]


@lru_cache(maxsize=65536)
def stem(word: str, language: str) -> str:
    """The stem of a word in lower case, without accents; words with digits or signs stay as they are."""
    if not (word.isalpha() or _ANY_MARK.sub("", word).isalpha()):
        return _plain(word)
    algorithm = language if _LATIN.match(word) else stemmer_of_script(word[0])
    return _plain(_stemmer(algorithm).stemWord(word)) if algorithm else _plain(word)


def _plain(word: str) -> str:
    """A word without the accents that people leave out."""
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", word)))


@lru_cache
def _stemmer(algorithm: str) -> Stemmer:
    import Stemmer

    return Stemmer.Stemmer(algorithm)


def version() -> str:
    """Whatever changes a term, as one line: an index made under another version has to be made again."""
    import Stemmer

    return f"terms 2, snowball {Stemmer.version()}, unicode {unicodedata.unidata_version}"
