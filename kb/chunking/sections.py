"""A document laid out for cutting: lines with offsets, sections between headings, and the units that stay whole."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final
from zlib import crc32

from kb.formats.bare_markup import hollow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.records import Document, Heading, Told

# How much a cut in front of a unit tears apart. A block costs nothing, indentation and a colon before it one more.
TEARS_PARAGRAPH: Final = 1
TEARS_BLOCK: Final = 2
TEARS_SENTENCE: Final = 4
TEARS_WORDS: Final = 5
TEARS_LETTERS: Final = 6
TEARS_HEADING: Final = 8
# Words begin after a space, or after a stop or comma of Chinese and Japanese.
_WORD_START: Final = re.compile(r"\s(?=\S)|(?<=[\u3002\uff01\uff1f\u3001\uff0c\uff1b])(?=\S)")
_SENTENCE_ENDS: Final = frozenset(".!?…\u3002\uff01\uff1f")
_WORDS_IN_GROUP: Final = 8
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a document, as character offsets, on its way to a passage.

    It is a section, from one heading to the next; a part of one that may become a passage; or a block, line, sentence
    or group of words that should stay whole when a section is cut.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        tear: How much a cut in front of it would tear apart.
        body: Where the heading of its section ends, or its section begins.
        trail: The headings down to that of its section.
        outer: What a passage that begins with the heading has to be told about its place: title and headings without
            that one.
        inner: The same of any other passage: with that one.
        labels: What in the heading is said elsewhere or to programs only.
        room: How many tokens to assume there are if it has to be cut.
    """

    start: int
    end: int
    tear: int = 0
    body: int = 0
    trail: tuple[str, ...] = ()
    outer: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    labels: str = ""
    room: int = 0

    @property
    def lead(self) -> tuple[str, ...]:
        """Title and headings that the stretch does not say itself."""
        return self.outer if self.start < self.body else self.inner

    def tells(self, stretch: str) -> bool:
        """Whether every word of a stretch stands in the headings or is a label.

        The headings are shortened, and without addresses and other markup, so that a stretch may say more than they.
        """
        return _words(stretch) <= _words(" ".join((*self.trail, self.labels)))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text))


class Text:
    """A text with the offsets of its lines, which count from 1 and end at line feeds only."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def start_of(self, line: int) -> int:
        """Where a line begins; the end of the text for a line behind the last."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def line_at(self, offset: int) -> int:
        """The line in which an offset lies."""
        return bisect_right(self._starts, offset)

    def is_blank(self, line: int) -> bool:
        """Whether nothing but space stands in a line."""
        start, end = self.start_of(line), self.start_of(line + 1)
        return start == end or self.text[start:end].isspace()

    def is_space(self, start: int, end: int) -> bool:
        """Whether nothing but space stands between two offsets."""
        return self.text[start:end].isspace()

    def trim(self, start: int, end: int) -> tuple[int, int]:
        """A stretch without the space around it; the indentation of a first line that is whole stays."""
        piece = self.text[start:end]
        kept = piece.rstrip()
        if not kept:
            return start, start
        first = start + len(kept) - len(kept.lstrip())
        line_start = self.text.rfind("\n", start, first) + 1
        if not line_start:
            line_start = start if start == 0 or self.text[start - 1] == "\n" else first
        return line_start, start + len(kept)


def sections(document: Document, text: Text) -> list[Stretch]:
    """The sections that have something of their own to say; the text before the first heading is one too."""
    headings = document.headings
    bounds = [text.start_of(heading.first_line) for heading in headings] + [len(text.text)]
    start = min(text.start_of(document.body_line), bounds[0])
    title = document.own_title
    # A title that is the first heading reaches in the trail the sections it stands above, and those only.
    prefix = () if not title or (headings and headings[0].text == title) else (title,)
    found = [*_front_matter(document, text), Stretch(start, bounds[0], body=start, outer=prefix, inner=prefix)]
    changes = changes_of(document)
    trail: list[Heading] = []
    for position, heading in enumerate(headings):
        while trail and trail[-1].level >= heading.level:
            trail.pop()
        outer = tuple(above.text for above in trail if above.text)
        trail.append(heading)
        inner = tuple(above.text for above in trail if above.text)
        begin, end = bounds[position], bounds[position + 1]
        body = min(text.start_of(heading.last_line + 1), end)
        section = Stretch(
            begin,
            end,
            body=body,
            trail=inner,
            outer=(*prefix, *outer),
            inner=(*prefix, *inner),
            labels=heading.labels,
        )
        said = text.text[body:end].strip() or _says_something(headings, position)
        if said or not section.tells(as_read(text.text, changes, begin, body)):
            found.append(section)
    starts = [text.start_of(place.first_line) for place in document.places if not place.soft]
    if starts:
        found = [part for section in found for part in _parts(section, starts, text)]
    empty = hollow(document.text)
    return [part for section in found for part in _saying(section, empty, text)] if empty else found


def _front_matter(document: Document, text: Text) -> Iterator[Stretch]:
    """What stands between the fences of front matter that is a passage; it is told a title that it does not say."""
    if not document.front_passage:
        return
    start, end = text.start_of(2), text.start_of(document.body_line - 1)
    title = document.own_title
    lead = () if _words(title) <= _words(text.text[start:end]) else (title,)
    yield Stretch(start, end, body=start, outer=lead, inner=lead)


