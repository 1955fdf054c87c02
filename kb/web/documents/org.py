"""Org files: headings, lists, tables, blocks and links; line by line, as Org reads them itself."""

from __future__ import annotations

import re
from bisect import bisect_right
from html import escape
from typing import TYPE_CHECKING, Final

from kb.web.documents.markup import HIT, Excerpt, Target, link, visible
from kb.web.documents.source import fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Each is matched in one pass, however long the line: documents may be made to take long.
_HEADING: Final = re.compile(
    r"(\*+)\s+(?:(TODO|DONE|NEXT|WAITING|WAIT|HOLD|STARTED|CANCELLED|CANCELED|SOMEDAY)\s+)?(.*)"
)
_LABELS: Final = re.compile(r"(?<=\s):([\w@#%:]+):$")
_ITEM: Final = re.compile(r"(\s*)([-+]|(?<=\s)\*|\d{1,9}[.)])\s+(?:\[([ xX-])\]\s+)?(.*)")
_BEGIN: Final = re.compile(r"\s*#\+begin_(\w+)\s*(\S*)", re.IGNORECASE)
_KEYWORD: Final = re.compile(r"\s*#\+(\w+):\s*(.*)")
_DRAWER: Final = re.compile(r"\s*:[\w-]+:\s*")
_DRAWER_END: Final = re.compile(r"\s*:END:\s*", re.IGNORECASE)
_RULE: Final = re.compile(r"\s*\|(?=[+|]*-)[-+|]*\s*")
_INLINE: Final = re.compile(
    r"\[\[(?P<target>[^\[\]\n]+)\](?:\[(?P<label>[^\[\]\n]+)\])?\]"
    r"|(?P<url>https?://[^\s<>\"\]]+)"
    r"|(?<!\w)(?P<mark>[*/_=~+])(?=\S)"
)
_MARK_END: Final = re.compile(r"(?<=\S)[*/_=~+](?!\w)")
_MARKS: Final = {"*": "b", "/": "i", "_": "u", "=": "code", "~": "code", "+": "del"}
_AWAY: Final = re.compile(r"(?:https?:|mailto:)", re.IGNORECASE)
_CHECKS: Final = {" ": "☐ ", "-": "☐ ", "x": "☑ ", "X": "☑ "}
_PROSE: Final = frozenset({"quote", "verse", "center"})
_DEEPEST: Final = 6
# Lists deeper than this are shown at this depth: nobody indents so far, and each level is a call within a call.
_DEEPEST_LIST: Final = 30
# More marks around one another mean nothing: there are no more kinds of them.
_MOST_MARKS: Final = len(_MARKS)


def org(source: Excerpt) -> str:
    """Return an Org document as HTML, to be sanitized."""
    return "".join(_Writer(source).html())


