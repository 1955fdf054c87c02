"""The table of all formats: which files are in each, what reads them, and how they are described.

Reading, extraction, limits, ``--type``, ``kb status`` and the tables of the documentation are made from it. A new
format is a module with its reader, and a row. This module imports nothing from kb: a reader is named as
``module:function`` and imported when the first file of its format is read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOT_TEXT: Final = "is not text (binary content)"
"""The error of a file that should be plain text, and is none."""
_BINARY_FILES: Final = "binary files"

# How Maildir names a mail: time, process or counter, host, and perhaps flags.
_DELIVERED: Final = re.compile(r"\d{9,}\.\w+\.[^/]+")

How = Literal["text", "document", "child", "ocr", "unread"]


@dataclass(frozen=True, slots=True)
class Grammar:
    """A tree-sitter grammar, and the names of its nodes for definitions.

    Attributes:
        package: The import name of its package.
        leaves: Nodes of single definitions: functions, methods, types.
        holders: Nodes that contain other definitions: classes, namespaces, implementations.
        function: The function of the package that returns the language.
    """

    package: str
    leaves: frozenset[str]
    holders: frozenset[str]
    function: str = "language"


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        types: Its names for ``--type``; formats may share a name. Each suffix is a type as well.
        suffixes: The suffixes of its files, in lower case, with their dot.
        kind: The kind of its documents in the catalog and in ``kb list --json``.
        noun: The name of such files for people, in the plural.
        how: What reads them.
            ``text``: this process, which decodes the file, reads its front matter and passes the text to the reader.
            ``document``: this process, by a reader that takes the bytes.
            ``child``: a confined child process, by a module with ``prepare`` and ``extract``.
            ``ocr``: the same, if ``documents.ocr`` is on; otherwise such files are not read.
            ``unread``: nothing; the error names the format.
        reader: For ``text``, a function of (text, first line of the markup) that returns an ``Outline``, or empty for
            text without structure. For ``document``, a function of (path, bytes) that returns a ``Document``. For
            ``child`` and ``ocr``, the module.
        about: For the documentation: how such a file is read, or what the place of a hit is. May be empty.
        names: Names of files in the format that have no suffix, in lower case.
        recognise: A function of bytes that recognizes files with an unknown suffix; or empty.
        among: Suffixes of another format some of whose files are in this one, as ``recognise`` tells.
        packages: The import names of the packages that the reader needs and that an extra installs.
        extra: The extra of kb that installs these packages.
        media: The media type of the format, for libraries that need it.
        grammar: The grammar of source code; if it is not installed, code is split at blank lines.
        scans: Whether pages may be images, which are read if ``documents.ocr`` is on.
        front_matter: Whether a file may begin with front matter.
        titled: Whether the first heading is the title of the document. The first key of a data file is not.
        generic: Whether a first heading such as Meta or References is not a title.
        prose: Whether lines continue one another. In code and tables each line is independent.
        anchors: Whether links can name the headings of its documents.
        sample: A small file that makes the reader load everything it needs, before the process is confined.
    """

    types: tuple[str, ...]
    suffixes: tuple[str, ...]
    kind: str
    noun: str
    how: How = "text"
    reader: str = ""
    about: str = ""
    names: tuple[str, ...] = ()
    recognise: str = ""
    among: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str = ""
    media: str = ""
    grammar: Grammar | None = None
    scans: bool = False
    front_matter: bool = False
    titled: bool = True
    generic: bool = False
    prose: bool = True
    anchors: bool = False
    sample: str = "x\n"

    @property
    def available(self) -> bool:
        """Whether the packages that it needs are installed."""
        return all(installed(package) for package in self.packages)

    @property
    def in_child(self) -> bool:
        """Whether another program wrote such files, so that text comes out of them that is not their own."""
        return self.how in {"child", "ocr"}


@cache
def installed(package: str) -> bool:
    """Whether a package can be imported; does not import it."""
    return find_spec(package) is not None


@cache
def load(reference: str) -> Any:  # noqa: ANN401 - what it is depends on the row
    """Import the function that a reference names, as ``module:function``."""
    module, _, function = reference.partition(":")
    return getattr(import_module(module), function)


