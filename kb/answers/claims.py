"""The claims of a language model, read strictly and checked against the passages it was given. Functions of values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from kb.answers.instructions import addresses_a_model
from kb.records import Claim, Quote
from kb.records.characters import SPACELESS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kb.answers.passages import SourceText

MOST: Final = 4
# A quote of fewer words, or of fewer letters in a script without spaces, may stand anywhere.
LEAST_WORDS: Final = 4
LEAST_LETTERS: Final = 8
_LONGEST: Final = 600

_QUOTES: Final = (
    "\"'\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb`\u00b4"
    "\u300c\u300d\u300e\u300f\uff02\uff07"
)
_HYPHENS: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
# Not seen: a soft hyphen, and characters of no width.
_UNSEEN: Final = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_FOLDED: Final[Mapping[str, str]] = {
    **dict.fromkeys(_QUOTES, "'"),
    **dict.fromkeys(_HYPHENS, "-"),
    **dict.fromkeys(_UNSEEN, ""),
}
_FENCE: Final = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.DOTALL)
_WORD: Final = re.compile(r"\w+")
_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_SPACELESS: Final = re.compile(f"[{SPACELESS}]")
_ENDING: Final = re.compile(r"(?:['\u2019]s|s)$")
_NAME: Final = re.compile(r"[^\W\d_][\w'\u2019-]*")


class WrittenClaim(msgspec.Struct, frozen=True):
    """A claim as a model wrote it."""

    sentence: str
    source: int
    quote: str


class WrittenAnswer(msgspec.Struct, frozen=True):
    """An answer as a model wrote it."""

    claims: list[WrittenClaim]


@dataclass(frozen=True, slots=True)
class Checked:
    """The claims that hold, and why the others were dropped, a sentence each."""

    claims: tuple[Claim, ...]
    dropped: tuple[str, ...]


def read_claims(text: str) -> list[WrittenClaim] | None:
    """Return the claims of an answer; None where it is not the JSON asked for. A fence around it is allowed."""
    fenced = _FENCE.match(text)
    try:
        return msgspec.json.decode((fenced[1] if fenced else text).strip().encode(), type=WrittenAnswer).claims
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def check_claims(written: Sequence[WrittenClaim], sources: Sequence[SourceText], question: str) -> Checked:
    """Check claims against the passages.

    The quote of a claim has to stand in its passage but for white space, quotation marks and hyphens, to be long enough
    to mean something, and to hold the numbers and names of the claim. What is released is the text of the passage, not
    what the model wrote.

    Args:
        written: The claims.
        sources: The passages that the model was given.
        question: The question; a claim may use its names.
    """
    numbered = {one.number: one for one in sources}
    found: dict[str, Claim] = {}
    dropped = []
    for one in written:
        quote = _checked(one, numbered.get(one.source), question)
        if isinstance(quote, str):
            dropped.append(quote)
        elif len(found) < MOST:
            sentence = " ".join(one.sentence.split())
            quotes = (*found[sentence].quotes, quote) if sentence in found else (quote,)
            found[sentence] = Claim(sentence, tuple(dict.fromkeys(quotes)))
    return Checked(tuple(found.values()), tuple(dropped))


def _checked(one: WrittenClaim, source: SourceText | None, question: str) -> Quote | str:
    """Return the quote of a claim as it stands in its passage, or what is wrong with the claim."""
    what = repr(one.quote[:60])
    if source is None:
        return f"there is no source {one.source}"
    if not one.sentence.strip() or len(one.sentence) > _LONGEST:
        return f"the sentence with the quote {what} is empty, or too long"
    if not _means_something(one.quote):
        return f"the quote {what} is too short: copy at least {LEAST_WORDS} words"
    place = stands_at(one.quote, source.text)
    if place is None:
        return f"the quote {what} does not stand in source {one.source}"
    text = source.text[slice(*place)]
    wrong = _contradiction(one.sentence, text, f"{question} {source.heading}")
    return wrong or Quote(" ".join(text.split()), source.rank, source.line_at(place[0]))


def _contradiction(sentence: str, quote: str, besides: str) -> str:
    """Return why a quote that stands does not carry a sentence; empty where nothing speaks against it."""
    if addresses_a_model(quote) or addresses_a_model(sentence):
        return f"the quote {quote[:60]!r} is an instruction and tells nothing"
    lacking = _lacking(sentence, quote, besides)
    return f"{lacking!r} of the sentence does not stand in the quote {quote[:60]!r}" if lacking else ""


def _means_something(quote: str) -> bool:
    return len(_WORD.findall(quote)) >= LEAST_WORDS or len(_SPACELESS.findall(quote)) >= LEAST_LETTERS


def stands_at(quote: str, text: str) -> tuple[int, int] | None:
    """Return where a quote stands in a text, but for white space, quotation marks and hyphens; None if it does not.

    It has to begin and end with whole words, where the script has spaces.
    """
    wanted = fold(quote)[0].strip()
    folded, places = fold(text)
    at = folded.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if not _cuts(folded, at) and not _cuts(folded, end):
            return places[at], places[end - 1] + 1
        at = folded.find(wanted, at + 1)
    return None


def _cuts(text: str, at: int) -> bool:
    """Whether a position is inside a word."""
    if not 0 < at < len(text) or _SPACELESS.match(text[at - 1]) or _SPACELESS.match(text[at]):
        return False
    return text[at - 1].isalnum() and text[at].isalnum()


def fold(text: str) -> tuple[str, list[int]]:
    """Return a text with its white space, quotation marks and hyphens made alike, and where each one came from."""
    out: list[str] = []
    places: list[int] = []
    for at, character in enumerate(text):
        one = " " if character.isspace() else _FOLDED.get(character, character)
        if not one or (one == " " and out and out[-1] == " "):
            continue
        out.append(one)
        places.append(at)
    return "".join(out), places


def _lacking(sentence: str, quote: str, besides: str) -> str:
    """Return the first number of a sentence that its quote lacks, or name that quote and question lack."""
    numbers = {match[0] for match in _NUMBER.finditer(quote)}
    for match in _NUMBER.finditer(sentence):
        if match[0] not in numbers:
            return match[0]
    known = {word.casefold() for word in _NAME.findall(f"{quote} {besides}")}
    names = [match[0] for match in _NAME.finditer(sentence)][1:]
    return next((name for name in names if name[0].isupper() and not _is_known(name, known)), "")


def _is_known(name: str, known: set[str]) -> bool:
    """Whether a name is among some words, with or without an ending such as *'s*."""
    bare = _ENDING.sub("", name.casefold())
    return name.casefold() in known or any(_ENDING.sub("", word) == bare for word in known)
