"""The claims of a language model, read strictly and checked against the passages it was given. Functions of values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from kb.answers.instructions import addresses_a_model
from kb.answers.support import objection
from kb.records import Claim, Quote
from kb.records.characters import SPACELESS
from kb.search.words import is_stop_word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kb.answers.passages import SourceText

MOST: Final = 4
# A quote of fewer words, or of fewer letters in a script without spaces, may stand anywhere.
LEAST_WORDS: Final = 4
LEAST_LETTERS: Final = 8
# A word of more than one letter that is no stop word; this many are the least that says something.
LEAST_CONTENT: Final = 2
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
# Turns the direction of writing, or is not drawn: a sentence has to read as it is written.
_UNDRAWN: Final = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_FENCE: Final = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.DOTALL)
_WORD: Final = re.compile(r"\w+")
_SPACELESS: Final = re.compile(f"[{SPACELESS}]")


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
    try:
        return msgspec.json.decode(unfenced(text).encode(), type=WrittenAnswer).claims
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def unfenced(text: str) -> str:
    """Return the text of an answer without a fence of Markdown around it."""
    fenced = _FENCE.match(text)
    return (fenced[1] if fenced else text).strip()


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
        sentence = " ".join(_UNDRAWN.sub("", one.sentence).split())
        quote = _checked(sentence, one, numbered.get(one.source), question)
        if isinstance(quote, str):
            dropped.append(quote)
        elif len(found) < MOST:
            quotes = (*found[sentence].quotes, quote) if sentence in found else (quote,)
            found[sentence] = Claim(sentence, tuple(dict.fromkeys(quotes)))
    return Checked(tuple(found.values()), tuple(dropped))


def _checked(sentence: str, one: WrittenClaim, source: SourceText | None, question: str) -> Quote | str:
    """Return the quote of a claim as it stands in its passage, or what is wrong with the claim."""
    what = repr(one.quote[:60])
    if source is None:
        return f"there is no source {one.source}"
    if not sentence or len(sentence) > _LONGEST:
        return f"the sentence with the quote {what} is empty, or too long"
    if not _means_something(one.quote):
        return f"the quote {what} is too short: copy at least {LEAST_WORDS} words"
    if len(one.quote) > _LONGEST:
        return f"the quote {what} is too long: copy one or two sentences"
    place = stands_at(one.quote, source.text)
    if place is None:
        return f"the quote {what} does not stand in source {one.source}"
    begin, end = place
    text, around = source.text[begin:end], _paragraphs(source.text, begin, end)
    wrong = objection(
        sentence,
        text,
        before=source.text[around.start : begin],
        after=source.text[end : around.stop],
        besides=question if addresses_a_model(source.heading) else f"{question} {source.heading}",
        source=source.text,
        language=source.passages[0].file.language,
    )
    return wrong or Quote(" ".join(text.split()), source.rank, source.line_at(begin))


def _paragraphs(text: str, begin: int, end: int) -> slice:
    """Return where the paragraphs begin and end that a part of a text is in."""
    first, last = text.rfind("\n\n", 0, begin), text.find("\n\n", end)
    return slice(max(0, first), len(text) if last < 0 else last)


def _means_something(quote: str) -> bool:
    """Whether a quote has enough words, and not only those that every sentence has."""
    if len(_SPACELESS.findall(quote)) >= LEAST_LETTERS:
        return True
    words = _WORD.findall(quote)
    content = {word.casefold() for word in words if len(word) > 1 and not is_stop_word(word)}
    return len(words) >= LEAST_WORDS and len(content) >= LEAST_CONTENT


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
