"""Web pages by Python's HTML parser: the main text with headings, lists and tables, without menus and what is not seen.

xberg leaves out description lists and captions; a page must not lose text in silence.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from html.parser import HTMLParser
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.extract.clean import line
from kb.extract.dates import iso_date

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.extract.draft import Draft
    from kb.extract.wire import Limits

_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_SNIFFED: Final = 4096
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# Elements that end without an end tag.
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "param"}
)
_UNSEEN: Final = frozenset(
    {"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select", "button", "title"}
)
_MENUS: Final = frozenset({"nav", "aside", "footer", "dialog"})
_MENU_ROLES: Final = frozenset(
    {"navigation", "banner", "contentinfo", "complementary", "search", "dialog", "menu", "menubar"}
)
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCKS: Final = frozenset(
    {"p", "div", "section", "article", "main", "header", "body", "html", "ul", "ol", "dl", "dd", "dt", "figure"}
    | {"figcaption", "blockquote", "address", "fieldset", "form", "details", "summary", "hr", "table", "caption"}
    | {"tr", "thead", "tbody", "tfoot", "center", "legend"}
)
# How much text the element that calls itself the main one has to have, to be taken at its word.
_MAIN: Final = 200
_DATES: Final = frozenset({"article:published_time", "date", "dc.date", "dcterms.created", "datepublished"})
_SPACES: Final = re.compile(r"[ \t\n\r\f]+")

# So many short pieces one after another that are nothing but links are a menu, whatever element they stand in.
_MENU: Final = 5
_SHORT: Final = 60


class _Piece(NamedTuple):
    """A heading, a paragraph, a row of a table or code; whether it stands in the main element and is a link alone."""

    kind: str
    level: int
    text: str
    main: bool
    link: bool


def prepare() -> None:
    """Load every encoding a page or a mail may be in."""
    import encodings

    for module in pkgutil.iter_modules(encodings.__path__):
        try:
            importlib.import_module(f"encodings.{module.name}")
        except ImportError:  # those of other operating systems
            continue


def extract(_name: str, data: bytes, draft: Draft, _limits: Limits) -> None:
    """Put the main text of a page into the draft."""
    page = _parsed(_decoded(data))
    draft.describe(page.title, page.author, iso_date(page.date))
    main = sum(len(piece.text) for piece in page.pieces if piece.main) >= _MAIN
    for piece in _without_menus([piece for piece in page.pieces if piece.main or not main]):
        match piece.kind:
            case "heading":
                draft.heading(piece.text, piece.level)
            case "row":
                draft.line(piece.text)
            case "code":
                draft.text(piece.text, "code")
            case _:
                draft.text(piece.text)


def _without_menus(pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    """The pieces without long rows of bare links."""
    for linked, run in groupby(pieces, lambda piece: piece.link and len(piece.text) < _SHORT):
        group = list(run)
        if not linked or len(group) < _MENU:
            yield from group


def seen(html: str) -> str:
    """What a reader of a mail in HTML sees, a blank line between pieces."""
    return "\n\n".join(text for _, _, text, *_ in _parsed(html).pieces)


def _parsed(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    page.close()
    page.flush()
    return page


def _decoded(data: bytes) -> str:
    """The text of a page in the encoding it names, else in UTF-8, else as browsers take it."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    found = _CHARSET.search(data[:_SNIFFED])
    for encoding in (found[1].decode() if found else "utf-8", "utf-8"):
        try:
            return data.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode("cp1252", "replace")


class _Page(HTMLParser):
    """Gathers the pieces of a page in their order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[_Piece] = []
        self.title = self.author = self.date = ""
        self._open: list[tuple[str, bool, bool]] = []
        self._hidden = self._main = self._pre = 0
        self._words: list[str] = []
        self._cells: list[str] | None = None
        self._linked = self._spoken = 0
        self._heading = 0
        self._bullet = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a piece where a browser begins a line."""
        values = {name: value or "" for name, value in attrs}
        if tag == "meta":
            self._described(values)
        if tag == "br":
            self._words.append("\n")
        if tag in _VOID:
            return
        hidden = (
            tag in _UNSEEN
            or tag in _MENUS
            or values.get("role") in _MENU_ROLES
            or "hidden" in values
            or values.get("aria-hidden") == "true"
        )
        main = tag in {"main", "article"} or values.get("role") == "main"
        if tag in _BLOCKS or tag in _HEADINGS or tag in {"li", "pre"}:
            self.flush()
        self._open.append((tag, hidden, main))
        self._hidden += hidden
        self._main += main
        self._pre += tag == "pre"
        self._heading = _HEADINGS.get(tag, self._heading)
        if tag == "li":
            self._bullet = "- "
        elif tag == "tr":
            self._cells = []

    def handle_endtag(self, tag: str) -> None:
        """End what a tag ends, with whatever was left open inside it."""
        if tag not in (name for name, _, _ in self._open):
            return
        if tag in {"td", "th"} and self._cells is not None:
            self._cells.append(line("".join(self._words)))
            self._words.clear()
        elif tag in _BLOCKS or tag in _HEADINGS or tag in {"li", "pre"}:
            self.flush()
        while self._open:
            name, hidden, main = self._open.pop()
            self._hidden -= hidden
            self._main -= main
            self._pre -= name == "pre"
            if name in _HEADINGS:
                self._heading = 0
            if name == tag:
                break
        if tag == "tr":
            self._cells = None
        elif tag == "li":
            self._bullet = ""

    def handle_data(self, data: str) -> None:
        """Keep words that are seen; spaces are one, but in what is set as it is."""
        if self._open and self._open[-1][0] == "title" and not self.title:
            self.title = line(data)
        elif not self._hidden:
            length = len(data.strip())
            self._spoken += length
            self._linked += length if any(name == "a" for name, _, _ in self._open) else 0
            self._words.append(data if self._pre else _SPACES.sub(" ", data))

    def flush(self) -> None:
        """End the piece that is open."""
        text = "".join(self._words)
        self._words.clear()
        link = 0 < self._spoken == self._linked
        if self._cells is not None:
            if text.strip() and self._open and self._open[-1][0] in {"td", "th"}:
                # A paragraph in a cell goes on in the same row.
                self._words.append(f"{text} ")
                return
            if any(self._cells):
                self._keep("row", " | ".join(filter(None, self._cells)), link=link)
                self._cells = []
                return
        if not text.strip():
            return
        if self._heading:
            self._keep("heading", line(text), link=False)
        elif self._pre:
            self._keep("code", text, link=False)
        else:
            lines = "\n".join(filter(None, (line(one) for one in text.split("\n"))))
            self._keep("text", self._bullet + lines, link=link)
        self._bullet = ""

    def _keep(self, kind: str, text: str, *, link: bool) -> None:
        self.pieces.append(_Piece(kind, self._heading, text, self._main > 0, link))
        self._linked = self._spoken = 0

    def _described(self, values: dict[str, str]) -> None:
        """What a page says about itself."""
        name = (values.get("name") or values.get("property") or values.get("itemprop") or "").lower()
        content = values.get("content", "")
        if name in {"author", "article:author", "dc.creator"}:
            self.author = self.author or ("" if content.startswith("http") else content)
        elif name in _DATES:
            self.date = self.date or content
