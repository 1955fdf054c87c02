"""The sentences of a passage, each with its line. Functions of values."""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.errors import ModelError
from kb.formats.registry import REGISTRY
from kb.records import Candidates, Sentence
from kb.records.characters import seen
from kb.search.rank import cosines
from kb.search.words import weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from kb.ports import Embedder
    from kb.records import Hit
    from kb.search.words import Words

# Kinds of files in which every line says something of its own.
BY_LINE: Final = REGISTRY.by_line

_SENTENCE_END: Final = re.compile(
    r"[.!?…]+[\"'”\u2019»)\]*_]*(?=\s+(?P<next>\S+))|(?P<wide>[。\uff01\uff1f]+[」』”\u2019)]*)"
)
_HEADING: Final = re.compile(r"#{1,6}\s")
_RULE: Final = re.compile(r"(?:`{3,}|~{3,}).*|[-=|:+*_\s]+")
_ITEM: Final = re.compile(r"(?:[-*+•]|\d{1,4}[.)])\s|\|")
_FENCES: Final = ("```", "~~~")
_INDENTED: Final = re.compile(r" {4}|\t")
# A line that Markdown ends where it ends, and one of several facts below one another.
_BREAK: Final = re.compile(r".*\S(?: {2,}|\\)")
_FACT: Final = re.compile(r"[^\W\d_][^:|.!?\n]{0,30}:\s+\S.*")
_SAYS: Final = re.compile(r"\w")

# What stands before a full stop that ends no sentence.
_BEFORE_STOP: Final = re.compile(r"[^\s(\[{<>\"'\u201c\u201e\u2018«,;]*\Z")
_LOOK_BACK: Final = 40
_TITLE_WORDS: Final = (
    "Dr Dra Prof Mr Mrs Ms Mx St Ste Sr Sra Jr Rev Gen Col Lt Sgt Capt Gov Sen Rep Pres Hon Messrs Mme Mlle Hr Fr Frl "
    "Dipl Ing Mag Univ Dept Inst Ave Blvd Rd Mt Ft Hl"
)
_SHORT_WORDS: Final = (
    "vs viz cf ca approx resp incl excl esp al eds bzw vgl ggf evtl sog zzgl inkl exkl ehem geb bspw insb allg gem "
    "zit hrsg jr sr dt engl frz lat evt bl mdr osv env aprox"
)
_NUMBERED_WORDS: Final = (
    "no nos nr nrn num núm fig figs abb tab eq eqs sec sect ch chap cap vol vols bd bde pp pg art arts abs par para "
    "ziff rn rdnr kap op ex ver vers tel zi str anh anm app col cols pag pág págs jan feb mar apr jun jul aug sep sept "
    "oct okt nov dec dez"
)
_ORDINAL_WORDS: Final = "am im der den dem des die das vom zum zur beim seit ab bis und oder jeden"
_TITLES: Final = frozenset(_TITLE_WORDS.split())
_SHORTENED: Final = frozenset(_SHORT_WORDS.split())
_BEFORE_NUMBERS: Final = frozenset(_NUMBERED_WORDS.split())
_MONTHS: Final = (
    "Januar", "Jänner", "Februar", "Feber", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
    "November", "Dezember",
)  # fmt: skip
# German numbers things with a full stop, and puts one of these before.
_BEFORE_ORDINALS: Final = frozenset(_ORDINAL_WORDS.split())
_END_ALL_THE_SAME: Final = frozenset({"a.m", "p.m", "etc", "usw"})
_VOWELS: Final = frozenset("aeiouyäöüáéíóúàèìòùâêîôûåøæœ")


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence, a list item, a table row or a line of code.

    Attributes:
        text: What it says, with single spaces.
        line: The line of the passage on which it begins, from 0.
        block: Which paragraph or line of its own it belongs to, from 0.
        own: Whether it begins a line that stands by itself.
        indent: By how many columns that line is indented.
        raw: That line as it is written, without the indent, where it is all of the unit; else nothing.
    """

    text: str
    line: int
    block: int
    own: bool = False
    indent: int = 0
    raw: str = ""


def sentences(text: str, *, by_line: bool = False) -> list[Sentence]:
    """The sentences of a passage: list items, table rows and lines of code stand by themselves.

    Headings, fences and rules are left out unless there is nothing else. With ``by_line`` each line is one of them.
    """
    return [Sentence(unit.text, unit.line) for unit in units(text, by_line=by_line)]


def units(text: str, *, by_line: bool = False) -> list[Unit]:
    """The same, with how they are laid out."""
    normal = unicodedata.normalize("NFC", text)
    reader = _Reader()
    for number, raw in enumerate(normal.split("\n")):
        reader.read(raw, number, by_line=by_line)
    reader.flush()
    if reader.units or reader.headings:
        return reader.units or reader.headings
    return _split([_Line(" ".join(normal.split()), 0)], 0)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a paragraph, with single spaces."""

    text: str
    number: int


