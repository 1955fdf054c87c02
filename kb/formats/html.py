"""Reads web pages with Python's HTML parser: the main text with headings, lists and tables, without menus.

xberg is not used for them, since it leaves out description lists and captions.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.formats.builder import alternative_text, line
from kb.formats.charset import decoded, named, prepare
from kb.formats.dates import day_of, iso_date
from kb.formats.hidden import Hidden

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

# --- Parsing ------------------------------------------------------------------------------------------------------

# Elements without an end tag.
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "param"}
)
_UNSEEN: Final = frozenset(
    {
        "script",
        "style",
        "template",
        "noscript",
        "svg",
        "svg:svg",
        "math",
        "iframe",
        "object",
        "select",
        "button",
        "title",
    }
)
# Chrome writes the last one where it saves a page as MHTML.
_SHADOW_ROOTS: Final = frozenset({"shadowrootmode", "shadowroot", "shadowmode"})
_OPENS: Final = frozenset({"aria-expanded", "aria-controls"})
_MENUS: Final = frozenset({"nav", "aside", "footer", "dialog"})
_MENU_ROLES: Final = frozenset(
    {"navigation", "banner", "contentinfo", "complementary", "search", "dialog", "menu", "menubar"}
)
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCKS: Final = frozenset(
    {"p", "div", "section", "article", "main", "header", "body", "html", "ul", "ol", "dl", "dd", "dt", "figure"}
    | {"figcaption", "blockquote", "address", "fieldset", "form", "details", "summary", "hr", "table", "caption"}
    | {"tr", "thead", "tbody", "tfoot", "center", "legend"}
    | _MENUS
)
_CELLS: Final = frozenset({"td", "th"})
_IN_TABLES: Final = _CELLS | {"tr", "thead", "tbody", "tfoot", "caption"}
_AROUND_TABLES: Final = frozenset({"table", "body", "html"})
# Elements that begin and end a line, and those of them that are never part of a table row.
_PIECES: Final = _BLOCKS | _HEADINGS.keys() | _CELLS | {"li", "pre"}
_APART: Final = frozenset({"table", "ul", "ol", "pre", *_HEADINGS})
# For each tag, the open elements that its start ends, and the elements whose outside that does not affect.
_PARAGRAPHS: Final = _UNSEEN | _PIECES
_LISTS: Final = _UNSEEN | _CELLS | {"table", "ul", "ol", "menu", "dir", "dl"}
_TABLE: Final = _UNSEEN | {"table"}
_ENDS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "li": (frozenset({"li"}), _LISTS),
    "dt": (frozenset({"dt", "dd"}), _LISTS),
    "dd": (frozenset({"dt", "dd"}), _LISTS),
    "td": (_CELLS | {"caption"}, _TABLE | {"tr"}),
    "th": (_CELLS | {"caption"}, _TABLE | {"tr"}),
    "tr": (frozenset({"tr", "caption"}), _TABLE),
    **dict.fromkeys(("thead", "tbody", "tfoot"), (_IN_TABLES, _TABLE)),
    "a": (frozenset({"a"}), _TABLE | _CELLS),
    **dict.fromkeys(("rt", "rp", "rb", "rtc"), (frozenset({"rt", "rp", "rb"}), _PARAGRAPHS | {"ruby"})),
    **dict.fromkeys(_HEADINGS, (frozenset(_HEADINGS), _BLOCKS | _CELLS | {"li"})),
}
# In characters. Several paragraphs of at least this length in one cell are prose, not a value.
_PROSE: Final = 200
_TEX: Final = frozenset({"application/x-tex", "application/x-latex", "tex", "latex"})
_DATES: Final = frozenset({"article:published_time", "date", "dc.date", "dcterms.created", "datepublished", "created"})
_SPACES: Final = re.compile(r"[ \t\n\r\f]+")
# A page is mostly hidden where so many letters are, and this many times as many as are seen.
_LEAST_HIDDEN: Final = 200
_MOSTLY: Final = 2


class Piece(NamedTuple):
    """A part of a page.

    Attributes:
        kind: ``heading``, ``text``, ``item``, ``row``, ``columns`` (a header row) or ``code``.
        level: The level of a heading, or the depth of a list item.
        text: Its text.
        main: Whether it is in the main element.
        link: Whether it is nothing but a link.
        table: For a row, the number of its table.
    """

    kind: str
    level: int
    text: str
    main: bool = False
    link: bool = False
    table: int = 0


def parsed(html: str, *, had_scripts: bool = False) -> Page:
    """Parse a page. Where most of it is hidden, something will show it, and nothing of it is hidden.

    Args:
        html: The page.
        had_scripts: Whether it was saved without its scripts.
    """
    page = _parsed(html, Hidden(html, has_scripts=had_scripts))
    seen = sum(map(_letters, (piece.text for piece in page.pieces)))
    return _parsed(html, None) if page.hidden_length > max(_LEAST_HIDDEN, _MOSTLY * seen) else page


def _parsed(html: str, hidden: Hidden | None) -> Page:
    page = Page(hidden)
    page.feed(html)
    page.close()
    return page


def _letters(text: str) -> int:
    """Return the number of letters and digits of a text: previews of mails are padded with other signs."""
    return sum(map(str.isalnum, text))


_BOLD: Final = frozenset({"b", "strong"})
_BOLD_STYLE: Final = re.compile(r"font-weight\s*:\s*(?:bold|[6-9]00)\b", re.IGNORECASE)
# In characters and rows. A cell over several rows is repeated in them if it is a value.
_LONGEST_REPEATED: Final = 300
_MOST_ROWS: Final = 1_000
_SPAN: Final = re.compile(r"\s*([0-9]{1,6})\s*")


@dataclass(slots=True)
class _Table:
    """An open table.

    Attributes:
        number: Its number in the page, counting from 1.
        rows: How many rows it has so far.
        column: The column of the next cell.
        over: By column, the text of a cell over several rows and how many more rows it covers.
        below: The cells of the open row that cover the rows below it.
        filled: Whether the cells of rows above were added to the open row.
    """

    number: int
    rows: int = 0
    column: int = 0
    over: dict[int, tuple[str, int]] = field(default_factory=dict)
    below: dict[int, tuple[str, int]] = field(default_factory=dict)
    filled: bool = False

    def place(self, values: Mapping[str, str]) -> tuple[int, int]:
        """Place the next cell, with its attributes; return its column and the number of rows that it covers."""
        while self.column in self.over:
            self.column += 1
        column = self.column
        self.column += _span(values.get("colspan", ""))
        return column, _span(values.get("rowspan", ""))

    def end_row(self) -> None:
        """End the open row."""
        left = {column: (text, rows - 1) for column, (text, rows) in self.over.items() if rows > 1}
        self.over, self.below = {**left, **self.below}, {}
        self.rows += 1
        self.column, self.filled = 0, False


def _span(said: str) -> int:
    """Return how many rows or columns a cell covers; 0 means all rows below it."""
    found = _SPAN.fullmatch(said)
    return min(int(found[1]) or _MOST_ROWS, _MOST_ROWS) if found else 1


class _Element(NamedTuple):
    """An open element."""

    name: str
    hidden: bool
    concealed: bool
    main: bool
    link: bool
    bold: bool


def _is_left_out(tag: str, values: Mapping[str, str], *, main: bool, heading: bool) -> bool:
    """Whether an element is no text of the page, such as a script or a menu."""
    role = values.get("role")
    # The content of a template is not shown, unless it is the shadow root of its parent. A button may be a heading, and
    # is the title of what it opens.
    is_title = tag == "button" and (heading or not values.keys().isdisjoint(_OPENS))
    shown = (tag == "template" and values.keys() & _SHADOW_ROOTS) or is_title
    is_notes = tag in {"aside", "footer"} and values.get("role", "").startswith("doc-")
    return (
        (tag in _UNSEEN and not shown)
        or (tag in _MENUS and not (main and tag == "aside") and not is_notes)
        or (role in _MENU_ROLES and not (main and role == "complementary"))
    )


class Page(HTMLParser):
    """Collects the pieces of a page, in order.

    Attributes:
        pieces: The pieces.
        title: The title of the page.
        author: Its author, from its metadata.
        date: Its date, from its metadata, as written.
        hidden_length: How many letters and digits of it are hidden.
    """

    def __init__(self, is_hidden: Hidden | None, *, is_frame: bool = False) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[Piece] = []
        self.hidden_length = 0
        self._is_hidden, self._is_frame = is_hidden, is_frame
        self.title = self.author = self.date = ""
        self._open: list[_Element] = []
        # The number of open elements by name, so that deep nesting is searched only if there is something to find.
        self._count: Counter[str] = Counter()
        self._hidden = self._concealed = self._main = self._link = self._pre = self._bold = 0
        self._words: list[str] = []
        self._tables: list[_Table] = []
        self._table_count = 0
        # The cells of the open row with their columns, and the paragraphs of its last cell.
        self._cells: list[tuple[int, str]] = []
        self._cell: list[str] = []
        # The column of the open cell, and the rows that it covers.
        self._at = (0, 1)
        # Whether the open cell is not a header, and whether the open row has such a cell with text.
        self._is_value = self._values = False
        # Ruby readings, which are put after the text of their piece.
        self._readings: list[str] = []
        self._linked_length = self._text_length = self._bold_length = 0
        self._heading = 0
        self._bullet = ""
        # Whether the last link leads to a place within a page.
        self._to_place = False
        # The alternative text of a formula, its TeX, and its symbols; and whether the open annotation is TeX.
        self._formula = ["", "", ""]
        self._tex = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element, and begin a piece where a browser begins a line."""
        values = {name: value or "" for name, value in attrs}
        if tag == "meta":
            self._described(values)
        if tag == "br":
            self._words.append("\n")
        self._imply(tag)
        left_out = _is_left_out(tag, values, main=self._main > 0, heading=self._heading > 0 or self._count["dt"] > 0)
        concealed = not left_out and self._is_hidden is not None and self._is_hidden(tag, values)
        hidden = left_out or concealed
        if tag == "iframe" and not (self._hidden or self._is_frame) and (framed := values.get("srcdoc")):
            self._put_frame(framed)
        if tag == "img" and not (hidden or self._hidden) and (text := alternative_text(values.get("alt", ""))):
            self._say(f" {text} ")
        if tag in _VOID:
            return
        if self._marks_note(tag, values):
            self._say(" ")  # the mark of a note is not part of the word before it
        main = tag in {"main", "article"} or values.get("role") == "main"
        link = tag == "a" and "href" in values
        bold = tag in _BOLD or _BOLD_STYLE.search(values.get("style", "")) is not None
        self._open.append(_Element(tag, hidden, concealed, main, link, bold))
        self._count[tag] += 1
        self._hidden += hidden
        self._concealed += concealed
        self._main += main
        self._link += link
        self._bold += bold
        self._pre += tag == "pre"
        self._heading = _HEADINGS.get(tag, self._heading)
        self._begin(tag, values)

    def _begin(self, tag: str, values: Mapping[str, str]) -> None:
        """Prepare for the content of a table, a cell, a list item, a ruby or a formula that begins."""
        if tag == "table":
            self._table_count += 1
            self._tables.append(_Table(self._table_count))
        elif tag in _CELLS and self._tables:
            self._at = self._tables[-1].place(values)
            self._is_value = tag == "td" and not self._count["thead"]
        elif tag == "li":
            self._bullet = "- "
        elif tag == "ruby" and not self._hidden:
            self._readings.append("")
        elif tag == "math":
            self._formula = [values.get("alttext", ""), "", ""]
        elif tag == "annotation":
            self._tex = values.get("encoding", "").lower() in _TEX

    def _put_frame(self, html: str) -> None:
        """Add the pieces of a page that stands in an attribute of its frame; frames in it are left out."""
        self.flush()
        self._end_row()
        inner = Page(self._is_hidden and Hidden(html), is_frame=True)
        inner._table_count = self._table_count
        inner.feed(html)
        inner.close()
        self._table_count = inner._table_count
        self.pieces += (piece._replace(main=self._main > 0) for piece in inner.pieces)

    def _marks_note(self, tag: str, values: Mapping[str, str]) -> bool:
        """Whether a start tag begins the mark of a note: a raised link to a place in the page, or in another."""
        if tag == "a":
            self._to_place = "#" in values.get("href", "")
            said = f"{values.get('role', '')} {values.get('epub:type', '')}"
            return self._to_place and not self._hidden and (self._count["sup"] > 0 or "noteref" in said)
        return tag == "sup" and self._to_place and self._link > 0 and not self._hidden

    def handle_endtag(self, tag: str) -> None:
        """Close an element and all that are open inside it; an end tag in a cell closes nothing outside the table."""
        within = () if tag in _AROUND_TABLES else {"table"} if tag in _IN_TABLES else _CELLS | {"table", "caption"}
        if not self._end_all({tag}, within, once=True) and tag in _PIECES and not self._hidden:
            self.flush()

    def handle_data(self, data: str) -> None:
        """Collect visible text; whitespace is collapsed, except in preformatted text."""
        if self._open and self._open[-1].name == "title":
            # Icons and templates have titles as well.
            self.title = self.title or (line(data) if self._hidden == 1 else "")
        elif self._count["math"]:
            if self._open[-1].name != "annotation":
                self._formula[2] += "" if self._count["annotation-xml"] else data
            elif self._tex:
                self._formula[1] += data
        elif not self._hidden and (self._count["rt"] or self._count["rtc"]) and self._readings:
            self._readings[-1] += data.strip()
        elif not self._hidden and not self._count["rp"]:
            self._say(data)
        elif self._concealed == self._hidden > 0:
            self.hidden_length += _letters(data)

    def _say(self, data: str) -> None:
        length = len(data.strip())
        self._text_length += length
        self._linked_length += length if self._link else 0
        self._bold_length += length if self._bold else 0
        self._words.append(data if self._pre else _SPACES.sub(" ", data))

    def close(self) -> None:
        """Close all open elements."""
        super().close()
        while self._open:
            self._end()
        self.flush()
        self._end_row()

    def flush(self) -> None:
        """End the open piece."""
        text = "".join(self._words)
        if readings := " ".join(filter(None, self._readings)):
            text = f"{text.rstrip()} ({readings})"
        self._words.clear()
        self._readings.clear()
        if not text.strip():
            return
        if not (self._heading or self._pre) and self._in_cell():
            self._cell.append(line(text))
            return
        self._end_row()
        if self._heading:
            self._keep("heading", line(text))
        elif self._pre:
            self._keep("code", text)
        else:
            lines = "\n".join(filter(None, (line(one) for one in text.split("\n"))))
            self._keep("item" if self._bullet else "text", self._bullet + lines)
        self._bullet = ""

    def _imply(self, tag: str) -> None:
        """Apply what a start tag implies: the ends of other elements, a new line, a row around a cell."""
        if tag in _PIECES:
            self._end_all({"p"}, _PARAGRAPHS)
        if tag in _ENDS:
            self._end_all(*_ENDS[tag])
        if tag in _PIECES and not self._hidden:
            self.flush()
            if tag in _APART and self._in_cell():
                self._end_row()
        if tag in _CELLS and self._count["table"] and self._innermost({"tr"}, {"table"}) < 0:
            self.handle_starttag("tr", [])

    def _end_all(self, names: Collection[str], within: Collection[str], *, once: bool = False) -> bool:
        """Close the open elements of some names, or only the innermost, up to an open element in ``within``."""
        found = False
        while (at := self._innermost(names, within)) >= 0 and not (once and found):
            found = True
            while len(self._open) > at:
                self._end()
        return found

    def _end(self) -> None:
        """Close the innermost open element."""
        name, hidden, concealed, main, link, bold = self._open[-1]
        if name in _PIECES and self._hidden == hidden:
            self.flush()
        if name in _CELLS:
            self._end_cell()
        elif name in {"tr", "table"}:
            self._end_row()
            if self._tables and name == "tr":
                self._tables[-1].end_row()
            elif self._tables:
                self._tables.pop()
        elif name in {"template", "button"} and not self._hidden:
            self._say(" ")  # the text of its host, or the next button, begins another word
        self._open.pop()
        self._count[name] -= 1
        self._hidden -= hidden
        self._concealed -= concealed
        self._main -= main
        self._link -= link
        self._bold -= bold
        self._pre -= name == "pre"
        if name in _HEADINGS:
            self._heading = 0
        elif name == "li":
            self._bullet = ""
        elif name == "math" and not self._hidden:
            self._say(next(filter(None, map(line, self._formula)), ""))

    def _innermost(self, names: Collection[str], within: Collection[str]) -> int:
        """The index of the innermost open element of some names; -1 if one in ``within`` is further in."""
        if any(self._count[name] for name in names):
            for at in range(len(self._open) - 1, -1, -1):
                if self._open[at].name in names:
                    return at
                if self._open[at].name in within:
                    break
        return -1

    def _in_cell(self) -> bool:
        """Whether text belongs to a table cell, and not to a list or table in it."""
        return self._innermost(_CELLS, {"table", "li"}) >= 0

    def _end_cell(self) -> None:
        """Add the open cell to its row. Paragraphs of prose in a cell that is layout become pieces of their own."""
        self._values |= self._is_value and bool(self._cell)
        if len(self._cell) > 1 and sum(map(len, self._cell)) >= _PROSE:
            paragraphs, self._cell = self._cell, []
            self._end_row()
            for paragraph in paragraphs:
                self._keep("text", paragraph)
        elif self._cell:
            self._cells.append((self._at[0], text := " ".join(self._cell)))
            self._cell = []
            if self._at[1] > 1 and self._tables and len(text) <= _LONGEST_REPEATED:
                self._tables[-1].below[self._at[0]] = text, self._at[1] - 1

    def _end_row(self) -> None:
        """End the open row, including its open cell."""
        self._values |= self._is_value and bool(self._cell)
        if cells := self._cells + [(self._at[0], text) for text in self._cell]:
            table = self._tables[-1] if self._tables else None
            is_bold = table is not None and not table.rows and 0 < self._text_length == self._bold_length
            if table and not table.filled:
                table.filled = True
                # The sort is stable: cells without a table stay in order.
                cells = sorted([*cells, *((at, text) for at, (text, _) in table.over.items())], key=itemgetter(0))
            columns = len(cells) > 1 and (not self._values or is_bold)
            self._keep("columns" if columns else "row", " | ".join(text for _, text in cells))
        self._cells, self._cell = [], []
        self._values = False

    def _keep(self, kind: str, text: str) -> None:
        link = kind != "heading" and 0 < self._text_length == self._linked_length
        level = self._heading or self._count["li"]
        table = self._tables[-1].number if self._tables else 0
        self.pieces.append(Piece(kind, level, text, self._main > 0, link, table))
        self._linked_length = self._text_length = self._bold_length = 0

    def _described(self, values: dict[str, str]) -> None:
        """Read the metadata of a page from a ``meta`` element."""
        name = (values.get("name") or values.get("property") or values.get("itemprop") or "").lower()
        content = values.get("content", "")
        if name in {"author", "article:author", "dc.creator"}:
            self.author = self.author or ("" if content.startswith("http") else content)
        elif name in _DATES:
            self.date = self.date or content


