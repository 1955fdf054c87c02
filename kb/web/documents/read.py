"""Opens a document at a passage: which form it is shown in, which part of it, and what leads to and from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlencode

from markupsafe import Markup

from kb.formats.registry import REGISTRY
from kb.web.documents.extracted import extracted, table, text
from kb.web.documents.markdown import markdown
from kb.web.documents.markup import IMAGE, PASSAGE, RASTER, Excerpt, Target, sanitized, with_words
from kb.web.documents.notebook import notebook
from kb.web.documents.org import org
from kb.web.documents.source import code
from kb.web.pictures import has_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kb.ports import Knowledge
    from kb.records import KnownFile, Links, ResolvedLink, Shown, StoredPassage
    from kb.search.words import Words
    from kb.web.query import Query

    Content = Callable[[str, str], bytes]

# A text of at most so many bytes is shown whole; of a longer one, so many lines before and after the passage.
_WHOLE: Final = 250_000
_LINES_AROUND: Final = 400
# Most characters of a text on the page. Of a larger one, at least so many of each line.
_LARGEST: Final = 2_000_000
_LONGEST_LINE: Final = 2_000
# Of a table, less: browsers take long to lay out many cells.
_WHOLE_TABLE: Final = 50_000
_ROWS_AROUND: Final = 100
_PASSAGES_AROUND: Final = 60
_MOST_HEADINGS: Final = 200
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")
# Kinds of texts with a form of their own, and what makes it into HTML. Of the others prose is text, the rest code.
_FORMS: Final[Mapping[str, tuple[str, Callable[[Excerpt], str]]]] = {
    "markdown": ("markdown", markdown),
    "org": ("org", org),
    "csv": ("table", table),
    # Its commands are coloured.
    "latex": ("code", code),
}


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in the outline: its text, its depth from 0, and the address of its place."""

    text: str
    depth: int
    address: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A document that is open at a passage.

    Attributes:
        file: The file.
        form: How it is shown: ``markdown``, ``org``, ``code``, ``text``, ``table``, ``notebook``, ``sheet``,
            ``document`` or ``pdf``.
        html: The document, or the part of it, as safe HTML; the text of the page of a PDF.
        passage: The passage at which it is open; None at its beginning.
        changed: Whether it changed since it was indexed.
        outline: Its headings.
        links: The links from it and to it.
        earlier: The address of the part before; empty where there is none.
        later: The address of the part after.
        page: The page that is shown; 0 where there are no pages.
        pages: How many pages it has.
    """

    file: KnownFile
    form: str
    html: Markup
    passage: StoredPassage | None
    changed: bool
    outline: tuple[Heading, ...]
    links: Links
    earlier: str = ""
    later: str = ""
    page: int = 0
    pages: int = 0

    @property
    def path(self) -> str:
        """Its absolute path."""
        return self.file.absolute_path

    @property
    def place(self) -> str:
        """Path and line, or page, as editors and ``kb show`` take it."""
        if self.form == "pdf":
            return f"{self.path}:{self.page}"
        return f"{self.path}:{self.passage.first_line}" if self.passage else self.path


def open_document(kb: Knowledge, content: Content, query: Query, words: Words) -> Opened:
    """Return a document at the line or page of a query.

    Args:
        kb: The knowledge base.
        content: Returns the bytes of a file, by its watched folder and its path in it.
        query: The search, whose document is opened.
        words: The words to mark in the passage.

    Raises:
        NotIndexed: The file is not in the index, gone, or excluded.
    """
    # Reading goes first: it refuses what the rules exclude since the last run.
    path = query.file
    kb.read(path, last_line=1)
    shown, links = kb.show(path), kb.links(path)
    passage = next((one for one in shown.passages if one.first_line <= query.line <= one.last_line), None)
    if shown.file.kind == "pdf":
        return _pdf(kb, query, shown, links, passage)
    if shown.file.kind == "notebook":
        data = content(shown.file.folder, shown.file.path)
        if opened := _notebook(query, data, shown=shown, links=links, passage=passage, words=words):
            return opened
    if REGISTRY.is_extracted(shown.file.path, shown.file.kind):
        return _extracted(query, shown, links, passage, words)
    return _text(kb, query, shown=shown, links=links, passage=passage, words=words)


def form_of(kind: str) -> tuple[str, Callable[[Excerpt], str]]:
    """Return the form in which a text of a kind is shown, and what makes it into HTML."""
    return _FORMS.get(kind) or (("text", text) if kind in REGISTRY.prose else ("code", code))


def place_address(query: Query, file: KnownFile, line: int | None = None) -> str:
    """Return the address of a place in a document, with the search beside it."""
    return query.address("/read", file=file.absolute_path, line=line or 0, page=0)


def _source_of(query: Query, file: KnownFile, links: Links, passage: StoredPassage | None, words: Words) -> Excerpt:
    """Return a document without its text, with what leads from it."""
    marked = (passage.first_line, passage.last_line) if passage else (0, -1)
    leads = _leads(query, links)
    return Excerpt(file, "", 1, marked, words, target=leads, image=lambda name: _image(file, name))


def _notebook(
    query: Query, data: bytes, *, shown: Shown, links: Links, passage: StoredPassage | None, words: Words
) -> Opened | None:
    """Open a notebook, all of it; None if it has to be shown as its text."""
    source = _source_of(query, shown.file, links, passage, words)
    html = notebook(source, data, passage)
    if not html:
        return None
    return Opened(
        shown.file,
        "notebook",
        with_words(sanitized(html, source.image), words),
        passage,
        shown.changed,
        _outline(query, shown),
        links,
    )


def _text(
    kb: Knowledge, query: Query, *, shown: Shown, links: Links, passage: StoredPassage | None, words: Words
) -> Opened:
    """Open a text, whose lines are those of the file."""
    file = shown.file
    first, last, head = 1, None, ""
    whole, around = (_WHOLE_TABLE, _ROWS_AROUND) if file.kind == "csv" else (_WHOLE, _LINES_AROUND)
    if file.stat.size > whole:
        middle = query.line or 1
        first, last = max(1, middle - around), middle + around
    found = kb.read(query.file, first_line=first, last_line=last)
    if first > 1 and file.kind == "csv":
        head = kb.read(query.file, last_line=1).text
    source = _source_of(query, file, links, passage, words)
    source = replace(source, text=_shortened(found.text), first_line=found.first_line, head=head)
    form, render = form_of(file.kind)
    html = with_words(sanitized(render(source), source.image), words)
    end = found.last_line
    return Opened(
        file,
        form,
        html,
        passage,
        shown.changed or found.changed,
        _outline(query, shown),
        links,
        earlier=query.address("/read", line=max(1, found.first_line - around)) if found.first_line > 1 else "",
        later=query.address("/read", line=min(end + around, found.lines)) if end < found.lines else "",
    )


def _shortened(text: str) -> str:
    """Return a text that a page can hold: of a larger one, the beginning of each long line, and how much is left out.

    A few lines may have ten million characters, at which a browser works for minutes.
    """
    if len(text) <= _LARGEST:
        return text
    lines = text.split("\n")
    most = max(_LONGEST_LINE, _LARGEST // len(lines))
    return "\n".join(
        line if len(line) <= most else f"{line[:most]} … ({len(line) - most:,} more characters)" for line in lines
    )


def _extracted(query: Query, shown: Shown, links: Links, passage: StoredPassage | None, words: Words) -> Opened:
    """Open a document whose text was extracted: the passages around the one that is marked."""
    at = shown.passages.index(passage) if passage else 0
    first, last = max(0, at - _PASSAGES_AROUND), at + _PASSAGES_AROUND + 1
    part = shown.passages[first:last]
    source = Excerpt(shown.file, "", 1, (passage.first_line, passage.last_line) if passage else (0, -1), words)
    rest = shown.passages[last:]
    return Opened(
        shown.file,
        "sheet" if shown.file.kind == "sheet" else "document",
        with_words(sanitized(extracted(source, part)), words),
        passage,
        shown.changed,
        _outline(query, shown),
        links,
        earlier=query.address("/read", line=shown.passages[first - 1].first_line) if first else "",
        later=query.address("/read", line=rest[0].first_line) if rest else "",
    )


def _pdf(kb: Knowledge, query: Query, shown: Shown, links: Links, passage: StoredPassage | None) -> Opened:
    """Open a PDF file at a page; its text is there for those who cannot see the picture."""
    pages = max((one.page or 1 for one in shown.passages), default=1)
    page = min((passage.page if passage else query.page) or 1, pages)
    found = kb.read(query.file, page=page)
    source = Excerpt(shown.file, found.text, found.first_line)
    return Opened(
        shown.file,
        "pdf",
        Markup(sanitized(text(source))),  # noqa: S704 - sanitized
        passage if passage and passage.page == page else None,
        shown.changed,
        _outline(query, shown),
        links,
        page=page,
        pages=pages,
    )


def _outline(query: Query, shown: Shown) -> tuple[Heading, ...]:
    """Return the headings of a document, each with the address of its first passage."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for passage in shown.passages:
        for depth in range(len(passage.heading)):
            trail = passage.heading[: depth + 1]
            if trail not in seen:
                seen.add(trail)
                found.append(Heading(trail[-1], depth, place_address(query, shown.file, passage.first_line)))
    return tuple(found[:_MOST_HEADINGS])


def _leads(query: Query, links: Links) -> Callable[[str], Target]:
    """Return a function that says where a link of a document leads, by its target as written."""
    known: dict[str, ResolvedLink] = {}
    for one in links.outgoing:
        known.setdefault(one.link.target, one)
        known.setdefault(unquote(one.link.target), one)

    def target(written: str) -> Target:
        found = known.get(written) or known.get(unquote(written)) or known.get(written.removeprefix("file:"))
        if found is None or found.target is None:
            return Target("", found.problem if found else "it is not in the index")
        begin = f"#{PASSAGE}" if found.line else ""
        return Target(place_address(query, found.target, found.line) + begin, found.problem)

    return target


def _image(document: KnownFile, name: str) -> str:
    """Return the address of an image that a document embeds; empty where none is shown."""
    source = unquote(name)
    shown = name and not _SCHEME.match(name) and RASTER.search(name.partition("?")[0])
    if not shown or not has_image(document, source):
        return ""
    fields = {"file": document.absolute_path, "src": source}
    return IMAGE + urlencode(fields, quote_via=quote, safe="/", errors="surrogateescape")
