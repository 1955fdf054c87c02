"""Divides a document into sections between headings, and sections into units: blocks, lines, sentences and words."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final
from zlib import crc32

from kb.formats.bare_markup import find_bare_markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.records import Document, Heading, LineContext

# The cost of a cut before a unit. A block costs 0; indentation, and a colon before the unit, cost 1 more.
TEARS_PARAGRAPH: Final = 1
TEARS_BLOCK: Final = 2
TEARS_SENTENCE: Final = 4
TEARS_WORDS: Final = 5
TEARS_LETTERS: Final = 6
TEARS_HEADING: Final = 8
# A word begins after a space, or after a Chinese or Japanese full stop or comma.
_WORD_START: Final = re.compile(r"\s(?=\S)|(?<=[\u3002\uff01\uff1f\u3001\uff0c\uff1b])(?=\S)")
_SENTENCE_ENDS: Final = frozenset(".!?…\u3002\uff01\uff1f")
_WORDS_IN_GROUP: Final = 8
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a document, as character offsets.

    It is a section, a part of a section that may become a passage, or a unit: a block, line, sentence or group of words
    that should stay whole when a section is cut.

    Attributes:
        start: The offset of its first character.
        end: The offset after its last character.
        tear: The cost of a cut before it.
        body: The offset after the heading of its section; the start of a section without a heading.
        trail: The headings down to that of its section, outermost first.
        outer: The lead of a passage that begins with the heading: the title and the headings above.
        inner: The lead of any other passage: the title and the headings, including that of its section.
        labels: Tags, states and other words of the heading that are not in the trail.
        budget: The token budget to use if it has to be cut.
    """

    start: int
    end: int
    tear: int = 0
    body: int = 0
    trail: tuple[str, ...] = ()
    outer: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    labels: str = ""
    budget: int = 0

    @property
    def lead(self) -> tuple[str, ...]:
        """The title and the headings that are not in the text of the span."""
        return self.outer if self.start < self.body else self.inner

    def covers(self, text: str) -> bool:
        """Whether every word of a text is in the headings or their labels.

        Headings are shortened and have no URLs or markup, so the lines of a heading may hold more words than they.
        """
        return _words(text) <= _words(" ".join((*self.trail, self.labels)))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text))


class Text:
    """A text with the offsets of its lines. Lines count from 1 and end at line feeds only."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def start_of(self, line: int) -> int:
        """The offset at which a line begins; the end of the text for a line after the last."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def line_at(self, offset: int) -> int:
        """The line that an offset is in."""
        return bisect_right(self._starts, offset)

    def is_blank(self, line: int) -> bool:
        """Whether a line is empty or only whitespace."""
        start, end = self.start_of(line), self.start_of(line + 1)
        return start == end or self.text[start:end].isspace()

    def is_space(self, start: int, end: int) -> bool:
        """Whether the text between two offsets is only whitespace."""
        return self.text[start:end].isspace()

    def trim(self, start: int, end: int) -> tuple[int, int]:
        """Strip the whitespace around a stretch, but keep the indentation of its first line if the line is whole."""
        piece = self.text[start:end]
        kept = piece.rstrip()
        if not kept:
            return start, start
        first = start + len(kept) - len(kept.lstrip())
        line_start = self.text.rfind("\n", start, first) + 1
        if not line_start:
            line_start = start if start == 0 or self.text[start - 1] == "\n" else first
        return line_start, start + len(kept)


def sections(document: Document, text: Text) -> list[Span]:
    """Return the sections that have text of their own, including the text before the first heading."""
    headings = document.headings
    bounds = [text.start_of(heading.first_line) for heading in headings] + [len(text.text)]
    start = min(text.start_of(document.body_line), bounds[0])
    title = document.own_title
    # A title that is the first heading is in the trail of the sections below it and needs no prefix.
    prefix = () if not title or (headings and headings[0].text == title) else (title,)
    found = [*_front_matter(document, text), Span(start, bounds[0], body=start, outer=prefix, inner=prefix)]
    substitutions = substitutions_of(document)
    trail: list[Heading] = []
    for position, heading in enumerate(headings):
        while trail and trail[-1].level >= heading.level:
            trail.pop()
        outer = tuple(above.text for above in trail if above.text)
        trail.append(heading)
        inner = tuple(above.text for above in trail if above.text)
        begin, end = bounds[position], bounds[position + 1]
        body = min(text.start_of(heading.last_line + 1), end)
        section = Span(
            begin,
            end,
            body=body,
            trail=inner,
            outer=(*prefix, *outer),
            inner=(*prefix, *inner),
            labels=heading.labels,
        )
        has_text = text.text[body:end].strip() or _is_last_mention(headings, position)
        if has_text or not section.covers(apply_substitutions(text.text, substitutions, begin, body)):
            found.append(section)
    starts = [text.start_of(place.first_line) for place in document.places if not place.soft]
    if starts:
        found = [part for section in found for part in _parts(section, starts, text)]
    empty = find_bare_markup(document.text)
    return [part for section in found for part in _without_bare_markup(section, empty, text)] if empty else found


