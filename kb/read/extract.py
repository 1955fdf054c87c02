"""From the bytes of a file to a document: which format it is, and what that format says about itself.

A further format is one more entry in a table: an extractor for it, by the suffix of the file's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from kb.errors import DocumentError
from kb.extract.formats import FORMATS
from kb.read.canvas import read_canvas, without_drawing
from kb.read.data import parse_indented, parse_records, parse_toml, parse_xml
from kb.read.decode import decode, is_binary
from kb.read.frontmatter import FrontMatter, date_in_name, date_of, names_by_path, read_front_matter
from kb.read.latex import parse_bibtex, parse_latex
from kb.read.markdown import parse_markdown
from kb.read.markup import Outline, one_line, parse_asciidoc, parse_rst
from kb.read.org import parse_org
from kb.read.payload import without_payload
from kb.read.subtitles import parse_subtitles
from kb.read.tabular import parse_csv
from kb.records import Block, Document

if TYPE_CHECKING:
    from collections.abc import Callable

    Extractor = Callable[[str, bytes], Document]


@dataclass(frozen=True, slots=True)
class PlainFormat:
    """A format that is text as it stands: decoded, searched for front matter, and for markup where it has any.

    ``titled`` says whether a first heading is what the document calls itself; a first key is not. ``generic`` that such
    a heading may only say what stands below it (``Meta``, ``References``): then it is no title.
    """

    kind: str
    parse: Callable[[str, int], Outline] | None = None
    front_matter: bool = False
    titled: bool = True
    generic: bool = False

    def __call__(self, path: str, data: bytes) -> Document:
        """The document in the bytes of a file.

        Raises:
            DocumentError: The bytes are no text.
        """
        if is_binary(data):
            raise DocumentError(
                "is not text (binary content)", "Leave such files out with a pattern in folders.exclude or .kbignore"
            )
        decoded = decode(data)
        front = read_front_matter(decoded.text) if self.front_matter else FrontMatter()
        text = without_payload(without_drawing(decoded.text) if front.drawing else decoded.text)
        outline = self.parse(text, front.markup_line) if self.parse else Outline()
        # Front matter that cannot be understood is still text for search.
        broken = (Block("text", front.body_line, front.markup_line - 1),) if front.markup_line > front.body_line else ()
        texts = (heading.text for heading in outline.headings if heading.text and self.titled)
        first_heading = next(texts, "")
        if self.generic and GENERIC.fullmatch(first_heading.strip(" :")):
            first_heading = ""
        own_title = front.title or outline.title or first_heading
        body = text.split("\n", front.body_line - 1)[front.body_line - 1 :]
        stem = PurePosixPath(path).stem
        place = str(PurePosixPath(path).with_suffix(""))
        return Document(
            text=text,
            kind=self.kind,
            title=own_title or one_line(stem) or "untitled",
            own_title=own_title,
            body_line=front.body_line,
            headings=outline.headings,
            blocks=broken + outline.blocks,
            tags=tuple(dict.fromkeys(front.tags + outline.tags)),
            aliases=tuple(dict.fromkeys(front.aliases + outline.aliases + names_by_path(place))),
            links=outline.links,
            names=outline.names,
            noise=outline.noise,
            spelled=outline.spelled,
            told=outline.told,
            date=front.date or date_of(outline.date) or date_in_name(place),
            language=front.language or outline.language,
            encoding=decoded.encoding,
            replaced=decoded.replaced,
            author=outline.author,
            places=outline.places,
            front_passage=front.says or (front.body_line > 1 and not front.drawing and not "".join(body).strip()),
        )


# Headings that stand in many notes alike.
GENERIC: Final = re.compile(
    r"meta(?:data)?|references?|bibliography|links?|see also|related|backlinks|footnotes|notes?|summary|abstract|"
    r"overview|introduction|intro|about|tasks?|todos?|inbox|index|contents|table of contents|toc|log|journal|ideas?|"
    r"misc|miscellaneous|resources|sources|tags|properties|context|details|description|questions|"
    r"referenzen|literatur|quellen|notizen|aufgaben|einleitung|zusammenfassung|inhalt|inhaltsverzeichnis|"
    r"références|liens|introducción|referencias|enlaces|notas",
    re.IGNORECASE,
)
TEXT: Final = PlainFormat("text", front_matter=True)
CODE: Final = PlainFormat("code")
_FORMATS: Final[dict[str, Extractor]] = {
    ".md .markdown .mdown .mkd .mkdn .mdx .qmd .rmd": PlainFormat("markdown", parse_markdown, front_matter=True),
    ".rst .rest": PlainFormat("rst", parse_rst),
    ".org": PlainFormat("org", parse_org, generic=True),
    ".adoc .asciidoc .asc": PlainFormat("asciidoc", parse_asciidoc, front_matter=True),
    ".canvas": read_canvas,
    ".csv .tsv": PlainFormat("csv", parse_csv, titled=False),
    ".srt .vtt": PlainFormat("subtitles", parse_subtitles),
    ".tex .ltx": PlainFormat("latex", parse_latex),
    ".bib": PlainFormat("code", parse_bibtex),
    ".json .json5 .yaml .yml": PlainFormat("data", parse_indented, titled=False),
    ".jsonl .ndjson": PlainFormat("data", parse_records),
    ".toml .ini .cfg": PlainFormat("data", parse_toml, titled=False),
    ".xml .svg .rss .atom .opml .nxml": PlainFormat("data", parse_xml, titled=False),
    ".txt .text": TEXT,
    ".py .pyi .pyx .js .mjs .cjs .jsx .ts .tsx .vue .svelte .c .h .cc .cpp .cxx .hh .hpp .hxx .cs .java .kt "
    ".kts .scala .groovy .go .rs .swift .m .mm .rb .php .pl .pm .lua .r .jl .hs .ml .mli .fs .fsx .clj .cljs .ex .exs "
    ".erl .elm .dart .zig .nim .d .pas .f90 .f95 .asm .s .sh .bash .zsh .fish .ps1 .bat .cmd .sql .graphql .proto .tf "
    ".nix .css .scss .sass .less .conf .env "
    ".properties .gradle .cmake .mk .dockerfile .diff .patch .el .lisp .scm .rkt .vim .v .vhd .sty .cls "
    ".log": CODE,
}
EXTRACTORS: Final = {suffix: extractor for suffixes, extractor in _FORMATS.items() for suffix in suffixes.split()}
_CODE_NAMES: Final = frozenset({"makefile", "gnumakefile", "dockerfile", "containerfile", "justfile", "rakefile"})
_UNREAD: Final = {
    "Apple iWork documents": ".pages .numbers",
    "e-books of this kind": ".mobi .azw3 .djvu",
    "images": ".png .jpg .jpeg .gif .webp .bmp .tif .tiff .heic .avif .ico .psd",
    "sound files": ".mp3 .m4a .ogg .opus .flac .wav .aac",
    "videos": ".mp4 .mkv .mov .avi .webm .m4v",
    "archives": ".zip .tar .gz .tgz .bz2 .xz .zst .7z .rar .jar",
    "databases": ".db .sqlite .sqlite3",
}
UNREAD: Final = {suffix: name for name, suffixes in _UNREAD.items() for suffix in suffixes.split()}


def extract(path: str, data: bytes) -> Document:
    """The document in a file.

    Args:
        path: The file's path below its folder; its suffix decides the format, its stem is the last resort of a title.
        data: The file's bytes.

    Raises:
        DocumentError: The file is no plain text.
    """
    name = PurePosixPath(path)
    suffix = name.suffix.lower()
    if suffix in FORMATS:
        raise DocumentError(f"{FORMATS[suffix].noun} ({suffix}) are no plain text", "They are read as documents")
    if suffix in UNREAD:
        raise DocumentError(
            f"{UNREAD[suffix]} ({suffix}) cannot be read",
            f'Keep its text beside it as Markdown or plain text, or leave such files out with "*{suffix}" in .kbignore',
        )
    default = CODE if name.name.lower() in _CODE_NAMES else TEXT
    return EXTRACTORS.get(suffix, default)(path, data)