def _parts(section: Stretch, starts: Sequence[int], text: Text) -> list[Stretch]:
    """A section divided where a page, slide or the like begins; a heading with nothing below it on its page is left."""
    inside = starts[bisect_right(starts, section.start) : bisect_left(starts, section.end)]
    if not inside:
        return [section]
    first = replace(section, end=inside[0])
    alone = not text.text[first.body : first.end].strip()
    parts = [] if alone and first.tells(text.text[first.start : first.end]) else [first]
    ends = [*inside[1:], section.end]
    for at, end in zip(inside, ends, strict=True):
        if text.text[at:end].strip():
            parts.append(replace(section, start=at, end=end, body=at, outer=section.inner, labels=""))
    return parts or [section]


def _saying(section: Stretch, empty: Sequence[tuple[int, int]], text: Text) -> Iterator[Stretch]:
    """What is left of a section without the empty that say nothing."""
    at = section.start
    # The first that ends behind its beginning.
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


def _says_something(headings: Sequence[Heading], position: int) -> bool:
    """Whether a heading without text of its own is named by no section below it, so that only itself can tell it."""
    heading = headings[position]
    if not heading.text:
        return False
    below = (headings[at] for at in range(position + 1, len(headings)))
    nearest = next((other for other in below if other.text or other.level <= heading.level), None)
    return nearest is None or nearest.level <= heading.level


def block_units(document: Document, text: Text, draft: Stretch) -> Iterator[Stretch]:
    """The blocks of a part of a section, and what stands outside blocks up to the next blank line."""
    blocks, start, end = document.blocks, draft.start, draft.end
    line, last = text.line_at(start), text.line_at(end - 1)
    body = text.line_at(draft.body) if start < draft.body <= end else 0
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
            yield Stretch(low, high, TEARS_HEADING if after_heading else announced + continues)
            after_heading = high <= draft.body
            announced = int(text.text[high - 1] == ":")
        line = until + 1


def _run(text: Text, line: int, stop: int) -> int:
    """The last line of the unbroken run of lines from ``line`` on, before ``stop``."""
    until = line
    while until + 1 < stop and not text.is_blank(until + 1):
        until += 1
    return until


def line_units(text: Text, least: int, unit: Stretch) -> Iterator[Stretch]:
    """The lines of a unit; lines of fewer than ``least`` characters join the next ones up to a blank line."""
    start, tear = unit.start, unit.tear
    for line in range(text.line_at(unit.start), text.line_at(unit.end - 1) + 1):
        end = min(unit.end, text.start_of(line + 1))
        blank = text.is_blank(line)
        if not blank and end - start < least:
            continue
        yield from _trimmed(text, start, end, tear)
        start, tear = end, TEARS_PARAGRAPH if blank else TEARS_BLOCK
    yield from _trimmed(text, start, unit.end, tear)


def _trimmed(text: Text, start: int, end: int, tear: int) -> Iterator[Stretch]:
    low, high = text.trim(start, end)
    if low < high:
        yield Stretch(low, high, tear + int(text.text[low].isspace()))


def stretches(text: Text, longest: int, unit: Stretch) -> Iterator[Stretch]:
    """A line in sentences or groups of words, chosen by the words that follow, so that an edit moves few of them.

    Where there are no spaces a stretch ends after ``longest`` characters.
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


def changes_of(document: Document, *, noise: bool = True) -> tuple[tuple[int, int, str], ...]:
    """What is read otherwise than it stands, as (start, end, what is read), in order and apart.

    Noise is read as nothing by the model; whoever searches for its words finds it all the same.
    """
    unread = [(start, end, "") for start, end in document.noise] if noise else []
    if not document.spelled:
        return tuple(unread)
    apart: list[tuple[int, int, str]] = []
    for one in sorted((*unread, *document.spelled), key=lambda change: (change[0], -change[1])):
        if not apart or one[0] >= apart[-1][1]:
            apart.append(one)
    return tuple(apart)


def as_read(text: str, changes: Sequence[tuple[int, int, str]], start: int, end: int) -> str:
    """The text between two offsets with what is read in place of some of it; a change that reaches out is left out."""
    if not changes:
        return text[start:end]
    at = bisect_left(changes, start, key=lambda one: one[1])
    parts = []
    while at < len(changes) and (changes[at][0] < end or changes[at][1] == end > start):
        low, high, said = changes[at]
        parts.append(text[start : max(start, low)])
        if start <= low and high <= end:
            parts.append(said)
        start = max(start, min(end, high))
        at += 1
    parts.append(text[start:end])
    return "".join(parts)


class ToldAbove:
    """What holds for a line and stands above it, outermost first."""

    def __init__(self, told: Sequence[Told]) -> None:
        self._told = sorted(told, key=lambda one: (one.first_line, -one.last_line))
        self._above: list[int] = []
        open_: list[int] = []
        for at, one in enumerate(self._told):
            while open_ and self._told[open_[-1]].last_line < one.first_line:
                open_.pop()
            self._above.append(open_[-1] if open_ else -1)
            open_.append(at)

    def between(self, first: int, last: int) -> set[tuple[str, ...]]:
        """What is told of any of the lines from one to another; empty where nothing is."""
        low = bisect_right(self._told, first, key=lambda one: one.first_line)
        high = bisect_right(self._told, last, key=lambda one: one.first_line)
        lines = {first, *(one.first_line for one in self._told[low:high])}
        return {told for line in lines if (told := self.at(line))}

    def at(self, line: int) -> tuple[str, ...]:
        """What is told of a line."""
        at = bisect_right(self._told, line, key=lambda one: one.first_line) - 1
        found: list[str] = []
        while at >= 0:
            if self._told[at].last_line >= line:
                found.append(self._told[at].text)
            at = self._above[at]
        return tuple(reversed(found))


def as_bytes(text: str) -> bytes:
    """A text for hashing, whatever it holds."""
    return text.encode("utf-8", "surrogatepass")
