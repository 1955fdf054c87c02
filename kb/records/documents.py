"""Records of documents: links, structure, passages, and changes to files."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

from kb.formats.registry import REGISTRY
from kb.records.files import FoundFile, KnownFile

# Links as they are written, and what they can name.

LinkStyle = Literal["wiki", "path", "org", "id"]
NameKind = Literal["heading", "block", "alias"]


def folded(name: str) -> str:
    """Return a name for comparison: composed (NFC) and case-folded, since accents may be encoded in two ways."""
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is written.

    Attributes:
        target: The target, without the label.
        line: Its line.
        style: How the target is read: ``wiki`` is a name or path of Obsidian or Logseq with ``#heading`` or
            ``#^block``, ``path`` a URL reference relative to the document, ``org`` an Org file with ``::`` and a search
            string, ``id`` the id of a block or heading in any document.
        embeds: Whether the target is embedded.
    """

    target: str
    line: int
    style: LinkStyle
    embeds: bool = False

    @property
    def path(self) -> str:
        """The path of the target, as written; empty for the document itself and for ids."""
        match self.style:
            case "wiki":
                return self.target.partition("#")[0].strip()
            case "path":
                return unquote(self.target.partition("#")[0].partition("?")[0])
            case "org":
                return self.target.partition("::")[0]
            case "id":
                return ""

    @property
    def anchor(self) -> str:
        """The anchor in the target, as written: a heading, ``^block``, ``*heading``, ``#id``, a line; or empty."""
        match self.style:
            case "wiki":
                return self.target.partition("#")[2].rpartition("#")[2].strip()
            case "path":
                return unquote(self.target.partition("#")[2])
            case "org":
                return self.target.partition("::")[2]
            case "id":
                return self.target

    @property
    def key(self) -> str:
        """The lookup key: the last part of the path, folded, or the id; empty for a link within the document."""
        return folded(self.target if self.style == "id" else self.path.rstrip("/").rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Name:
    """Something a link can name: a heading or a block with its line, or another name of the document (line 0)."""

    kind: NameKind
    name: str
    line: int = 0

    @property
    def key(self) -> str:
        """The lookup key, as ``Link.key``."""
        return folded(self.name.rpartition("/")[2] if self.kind == "alias" else self.name)


@dataclass(frozen=True, slots=True)
class ResolvedLink:
    """A link with its target.

    Attributes:
        source: The file that contains the link.
        link: The link.
        target: The file it leads to, the source itself for a link within it; None if that is not in the index.
        line: The line of the heading or block; None for the whole file.
        problem: Why the link is broken: there is no such file, or no such anchor in it; else empty.
    """

    source: KnownFile
    link: Link
    target: KnownFile | None = None
    line: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """The links from and to a file, each in the order of path and line."""

    file: KnownFile
    outgoing: tuple[ResolvedLink, ...] = ()
    incoming: tuple[ResolvedLink, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """A file in a graph of links.

    Attributes:
        file: The file.
        step: How many links away it is; below zero where they lead to the middle of the graph, above where from it.
        by: The id of the file one step nearer, by which it was found.
    """

    file: KnownFile
    step: int
    by: int


@dataclass(frozen=True, slots=True)
class LinkGraph:
    """The files some links away from one.

    Attributes:
        file: The file in the middle.
        linked: The others, the nearest first.
        links: The links among all of these that were followed, by the ids of source and target.
        left_out: How many more files each step has, by step.
    """

    file: KnownFile
    linked: tuple[LinkedFile, ...] = ()
    links: frozenset[tuple[int, int]] = frozenset()
    left_out: Mapping[int, int] = field(default_factory=dict)


FileKind: TypeAlias = Literal["added", "changed", "moved", "unchanged", "failed"]

# Part of the reason of a failure, by which kb status counts files that could be read with OCR.
SCANNED: Final = "has no text, only images"
# The keys of metadata, such as front matter, that hold the tags of a document, and its other names.
TAG_KEYS: Final = ("tags", "tag", "keywords", "categories", "category")
ALIAS_KEYS: Final = ("aliases", "alias")


def digest_of(embedded: str) -> bytes:
    """Return the SHA-256 of an embedded text, 32 bytes: the key of its vector in the embedding cache."""
    return sha256(embedded.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document.

    Attributes:
        text: Its text.
        level: Its level, from 1.
        first_line: Its first line.
        last_line: Its last line.
        labels: What else is in these lines and not part of the text: tags, states, ids, commands.
    """

    text: str
    level: int
    first_line: int
    last_line: int
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that should stay together: a paragraph, list, table or fenced block."""

    kind: Literal["text", "code", "table"]
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a document, such as a page, slide or cell. No passage crosses into another place.

    Attributes:
        first_line: Its first line of text.
        name: Its name, such as "p. 3", "slide 2", "cell 4" or the name of a sheet.
        row: The row of a sheet, from 1.
        page: The page, from 1.
        soft: Whether passages may cross into it, as into the next row of a sheet.
    """

    first_line: int
    name: str = ""
    row: int | None = None
    page: int | None = None
    soft: bool = False


@dataclass(frozen=True, slots=True)
class LineContext:
    """Context that applies to lines below it: the columns of a table to its rows, a list item to those nested in it.

    A passage that begins within these lines is embedded and searched with the context in front.

    Attributes:
        first_line: The first line it applies to.
        last_line: The last line it applies to.
        text: The context.
    """

    first_line: int
    last_line: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    r"""The text of a file with its structure and metadata.

    Attributes:
        text: The text, with ``\n`` line ends only.
        kind: The kind of the file, such as ``markdown``.
        title: The title, else the stem of the file.
        own_title: The title from front matter or the first heading; empty where there is none.
        body_line: The first line after front matter.
        headings: The headings, in order.
        blocks: The blocks, in order.
        tags: The tags, without ``#``.
        aliases: Other names of the document.
        links: The links, in order.
        names: Blocks and ids that links can name, besides headings.
        noise: Character ranges without meaning for a reader, such as block ids, in order; they are not embedded.
        substitutions: Character ranges that are read as another text, as (start, end, text) in order: TeX, escapes.
        context: Contexts of lines, in order; they may be nested.
        date: The document's own date.
        language: The ISO 639 code of its language; empty where unknown.
        encoding: The encoding of the file.
        replaced: How many characters could not be decoded.
        author: The author.
        places: Its places, in the order of their lines.
        front_passage: Whether front matter is a passage of its own, since it contains prose, or is all there is.
        unread: What of the file was not read, or not as what it is.
    """

    text: str
    kind: str
    title: str
    own_title: str = ""
    body_line: int = 1
    headings: tuple[Heading, ...] = ()
    blocks: tuple[Block, ...] = ()
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    names: tuple[Name, ...] = ()
    noise: tuple[tuple[int, int], ...] = ()
    substitutions: tuple[tuple[int, int, str], ...] = ()
    context: tuple[LineContext, ...] = ()
    date: date | None = None
    language: str = ""
    encoding: str = "utf-8"
    replaced: int = 0
    author: str = ""
    places: tuple[Place, ...] = ()
    front_passage: bool = False
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a document.

    Attributes:
        text: The exact text at its lines.
        embedded: The embedded text: title and heading trail, then the passage.
        tokens: The length of that in tokens of the model, special tokens included.
        first_line: Its first line.
        last_line: Its last line.
        heading: The headings above it, outermost first.
        page: Its page, where there are pages.
        place: The name of its place, such as a page, slide or cell.
        searched: The text for keyword search, where that is not ``text``.
        id: Its id in the store: file, digest, and how often that digest came before in the file; empty until assigned.
    """

    text: str
    embedded: str
    tokens: int
    first_line: int
    last_line: int
    heading: tuple[str, ...] = ()
    page: int | None = None
    place: str = ""
    searched: str = ""
    id: str = ""

    @property
    def digest(self) -> bytes:
        """The key of this passage's vector in the embedding cache."""
        return digest_of(self.embedded)


@dataclass(frozen=True, slots=True)
class FileChange:
    """A change of a file, to be written to the store.

    Attributes:
        file_id: Its id.
        file: The file as found.
        content_hash: The SHA-256 of its content.
        read_ns: When it was read, in nanoseconds since the epoch.
        document: The document; None where it could not be read.
        passages: All its passages, each with its id.
        reason: Why it could not be read.
        kind: What happened to it.
        before: Its previous path, where it moved.
        relabel: Whether the labels of its vectors have to be rewritten for its path.
    """

    file_id: int
    file: FoundFile
    content_hash: bytes
    read_ns: int
    document: Document | None = None
    passages: tuple[Passage, ...] = ()
    reason: str = ""
    kind: FileKind = "changed"
    before: str = ""
    relabel: bool = False


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage in the catalog, with its file.

    Attributes:
        id: Its id.
        file: Its file.
        text: The exact text at its lines.
        heading: The headings above it, outermost first.
        first_line: Its first line.
        last_line: Its last line.
        page: Its page, where there are pages.
        digest: The digest of its embedded text.
        ordinal: Its position in the file.
        place: The name of its place, such as a page, slide or cell.
        sound: Whether the checksums of its row and of its file's row are correct.
    """

    id: str
    file: KnownFile
    text: str
    heading: tuple[str, ...]
    first_line: int
    last_line: int
    page: int | None
    digest: bytes
    ordinal: int
    place: str = ""
    sound: bool = True

    @property
    def exact(self) -> bool:
        """Whether its lines are those of the file itself, not of extracted text."""
        return not REGISTRY.is_extracted(self.file.path, self.file.kind)


@dataclass(frozen=True, slots=True)
class QueuedPassage:
    """A passage that waits to be embedded.

    Attributes:
        passage: The passage.
        embedded: The text to embed.
        tokens: The length of that in tokens of the model, special tokens included.
    """

    passage: StoredPassage
    embedded: str
    tokens: int

    @property
    def sound(self) -> bool:
        """Whether the text is the one that was queued: its digest is that of the passage."""
        return digest_of(self.embedded) == self.passage.digest


@dataclass(frozen=True, slots=True)
class Unembedded:
    """How many passages of a file wait to be embedded, and the tokens of their texts together."""

    passages: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Queued:
    """What waits to be embedded in all.

    Attributes:
        files: The number of files with such passages.
        passages: The number of passages.
        tokens: The tokens of their texts together.
    """

    files: int = 0
    passages: int = 0
    tokens: int = 0
