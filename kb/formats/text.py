"""Reads files that are plain text: decodes them, and reads their front matter and markup.

``kb.formats.registry`` lists these files and the functions that read their markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, cast

from kb.errors import DocumentError
from kb.formats.bare_markup import without_bare_markup
from kb.formats.canvas import without_drawing
from kb.formats.decode import decode, is_binary
from kb.formats.frontmatter import FrontMatter, date_in_name, date_of, names_by_path, read_front_matter
from kb.formats.markup import Outline, one_line
from kb.formats.payload import without_payload
from kb.formats.registry import NOT_TEXT, REGISTRY, load
from kb.records import Block, Document
from kb.records.characters import seen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.formats.registry import Format

    Extractor = Callable[[str, bytes], Document]


@dataclass(frozen=True, slots=True)
class PlainFormat:
    """Reads one plain-text format.

    Attributes:
        kind: The kind of its documents in the catalog.
        parse: Reads the outline of a text, given the line at which the markup begins; None for text without structure.
        front_matter: Whether a file may begin with front matter.
        titled: Whether the first heading is the title of the document.
        generic: Whether a first heading such as ``Meta`` or ``References`` is not a title.
    """

    kind: str
    parse: Callable[[str, int], Outline] | None = None
    front_matter: bool = False
    titled: bool = True
    generic: bool = False

    def __call__(self, path: str, data: bytes) -> Document:
        """Read the document in the bytes of a file.

        Raises:
            DocumentError: The bytes are not text.
        """
        if is_binary(data):
            raise DocumentError(NOT_TEXT, "Leave such files out with a pattern in folders.exclude or .kbignore")
        decoded = decode(data)
        front = read_front_matter(decoded.text) if self.front_matter else FrontMatter()
        text = without_payload(without_drawing(decoded.text) if front.drawing else decoded.text)
        outline = without_bare_markup(self.parse(text, front.markup_line), text) if self.parse else Outline()
        # Front matter that cannot be parsed stays searchable.
        broken = (Block("text", front.body_line, front.markup_line - 1),) if front.markup_line > front.body_line else ()
        texts = (heading.text for heading in outline.headings if heading.text and self.titled)
        first_heading = next(texts, "")
        if self.generic and GENERIC.fullmatch(_COUNT.sub("", first_heading).strip(" :")):
            first_heading = ""
        own_title = front.title or outline.title or first_heading
        body = text.split("\n", front.body_line - 1)[front.body_line - 1 :]
        bundle = PurePosixPath(path).parent
        stem = bundle.stem if bundle.suffix == ".textbundle" else PurePosixPath(path).stem
        place = str(PurePosixPath(path).with_suffix(""))
        return Document(
            text=text,
            kind=self.kind,
            title=own_title or one_line(stem) or "untitled",
            own_title=own_title,
            body_line=front.body_line,
            headings=outline.headings,
            blocks=broken + outline.blocks,
            tags=tuple(dict.fromkeys(map(seen, front.tags + outline.tags))),
            aliases=tuple(dict.fromkeys(front.aliases + outline.aliases + names_by_path(place))),
            links=outline.links,
            names=outline.names,
            noise=outline.noise,
            substitutions=outline.substitutions,
            context=outline.context,
            date=front.date or date_of(outline.date) or date_in_name(place),
            language=front.language or outline.language,
            encoding=decoded.encoding,
            replaced=decoded.replaced,
            author=outline.author,
            places=outline.places,
            unread=(f"front matter is not valid YAML or TOML at {_listed(front.unread)}",) if front.unread else (),
            front_passage=front.says or (front.body_line > 1 and not front.drawing and not "".join(body).strip()),
        )


def _listed(names: Sequence[str]) -> str:
    """Join the first names of a list, with the number of the others."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f'"{name}"' for name in names[:_NAMED]) + more


_NAMED: Final = 3
# How many tasks of a heading of Org are done.
_COUNT: Final = re.compile(r"\s*\[\d*(?:/\d*|%)\]")
# Headings that many notes have, or that name a day alone.
GENERIC: Final = re.compile(
    r"meta(?:data)?|references?|bibliography|links?|see also|related|backlinks|footnotes|notes?|summary|abstract|"
    r"overview|introduction|intro|about|tasks?|todos?|inbox|index|contents|table of contents|toc|log|journal|ideas?|"
    r"misc|miscellaneous|resources|sources|tags|properties|context|details|description|questions|"
    r"referenzen|literatur|quellen|notizen|aufgaben|einleitung|zusammenfassung|inhalt|inhaltsverzeichnis|"
    r"übersicht|einführung|références|liens|tâches|sommaire|résumé|introducción|referencias|enlaces|"
    r"notas|tareas|resumen|índice|riferimenti|note|attività|sommario|notities|taken|inleiding|"
    r"[\W\d_]+|[<\[]?\d{4}-\d{2}-\d{2}(?: \w+)?[>\]]?",
    re.IGNORECASE,
)


@cache
def _extractor(one: Format) -> Extractor:
    """Return the function that reads a plain-text format."""
    reader = load(one.reader) if one.reader else None
    if one.how == "document":
        return cast("Extractor", reader)
    return PlainFormat(one.kind, reader, one.front_matter, one.titled, one.generic)


def extract(path: str, data: bytes) -> Document:
    """Read the document in a plain-text file.

    Args:
        path: The path of the file in its folder. The suffix selects the format, and the stem is the title of a document
            without one.
        data: Its bytes.

    Raises:
        DocumentError: The file is not plain text.
    """
    one = REGISTRY.of(path) or REGISTRY.text
    suffix = PurePosixPath(path).suffix.lower()
    if one.how == "child":
        raise DocumentError(f"{one.noun} ({suffix}) are not plain text", "Read them as documents")
    if one.how in {"ocr", "unread"}:
        raise DocumentError(
            f"{one.noun} ({suffix}) cannot be read",
            f'Keep its text beside it as Markdown or plain text, or leave such files out with "*{suffix}" in .kbignore',
        )
    return _extractor(one)(path, data)
