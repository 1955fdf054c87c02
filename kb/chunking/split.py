"""Splits a document into passages within the model's token limit.

A section that fits is one passage; a longer one is cut between blocks, then lines, sentences and words. No passage
crosses a heading, and each cut depends only on the text near it, so an edit changes only the passages around it.
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
    ContextIndex,
    Span,
    Text,
    apply_substitutions,
    as_bytes,
    block_units,
    line_units,
    sections,
    split_line,
    substitutions_of,
)
from kb.errors import DocumentError
from kb.records import Passage, Place
from kb.records.characters import seen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from kb.ports import TokenCounter
    from kb.records import Document

    _Divide = Callable[[Span], Iterator[Span]]

# --- Boundaries ---------------------------------------------------------------------------------------------------
# Filling passages from the top would shift every cut after an insertion, and all later passages would have to be
# embedded again. Here a cut depends only on the blocks around it.

# How good a boundary is; smaller is better: how much a cut there tears apart, then a hash of the text that follows.
Rank = tuple[int, int]


def partition(sizes: Sequence[int], ranks: Sequence[Rank], budget: int) -> list[tuple[int, int]]:
    """Divide blocks into runs of at most ``budget`` tokens. A block over the budget is a run of its own.

    Args:
        sizes: The size of each block, in tokens.
        ranks: For each block, the rank of the boundary before it.
        budget: The most tokens in a run.

    Returns:
        The runs as half-open ranges of block numbers.
    """
    ends = [0, *accumulate(sizes)]
    if ends[-1] <= budget or len(sizes) < 2:  # noqa: PLR2004 - one block cannot be divided here
        return [(0, len(sizes))] if sizes else []
    cuts = [0, *_local_minima(ends, ranks, budget), len(sizes)]
    return [part for low, high in pairwise(cuts) for part in _divide(ends, ranks, budget, low, high)]


def _local_minima(ends: Sequence[int], ranks: Sequence[Rank], budget: int) -> list[int]:
    """Find the boundaries that are better than all others near them; both ends rank above all.

    A boundary that tears nothing apart must be the best within three eighths of the budget, which fills runs well. One
    that does must be the best within the whole budget, where a cut is unavoidable.
    """
    count = len(ranks)
    left = _distances(ends, ranks, range(1, count), ends[0], ties_win=True)
    right = _distances(ends, ranks, range(count - 1, 0, -1), ends[-1], ties_win=False)
    return [at for at in range(1, count) if min(left[at], right[at]) >= (budget if ranks[at][0] else budget * 3 // 8)]


def _distances(ends: Sequence[int], ranks: Sequence[Rank], order: range, edge: int, *, ties_win: bool) -> list[int]:
    """Measure how far each boundary is from the previous better one in ``order``, with a monotonic stack."""
    distances = [0] * len(ranks)
    better: list[int] = []
    for at in order:
        while better and (ranks[better[-1]] > ranks[at] or (not ties_win and ranks[better[-1]] == ranks[at])):
            better.pop()
        distances[at] = abs(ends[at] - (ends[better[-1]] if better else edge))
        better.append(at)
    return distances


def _divide(ends: Sequence[int], ranks: Sequence[Rank], budget: int, low: int, high: int) -> list[tuple[int, int]]:
    """Divide a run at its best boundary until every part fits, avoiding tiny parts at the edges."""
    done: list[tuple[int, int]] = []
    waiting = [(low, high)]
    while waiting:
        low, high = waiting.pop()
        if ends[high] - ends[low] <= budget or high - low == 1:
            done.append((low, high))
            continue
        at = _best(ends, ranks, budget // 4, low, high)
        waiting += [(at, high), (low, at)]
    return done


def _best(ends: Sequence[int], ranks: Sequence[Rank], margin: int, low: int, high: int) -> int:
    def larger_side(at: int) -> int:
        return max(ends[at] - ends[low], ends[high] - ends[at])

    inner = [at for at in range(low + 1, high) if ends[at] - ends[low] >= margin and ends[high] - ends[at] >= margin]
    if inner:
        return min(inner, key=lambda at: (ranks[at], larger_side(at)))
    return min(range(low + 1, high), key=lambda at: (larger_side(at), ranks[at]))


# --- Places -------------------------------------------------------------------------------------------------------

_NOWHERE: Final = Place(1)


def place_of(places: Sequence[Place], first_line: int, last_line: int) -> Place:
    """Return the place of a range of lines; its name includes the rows if it has any.

    Args:
        places: The places of the document, in the order of their lines.
        first_line: The first line of the passage.
        last_line: The last one.
    """
    first = _at(places, first_line)
    rows = [place.row for place in (first, _at(places, last_line)) if place.row]
    if not rows:
        return first
    named = f"row {rows[0]}" if rows[0] == rows[-1] else f"rows {rows[0]}-{rows[-1]}"
    return Place(first.first_line, f"{first.name} {named}".strip(), rows[0], first.page)


def _at(places: Sequence[Place], line: int) -> Place:
    at = bisect_right(places, line, key=lambda place: place.first_line)
    return places[at - 1] if at else _NOWHERE


MIN_TOKENS: Final = 16
SEPARATOR: Final = " > "
# In characters. The splitter takes quadratic time in scripts without spaces, and tokenizers may in an endless word.
LONGEST_SPAN: Final = 400
# The most characters of a passage per token of its limit, spaces and rulers aside.
CHARS_PER_TOKEN: Final = 12
USUAL_CHARS_PER_TOKEN: Final = 4
COUNT_AT_ONCE: Final = 4096
# A glossary has a heading every sixty characters; a document with more headings than that was generated.
MOST_PASSAGES: Final = 10_000
CHARS_PER_PASSAGE: Final = 100
_MIN_BUDGET: Final = 4
_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_RULER: Final = re.compile(r"([-=_*~#.+^])\1{3,}")

_Trail = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Lead:
    """The title and headings in front of a passage, and their length in tokens."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Source:
    """A document to split.

    Attributes:
        document: The document.
        text: Its text, with line offsets.
        embedded: What the model reads in place of stretches of the text, as (start, end, text).
        searched: What keyword search reads in place of stretches of the text.
        context: The context of its lines.
    """

    document: Document
    text: Text
    embedded: tuple[tuple[int, int, str], ...]
    searched: tuple[tuple[int, int, str], ...]
    context: ContextIndex

    def embedded_text(self, start: int, end: int) -> str:
        """Return a stretch of the text as the model reads it."""
        return apply_substitutions(self.text.text, self.embedded, start, end)

    def searched_text(self, start: int, end: int) -> str:
        """Return a stretch of the text as keyword search reads it."""
        return apply_substitutions(self.text.text, self.searched, start, end)


