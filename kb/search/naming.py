"""Which file of the index a name means: its path, its name with or without the suffix, another name, or its title."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.errors import AmbiguousName, NotIndexed
from kb.records import folded
from kb.search.suggest import near

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from kb.records import KnownFile, Name

_LISTED: Final = 8


def below(files: Iterable[KnownFile], folders: Collection[str]) -> list[KnownFile]:
    """Those of the files that lie below some folders; a catalog that somebody else wrote may name any."""
    return [
        file
        for file in files
        if file.folder in folders and not file.path.startswith("/") and ".." not in file.path.split("/")
    ]


def file_named(
    files: Iterable[KnownFile],
    name: str,
    absolute: str,
    names: Callable[[Sequence[str]], Sequence[tuple[int, Name]]] = lambda _: (),
) -> KnownFile:
    """The file that a name means.

    A path goes before the end of one, that before a name without its suffix, then come other names and titles. Accents
    may be composed or not, and case counts only where it tells two files apart.

    Args:
        files: The files of the index.
        name: The name, or a path below a watched folder.
        absolute: The path that it would be from the current folder.
        names: Other names of files by their keys, each with the id of its file.

    Raises:
        AmbiguousName: Several files are called so.
        NotIndexed: None is, or it could not be indexed.
    """
    known = list(files)
    for found in _readings(known, name, absolute, names):
        if len(found) > 1:
            paths = sorted(_path(file) for file in found)
            more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
            raise AmbiguousName(f"{name} may be {', '.join(paths[:_LISTED])}{more}", "Name one of them by its path")
        if found:
            if found[0].state == "failed":
                reason = found[0].reason
                raise NotIndexed(f"{name} could not be indexed: {reason}", "It is tried again when it changes")
            return found[0]
    remedy = "kb list shows what is; kb index takes in what is new"
    if like := _like(known, name):
        remedy = f"Did you mean {' or '.join(like)}? {remedy}"
    raise NotIndexed(f"{name} is not in the index", remedy)


def _readings(
    files: Sequence[KnownFile],
    name: str,
    absolute: str,
    names: Callable[[Sequence[str]], Sequence[tuple[int, Name]]],
) -> Iterator[list[KnownFile]]:
    """The files that a name may mean, the surest reading first."""
    yield [file for file in files if _path(file) == absolute]
    yield [file for file in files if file.path == name]
    whole, short = folded(absolute), folded(name).removeprefix("./")
    yield [file for file in files if folded(_path(file)) == whole]
    yield [file for file in files if folded(file.path) == short]
    if name.startswith("/") or not short:
        return
    yield [file for file in files if f"/{folded(file.path)}".endswith(f"/{short}")]
    yield [file for file in files if f"/{_without_suffix(folded(file.path))}".endswith(f"/{short}")]
    key = short.rpartition("/")[2]
    others = {id_ for id_, one in names([key]) if one.kind == "alias" and folded(one.name) == short}
    yield [file for file in files if file.id in others]
    yield [file for file in files if folded(file.title) == short]


def _like(files: Sequence[KnownFile], name: str) -> list[str]:
    """The paths of files that are called almost like this."""
    called: dict[str, str] = {}
    for file in files:
        last = file.path.rpartition("/")[2]
        for one in (file.path, last, _without_suffix(last), file.title):
            called.setdefault(one, file.path)
    wanted = name.rpartition("/")[2] if name.startswith("/") else name
    return list(dict.fromkeys(called[one] for one in near(wanted, called)))


def _without_suffix(path: str) -> str:
    stem, dot, _ = path.rpartition(".")
    return stem if dot and stem and not stem.endswith("/") else path


def _path(file: KnownFile) -> str:
    return f"{file.folder}/{file.path}"