def _front_matter(document: Document, text: Text) -> Iterator[Span]:
    """Yield the front matter if it is a passage of its own; its lead is the title, unless it holds the title."""
    if not document.front_passage:
        return
    start, end = text.start_of(2), text.start_of(document.body_line - 1)
    title = document.own_title
    lead = () if _words(title) <= _words(text.text[start:end]) else (title,)
    yield Span(start, end, body=start, outer=lead, inner=lead)


def _parts(section: Span, starts: Sequence[int], text: Text) -> list[Span]:
    """Divide a section where a page, slide or other place begins; drop a heading with no text below it on its page."""
    inside = starts[bisect_right(starts, section.start) : bisect_left(starts, section.end)]
    if not inside:
        return [section]
    first = replace(section, end=inside[0])
    alone = not text.text[first.body : first.end].strip()
    parts = [] if alone and first.covers(text.text[first.start : first.end]) else [first]
    ends = [*inside[1:], section.end]
    for at, end in zip(inside, ends, strict=True):
        if text.text[at:end].strip():
            parts.append(replace(section, start=at, end=end, body=at, outer=section.inner, labels=""))
    return parts or [section]


def _without_bare_markup(section: Span, empty: Sequence[tuple[int, int]], text: Text) -> Iterator[Span]:
    """Yield the parts of a section between stretches of bare markup."""
    at = section.start
    # The first stretch that ends after the start of the section.
    number = bisect_right(empty, at, key=lambda stretch: stretch[1])
    while at < section.end:
        low, high = empty[number] if number < len(empty) else (section.end, section.end)
        low, high = min(low, section.end), min(high, section.end)
        if at < low and not text.is_space(at, low):
            if at == section.start:
                yield replace(section, body=min(section.body, low), end=low)
            else:
                yield replace(section, start=at, body=at, end=low, outer=section.inner, labels="")
        at, number = max(high, low), number + 1


def _is_last_mention(headings: Sequence[Heading], position: int) -> bool:
    """Whether a heading without text has no section below it, so that no trail would include it."""
    heading = headings[position]
    if not heading.text:
        return False
    below = (headings[at] for at in range(position + 1, len(headings)))
    nearest = next((other for other in below if other.text or other.level <= heading.level), None)
    return nearest is None or nearest.level <= heading.level


def block_units(document: Document, text: Text, span: Span) -> Iterator[Span]:
    """Yield the blocks of a span, and the runs of lines outside blocks, up to a blank line each."""
    blocks, start, end = document.blocks, span.start, span.end
    line, last = text.line_at(start), text.line_at(end - 1)
    body = text.line_at(span.body) if start < span.body <= end else 0
    at = bisect_left(blocks, line, key=lambda block: block.last_line)
    announced, after_heading = 0, False
    while line <= last:
        while at < len(blocks) and blocks[at].last_line < line:
            at += 1
        if at < len(blocks) and blocks[at].first_line <= line:
            until = min(blocks[at].last_line, last)
        else:
            stop = min(blocks[at].first_line, last + 1) if at < len(blocks) else last + 1
            until = _run(text, line, body if line < body < stop else stop)
        low, high = text.trim(max(start, text.start_of(line)), min(end, text.start_of(until + 1)))
        if low < high:
            continues = int(text.text[low].isspace())
            yield Span(low, high, TEARS_HEADING if after_heading else announced + continues)
            after_heading = high <= span.body
            announced = int(text.text[high - 1] == ":")
        line = until + 1


def _run(text: Text, line: int, stop: int) -> int:
    """The last line of the run of lines without a blank one that begins at ``line``, before ``stop``."""
    until = line
    while until + 1 < stop and not text.is_blank(until + 1):
        until += 1
    return until