class Chunker:
    """Splits documents into passages that fit the model.

    Args:
        counter: Counts tokens as the model does. If it has ``special_tokens``, text that looks like one is escaped.
        max_tokens: The most tokens of an embedded text; at most the limit of the model.
        seconds: The processor time that splitting one document may take.

    Raises:
        ValueError: ``max_tokens`` is below 16.
    """

    def __init__(self, counter: TokenCounter, max_tokens: int, seconds: float = math.inf) -> None:
        self._seconds = seconds
        self.max_tokens = min(max_tokens, counter.limit)
        if self.max_tokens < MIN_TOKENS:
            raise ValueError(f"passages of {self.max_tokens} tokens are too short; at least {MIN_TOKENS} are needed")
        self._counter = counter
        self._overhead = counter.count([""])[0]
        special = sorted(filter(None, getattr(counter, "special_tokens", ())), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special))) if special else None

    def split(self, document: Document) -> tuple[Passage, ...]:
        """Split a document into passages, in the order of its text.

        Args:
            document: The document; its headings and blocks are in the order of their lines.

        Raises:
            DocumentError: It has too many passages, or takes too long to split.
        """
        # Processor time, since a busy machine is no reason to refuse a file.
        until = time.thread_time() + self._seconds
        text = Text(document.text)
        found = sections(document, text)
        source = _Source(
            document,
            text,
            substitutions_of(document),
            substitutions_of(document, noise=False),
            ContextIndex(document.context),
        )
        _check_passage_count(document, len(found))
        leads = self._leads({trail for section in found for trail in (section.outer, section.inner)})
        pending = [_part(section, *text.trim(section.start, section.end), self.max_tokens) for section in found]
        # A span that is surely too long is cut without being measured as a whole.
        most = USUAL_CHARS_PER_TOKEN * self.max_tokens
        long = [span for span in pending if span.end - span.start > most]
        pending = [span for span in pending if span.end - span.start <= most]
        pending += [part for span in long for part in self._cut(source, span, leads, until)]
        passages: list[tuple[int, Passage]] = []
        while pending:
            bodies = [self._with_context(source, span, source.embedded_text(span.start, span.end)) for span in pending]
            embedded = [self._embedded(leads[span.lead], body) for span, body in zip(pending, bodies, strict=True)]
            over = []
            for span, sent, tokens in zip(pending, embedded, self._measure(embedded), strict=True):
                if tokens > self.max_tokens:
                    over.append(span)
                # Text that adds no token to its lead would get a meaningless vector.
                elif tokens > leads[span.lead].tokens:
                    lines = text.line_at(span.start), text.line_at(span.end - 1)
                    body, place = text.text[span.start : span.end], place_of(document.places, *lines)
                    searched = self._with_context(source, span, source.searched_text(span.start, span.end))
                    searched = "" if searched == body else searched
                    passage = Passage(body, sent, tokens, *lines, span.trail, place.page, place.name, searched)
                    passages.append((span.start, passage))
            pending = [part for span in over for part in self._cut(source, span, leads, until)]
            _check_passage_count(document, len(passages) + len(pending))
        return tuple(passage for _, passage in sorted(passages, key=lambda item: item[0]))

    def _cut(self, source: _Source, span: Span, leads: Mapping[_Trail, _Lead], until: float) -> list[Span]:
        """Cut a span that is over the limit. The parts have to be measured again.

        Raises:
            DocumentError: The time limit is exceeded.
        """
        if time.thread_time() > until:
            raise DocumentError(
                f"takes longer than {self._seconds:g} seconds to split (documents.seconds)",
                "Raise the limit, or exclude the file",
            )
        text = source.text
        budget = span.budget - leads[span.inner].tokens - self._max_context(source, span)
        if budget < _MIN_BUDGET:
            parts = _halves(span.start, span.end)
        else:
            units, sizes = self._units(source.document, text, span, budget)
            ranks = [(unit.tear, crc32(as_bytes(text.text[unit.start : unit.end]))) for unit in units]
            parts = [(units[low].start, units[high - 1].end) for low, high in partition(sizes, ranks, budget)]
        if len(parts) > 1 and parts[0][1] <= span.body and span.covers(source.embedded_text(*parts[0])):
            parts = parts[1:]  # the heading alone: it is in the lead of the parts below it
        # Token counts of parts may not add up; if a part is still too long, the next round gets a smaller budget.
        budget = span.budget - max(1, span.budget // 8)
        trimmed = (text.trim(*part) for part in parts)
        return [_part(span, start, end, budget) for start, end in trimmed if start < end]

    def _units(self, document: Document, text: Text, span: Span, budget: int) -> tuple[list[Span], list[int]]:
        """Divide a span into blocks, and a block over the budget into lines, sentences or words; return their sizes."""
        units = list(block_units(document, text, span))
        sizes = self._sizes([text.text[unit.start : unit.end] for unit in units])
        longest = min(LONGEST_SPAN, CHARS_PER_TOKEN * budget)
        steps: tuple[_Divide, ...] = (
            partial(line_units, text, budget // 8),
            partial(split_line, text, longest),
            partial(self._word_parts, text, budget),
        )
        for divide in steps:
            if max(sizes, default=0) <= budget:
                break
            pairs = list(zip(units, sizes, strict=True))
            parts = [part for unit, size in pairs if size > budget for part in divide(unit)]
            sizes = self._sizes([text.text[part.start : part.end] for part in parts])
            pairs = [pair for pair in pairs if pair[1] <= budget] + list(zip(parts, sizes, strict=True))
            pairs.sort(key=lambda pair: pair[0].start)
            units, sizes = [unit for unit, _ in pairs], [size for _, size in pairs]
        return units, sizes

    def _word_parts(self, text: Text, budget: int, unit: Span) -> Iterator[Span]:
        """Divide a long unit without spaces between the words of its script, or between letters."""
        from semantic_text_splitter import TextSplitter

        piece = text.text[unit.start : unit.end]
        # A power of two, so that a small edit does not move every part.
        most = 1 << (max(1, budget * len(piece) // (4 * self._sizes([piece])[0])).bit_length() - 1)
        splitter = TextSplitter((max(1, most // 2), most), trim=False)
        for offset, part in splitter.chunk_indices(piece):
            low, high = text.trim(unit.start + offset, unit.start + offset + len(part))
            if low < high:
                yield Span(low, high, TEARS_LETTERS if offset else unit.tear)

    def _sizes(self, texts: Sequence[str]) -> list[int]:
        """Measure texts in tokens, without the model's special tokens; endless words count by characters too."""
        texts = [self._clean(text) for text in texts]
        sizes = []
        for part, count in zip(texts, self._measure(texts), strict=True):
            tokens = count - self._overhead
            if len(part) > CHARS_PER_TOKEN * tokens:
                tokens = max(tokens, -(-_characters(part) // CHARS_PER_TOKEN))
            sizes.append(tokens)
        return sizes

    def _measure(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of texts. A text with too many characters is not counted and reported as too long."""
        most = CHARS_PER_TOKEN * self.max_tokens
        counts = [self.max_tokens + self._overhead + 1] * len(texts)
        # Count equal texts once: a line of brackets may occur a hundred thousand times.
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

    def _with_context(self, source: _Source, span: Span, body: str) -> str:
        """Prepend the context of a span to its text, unless the text is blank."""
        context = source.context.at(source.text.line_at(span.start))
        return f"{self._short(context)}\n{body}" if context and body.strip() else body

    def _short(self, context: Sequence[str]) -> str:
        """Shorten context to a quarter of the token limit: drop outer lines first, then cut the innermost."""
        lines = list(context)
        while self._measure(["\n".join(lines)])[0] - self._overhead > self.max_tokens // 4 and lines[-1]:
            if len(lines) > 1:
                del lines[0]
            else:
                lines[0] = lines[0][: len(lines[0]) // 2].rstrip()
        return "\n".join(lines)

    def _max_context(self, source: _Source, span: Span) -> int:
        """Return the most tokens that the context of any part of a span takes."""
        lines = source.text.line_at(span.start), source.text.line_at(span.end - 1)
        context = ["\n".join(one) for one in source.context.between(*lines)]
        return min(max(self._measure(context)) - self._overhead, self.max_tokens // 4) if context else 0

    def _embedded(self, lead: _Lead, body: str) -> str:
        """Return the text that the model embeds."""
        body = self._clean(body).strip()
        return f"{lead.text}\n{body}" if lead.text and body else body

    def _clean(self, text: str) -> str:
        """Remove control and invisible characters, shorten rulers and escape special tokens."""
        text = _RULER.sub(r"\1\1\1", _NO_TEXT.sub(" ", seen(text)))
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if self._special else text

    def _leads(self, trails: Collection[_Trail]) -> dict[_Trail, _Lead]:
        """Make the lead of each trail, of at most a quarter of the limit: drop middle headings first, then cut all."""
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


def _part(section: Span, start: int, end: int, budget: int) -> Span:
    """Return a part of a section, with the token budget to use if it has to be cut."""
    return replace(section, start=start, end=end, budget=budget)


def _check_passage_count(document: Document, count: int) -> None:
    """Check that a document does not have too many passages for its length.

    Raises:
        DocumentError: It has too many.
    """
    if count > (most := MOST_PASSAGES + len(document.text) // CHARS_PER_PASSAGE):
        raise DocumentError(
            f"falls into {count:,} passages, over the limit of {most:,} for a text of its length",
            "Exclude the file, or take the headings out that stand at nearly every line",
        )


def _characters(text: str) -> int:
    return len("".join(text.split()))


def _halves(start: int, end: int) -> list[tuple[int, int]]:
    """Halve a stretch; a single character that is over the limit is dropped."""
    middle = (start + end) // 2
    return [(start, middle), (middle, end)] if middle > start else []
