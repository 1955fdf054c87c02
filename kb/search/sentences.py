"""The sentences of a passage, each with its line. Functions of values."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from kb.formats.registry import REGISTRY
from kb.records import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

# Kinds of files in which every line is a sentence of its own.
BY_LINE: Final = REGISTRY.by_line

_SENTENCE_END: Final = re.compile(
    r"[.!?…]+[\"'”\u2019»)\]*_]*(?=\s+(?P<next>\S+))|(?P<wide>[。\uff01\uff1f]+[」』”\u2019)]*)"
)
# Kinds of files in which a line of stars is a heading, not an item of a list.
_STARRED: Final = frozenset({"org"})
_RST: Final = "rst"
# With more blanks before it, it is code.
_HEADING: Final = re.compile(r" {0,3}#{1,6}\s")
_STARS: Final = re.compile(r"\*+ ")
# What Org has for fences and front matter: blocks, drawers, and keywords for programs.
_BEGIN: Final = re.compile(r"#\+begin_(\w+)", re.IGNORECASE)
_END: Final = re.compile(r"#\+end_\w+\s*\Z", re.IGNORECASE)
_CODE: Final = frozenset({"src", "example", "export", "comment", "verse"})
_DRAWER: Final = re.compile(r":(?:PROPERTIES|LOGBOOK|CLOCK):", re.IGNORECASE)
_DRAWER_END: Final = ":end:"
_KEYWORD: Final = re.compile(
    r"#\+(?!(?:title|subtitle|description|caption)\b)[\w-]+(?:\[[^\[\]]*\])?:.*", re.IGNORECASE
)
# What reStructuredText has for programs: the names of directives and their options, and labels. What follows the name
# of one of these is text.
_DIRECTIVE: Final = re.compile(r"\.\. (?:\|[^|]+\| )?(?P<name>[\w:.+-]+)::(?:\s+(?P<text>.*))?")
_OPTION: Final = re.compile(r"\s+:[\w-]+:(?:\s.*)?")
_LABEL: Final = re.compile(r"\.\. _[^:]+:")
_DIRECTIVES_WITH_TEXT: Final = (
    "attention caution danger error hint important note tip warning admonition topic rubric centered seealso todo "
    "versionadded versionchanged deprecated"
)
_WITH_TEXT: Final = frozenset(_DIRECTIVES_WITH_TEXT.split())
_RULE: Final = re.compile(r"(?:`{3,}|~{3,}).*|[-=|:+*_\s]+")
_ITEM: Final = re.compile(r"(?:[-*+•]|\d{1,4}[.)])\s|\|")
_FENCES: Final = ("```", "~~~")
_INDENTED: Final = re.compile(r" {4}|\t")
# A line with a hard break in Markdown, and a "name: value" line.
_BREAK: Final = re.compile(r".*\S(?: {2,}|\\)")
_FACT: Final = re.compile(r"[^\W\d_][^:|.!?\n]{0,30}:\s+\S.*")
_SAYS: Final = re.compile(r"\w")

# The word before a full stop that may not end a sentence.
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
# German ordinals are written with a full stop, after one of these words.
_BEFORE_ORDINALS: Final = frozenset(_ORDINAL_WORDS.split())
_END_ALL_THE_SAME: Final = frozenset({"a.m", "p.m", "etc", "usw"})
_VOWELS: Final = frozenset("aeiouyäöüáéíóúàèìòùâêîôûåøæœ")


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence, a list item, a table row or a line of code.

    Attributes:
        text: Its text, with single spaces.
        line: The line of the passage on which it begins, from 0.
        block: The number of its paragraph or line, from 0.
        own: Whether it begins a line of its own.
        indent: The indent of that line in columns.
        raw: That line as written, without the indent, where it is the whole unit; else empty.
    """

    text: str
    line: int
    block: int
    own: bool = False
    indent: int = 0
    raw: str = ""


