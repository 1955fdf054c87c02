"""A document becomes passages: one section each, or parts of a section, measured in the model's own tokens.

No passage crosses a heading and no cut depends on anything far away, so an edit changes only the passages around it.
"""

from __future__ import annotations

import math
import re
import time
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final
from zlib import crc32

from kb.chunking.sections import (
    TEARS_LETTERS,
    Stretch,
    Text,
    ToldAbove,
    as_bytes,
    as_read,
    block_units,
    changes_of,
    line_units,
    sections,
    stretches,
)
from kb.errors import DocumentError
from kb.records import Passage, Place
from kb.records.characters import seen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from kb.ports import TokenCounter
    from kb.records import Document

    _Divide = Callable[[Stretch], Iterator[Stretch]]

# Where to cut a long row of blocks, so that an edit moves only the cuts beside it.
#
# Filling passages one after another would shift every cut behind an insertion, and every passage behind it would have
# to be embedded again. Here a cut depends on the blocks around it alone.

# Better boundaries compare smaller: first how little they tear apart, then a hash of what follows.
Rank = tuple[int, int]


def partition(sizes: Sequence[int], ranks: Sequence[Rank], room: int) -> list[tuple[int, int]]:
    """Divide blocks into runs of at most ``room``, as half-open ranges; a block over it stands alone.

    Args:
        sizes: The size of each block.
        ranks: For each block how good it is to cut in front of it; smaller is better.
        room: The most that a run may measure.
    """
    ends = [0, *accumulate(sizes)]
    if ends[-1] <= room or len(sizes) < 2:  # noqa: PLR2004 - one block cannot be divided here
        return [(0, len(sizes))] if sizes else []
    cuts = [0, *_local_minima(ends, ranks, room), len(sizes)]
    return [part for low, high in pairwise(cuts) for part in _divide(ends, ranks, room, low, high)]