__all__ = ["extract", "prepare", "put"]

# --- Main text ----------------------------------------------------------------------------------------------------

# In characters. The least text that a main element must have.
_MAIN: Final = 200
# This many consecutive short pieces that are nothing but links are a menu, whatever element they are in.
_MENU: Final = 5
_SHORT: Final = 60


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add the main text of a page to the builder."""
    page = parsed(decoded(data, named(data)))
    builder.set_properties(page.title, page.author, iso_date(page.date) or day_of(page.date))
    put(page, builder)


def put(page: Page, builder: TextBuilder) -> None:
    """Add the main text of a page to the builder."""
    put_pieces(_main(list(_without_menus(page.pieces))), builder)


def put_pieces(pieces: Sequence[Piece], builder: TextBuilder) -> None:
    """Add pieces of a page to the builder."""
    table = 0
    for piece in pieces:
        if piece.kind not in {"row", "columns"} or piece.table != table:
            builder.end_table()
        table = piece.table
        if piece.kind != "item":
            # Further paragraphs and code of an item belong to it.
            builder.end_items(0 if piece.kind == "heading" else piece.level)
        match piece.kind:
            case "heading":
                builder.add_heading(piece.text, piece.level)
            case "row":
                builder.add_line(piece.text)
            case "columns":
                builder.add_header_row(piece.text)
            case "item":
                builder.add_item(piece.text, piece.level)
            case "code":
                builder.add_text(piece.text, "code")
            case _:
                builder.add_text(piece.text)
    builder.end_table()
    builder.end_items()


def _main(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Return the pieces in the main element if most of the text is there, else all; a teaser may be an article too."""
    main = [piece for piece in pieces if piece.main]
    size = sum(len(piece.text) for piece in main)
    return main if size >= max(_MAIN, sum(len(piece.text) for piece in pieces) / 2) else pieces


def _without_menus(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Yield the pieces outside menus."""
    for (linked, _), run in groupby(pieces, lambda piece: (piece.link and len(piece.text) < _SHORT, piece.main)):
        group = list(run)
        if not linked or len(group) < _MENU:
            yield from group