def install_command(extra: str) -> str:
    """Return the command that installs an extra of kb."""
    return f"pip install 'localkb[{extra}]'"


class Registry:
    """Looks up formats.

    Args:
        rows: The formats. No two may have a suffix or a name in common.
        text: The format of files with an unknown suffix; one of the rows.

    Raises:
        ValueError: A suffix or name is in two rows.
    """

    def __init__(self, rows: Sequence[Format], text: Format) -> None:
        self.rows = tuple(rows)
        self.text = text
        self.by_suffix: dict[str, Format] = {}
        self.by_name: dict[str, Format] = {}
        for row in self.rows:
            for table, keys in ((self.by_suffix, row.suffixes), (self.by_name, row.names)):
                for key in keys:
                    if table.setdefault(key, row) is not row:
                        raise ValueError(f"{key} is in two formats")

    def of(self, path: str) -> Format | None:
        """Return the format of a file by its name; None if the name is of no format.

        Args:
            path: Its path, with ``/``, or its name.
        """
        name = path[path.rfind("/") + 1 :].lower()
        at = name.rfind(".")
        # As in pathlib, a leading or trailing dot does not begin a suffix.
        found = self.by_suffix.get(name[at:]) if 0 < at < len(name) - 1 else None
        return found or self.by_name.get(name)

    def of_content(self, path: str, data: bytes) -> Format | None:
        """Return the format of a file by its name, and by its content where the name does not decide; None if unknown.

        Args:
            path: Its path, with ``/``, or its name.
            data: Its bytes.
        """
        named = self.of(path)
        # What looks like the suffix of a delivered mail is the end of a host name.
        by_content = named is None or _DELIVERED.fullmatch(path, path.rfind("/") + 1)
        rows = self.recognisable if by_content else self.among(path[path.rfind(".") :].lower())
        return next((row for row in rows if load(row.recognise)(data)), named)

    def among(self, suffix: str) -> tuple[Format, ...]:
        """The formats that files with a suffix of another one may be in."""
        return tuple(row for row in self.recognisable if suffix in row.among)

    @cached_property
    def recognisable(self) -> tuple[Format, ...]:
        """The formats that can be recognized by content."""
        return tuple(row for row in self.rows if row.recognise)

    @cached_property
    def documents(self) -> frozenset[str]:
        """The suffixes whose size limit is ``documents.max_file_mb``."""
        return frozenset(suffix for row in self.rows if row.how == "child" for suffix in row.suffixes)

    @cached_property
    def _extracted(self) -> frozenset[str]:
        return frozenset(row.kind for row in self.rows if row.in_child)

    def is_extracted(self, path: str, kind: str) -> bool:
        """Whether the text of a document is extracted, so that its lines are not lines of the file.

        Args:
            path: Its path, with ``/``. An export of a wiki is of the same kind as a page of one, which is plain text.
            kind: Its kind.
        """
        row = self.of(path)
        return kind in self._extracted and not (row is not None and row.kind == kind and not row.in_child)

    @cached_property
    def by_line(self) -> frozenset[str]:
        """The kinds of documents in which each line is independent."""
        return frozenset(row.kind for row in self.rows if not row.prose)

    @cached_property
    def prose(self) -> frozenset[str]:
        """The kinds of plain-text documents in which lines continue one another."""
        return frozenset(row.kind for row in self.rows if row.how == "text" and row.prose)

    @cached_property
    def anchored(self) -> frozenset[str]:
        """The kinds of documents whose headings links can name."""
        return frozenset(row.kind for row in self.rows if row.anchors)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """The suffixes of such documents, which links may omit, in the order to try them."""
        return tuple(suffix for row in self.rows if row.anchors for suffix in row.suffixes)

    def unread(self, path: str, reason: str) -> str:
        """Return the noun of the kind of a file that failed because kb reads no files of its kind; else empty.

        Args:
            path: Its path, with ``/``.
            reason: Why it failed.
        """
        row = self.of(path)
        if row is None:
            return _BINARY_FILES if reason.startswith(NOT_TEXT) else ""
        left_out = row.how in {"ocr", "unread"} and reason.startswith(f"{row.noun} (")
        return row.noun.removesuffix(" of this kind") if left_out else ""

    def unread_kinds(self, failures: Iterable[tuple[str, str]]) -> str:
        """Return how many files are of kinds that kb does not read: ``images (13), videos (1)``; empty where none is.

        Args:
            failures: The path and the reason of each file that failed.
        """
        kinds = Counter(kind for path, reason in failures if (kind := self.unread(path, reason)))
        return ", ".join(f"{kind} ({number:,})" for kind, number in kinds.most_common())

    @cached_property
    def scanned(self) -> tuple[str, ...]:
        """The beginnings of errors for images that ``documents.ocr`` would read."""
        return tuple(f"{row.noun} (" for row in self.rows if row.how == "ocr")

    @cached_property
    def extras(self) -> tuple[str, ...]:
        """The extras that are needed to read some formats at all."""
        return tuple(dict.fromkeys(row.extra for row in self.rows if row.how == "child" and row.extra))

    @cached_property
    def types(self) -> dict[str, frozenset[str]]:
        """The suffixes, without their dot, by the names of ``--type``."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            for name in row.types:
                found.setdefault(name, set()).update(suffix.removeprefix(".") for suffix in row.suffixes)
        return {name: frozenset(suffixes) for name, suffixes in found.items()}

    @cached_property
    def words(self) -> frozenset[str]:
        """Every value of ``--type``: the names, and the suffixes of formats that are read or have a name."""
        named = (row for row in self.rows if row.types or row.how != "unread")
        return frozenset(self.types).union(suffix.removeprefix(".") for row in named for suffix in row.suffixes)

    def parsers(self) -> tuple[str, ...]:
        """Return the modules that a child process for documents loads: those whose packages are installed."""
        return tuple(sorted({row.reader for row in self.rows if row.in_child and row.available}))


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def _text(types: str, suffixes: str, noun: str, about: str = "", *, kind: str = "", **more: Any) -> Format:  # noqa: ANN401
    """Make a plain-text format."""
    names = _split(types)
    return Format(names, _split(suffixes), kind or names[0], noun, about=about, **more)


def _child(
    types: str,
    suffixes: str,
    noun: str,
    reader: str,
    about: str,
    *,
    package: str = "",
    extra: str = "documents",
    **more: Any,  # noqa: ANN401
) -> Format:
    """Make a format that is parsed in a child process."""
    names = _split(types)
    return Format(
        names,
        _split(suffixes),
        names[0],
        noun,
        "child",
        reader,
        about,
        packages=_split(package),
        extra=extra if package else "",
        **more,
    )


def _code(
    types: str,
    suffixes: str,
    grammar: str = "",
    leaves: str = "",
    holders: str = "",
    *,
    function: str = "language",
    names: str = "",
) -> Format:
    """Source code: with a grammar each definition is a section, without one it is split at blank lines."""
    package = f"tree_sitter_{grammar}"
    return Format(
        (*_split(types), "code"),
        _split(suffixes),
        "code",
        "source code",
        about=_SECTIONS if grammar else _BLANK_LINES,
        names=_split(names),
        packages=("tree_sitter", package) if grammar else (),
        extra="code" if grammar else "",
        grammar=Grammar(package, frozenset(_split(leaves)), frozenset(_split(holders)), function) if grammar else None,
        prose=False,
        sample="x = 1\n",
    )


def _unread(types: str, suffixes: str, noun: str) -> Format:
    return Format(_split(types), _split(suffixes), "", noun, "unread")


_SECTIONS: Final = (
    "with the extra `code`: each function, method and class is a section under its name (`Store > open`), with the "
    "comments and decorators above it"
)
_BLANK_LINES: Final = "split at blank lines"
_ENTRIES: Final = "a key or element of many lines is the heading of what is below it, shorter entries stay whole"
_MAIL: Final = (
    "`mail: Greetings, 2026-11-03`; each mail of a mailbox stands apart, forwarded mails, invitations, contacts and "
    "attached texts of at most 1 MB are read too, all attachments are named; a mail is recognised without a suffix too "
    "(Maildir, MH, Thunderbird)"
)
_ROWS_TOLD: Final = (
    "sheet and rows as the program numbers them: `Ducks rows 4-9`; each value stands behind the name of its column"
)
_OOXML: Final = "application/vnd.openxmlformats-officedocument"
_ODF: Final = "application/vnd.oasis.opendocument"
_JS: Final = (
    "function_declaration generator_function_declaration method_definition lexical_declaration variable_declaration "
    "expression_statement field_definition"
)
_TS: Final = (
    f"{_JS} public_field_definition interface_declaration enum_declaration type_alias_declaration function_signature"
)
_TS_HOLDERS: Final = "class_declaration abstract_class_declaration internal_module module"
_C: Final = "function_definition type_definition enum_specifier preproc_function_def"

_TEXT: Final = _text(
    "text", ".txt .text", "plain text", "paragraphs; each passage of a nested list is embedded with its parents; "
    "tables with tabs as `.tsv`, drawn ones with the column names",
    reader="kb.formats.csv_tables:parse_plain", front_matter=True, sample="- x\n  - y\n",
)  # fmt: skip

# In the order in which --type names its types.
_PLAIN: Final = (
    _text(
        "markdown", ".md .markdown .mdown .mkd .mkdn .mdx .qmd .rmd", "Markdown",
        "headings, front matter, tags, links ([notes](notes.md))",
        reader="kb.formats.markdown:parse_markdown", front_matter=True, anchors=True,
        sample="---\ntitle: x\ndate: 12 March 2020\ntags: [a]\n---\n# *x*\n\n[a](b.md) [[c]]\n\n| a |\n| - |\n| b |\n",
    ),
    _text(
        "org", ".org", "Org files", "headings, properties, tags, links ([notes](notes.md))",
        reader="kb.formats.org:parse_org", generic=True, anchors=True, sample="* TODO x :a:\n#+title: x\n",
    ),
    _text(
        "rst", ".rst .rest", "reStructuredText",
        "headings, literal blocks, author, date and tags; each passage of a table is embedded with the column names, "
        "of a list with its parents",
        reader="kb.formats.markup:parse_rst", anchors=True, sample="x\n=\n\n::\n\n  y\n",
    ),
    _text(
        "asciidoc", ".adoc .asciidoc .asc", "AsciiDoc",
        "headings, blocks, front matter, author and date; each passage of a table is embedded with the column names, "
        "of a list with its parents",
        reader="kb.formats.markup:parse_asciidoc", front_matter=True, anchors=True, sample="= x\n\n----\ny\n----\n",
    ),
    _text(
        "wiki", ".mediawiki .wiki", "wiki pages",
        "MediaWiki and Vimwiki: headings, links, categories and tags; each passage of a table is embedded with the "
        "column names, of a list with its parents",
        reader="kb.formats.wiki:parse_wiki", titled=False, anchors=True, sample="== x ==\n* [[a]]\n",
    ),
    _TEXT,
    _text("text", ".log", "logs", _BLANK_LINES, kind="code", prose=False),
    _text(
        "canvas", ".canvas", "canvas files of Obsidian", "each card is read ([notes](notes.md))",
        how="document", reader="kb.formats.canvas:read_canvas",
        sample='{"nodes":[{"id":"1","type":"text","text":"x"}]}',
    ),
)  # fmt: skip
_BINARY: Final = (
    _child(
        "pdf", ".pdf", "PDF files", "kb.formats.pdf",
        "its page: `p. 3`; sections from the table of contents", package="pypdfium2", scans=True,
    ),
    _child(
        "word", ".docx .docm .dotx", "Word documents", "kb.formats.office", "its headings", package="xberg",
        media=f"{_OOXML}.wordprocessingml.document",
    ),
    _child(
        "word", ".doc", "Word documents", "kb.formats.office", "its headings",
        package="xberg", media="application/msword",
    ),
    _child(
        "word", ".odt .ott", "OpenDocument texts", "kb.formats.office", "its headings",
        package="xberg", media=f"{_ODF}.text",
    ),
    _child(
        "word", ".rtf", "Rich Text documents", "kb.formats.office", "its headings",
        package="xberg", media="application/rtf",
    ),
    _child(
        "slides", ".pptx .pptm .ppsx", "PowerPoint presentations", "kb.formats.office", "`slide 2`", package="xberg",
        media=f"{_OOXML}.presentationml.presentation",
    ),
    _child(
        "slides", ".ppt", "PowerPoint presentations", "kb.formats.office", "`slide 2`", package="xberg",
        media="application/vnd.ms-powerpoint",
    ),
    _child("slides", ".odp .otp", "OpenDocument presentations", "kb.formats.presentation", "`slide 2`"),
    _child(
        "sheet", ".xlsx .xlsm", "Excel workbooks", "kb.formats.sheet",
        "as below; comments stand at the row of their cell, numbers are as displayed (`01067`), days as `2025-05-01`",
        package="python_calamine", prose=False,
    ),
    _child(
        "sheet", ".xls", "Excel workbooks", "kb.formats.sheet",
        "as below; comments and numbers as in `.xlsx`, of Excel 97 and later",
        package="python_calamine", prose=False,
    ),
    _child(
        "sheet", ".xlsb", "Excel workbooks", "kb.formats.sheet", _ROWS_TOLD,
        package="python_calamine", prose=False,
    ),
    _child(
        "sheet", ".ods .ots", "OpenDocument spreadsheets", "kb.formats.sheet",
        "as below; comments stand at the row of their cell, numbers are as displayed (`01067`), days as `2025-05-01`",
        package="python_calamine", prose=False,
    ),
    _text(
        "sheet", ".csv .tsv", "tables in text",
        "rows stay whole and say their number (`12-14 rows 4-6`); each passage is embedded with the column names, also "
        "below a title; the delimiter is found",
        kind="csv", reader="kb.formats.csv_tables:parse_csv", titled=False, prose=False, sample="a,b\n1,2\n",
    ),
    _child(
        "mail", ".msg", "Outlook messages", "kb.formats.office", "`mail: Greetings, 2026-11-03`",
        package="xberg", media="application/vnd.ms-outlook",
    ),
    _child("mail", ".eml", "mails", "kb.formats.mail", _MAIL, recognise="kb.formats.mailbox:is_mail"),
    _child("mail", ".emlx", "mails of Apple Mail", "kb.formats.mail", _MAIL),
    _child("mail", ".mbox .mbx", "mailboxes", "kb.formats.mail", _MAIL, recognise="kb.formats.mailbox:is_mailbox"),
    _child(
        "calendar", ".ics .ical .vcs", "calendars", "kb.formats.icalendar",
        "`event: Budget round, 2025-06-10`; tasks and journal entries too; recognised without a suffix too",
        recognise="kb.formats.contentlines:is_calendar",
    ),
    _child(
        "contact", ".vcf .vcard", "contacts", "kb.formats.vcard",
        "`contact: Ada Lovelace`; recognised without a suffix too",
        recognise="kb.formats.contentlines:is_card",
    ),
    _child(
        "note", ".enex", "notes of Evernote", "kb.formats.enex",
        "`note: Boat repair, 2025-04-01`; tags and author too, attached files are named",
    ),
    _child(
        "ebook", ".epub", "e-books", "kb.formats.epub", "`chapter: The Spouter Inn`; author, subjects and language too",
    ),
    _child(
        "ebook", ".fb2", "FictionBook e-books", "kb.formats.fb2",
        "`chapter: The Spouter Inn`; author, genres and language too",
    ),
    _child(
        "notebook", ".ipynb", "notebooks", "kb.formats.notebook", "`cell 4`, counted from 1 with the empty ones"
    ),
    _child(
        "feed", ".rss .atom", "feeds", "kb.formats.feed",
        "`entry: Pears ripen, 2024-02-01`; RSS and Atom, in `.xml` files too; author and categories, the HTML as "
        "text; the comments in an export of WordPress",
        recognise="kb.formats.feed:is_feed", among=(".xml",),
    ),
    _child(
        "article", ".nxml .dbk .docbook .tei", "articles in XML", "kb.formats.xml_article",
        "its headings; JATS, DocBook and TEI, in `.xml` files too",
        recognise="kb.formats.xml_article:is_article", among=(".xml",),
    ),
    _child(
        "wiki", "", "exports of MediaWiki", "kb.formats.wiki",
        "`page: Water mill, 2024-02-01`; exports of MediaWiki: each page in its last revision",
        recognise="kb.formats.wiki:is_export", among=(".xml",),
    ),
    _child(
        "outline", ".opml", "outlines", "kb.formats.opml", "its entries, each below those that it belongs to",
        recognise="kb.formats.opml:is_opml", among=(".xml",),
    ),
    _child(
        "web", ".html .htm .xhtml", "web pages", "kb.formats.html",
        "its headings; menus, scripts, footers and rows of bare links are left out, and what stands beside a main "
        "element that holds most of the text",
    ),
    _child(
        "web", ".mhtml .mht", "saved web pages", "kb.formats.mhtml",
        "as a web page: the page that was saved and the frames in it",
    ),
)  # fmt: skip
_DATA: Final = (
    _text(
        "subtitles", ".srt .vtt", "subtitles",
        "a hit says its time (`30-41 0:12:31`); numbers, times and tags are not embedded",
        reader="kb.formats.subtitles:parse_subtitles", prose=False,
        sample="1\n00:00:00,000 --> 00:00:01,000\nx\n",
    ),
    _text(
        "latex", ".tex .ltx .bbl", "LaTeX",
        "sections, title, author, date; comments are not embedded; each passage of a table is embedded with the column "
        "names, of a list with its parents",
        reader="kb.formats.latex:parse_latex", sample="\\section{x}\ny % z\n",
    ),
    _text(
        "latex", ".bib", "BibTeX", "letters that are written as commands are read as letters",
        kind="code", reader="kb.formats.latex:parse_bibtex", prose=False,
    ),
    _text("latex", ".sty", "packages of LaTeX", _BLANK_LINES, kind="code", prose=False),
    _text("latex code", ".cls", "classes of LaTeX", _BLANK_LINES, kind="code", prose=False),
    _text(
        "data", ".json .json5 .jsonc .geojson .arb .excalidraw .webmanifest", "JSON", _ENTRIES,
        reader="kb.formats.data:parse_json", titled=False, prose=False, sample='{"a": "\\n"}\n',
    ),
    _text(
        "data", ".yaml .yml", "YAML", _ENTRIES,
        reader="kb.formats.data:parse_indented", titled=False, prose=False, sample="a: 1\n",
    ),
    _text(
        "data", ".jsonl .ndjson", "JSON Lines", "each record stays whole",
        reader="kb.formats.data:parse_records", prose=False, sample="{}\n",
    ),
    _text(
        "data", ".toml .ini .cfg", "TOML and INI files", "tables are headings",
        reader="kb.formats.data:parse_toml", titled=False, prose=False, sample="[a]\n",
    ),
    _text(
        "data", ".xml .xsd .xsl .xslt .plist .gpx .kml .xlf .xliff .tmx .resx .wsdl .drawio", "other XML", _ENTRIES,
        reader="kb.formats.data:parse_xml", titled=False, prose=False, sample="<a>x</a>\n",
    ),
    _text(
        "data image", ".svg", "SVG", f"{_ENTRIES}; its title",
        reader="kb.formats.data:parse_svg", titled=False, prose=False, sample="<a>x</a>\n",
    ),
    _text(
        "data", ".conf", "settings", _BLANK_LINES,
        kind="code", reader="kb.formats.data:parse_settings", prose=False,
    ),
    _text(
        "data", ".properties", "properties of Java", f"{_BLANK_LINES}; escaped letters are read as letters",
        kind="code", reader="kb.formats.data:parse_properties", prose=False,
    ),
    _text(
        "data", ".strings .po .pot", "texts for translators", f"{_BLANK_LINES}; escaped letters are read as letters",
        kind="code", reader="kb.formats.data:parse_translations", prose=False,
    ),
    Format(
        ("image",), _split(".png .jpg .jpeg .webp .bmp .tif .tiff"), "image", "images", "ocr", "kb.formats.scanned",
        "the text in it, with `documents.ocr`",
    ),
)  # fmt: skip
_SOURCES: Final = (
    _code("python", ".py .pyi", "python", "function_definition", "class_definition"),
    _code("python", ".pyx"),
    _code("javascript", ".js .mjs .cjs .jsx", "javascript", _JS, "class_declaration"),
    _code("javascript", ".vue .svelte"),
    _code("typescript", ".ts", "typescript", _TS, _TS_HOLDERS, function="language_typescript"),
    _code("typescript", ".tsx", "typescript", _TS, _TS_HOLDERS, function="language_tsx"),
    _code("c", ".c", "c", f"{_C} struct_specifier union_specifier"),
    # Headers are parsed as C++, which takes C's too.
    _code(
        "c", ".h", "cpp", f"{_C} concept_definition alias_declaration",
        "class_specifier struct_specifier union_specifier namespace_definition",
    ),
    _code(
        "cpp", ".cc .cpp .cxx .hh .hpp .hxx", "cpp", f"{_C} concept_definition alias_declaration",
        "class_specifier struct_specifier union_specifier namespace_definition",
    ),
    _code(
        "csharp", ".cs", "c_sharp",
        "method_declaration constructor_declaration destructor_declaration property_declaration enum_declaration "
        "delegate_declaration",
        "namespace_declaration class_declaration struct_declaration interface_declaration record_declaration",
    ),
    _code(
        "java", ".java", "java", "method_declaration constructor_declaration compact_constructor_declaration",
        "class_declaration interface_declaration enum_declaration record_declaration annotation_type_declaration",
    ),
    _code("kotlin", ".kt .kts"),
    _code("go", ".go", "go", "function_declaration method_declaration type_spec type_alias"),
    _code(
        "rust", ".rs", "rust", "function_item struct_item enum_item union_item type_item macro_definition",
        "impl_item trait_item mod_item",
    ),
    _code("swift", ".swift"),
    _code("ruby", ".rb", "ruby", "method singleton_method", "class module"),
    _code(
        "php", ".php", "php", "function_definition method_declaration enum_declaration",
        "class_declaration interface_declaration trait_declaration namespace_definition", function="language_php",
    ),
    _code("perl", ".pl .pm"),
    _code("lua", ".lua"),
    _code("haskell", ".hs"),
    _code("scala", ".scala"),
    _code("julia", ".jl"),
    _code("shell", ".sh .bash", "bash", "function_definition"),
    _code("shell", ".zsh .fish .ps1 .bat .cmd"),
    _code("sql", ".sql"),
    _code("css", ".css .scss .sass .less"),
    _code("lisp", ".el .lisp .scm .clj .cljs .rkt"),
    _code(
        "",
        ".groovy .m .mm .r .ml .mli .fs .fsx .ex .exs .erl .elm .dart .zig .nim .d .pas .f90 .f95 .asm .s .graphql "
        ".proto .tf .nix .gradle .cmake .mk .dockerfile .diff .patch .vim .v .vhd .env",
        names="makefile gnumakefile dockerfile containerfile justfile rakefile",
    ),
)  # fmt: skip
_NOT_READ: Final = (
    _unread("word", ".pages", "Apple iWork documents"),
    _unread("sheet", ".numbers", "Apple iWork documents"),
    # Keynote files have this suffix and are refused as binary; private keys have it as well and are text.
    _text("slides", ".key", "keys", kind="text", front_matter=True),
    _unread("ebook", ".mobi .azw3 .djvu", "e-books of this kind"),
    _unread("image", ".gif .heic .avif .ico .psd", "images of this kind"),
    _unread("", ".mp3 .m4a .ogg .opus .flac .wav .aac", "sound files"),
    _unread("", ".mp4 .mkv .mov .avi .webm .m4v", "videos"),
    _unread("", ".zip .tar .gz .tgz .bz2 .xz .zst .7z .rar .jar", "archives"),
    _unread("", ".db .sqlite .sqlite3", "databases"),
)
REGISTRY: Final = Registry((*_PLAIN, *_BINARY, *_DATA, *_SOURCES, *_NOT_READ), _TEXT)