def sentences(text: str, kind: str = "") -> list[Sentence]:
    """Return the sentences of a passage; list items, table rows and lines of code are sentences of their own.

    Headings, fences, rules, and what Org and reStructuredText have for programs are left out unless there is nothing
    else.

    Args:
        text: The text of the passage.
        kind: The kind of its file. In those of ``BY_LINE`` each line is a sentence.
    """
    return [Sentence(unit.text, unit.line) for unit in units(text, kind)]


def units(text: str, kind: str = "") -> list[Unit]:
    """Return the same, with their layout."""
    normal = unicodedata.normalize("NFC", text)
    reader = _Reader(kind)
    for number, raw in enumerate(normal.split("\n")):
        reader.read(raw, number)
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
    """Reads a passage of a kind of file line by line."""

    def __init__(self, kind: str) -> None:
        self._by_line = kind in BY_LINE
        self._org = kind in _STARRED
        self._rst = kind == _RST
        self._in_options = False
        self._heading = _STARS if self._org else _HEADING
        self._in_block = False
        self._in_drawer = False
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

    def read(self, raw: str, number: int) -> None:
        """Read one line."""
        by_line = self._by_line
        line = _Line(" ".join(raw.split()), number)
        if self._org and self._is_markup_of_org(line.text, raw):
            self.flush()
            self._apart = True
            return
        if self._rst:
            text = self._without_markup_of_rst(line.text, raw)
            if text != line.text:
                self.flush()
                self._apart = True
            if line.text and not text:
                return
            line = _Line(text, number)
        fence = line.text.startswith(_FENCES) and not by_line and not self._in_block
        heading = not (self._fenced or self._in_block or by_line) and self._heading.match(raw)
        if not line.text or fence or _RULE.fullmatch(line.text) or heading:
            self.flush()
            self._fenced ^= fence
            self._apart = True
            if heading:
                self.headings.append(Unit(line.text, number, 0))
            return
        if self._fenced or self._in_block or by_line or self._is_code(raw):
            self.flush()
            if _SAYS.search(line.text) or not by_line:
                self.units.append(Unit(line.text, number, self._blocks, own=True, indent=_indent(raw), raw=raw.strip()))
                self._blocks += 1
            self._coded = not (self._fenced or self._in_block or by_line)
        else:
            self._prose(raw, line)
            self._coded = False
        self._apart = False

    def _is_markup_of_org(self, text: str, raw: str) -> bool:
        """Whether a line begins or ends a block, is in a drawer, or is for programs."""
        if self._in_block:
            self._in_block = not _END.match(text)
            return not self._in_block
        if self._in_drawer and not _STARS.match(raw):
            self._in_drawer = text.lower() != _DRAWER_END
            return True
        self._in_drawer = bool(_DRAWER.fullmatch(text))
        begin = _BEGIN.match(text)
        self._in_block = bool(begin and begin[1].lower() in _CODE)
        return bool(self._in_drawer or begin or _END.match(text) or _KEYWORD.fullmatch(text))

    def _without_markup_of_rst(self, text: str, raw: str) -> str:
        """Return a line without the name of a directive; empty where it is an option of one, or a label."""
        if self._in_options and _OPTION.fullmatch(raw):
            return ""
        directive = _DIRECTIVE.fullmatch(text)
        self._in_options = directive is not None
        if directive is None:
            return "" if _LABEL.fullmatch(text) else text
        return (directive["text"] or "") if directive["name"] in _WITH_TEXT else ""

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
    """Return the indent of a line in columns."""
    expanded = raw.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


def _split(lines: list[_Line], block: int) -> list[Unit]:
    """Return the sentences of a paragraph from its lines."""
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
    """Yield where the sentences of a paragraph end, except the last one."""
    for match in _SENTENCE_END.finditer(text):
        if match["wide"]:
            yield match.end()
            continue
        following = match["next"]
        if following[0].islower() or (match[0] == "." and _is_shortened(text, match.start(), following)):
            continue
        yield match.end()


def _is_shortened(text: str, stop: int, following: str) -> bool:
    """Whether a full stop belongs to an abbreviation, an initial, a number or a list marker."""
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
