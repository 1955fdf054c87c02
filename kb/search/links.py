"""Resolution of links as in Obsidian, Logseq, Org and plain Markdown, among the files of the catalog.

The catalog stores links as they are written; their targets are resolved on request, so a note that is renamed, added or
removed changes the links of all others without these being read again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from posixpath import dirname, normpath
from typing import TYPE_CHECKING, Final

from kb.formats.registry import REGISTRY
from kb.records import LinkedFile, LinkGraph, Links, ResolvedLink, folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.ports import Catalog, Files
    from kb.records import Hit, KnownFile, Link, Name

_NOTES: Final = REGISTRY.notes
# The files that a link to a folder opens.
_FRONT_PAGES: Final = ("readme", "index")
# Line numbers in anchors, as on the web and in Org.
_LINES: Final = {"path": re.compile(r"L(\d{1,9})(?:-L?\d{1,9})?"), "org": re.compile(r"(\d{1,9})")}
_NTH: Final = re.compile(r"(.*)-(\d{1,6})")


class LinkTargets:
    """The files that links may lead to, by path and by name, ignoring case, within one folder.

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
        """Return the file at a path, with or without the suffix of a note; None where there is none."""
        path = folded(path)
        paths = (path, *(path + suffix for suffix in _NOTES))
        return next((file for one in paths if (file := self._by_path.get((folder, one)))), None)

    def is_directory(self, folder: str, path: str) -> bool:
        """Whether any file is below a path."""
        return (folder, "" if path == "." else folded(path)) in self._directories

    def front_page(self, folder: str, path: str) -> KnownFile | None:
        """Return the file that a link to a directory opens; None where there is none."""
        inside = f"{path}/" if path not in {"", "."} else ""
        return next((file for name in _FRONT_PAGES if (file := self.at(folder, inside + name))), None)

    def called(self, source: KnownFile, path: str) -> KnownFile | None:
        """Return the file with a name or path suffix; of several the one nearest to the source, as in Obsidian.

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
        """Return the file that a name refers to where several have it."""
        directory = dirname(source.path)
        inside = f"{directory}/" if directory else ""
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


class LinkResolver:
    """Resolves links to their targets, and finds the links to a file.

    Args:
        catalog: The catalog, with the links as they are written.
        files: The watched folders, to distinguish files that are not indexed from files that do not exist.
    """

    def __init__(self, catalog: Catalog, files: Files) -> None:
        self._catalog = catalog
        self._files = files
        self._last: tuple[list[KnownFile], LinkTargets] | None = None

    def links(self, file: KnownFile) -> Links:
        """Return the links from a file and the links to it."""
        targets = self._targets()
        outgoing = self._resolve(targets, self._catalog.links_from(file.id))
        incoming = [
            one
            for one in self._resolve(targets, self._catalog.links_to(self._keys(file)))
            if one.source.id != file.id and one.target is not None and one.target.id == file.id
        ]
        return Links(file, tuple(outgoing), tuple(_in_order(incoming)))

    def broken(self) -> list[ResolvedLink]:
        """Return all broken links, by folder, path and line."""
        targets = self._targets()
        return _in_order(one for one in self._resolve(targets, self._catalog.links_from()) if one.problem)

    def around(self, file: KnownFile, steps: int, most: int) -> LinkGraph:
        """Return the files that are some links away from a file.

        Args:
            file: The file.
            steps: How many links away at most. Files are found by links in one direction: those that the file leads to,
                and those that lead to it; a file found both ways counts among the former.
            most: The most files of each step; those first by path are kept.
        """
        targets = self._targets()
        linked: dict[int, LinkedFile] = {}
        links: set[tuple[int, int]] = set()
        left_out: dict[int, int] = {}
        last = {1: [file], -1: [file]}
        for step in range(1, steps + 1):
            for sign in (1, -1):
                found: dict[int, LinkedFile] = {}
                for near in last[sign]:
                    for other in self._neighbours(targets, near, sign):
                        links.add((near.id, other.id) if sign > 0 else (other.id, near.id))
                        if other.id != file.id and other.id not in linked:
                            found.setdefault(other.id, LinkedFile(other, sign * step, near.id))
                ordered = sorted(found.values(), key=lambda one: one.file.key)
                linked |= {one.file.id: one for one in ordered[:most]}
                last[sign] = [one.file for one in ordered[:most]]
                if len(ordered) > most:
                    left_out[sign * step] = len(ordered) - most
        shown = {file.id, *linked}
        kept = frozenset(one for one in links if shown.issuperset(one))
        return LinkGraph(file, tuple(linked.values()), kept, left_out)

    def _targets(self) -> LinkTargets:
        """Return the files that links may lead to; those of the last call while no file changed."""
        files, last = self._catalog.files(), self._last
        # The catalog returns the same records until one changes, so this compares no more than their identity.
        if last is None or last[0] != files:
            last = self._last = (files, LinkTargets(files))
        return last[1]

    def _neighbours(self, targets: LinkTargets, file: KnownFile, sign: int) -> list[KnownFile]:
        """Return the other files that a file leads to, or where the sign is negative, that lead to it."""
        if sign > 0:
            found = (one.target for one in self._resolve(targets, self._catalog.links_from(file.id), anchors=False))
        else:
            resolved = self._resolve(targets, self._catalog.links_to(self._keys(file)), anchors=False)
            found = (one.source for one in resolved if one.target is not None and one.target.id == file.id)
        return list({one.id: one for one in found if one is not None and one.id != file.id}.values())

    def with_embedding(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """Return hits with the notes that embed their files."""
        embedded = self._catalog.embedded_keys()
        if not embedded:
            return tuple(hits)
        files = {hit.passage.file.id: hit.passage.file for hit in hits}
        keys = {id_: embedded.intersection(self._keys(file)) for id_, file in files.items()}
        linked = {id_: self._catalog.links_to(sorted(own)) for id_, own in keys.items() if own}
        embeds = {id_: [one for one in found if one[1].embeds] for id_, found in linked.items()}
        if not any(embeds.values()):
            return tuple(hits)
        targets = self._targets()
        notes = {
            id_: tuple(
                {
                    one.source.id: one.source
                    for one in self._resolve(targets, found, anchors=False)
                    if one.target is not None and one.target.id == id_ != one.source.id
                }.values()
            )
            for id_, found in embeds.items()
        }
        return tuple(replace(hit, embedded_in=notes.get(hit.passage.file.id, ())) for hit in hits)

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

    def _resolve(
        self, targets: LinkTargets, links: Sequence[tuple[int, Link]], *, anchors: bool = True
    ) -> list[ResolvedLink]:
        """Return links with their targets; with ``anchors``, also the line in the target."""
        links = [one for one in links if one[0] in targets.by_id]
        named: dict[str, list[tuple[KnownFile, Name]]] = defaultdict(list)
        for file_id, name in self._catalog.named(sorted({link.key for _, link in links} - {""})):
            if file := targets.by_id.get(file_id):
                named[folded(name.name)].append((file, name))
        names: dict[int, list[Name]] = {}
        resolved = []
        for file_id, link in links:
            source = targets.by_id[file_id]
            target = _target(targets, named, source, link)
            one = ResolvedLink(source, link, target, problem="" if target else self._problem_of(targets, source, link))
            if anchors and target is not None and link.anchor and target.kind in REGISTRY.anchored:
                if target.id not in names:
                    names[target.id] = self._catalog.names_of(target.id)
                one = _anchored(one, names[target.id])
            resolved.append(one)
        return resolved

    def _problem_of(self, targets: LinkTargets, source: KnownFile, link: Link) -> str:
        """Return why a link is broken; empty where it leads to a folder, or to a file that is not indexed."""
        if link.style == "id":
            return "no block or heading has this id"
        path = _relative(source, link.path)
        if path is None:
            return "no such file"
        there = targets.is_directory(source.folder, path) or self._files.stat(source.folder, path) is not None
        return "" if there else "no such file"


def _target(
    targets: LinkTargets, named: dict[str, list[tuple[KnownFile, Name]]], source: KnownFile, link: Link
) -> KnownFile | None:
    """Return the file that a link leads to; None where there is none in the index."""
    if link.style == "id":
        return targets.nearest(source, [file for file, name in named[folded(link.target)] if name.kind == "block"])
    if not link.path:
        return source
    exact = link.path.startswith(("/", "./", "../")) or link.style != "wiki"
    path = _relative(source, link.path) if exact else link.path
    if path is None:
        return _elsewhere(targets, source, link.path)
    found = targets.at(source.folder, path) or (targets.front_page(source.folder, path) if exact else None)
    if found is not None or link.path.startswith(("/", "./", "../")):
        return found
    aliases = [file for file, name in named[folded(link.path)] if name.kind == "alias"]
    return targets.called(source, link.path) or targets.nearest(source, aliases)


def _relative(source: KnownFile, path: str) -> str | None:
    """Return a path relative to the watched folder; with a leading slash from its top, else from the source.

    None where it is outside.
    """
    joined = path.lstrip("/") if path.startswith("/") else f"{dirname(source.path)}/{path}".lstrip("/")
    found = normpath(joined)
    return None if found == ".." or found.startswith("../") else found.rstrip("/")


def _elsewhere(targets: LinkTargets, source: KnownFile, path: str) -> KnownFile | None:
    """Return the file of a path that leads out of the folder and into another watched one."""
    absolute = normpath(f"{source.folder}/{dirname(source.path)}/{path}")
    for folder in {file.folder for file in targets.by_id.values()}:
        if absolute.startswith(f"{folder}/"):
            return targets.at(folder, absolute[len(folder) + 1 :])
    return None


def _anchored(one: ResolvedLink, names: Sequence[Name]) -> ResolvedLink:
    """Return a link with the line of the heading or block that its anchor names, or a problem where there is none."""
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
    """Return the heading that an anchor names, compared by letters and digits: programs differ in the rest."""
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
    """Return the name of a note without its suffix; of any other file the whole name, as in links."""
    return next((name[: -len(suffix)] for suffix in _NOTES if name.endswith(suffix)), name)


def _ends(path: str) -> tuple[str, ...]:
    return tuple(f"/{path}{suffix}" for suffix in _NOTES)


def _in_order(links: Iterable[ResolvedLink]) -> list[ResolvedLink]:
    return sorted(links, key=lambda one: (one.source.folder, one.source.path, one.link.line))