class _Reader:
    """Reads a passage line by line."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.headings: list[Unit] = []
        self._paragraph: list[_Line] = []
        self._raw = ""
        self._own = False
        self._blocks = 0
        self._fenced = False
        self._listed = False
        # Whether the line before was empty, so that an indented one is code.
        self._apart = True
        self._coded = False

    def flush(self) -> None:
        """End the paragraph."""
        if self._paragraph:
            found = _split(self._paragraph, self._blocks)
            if self._own and found:
                raw = self._raw.strip() if len(found) == len(self._paragraph) == 1 else ""
                found[0] = replace(found[0], own=True, indent=_indent(self._raw), raw=raw)
            self.units += found
            self._blocks += 1
            self._paragraph = []
        self._own = False

    def read(self, raw: str, number: int, *, by_line: bool) -> None:
        """Read one line."""
        line = _Line(" ".join(raw.split()), number)
        fence = line.text.startswith(_FENCES) and not by_line
        heading = not self._fenced and not by_line and _HEADING.match(line.text)
        if not line.text or fence or _RULE.fullmatch(line.text) or heading:
            self.flush()
            self._fenced ^= fence
            self._apart = True
            if heading:
                self.headings.append(Unit(line.text, number, 0))
            return
        if self._fenced or by_line or self._is_code(raw):
            self.flush()
            if _SAYS.search(line.text) or not by_line:
                self.units.append(Unit(line.text, number, self._blocks, own=True, indent=_indent(raw), raw=raw.strip()))
                self._blocks += 1
            self._coded = not self._fenced and not by_line
        else:
            self._prose(raw, line)
            self._coded = False
        self._apart = False

    def _is_code(self, raw: str) -> bool:
        """Whether a line is code by its indent: not in a list, where that only continues an item."""
        return bool(_INDENTED.match(raw)) and (self._apart or self._coded) and not self._listed

    def _prose(self, raw: str, line: _Line) -> None:
        item = _ITEM.match(line.text)
        fact = _FACT.fullmatch(line.text)
        if item or fact:
            self.flush()
        if self._apart and raw[:1].strip():
            self._listed = False
        if not self._paragraph:
            self._own = bool(item or fact)
            self._raw = raw.rstrip()
        self._listed = self._listed or bool(item and not line.text.startswith("|"))
        self._paragraph.append(line)
        if _BREAK.fullmatch(raw):
            self._own = True
            self.flush()
            self._own = False


def _indent(raw: str) -> int:
    """By how many columns a line is indented."""
    expanded = raw.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


def _split(lines: list[_Line], block: int) -> list[Unit]:
    """The lines of a paragraph, joined and cut where sentences end."""
    joined = " ".join(line.text for line in lines)
    starts = [0, *accumulate(len(line.text) + 1 for line in lines)]
    ends = list(_ends(joined))
    found: list[Unit] = []
    for first, last in zip([0, *ends], [*ends, len(joined)], strict=True):
        part = joined[first:last].strip()
        if part:
            at = first + joined[first:last].index(part[0])
            found.append(Unit(part, lines[bisect_right(starts, at) - 1].number, block))
    return found


def _ends(text: str) -> Iterator[int]:
    """Where the sentences of a paragraph end, but for the last one."""
    for match in _SENTENCE_END.finditer(text):
        if match["wide"]:
            yield match.end()
            continue
        following = match["next"]
        if following[0].islower() or (match[0] == "." and _is_shortened(text, match.start(), following)):
            continue
        yield match.end()


def _is_shortened(text: str, stop: int, following: str) -> bool:
    """Whether a full stop belongs to an abbreviation, an initial, a number or the mark of an item."""
    begin = max(0, stop - _LOOK_BACK)
    found = _BEFORE_STOP.search(text, begin, stop)
    word = found[0] if found else ""
    lower = word.lower()
    if not word or lower in _END_ALL_THE_SAME:
        return False
    if word.isdigit():
        before = text[begin : stop - len(word)].split()
        ordinal = len(word) <= 2 and (  # noqa: PLR2004 - days and places, no years
            following.startswith(_MONTHS) or (bool(before) and before[-1].lower() in _BEFORE_ORDINALS)
        )
        return ordinal or stop == len(word)
    if "." in word:
        return all(len(part) <= 3 and part.isalpha() for part in word.split("."))  # noqa: PLR2004 - e.g, z.B, Ph.D
    if len(word) == 1:
        return word.isalpha() and word != "I"
    if lower in _BEFORE_NUMBERS and (following[0].isdigit() or following[0] in "§#IVXLC"):
        return True
    # Hrsg., Bldg.: no word has a capital and no vowel.
    mute = word.isalpha() and word.istitle() and not _VOWELS & set(lower)
    return word in _TITLES or lower in _SHORTENED or mute


# The sentences of hits that answer: by their own cosines and the question's words, in as much time as is given.

MOST: Final = 3
# What the sentence with most of the question's words gains on one that has none: docs/retrieval.md, "Best sentences".
WORDS_GAIN: Final = 0.5
_SHORT: Final = 200
# Of bge-m3 these are 16 megabytes.
_REMEMBERED: Final = 4096
# A batch at most; a longer sentence is alone in its own.
_BATCH_CHARACTERS: Final = 300


class BestSentences:
    """Finds the sentences that answer, and remembers the vectors of those it saw last. Threads may share it.

    Args:
        embedder: The model that embedded the passages.
        clock: Seconds that never go back.
        remembered: How many vectors to keep.
    """

    def __init__(
        self, embedder: Embedder, clock: Callable[[], float] = time.perf_counter, remembered: int = _REMEMBERED
    ) -> None:
        self._embedder = embedder
        self._clock = clock
        self._remembered = remembered
        self._vectors: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._lock = Lock()

    def of(self, hits: Sequence[Hit], question: NDArray[np.float32], words: Words, seconds: float) -> tuple[Hit, ...]:
        """The hits with their best sentences, as far down as the time suffices; the others as they were.

        A batch is not begun where it would, at the pace of those before it, end after the time.
        """
        time_left = _Time(self._clock, seconds)
        found = list(hits)
        for at, hit in enumerate(hits):
            units = sentences(hit.passage.text, by_line=hit.passage.file.kind in BY_LINE)
            if len(units) <= MOST and len(hit.passage.text) <= _SHORT:
                # It is shown whole.
                continue
            vectors = self._embedded([seen(unit.text) for unit in units], time_left)
            if vectors is None:
                # The next hit may have been seen before, or be short.
                continue
            found[at] = replace(hit, best=_best(units, vectors, question, words))
        return tuple(found)

    def _embedded(self, texts: Sequence[str], time_left: _Time) -> NDArray[np.float32] | None:
        """The vectors of sentences; None where there are none, or the time is over before all are there."""
        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        known = self._known(digests)
        lacking = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
        for batch in _batches(lacking.items()):
            size = sum(len(text) for _, text in batch)
            if not time_left.suffices(size):
                break
            try:
                vectors = self._embedder.embed_sentences([text for _, text in batch])
            except ModelError:
                # The hits are there: that no model reads this one's sentences is no reason to give none.
                return None
            if vectors is None:
                return None
            time_left.spent(size)
            new = dict(zip((digest for digest, _ in batch), vectors, strict=True))
            known |= new
            self._keep(new)
        if not texts or not all(digest in known for digest in digests):
            return None
        return np.stack([known[digest] for digest in digests])

    def _known(self, digests: Iterable[bytes]) -> dict[bytes, NDArray[np.float32]]:
        with self._lock:
            known = {digest: self._vectors[digest] for digest in digests if digest in self._vectors}
            for digest in known:
                self._vectors.move_to_end(digest)
        return known

    def _keep(self, new: dict[bytes, NDArray[np.float32]]) -> None:
        with self._lock:
            self._vectors.update(new)
            while len(self._vectors) > self._remembered:
                self._vectors.popitem(last=False)


class _Time:
    """The time one question has: how much is left, and whether a batch would end in it at the pace of those before."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._began = clock()
        self._until = self._began + seconds
        self._embedding = 0.0
        self._characters = 0
        self._batch = self._began

    def suffices(self, characters: int) -> bool:
        """Whether the next batch may begin; the first one may while any time is left."""
        self._batch = self._clock()
        pace = self._embedding / self._characters if self._characters else 0.0
        return self._batch < self._until and self._batch + characters * pace <= self._until

    def spent(self, characters: int) -> None:
        """The batch has ended."""
        self._embedding += self._clock() - self._batch
        self._characters += characters


def _batches(lacking: Iterable[tuple[bytes, str]]) -> list[list[tuple[bytes, str]]]:
    """Sentences in groups of a few hundred characters, those of like length together."""
    groups: list[list[tuple[bytes, str]]] = []
    size = _BATCH_CHARACTERS
    for digest, text in sorted(lacking, key=lambda one: len(one[1])):
        if size + len(text) > _BATCH_CHARACTERS:
            groups.append([])
            size = 0
        groups[-1].append((digest, text))
        size += len(text)
    return groups


def _best(
    units: Sequence[Sentence], vectors: NDArray[np.float32], question: NDArray[np.float32], words: Words
) -> tuple[Sentence, ...]:
    """The best sentences, best first; of equals the one that stands first."""
    texts = [unit.text for unit in units]
    near = cosines(question, Candidates(tuple(texts), vectors))
    said = np.array(weights(texts, words))
    scores = near + WORDS_GAIN * said / (said.max() or 1.0)
    order = sorted(range(len(units)), key=lambda at: (-scores[at], at))[:MOST]
    return tuple(replace(units[at], cosine=float(near[at])) for at in order)
