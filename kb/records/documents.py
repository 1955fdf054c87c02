"""Documents, their passages, and what a file is about to become."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date  # noqa: TC003 - a document that comes from a child process is checked against its types
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import unquote

from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from kb.records.files import FoundFile, KnownFile

# Links between documents as they are written, and the places inside a document that links can name.

LinkStyle = Literal["wiki", "path", "org", "id"]
NameKind = Literal["heading", "block", "alias"]


def folded(name: str) -> str:
    """A name as it is compared: composed characters, without case. Disks and keyboards write accents differently."""
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is written: its target without the label, and its line.

    ``style`` says how the target is read: ``wiki`` is a name or path of Obsidian or Logseq with ``#heading`` or
    ``#^block``, ``path`` a URL reference relative to the document, ``org`` a file of Org with ``::`` and what to look
    for in it, ``id`` the id of a block or heading in any document. ``embeds`` where the target is shown in place.
    """

    target: str
    line: int
    style: LinkStyle
    embeds: bool = False

    @property
    def path(self) -> str:
        """The file that is meant, as written; empty for the document itself and for ids."""
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
        """The place in that file, as written: a heading, ``^block``, ``*heading``, ``#id``, a line; or empty."""
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
        """What the target is looked up by: the last part of its path, folded, or its id; empty for a link inside."""
        return folded(self.target if self.style == "id" else self.path.rstrip("/").rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Name:
    """Something a link can name: a heading or a block with its line, or another name of the document (line 0)."""

    kind: NameKind
    name: str
    line: int = 0

    @property
    def key(self) -> str:
        """What it is looked up by, as ``Link.key``."""
        return folded(self.name.rpartition("/")[2] if self.kind == "alias" else self.name)


@dataclass(frozen=True, slots=True)
class FollowedLink:
    """A link of ``source`` and where it leads.

    ``target`` is None where that is no file of the index. ``problem`` says in what a link is broken: there is no such
    file at all, or no such place in it. ``line`` is that of the heading or block, None for the file as a whole. A link
    inside a document has that document as its target.
    """

    source: KnownFile
    link: Link
    target: KnownFile | None = None
    line: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """What a file links to and what links to it, each in the order of path and line."""

    file: KnownFile
    outgoing: tuple[FollowedLink, ...] = ()
    incoming: tuple[FollowedLink, ...] = ()


FileKind: TypeAlias = Literal["added", "changed", "moved", "unchanged", "failed"]

# Words in the reason of a failure by which kb status counts what could be read by recognising the text in images.
SCANNED: Final = "has no text, only images"


def digest_of(embedded: str) -> bytes:
    """The SHA-256 of an embedded text, 32 bytes: the key under which its vector can be used again."""
    return sha256(embedded.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: its text, its level from 1, and the lines it takes up.

    ``labels`` is what stands in these lines and is said elsewhere or to programs only: tags, states, ids, commands.
    """

    text: str
    level: int
    first_line: int
    last_line: int
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of lines that should stay together: a paragraph, list, table or fenced block."""

    kind: Literal["text", "code", "table"]
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document the lines from ``first_line`` on stand, in the document's own terms.

    ``name`` is how people call it ("p. 3", "slide 2", "cell 4", a sheet), ``row`` and ``page`` count from 1. No passage
    crosses into a place, unless it is ``soft``, as the next row of a sheet is.
    """

    first_line: int
    name: str = ""
    row: int | None = None
    page: int | None = None
    soft: bool = False


@dataclass(frozen=True, slots=True)
class LineContext:
    """Text that applies to some lines and stands above them: a table's header row, a list item for those nested in it.

    A passage that begins within these lines is embedded and searched with ``text`` in front.
    """

    first_line: int
    last_line: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    r"""One file's text and what it says about itself.

    ``text`` has ``\n`` line ends only. ``body_line`` is the first line after front matter. ``own_title`` is what the
    document calls itself (front matter, else its first heading) and is empty where it says nothing; ``title`` falls
    back on the file's stem. ``tags`` are without their ``#``. ``names`` are the blocks and ids that links can name
    beside headings. ``noise`` are the stretches, as character offsets in order, that mean nothing to a reader, such as
    block ids: they stay in the text and are not embedded. ``substitutions`` are stretches that are read as something
    else, as (start, end, text) in order: accents written as commands. ``context`` is text that applies to the lines
    below it, in order and nested at most. ``language`` is a code of ISO 639, empty where it cannot be told.
    ``replaced`` counts characters that could not be decoded. ``places`` are in the order of their lines.
    ``front_passage`` says that front matter is a passage of its own: it has words beside labels and settings, or
    nothing else stands in the file. ``unread`` names what of the file was not read, or not as what it is.
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
    """A stretch of a document: exactly the text that stands at its lines.

    Attributes:
        text: What stands there.
        embedded: What the model sees: title and heading trail, then the passage.
        tokens: The length of that in the model's own tokens, special tokens included.
        first_line: Its first line.
        last_line: Its last line.
        heading: The headings above it, outermost first.
        page: The page it stands on, where there are pages.
        place: Where it is in the document's own terms.
        searched: What its words are taken from, where that is not ``text``.
        id: Its identity in the store: file, digest, and how many times that digest came before in the file; empty until
            it has one.
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
    """What a file is about to become, and what happened to it.

    Attributes:
        file_id: Its id.
        file: Where it is.
        content_hash: Of its bytes.
        read_ns: When it was read, in nanoseconds since the epoch.
        document: Its description; None where it could not be read.
        passages: All its passages, each with its id.
        reason: Why it has none, where it could not be read.
        kind: What happened to it.
        before: Its path until now, where it moved.
        relabel: Whether the labels of its vectors may name another path.
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
    """A passage as the catalog keeps it, with its file.

    ``sound`` says whether its row, and that of its file, still hold what was written into them.
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
        """Whether its lines are those of the file itself, not of a text that was extracted from it."""
        return self.file.kind not in REGISTRY.extracted