def _local_minima(ends: Sequence[int], ranks: Sequence[Rank], room: int) -> list[int]:
    """The boundaries that are better than all others near them; the ends are better than any.

    One that tears nothing apart has to be the best within three eighths of the room, which fills runs well. One that
    does is cut only where the way between two better ones is so long that it must be.
    """
    count = len(ranks)
    left = _distances(ends, ranks, range(1, count), ends[0], ties_win=True)
    right = _distances(ends, ranks, range(count - 1, 0, -1), ends[-1], ties_win=False)
    return [at for at in range(1, count) if min(left[at], right[at]) >= (room if ranks[at][0] else room * 3 // 8)]


def _distances(ends: Sequence[int], ranks: Sequence[Rank], order: range, edge: int, *, ties_win: bool) -> list[int]:
    """How far each boundary is from the next better one against ``order``, by a stack of ever better ones."""
    distances = [0] * len(ranks)
    better: list[int] = []
    for at in order:
        while better and (ranks[better[-1]] > ranks[at] or (not ties_win and ranks[better[-1]] == ranks[at])):
            better.pop()
        distances[at] = abs(ends[at] - (ends[better[-1]] if better else edge))
        better.append(at)
    return distances


def _divide(ends: Sequence[int], ranks: Sequence[Rank], room: int, low: int, high: int) -> list[tuple[int, int]]:
    """Halve a run at its best boundary until everything fits; crumbs at the edges are avoided."""
    done: list[tuple[int, int]] = []
    waiting = [(low, high)]
    while waiting:
        low, high = waiting.pop()
        if ends[high] - ends[low] <= room or high - low == 1:
            done.append((low, high))
            continue
        at = _best(ends, ranks, room // 4, low, high)
        waiting += [(at, high), (low, at)]
    return done


def _best(ends: Sequence[int], ranks: Sequence[Rank], margin: int, low: int, high: int) -> int:
    def larger_side(at: int) -> int:
        return max(ends[at] - ends[low], ends[high] - ends[at])

    inner = [at for at in range(low + 1, high) if ends[at] - ends[low] >= margin and ends[high] - ends[at] >= margin]
    if inner:
        return min(inner, key=lambda at: (ranks[at], larger_side(at)))
    return min(range(low + 1, high), key=lambda at: (larger_side(at), ranks[at]))


# Where a passage stands in its document's own terms: a page, a slide, some rows of a sheet.

_NOWHERE: Final = Place(1)


def place_of(places: Sequence[Place], first_line: int, last_line: int) -> Place:
    """The place of the lines from one to another; its name says the rows, where there are some.

    Args:
        places: The places of the document, in the order of their lines.
        first_line: The first line of the passage.
        last_line: The last one.
    """
    first = _at(places, first_line)
    rows = [place.row for place in (first, _at(places, last_line)) if place.row]
    if not rows:
        # The name of a sheet stands above its first row.
        return first
    named = f"row {rows[0]}" if rows[0] == rows[-1] else f"rows {rows[0]}-{rows[-1]}"
    return Place(first.first_line, f"{first.name} {named}".strip(), rows[0], first.page)


def _at(places: Sequence[Place], line: int) -> Place:
    at = bisect_right(places, line, key=lambda place: place.first_line)
    return places[at - 1] if at else _NOWHERE


SMALLEST: Final = 16
SEPARATOR: Final = " > "
# The splitter is quadratic in scripts without spaces, and tokenizers may be in one endless word.
LONGEST_STRETCH: Final = 400
# A passage holds no more characters than this for each token it may have, spaces and rulers aside.
CHARS_PER_TOKEN: Final = 12
USUAL_CHARS_PER_TOKEN: Final = 4
COUNT_AT_ONCE: Final = 4096
# A glossary has a heading every sixty characters. What has more of them, page after page, was not written by anybody.
MOST_PASSAGES: Final = 10_000
CHARS_PER_PASSAGE: Final = 100
_LEAST_ROOM: Final = 4
_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_RULER: Final = re.compile(r"([-=_*~#.+^])\1{3,}")

_Trail = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Lead:
    """The line in front of a passage that says where it stands, and its length in tokens."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Source:
    """A document that is split, and how it is read."""

    document: Document
    text: Text
    changes: tuple[tuple[int, int, str], ...]
    spelled: tuple[tuple[int, int, str], ...]
    told: ToldAbove

    def read(self, start: int, end: int) -> str:
        """What is embedded of a stretch."""
        return as_read(self.text.text, self.changes, start, end)

    def searched(self, start: int, end: int) -> str:
        """What is searched of it."""
        return as_read(self.text.text, self.spelled, start, end)


class Chunker:
    """Splits documents into passages that a model can read whole.

    Args:
        counter: Measures texts as the model will read them. Where it has ``special_tokens``, text that looks like one
            is kept from becoming one.
        max_tokens: The longest embedded text, in tokens; lowered to what the model reads.
        seconds: The processor time that splitting one document may take.

    Raises:
        ValueError: Fewer than 16 tokens leave no room for a passage.
    """

    def __init__(self, counter: TokenCounter, max_tokens: int, seconds: float = math.inf) -> None:
        self._seconds = seconds
        self.max_tokens = min(max_tokens, counter.limit)
        if self.max_tokens < SMALLEST:
            raise ValueError(f"passages of {self.max_tokens} tokens are too short; at least {SMALLEST} are needed")
        self._counter = counter
        self._overhead = counter.count([""])[0]
        special = sorted(filter(None, getattr(counter, "special_tokens", ())), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special))) if special else None

    def split(self, document: Document) -> tuple[Passage, ...]:
        """The passages of a document in the order of its text.

        Args:
            document: What was read; its headings and blocks in the order of their lines.

        Raises:
            DocumentError: It falls into too many passages, or takes too long to be divided.
        """
        # Not the clock on the wall: another process that keeps the machine busy is no reason to refuse a file.
        until = time.thread_time() + self._seconds
        text = Text(document.text)
        found = sections(document, text)
        source = _Source(
            document, text, changes_of(document), changes_of(document, noise=False), ToldAbove(document.told)
        )
        _refuse_crumbs(document, len(found))
        leads = self._leads({trail for section in found for trail in (section.outer, section.inner)})
        drafts = [_part(section, *text.trim(section.start, section.end), self.max_tokens) for section in found]
        # What is surely too long is measured block by block at once.
        most = USUAL_CHARS_PER_TOKEN * self.max_tokens
        long = [draft for draft in drafts if draft.end - draft.start > most]
        drafts = [draft for draft in drafts if draft.end - draft.start <= most]
        drafts += [part for draft in long for part in self._cut(source, draft, leads, until)]
        passages: list[tuple[int, Passage]] = []
        while drafts:
            bodies = [self._with_told(source, draft, source.read(draft.start, draft.end)) for draft in drafts]
            embedded = [self._embedded(leads[draft.lead], body) for draft, body in zip(drafts, bodies, strict=True)]
            over = []
            for draft, sent, tokens in zip(drafts, embedded, self._measure(embedded), strict=True):
                if tokens > self.max_tokens:
                    over.append(draft)
                # What adds no token to its lead would get a vector that means nothing.
                elif tokens > leads[draft.lead].tokens:
                    lines = text.line_at(draft.start), text.line_at(draft.end - 1)
                    body, place = text.text[draft.start : draft.end], place_of(document.places, *lines)
                    searched = self._with_told(source, draft, source.searched(draft.start, draft.end))
                    searched = "" if searched == body else searched
                    passage = Passage(body, sent, tokens, *lines, draft.trail, place.page, place.name, searched)
                    passages.append((draft.start, passage))
            drafts = [part for draft in over for part in self._cut(source, draft, leads, until)]
            _refuse_crumbs(document, len(passages) + len(drafts))
        return tuple(passage for _, passage in sorted(passages, key=lambda item: item[0]))

    def _cut(self, source: _Source, draft: Stretch, leads: Mapping[_Trail, _Lead], until: float) -> list[Stretch]:
        """Parts of a draft that is over the limit, each to be measured again.

        Raises:
            DocumentError: The time is up.
        """
        if time.thread_time() > until:
            raise DocumentError(
                f"takes longer than {self._seconds:g} seconds to split (documents.seconds)",
                "Raise the limit, or exclude the file",
            )
        text = source.text
        room = draft.room - leads[draft.inner].tokens - self._most_told(source, draft)
        if room < _LEAST_ROOM:
            parts = _halves(draft.start, draft.end)
        else:
            units, sizes = self._units(source.document, text, draft, room)
            ranks = [(unit.tear, crc32(as_bytes(text.text[unit.start : unit.end]))) for unit in units]
            parts = [(units[low].start, units[high - 1].end) for low, high in partition(sizes, ranks, room)]
        if len(parts) > 1 and parts[0][1] <= draft.body and draft.tells(source.read(*parts[0])):
            parts = parts[1:]  # the heading alone: the parts below it are told it in their lead
        # Where counts do not add up, the next round has to assume less room.
        room = draft.room - max(1, draft.room // 8)
        trimmed = (text.trim(*part) for part in parts)
        return [_part(draft, start, end, room) for start, end in trimmed if start < end]

    def _units(self, document: Document, text: Text, draft: Stretch, room: int) -> tuple[list[Stretch], list[int]]:
        """What should stay whole, with its size: blocks, then lines, sentences, words where they are over."""
        units = list(block_units(document, text, draft))
        sizes = self._sizes([text.text[unit.start : unit.end] for unit in units])
        longest = min(LONGEST_STRETCH, CHARS_PER_TOKEN * room)
        steps: tuple[_Divide, ...] = (
            partial(line_units, text, room // 8),
            partial(stretches, text, longest),
            partial(self._word_parts, text, room),
        )
        for divide in steps:
            if max(sizes, default=0) <= room:
                break
            pairs = list(zip(units, sizes, strict=True))
            parts = [part for unit, size in pairs if size > room for part in divide(unit)]
            sizes = self._sizes([text.text[part.start : part.end] for part in parts])
            pairs = [pair for pair in pairs if pair[1] <= room] + list(zip(parts, sizes, strict=True))
            pairs.sort(key=lambda pair: pair[0].start)
            units, sizes = [unit for unit, _ in pairs], [size for _, size in pairs]
        return units, sizes

    def _word_parts(self, text: Text, room: int, unit: Stretch) -> Iterator[Stretch]:
        """A stretch without spaces that is too long, divided between words of its script or at least letters."""
        from semantic_text_splitter import TextSplitter

        piece = text.text[unit.start : unit.end]
        # A power of two, so that a few letters more do not move every part.
        most = 1 << (max(1, room * len(piece) // (4 * self._sizes([piece])[0])).bit_length() - 1)
        splitter = TextSplitter((max(1, most // 2), most), trim=False)
        for offset, part in splitter.chunk_indices(piece):
            low, high = text.trim(unit.start + offset, unit.start + offset + len(part))
            if low < high:
                yield Stretch(low, high, TEARS_LETTERS if offset else unit.tear)

    def _sizes(self, texts: Sequence[str]) -> list[int]:
        """How much room texts take in a passage; endless words count by their characters too."""
        texts = [self._clean(text) for text in texts]
        sizes = []
        for part, count in zip(texts, self._measure(texts), strict=True):
            tokens = count - self._overhead
            if len(part) > CHARS_PER_TOKEN * tokens:
                tokens = max(tokens, -(-_characters(part) // CHARS_PER_TOKEN))
            sizes.append(tokens)
        return sizes

    def _measure(self, texts: Sequence[str]) -> list[int]:
        """Lengths in tokens; a text with too many characters is not counted, only called too long."""
        most = CHARS_PER_TOKEN * self.max_tokens
        counts = [self.max_tokens + self._overhead + 1] * len(texts)
        # A line of brackets may be repeated a hundred thousand times: each text is counted once.
        places: dict[str, list[int]] = {}
        for at, text in enumerate(texts):
            places.setdefault(text, []).append(at)
        wanted = [text for text in places if len(text) <= most or _characters(text) <= most]
        for first in range(0, len(wanted), COUNT_AT_ONCE):
            some = wanted[first : first + COUNT_AT_ONCE]
            for text, count in zip(some, self._counter.count(some), strict=True):
                for at in places[text]:
                    counts[at] = count
        return counts

    def _with_told(self, source: _Source, draft: Stretch, body: str) -> str:
        """What is read of a draft, with what holds for it in front; nothing where it says nothing itself."""
        told = source.told.at(source.text.line_at(draft.start))
        return f"{self._short(told)}\n{body}" if told and body.strip() else body

    def _short(self, told: Sequence[str]) -> str:
        """Lines in at most a quarter of the room: the outer ones go first, then the last one gets shorter."""
        lines = list(told)
        while self._measure(["\n".join(lines)])[0] - self._overhead > self.max_tokens // 4 and lines[-1]:
            if len(lines) > 1:
                del lines[0]
            else:
                lines[0] = lines[0][: len(lines[0]) // 2].rstrip()
        return "\n".join(lines)

    def _most_told(self, source: _Source, draft: Stretch) -> int:
        """How many tokens parts of a draft may be told at most."""
        lines = source.text.line_at(draft.start), source.text.line_at(draft.end - 1)
        told = ["\n".join(one) for one in source.told.between(*lines)]
        return min(max(self._measure(told)) - self._overhead, self.max_tokens // 4) if told else 0

    def _embedded(self, lead: _Lead, body: str) -> str:
        """What the model sees of a passage."""
        body = self._clean(body).strip()
        return f"{lead.text}\n{body}" if lead.text and body else body

    def _clean(self, text: str) -> str:
        """A text without what a model cannot read as text: controls, what is unseen, long rulers, special tokens."""
        text = _RULER.sub(r"\1\1\1", _NO_TEXT.sub(" ", seen(text)))
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if self._special else text

    def _leads(self, trails: Collection[_Trail]) -> dict[_Trail, _Lead]:
        """The lead of each trail. It may take a quarter of the room: middle headings go first, then all get shorter."""
        texts = {trail: self._clean(SEPARATOR.join(trail)) for trail in trails}
        counts = self._measure(list(texts.values()))
        return {
            trail: self._shortened(trail) if count - self._overhead > self.max_tokens // 4 else _Lead(text, count)
            for (trail, text), count in zip(texts.items(), counts, strict=True)
        }

    def _shortened(self, trail: _Trail) -> _Lead:
        parts = list(trail)
        while True:
            lead = self._clean(SEPARATOR.join(filter(None, parts)))
            tokens = self._measure([lead])[0]
            if tokens - self._overhead <= self.max_tokens // 4 or not lead:
                return _Lead(lead, tokens)
            if len(parts) > 2:  # noqa: PLR2004 - title and nearest heading say most
                del parts[len(parts) // 2]
            else:
                parts = [part[: len(part) // 2].rstrip() for part in parts]


def _part(section: Stretch, start: int, end: int, room: int) -> Stretch:
    """A part of a section that may become a passage, with how many tokens to assume there are if it has to be cut."""
    return replace(section, start=start, end=end, room=room)


def _refuse_crumbs(document: Document, count: int) -> None:
    """See that a document has no more passages than a text of its length can have.

    Raises:
        DocumentError: It has.
    """
    if count > (most := MOST_PASSAGES + len(document.text) // CHARS_PER_PASSAGE):
        raise DocumentError(
            f"falls into {count:,} passages, over the limit of {most:,} for a text of its length",
            "Exclude the file, or take the headings out that stand at nearly every line",
        )


def _characters(text: str) -> int:
    return len("".join(text.split()))


def _halves(start: int, end: int) -> list[tuple[int, int]]:
    """Both halves of a stretch; nothing of a single character that takes more than the whole limit."""
    middle = (start + end) // 2
    return [(start, middle), (middle, end)] if middle > start else []
