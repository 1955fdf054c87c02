"""Links between documents as they are written, and the places inside a document that links can name."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

if TYPE_CHECKING:
    from kb.records.files import KnownFile

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