def line_units(text: Text, least: int, unit: Span) -> Iterator[Span]:
    """Divide a unit into lines; lines of fewer than ``least`` characters join the next ones up to a blank line."""
    start, tear = unit.start, unit.tear
    for line in range(text.line_at(unit.start), text.line_at(unit.end - 1) + 1):
        end = min(unit.end, text.start_of(line + 1))
        blank = text.is_blank(line)
        if not blank and end - start < least:
            continue
        yield from _trimmed(text, start, end, tear)
        start, tear = end, TEARS_PARAGRAPH if blank else TEARS_BLOCK
    yield from _trimmed(text, start, unit.end, tear)


def _trimmed(text: Text, start: int, end: int, tear: int) -> Iterator[Span]:
    low, high = text.trim(start, end)
    if low < high:
        yield Span(low, high, tear + int(text.text[low].isspace()))


def split_line(text: Text, longest: int, unit: Span) -> Iterator[Span]:
    """Divide a unit into sentences or groups of words.

    Boundaries depend on the words that follow them, so that an edit moves few of them. Text without spaces is divided
    after ``longest`` characters.
    """
    start, last, tear = unit.start, unit.start, unit.tear
    for found in chain(_WORD_START.finditer(text.text, unit.start, unit.end), [None]):
        at = found.end() if found else unit.end
        while at - start > longest:
            cut = last if last > start else start + longest
            yield from _trimmed(text, start, cut, tear)
            start, tear = cut, TEARS_WORDS
        last = at
        sentence = text.text[(found.start() if found else at) - 1] in _SENTENCE_ENDS
        if sentence or not crc32(as_bytes(text.text[at : at + 24])) % _WORDS_IN_GROUP:
            yield from _trimmed(text, start, at, tear)
            start, tear = at, TEARS_SENTENCE if sentence else TEARS_WORDS
    yield from _trimmed(text, start, unit.end, tear)


def substitutions_of(document: Document, *, noise: bool = True) -> tuple[tuple[int, int, str], ...]:
    """Return the substitutions of a document, as (start, end, text), in order and not overlapping.

    Args:
        document: The document.
        noise: Whether noise is replaced by nothing, as for the model. Keyword search keeps it.
    """
    removed = [(start, end, "") for start, end in document.noise] if noise else []
    if not document.substitutions:
        return tuple(removed)
    apart: list[tuple[int, int, str]] = []
    for one in sorted((*removed, *document.substitutions), key=lambda change: (change[0], -change[1])):
        if not apart or one[0] >= apart[-1][1]:
            apart.append(one)
    return tuple(apart)


def apply_substitutions(text: str, substitutions: Sequence[tuple[int, int, str]], start: int, end: int) -> str:
    """Return the text between two offsets with substitutions applied; text of one that crosses an offset is dropped."""
    if not substitutions:
        return text[start:end]
    at = bisect_left(substitutions, start, key=lambda one: one[1])
    parts = []
    while at < len(substitutions) and (substitutions[at][0] < end or substitutions[at][1] == end > start):
        low, high, replacement = substitutions[at]
        parts.append(text[start : max(start, low)])
        if start <= low and high <= end:
            parts.append(replacement)
        start = max(start, min(end, high))
        at += 1
    parts.append(text[start:end])
    return "".join(parts)


class ContextIndex:
    """Looks up the context of a line."""

    def __init__(self, context: Sequence[LineContext]) -> None:
        self._context = sorted(context, key=lambda one: (one.first_line, -one.last_line))
        self._above: list[int] = []
        open_: list[int] = []
        for at, one in enumerate(self._context):
            while open_ and self._context[open_[-1]].last_line < one.first_line:
                open_.pop()
            self._above.append(open_[-1] if open_ else -1)
            open_.append(at)

    def between(self, first: int, last: int) -> set[tuple[str, ...]]:
        """Return every distinct context of the lines of a range."""
        low = bisect_right(self._context, first, key=lambda one: one.first_line)
        high = bisect_right(self._context, last, key=lambda one: one.first_line)
        lines = {first, *(one.first_line for one in self._context[low:high])}
        return {context for line in lines if (context := self.at(line))}

    def at(self, line: int) -> tuple[str, ...]:
        """Return the context of a line, outermost first."""
        at = bisect_right(self._context, line, key=lambda one: one.first_line) - 1
        found: list[str] = []
        while at >= 0:
            if self._context[at].last_line >= line:
                found.append(self._context[at].text)
            at = self._above[at]
        return tuple(reversed(found))


def as_bytes(text: str) -> bytes:
    """Encode a text for hashing, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")
