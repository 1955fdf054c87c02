"""Follows links as Obsidian, Logseq, Org and plain Markdown do, over what the catalog knows now.

Links are kept as they are written, and where they lead is decided when somebody asks: a note that is renamed, added or
removed changes the answer for all others without their being read again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from posixpath import dirname, normpath
from typing import TYPE_CHECKING, Final

from kb.formats.registry import REGISTRY
from kb.records import FollowedLink, Links, folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.ports import Catalog, Files
    from kb.records import Hit, KnownFile, Link, Name

_NOTES: Final = REGISTRY.notes
# What a link to a folder shows.
_FRONT_PAGES: Final = ("readme", "index")
# Lines as the web names them, and as Org does.
_LINES: Final = {"path": re.compile(r"L(\d{1,9})(?:-L?\d{1,9})?"), "org": re.compile(r"(\d{1,9})")}
_NTH: Final = re.compile(r"(.*)-(\d{1,6})")


class Places:
    """Files by path and by name, as links look for them: without case, inside one folder.

    Args:
        files: All files of the catalog.
    """

    def __init__(self, files: Iterable[KnownFile]) -> None:
        self.by_id = {file.id: file for file in files}
        self._by_path: dict[tuple[str, str], KnownFile] = {}
        self._by_name: dict[tuple[str, str], list[KnownFile]] = defaultdict(list)
        self._directories: set[tuple[str, str]] = set()
        for file in self.by_id.values():
            path = folded(file.path)
            name = path.rpartition("/")[2]
            self._by_path.setdefault((file.folder, path), file)
            self._by_name[file.folder, name].append(file)
            if (stem := _stem(name)) != name:
                self._by_name[file.folder, stem].append(file)
            while path and (file.folder, path := path.rpartition("/")[0]) not in self._directories:
                self._directories.add((file.folder, path))

    def at(self, folder: str, path: str) -> KnownFile | None:
        """The file at a path, or the note whose suffix was left out."""
        path = folded(path)
        places = (path, *(path + suffix for suffix in _NOTES))
        return next((file for place in places if (file := self._by_path.get((folder, place)))), None)

    def is_directory(self, folder: str, path: str) -> bool:
        """Whether any file is below a path."""
        return (folder, "" if path == "." else folded(path)) in self._directories

    def front_page(self, folder: str, path: str) -> KnownFile | None:
        """What stands for a directory."""
        inside = f"{path}/" if path not in {"", "."} else ""
        return next((file for name in _FRONT_PAGES if (file := self.at(folder, inside + name))), None)

    def called(self, source: KnownFile, path: str) -> KnownFile | None:
        """The file of a name, or of the end of a path; of several the one nearest to the source, as in Obsidian.

        Files at or below the folder of the source come first, then shorter paths.
        """
        path = folded(path).strip("/")
        found = [
            file
            for file in self._by_name.get((source.folder, path.rpartition("/")[2]), ())
            if path in {(whole := folded(file.path)), _stem(whole)} or whole.endswith((f"/{path}", *_ends(path)))
        ]
        return self.nearest(source, found)

    @staticmethod
    def nearest(source: KnownFile, files: Sequence[KnownFile]) -> KnownFile | None:
        """The file that a name means where several have it."""
        beside = dirname(source.path)
        inside = f"{beside}/" if beside else ""
        return min(
            files,
            key=lambda file: (
                file.folder != source.folder,
                not file.path.startswith(inside),
                len(file.path),
                file.path,
            ),
            default=None,
        )


class Follower:
    """Says where links lead and from where a file is reached.

    Args:
        catalog: The record, with the links as they are written.
        files: The watched folders, to tell a file that is not indexed from one that is not there.
    """

    def __init__(self, catalog: Catalog, files: Files) -> None:
        self._catalog = catalog
        self._files = files

    def links(self, file: KnownFile) -> Links:
        """What a file links to and what links to it."""
        places = Places(self._catalog.files())
        outgoing = self._follow(places, self._catalog.links_from(file.id))
        incoming = [
            one
            for one in self._follow(places, self._catalog.links_to(self._keys(file)))
            if one.source.id != file.id and one.target is not None and one.target.id == file.id
        ]
        return Links(file, tuple(outgoing), tuple(_in_order(incoming)))

    def broken(self) -> list[FollowedLink]:
        """Every link that leads nowhere, in the order of its place."""
        places = Places(self._catalog.files())
        return _in_order(one for one in self._follow(places, self._catalog.links_from()) if one.problem)

    def with_embedding(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """The hits with the notes that show their files in place."""
        files = {hit.passage.file.id: hit.passage.file for hit in hits}
        linked = {id_: self._catalog.links_to(self._keys(file)) for id_, file in files.items()}
        embeds = {id_: [one for one in found if one[1].embeds] for id_, found in linked.items()}
        if not any(embeds.values()):
            return tuple(hits)
        places = Places(self._catalog.files())
        notes = {
            id_: tuple(
                {
                    one.source.id: one.source
                    for one in self._follow(places, found, anchors=False)
                    if one.target is not None and one.target.id == id_ != one.source.id
                }.values()
            )
            for id_, found in embeds.items()
        }
        return tuple(replace(hit, embedded_in=notes[hit.passage.file.id]) for hit in hits)

    def _keys(self, file: KnownFile) -> list[str]:
        """Everything a link to a file can be looked up by."""
        name = folded(file.path.rpartition("/")[2])
        keys = {name, _stem(name)}
        if _stem(name) in _FRONT_PAGES:
            keys.add(folded(dirname(file.path).rpartition("/")[2]))
        for one in self._catalog.names_of(file.id):
            if one.kind != "heading":
                keys.add(one.key)
        return sorted(keys - {""})

    def _follow(self, places: Places, links: Sequence[tuple[int, Link]], *, anchors: bool = True) -> list[FollowedLink]:
        """Each link with where it leads; ``anchors`` where the place in the file matters too."""
        links = [one for one in links if one[0] in places.by_id]
        named: dict[str, list[tuple[KnownFile, Name]]] = defaultdict(list)
        for file_id, name in self._catalog.named(sorted({link.key for _, link in links} - {""})):
            if file := places.by_id.get(file_id):
                named[folded(name.name)].append((file, name))
        names: dict[int, list[Name]] = {}
        followed = []
        for file_id, link in links:
            source = places.by_id[file_id]
            target = _target(places, named, source, link)
            one = FollowedLink(source, link, target, problem="" if target else self._absence(places, source, link))
            if anchors and target is not None and link.anchor and target.kind in REGISTRY.anchored:
                if target.id not in names:
                    names[target.id] = self._catalog.names_of(target.id)
                one = _anchored(one, names[target.id])
            followed.append(one)
        return followed

    def _absence(self, places: Places, source: KnownFile, link: Link) -> str:
        """Why a link leads nowhere; empty where it leads to a folder, or to a file that is not in the index."""
        if link.style == "id":
            return "no block or heading has this id"
        path = _relative(source, link.path)
        if path is None:
            return "no such file"
        there = places.is_directory(source.folder, path) or self._files.stat(source.folder, path) is not None
        return "" if there else "no such file"


def _target(
    places: Places, named: dict[str, list[tuple[KnownFile, Name]]], source: KnownFile, link: Link
) -> KnownFile | None:
    """The file that a link leads to."""
    if link.style == "id":
        return places.nearest(source, [file for file, name in named[folded(link.target)] if name.kind == "block"])
    if not link.path:
        return source
    exact = link.path.startswith(("/", "./", "../")) or link.style != "wiki"
    path = _relative(source, link.path) if exact else link.path
    if path is None:
        return _elsewhere(places, source, link.path)
    found = places.at(source.folder, path) or (places.front_page(source.folder, path) if exact else None)
    if found is not None or link.path.startswith(("/", "./", "../")):
        return found
    aliases = [file for file, name in named[folded(link.path)] if name.kind == "alias"]
    return places.called(source, link.path) or places.nearest(source, aliases)


def _relative(source: KnownFile, path: str) -> str | None:
    """A path seen from the watched folder: from its top with a leading slash, else from the source; None outside."""
    joined = path.lstrip("/") if path.startswith("/") else f"{dirname(source.path)}/{path}".lstrip("/")
    found = normpath(joined)
    return None if found == ".." or found.startswith("../") else found.rstrip("/")


def _elsewhere(places: Places, source: KnownFile, path: str) -> KnownFile | None:
    """The file of a path that leaves the folder and comes out in another watched one."""
    absolute = normpath(f"{source.folder}/{dirname(source.path)}/{path}")
    for folder in {file.folder for file in places.by_id.values()}:
        if absolute.startswith(f"{folder}/"):
            return places.at(folder, absolute[len(folder) + 1 :])
    return None


def _anchored(one: FollowedLink, names: Sequence[Name]) -> FollowedLink:
    """A link with the line of the heading or block it names in its target, or the problem that there is none."""
    anchor = one.link.anchor
    if one.link.style == "org" and anchor.startswith("/"):
        return one  # a regular expression, which only Emacs follows
    wanted = folded(anchor.lstrip("^#"))
    block = next((name for name in names if name.kind == "block" and folded(name.name) == wanted), None)
    if block is not None:
        return replace(one, line=block.line)
    headings = [name for name in names if name.kind == "heading"]
    heading = _heading(headings, anchor.lstrip("*"))
    if heading is not None:
        return replace(one, line=heading.line)
    if line := _LINES[one.link.style].fullmatch(anchor) if one.link.style in _LINES else None:
        return replace(one, line=int(line[1]))
    what = "block" if anchor.startswith("^") or one.link.style == "id" else "heading"
    return replace(one, problem=f"the file has no such {what}")


def _heading(headings: Sequence[Name], anchor: str) -> Name | None:
    """The heading that an anchor names, by its letters and digits: programs differ in what they make of the rest."""
    same = [heading for heading in headings if _letters(heading.name) == _letters(anchor)]
    if same:
        return same[0]
    # Of headings that are the same, GitHub calls the second one name-1.
    found = _NTH.fullmatch(anchor)
    same = [heading for heading in headings if found and _letters(heading.name) == _letters(found[1])]
    return same[int(found[2])] if found and int(found[2]) < len(same) else None


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, folded(text)))


def _stem(name: str) -> str:
    """The name of a note without its suffix; of any other file the whole name, as links have it."""
    return next((name[: -len(suffix)] for suffix in _NOTES if name.endswith(suffix)), name)


def _ends(path: str) -> tuple[str, ...]:
    return tuple(f"/{path}{suffix}" for suffix in _NOTES)


def _in_order(links: Iterable[FollowedLink]) -> list[FollowedLink]:
    return sorted(links, key=lambda one: (one.source.folder, one.source.path, one.link.line))