class _Writer:
    """Reads a document block by block; each method takes the lines of its block and leaves the rest."""

    def __init__(self, source: Excerpt) -> None:
        self._source = source
        self._lines = visible(source.text).split("\n")
        self._at = 0
        # How many lists are around the line.
        self._depth = 0
        self._kinds: tuple[tuple[Callable[[str], object], Callable[[], str]], ...] = (
            (_DRAWER.fullmatch, lambda: self._verbatim(self._until(_DRAWER_END.fullmatch), "front")),
            (_is_setting, lambda: self._verbatim(self._while(_is_setting), "front")),
            (_is_row, self._table),
            (_is_fixed, lambda: self._verbatim(self._while(_is_fixed), "text")),
            (_ITEM.fullmatch, self._list),
        )

    def html(self) -> list[str]:
        parts = []
        while self._at < len(self._lines):
            parts.append(self._block())
        return parts

    def _block(self) -> str:
        line = self._lines[self._at]
        if not line.strip():
            self._at += 1
            return ""
        if found := _HEADING.fullmatch(line.rstrip()):
            return self._heading(found)
        if found := _BEGIN.match(line):
            return self._delimited(found[1].lower(), found[2])
        for begins, take in self._kinds:
            if begins(line):
                return take()
        return self._paragraph()

    def _heading(self, found: re.Match[str]) -> str:
        level = min(len(found[1]), _DEEPEST)
        state = f'<span class="state">{found[2]}</span> ' if found[2] else ""
        tags = _LABELS.search(line := f" {found[3]}")
        labels = f' <span class="labels">{escape(tags[1].replace(":", " "))}</span>' if tags else ""
        inner = f"{state}{self._inline((line[: tags.start()] if tags else line).strip())}{labels}"
        html = f"<h{level}{self._place(self._at, self._at)}>{inner}</h{level}>\n"
        self._at += 1
        return html

    def _delimited(self, kind: str, language: str) -> str:
        """Write what stands between ``#+begin_`` and ``#+end_``, or to the end of the document."""
        first = self._at + 1
        end = re.compile(rf"\s*#\+end_{re.escape(kind)}\b.*", re.IGNORECASE)
        self._until(end.match)
        closed = self._at > first and bool(end.match(self._lines[self._at - 1]))
        lines = self._lines[first : self._at - 1 if closed else self._at]
        if kind in _PROSE:
            inner = "<br>".join(self._inline(one) for one in lines)
            return f"<blockquote{self._place(first, self._at - 1)}>{inner}</blockquote>\n"
        return fenced("\n".join(lines), language or "text", first + self._source.first_line, self._source)

    def _table(self) -> str:
        first = self._at
        lines = self._while(_is_row)
        header = len(lines) > 1 and bool(_RULE.fullmatch(lines[1]))
        rows = []
        for at, line in enumerate(lines):
            if not _RULE.fullmatch(line):
                tag = "th" if header and at == 0 else "td"
                cells = "".join(
                    f"<{tag}>{self._inline(cell.strip())}</{tag}>" for cell in line.strip().strip("|").split("|")
                )
                rows.append(f"<tr{self._place(first + at, first + at)}>{cells}</tr>")
        return f"<table><tbody>{''.join(rows)}</tbody></table>\n"

    def _list(self) -> str:
        """Write the items of a list; deeper ones are lists within them."""
        indent = _indent(self._lines[self._at])
        found = _ITEM.fullmatch(self._lines[self._at])
        tag = "ol" if found and found[2][0].isdigit() else "ul"
        items = []
        while self._at < len(self._lines) and (found := _ITEM.fullmatch(self._lines[self._at])):
            here = _indent(self._lines[self._at])
            if here < indent or (here > indent and self._depth < _DEEPEST_LIST):
                break
            items.append(self._item(found, here))
        return f"<{tag}>{''.join(items)}</{tag}>\n"

    def _item(self, found: re.Match[str], indent: int) -> str:
        first = self._at
        self._at += 1
        lines, inner = [found[4]], ""
        while self._at < len(self._lines) and self._lines[self._at].strip() and _indent(self._lines[self._at]) > indent:
            if _ITEM.fullmatch(self._lines[self._at]):
                if self._depth == _DEEPEST_LIST:
                    break
                self._depth += 1
                inner += self._list()
                self._depth -= 1
            elif inner:
                inner += self._paragraph()
            else:
                lines.append(self._lines[self._at].strip())
                self._at += 1
        text = _CHECKS.get(found[3] or "", "") + self._inline(" ".join(lines))
        return f"<li{self._place(first, first + len(lines) - 1)}>{text}{inner}</li>\n"

    def _paragraph(self) -> str:
        first = self._at
        self._at += 1
        while self._at < len(self._lines) and not self._begins_block(self._lines[self._at]):
            self._at += 1
        lines = self._lines[first : self._at]
        return f"<p{self._place(first, self._at - 1)}>{self._inline(' '.join(one.strip() for one in lines))}</p>\n"

    def _begins_block(self, line: str) -> bool:
        starts: tuple[Callable[[str], object], ...] = (
            _HEADING.fullmatch,
            _BEGIN.match,
            *(begins for begins, _ in self._kinds),
        )
        return not line.strip() or any(begins(line) for begins in starts)

    def _verbatim(self, lines: Sequence[str], kind: str) -> str:
        first = self._at - len(lines)
        inner = escape("\n".join(lines))
        return f"<pre{self._place(first, self._at - 1, kind)}>{inner}</pre>\n"

    def _while(self, belongs: Callable[[str], object]) -> list[str]:
        first = self._at
        while self._at < len(self._lines) and belongs(self._lines[self._at]):
            self._at += 1
        return self._lines[first : self._at]

    def _until(self, ends: Callable[[str], object]) -> list[str]:
        """Take the lines up to one that ends a block, and that one."""
        first = self._at
        self._at += 1
        while self._at < len(self._lines) and not ends(self._lines[self._at]):
            self._at += 1
        self._at = min(self._at + 1, len(self._lines))
        return self._lines[first : self._at]

    def _place(self, first: int, last: int, kind: str = "") -> str:
        """Return the attributes of a block: its first line, and its classes."""
        begin = self._source.first_line
        classes = f"{kind} {HIT}" if self._source.is_marked(first + begin, last + begin) else kind
        return f' data-line="{first + begin}"' + (f' class="{classes.strip()}"' if classes else "")

    def _inline(self, text: str, around: int = 0) -> str:
        """Write links and marked text; ``around`` is how many marks this text stands in."""
        ends = _ends_of_marks(text)
        parts, at, place = [], 0, 0
        while found := _INLINE.search(text, place):
            place = found.end()
            if not found["mark"]:
                inner = self._link(found)
            elif (end := _next_end(ends[found["mark"]], place)) is not None and around < _MOST_MARKS:
                tag = _MARKS[found["mark"]]
                marked = text[place:end]
                inner = escape(marked) if tag == "code" else self._inline(marked, around + 1)
                inner, place = f"<{tag}>{inner}</{tag}>", end + 1
            else:
                continue
            parts += [escape(text[at : found.start()]), inner]
            at = place
        return "".join([*parts, escape(text[at:])])

    def _link(self, found: re.Match[str]) -> str:
        target = found["target"] or found["url"]
        label = found["label"] or target
        return link(Target(target) if _AWAY.match(target) else self._source.target(target), label)


def _ends_of_marks(text: str) -> dict[str, list[int]]:
    """Return where marked text may end, by the mark."""
    ends: dict[str, list[int]] = {mark: [] for mark in _MARKS}
    for found in _MARK_END.finditer(text):
        ends[found[0]].append(found.start())
    return ends


def _next_end(ends: Sequence[int], begin: int) -> int | None:
    """Return the first of some places, in order, that leaves at least one character from ``begin`` on."""
    at = bisect_right(ends, begin)
    return ends[at] if at < len(ends) else None


def _is_setting(line: str) -> bool:
    return bool(_KEYWORD.fullmatch(line)) or line.startswith("# ")


def _is_row(line: str) -> bool:
    return line.lstrip().startswith("|")


def _is_fixed(line: str) -> bool:
    return line.lstrip().startswith(": ")


def _indent(line: str) -> int:
    return len(line.expandtabs()) - len(line.expandtabs().lstrip())
