"""Which files a question is asked of: globs, tags and dates. Decided before the best hits are taken, never after."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kb.records import Filters, KnownFile


def selected(files: Iterable[KnownFile], filters: Filters) -> list[KnownFile]:
    """The files that pass all filters, in the order given."""
    matches = _path_matcher(filters.paths)
    tags = {_folded(tag) for tag in filters.tags}
    return [
        file
        for file in files
        if matches(file) and tags <= {_folded(tag) for tag in file.tags} and _in_time(file, filters)
    ]


def day_of(file: KnownFile) -> date:
    """The day a file is dated by: its own date, else the local day of its last modification."""
    if file.date is not None:
        return file.date
    return datetime.fromtimestamp(file.stat.mtime_ns / 1e9, UTC).astimezone().date()


def _in_time(file: KnownFile, filters: Filters) -> bool:
    if filters.since is None and filters.until is None:
        return True
    day = day_of(file)
    return (filters.since is None or day >= filters.since) and (filters.until is None or day <= filters.until)


def _folded(tag: str) -> str:
    """A tag without its sign and case: ``#Work`` and ``work`` are one."""
    return tag.removeprefix("#").casefold()


def _path_matcher(globs: tuple[str, ...]) -> Callable[[KnownFile], bool]:
    """A file has to match one of the globs, where there are any, and none of those that begin with ``!``."""
    wanted = _any_of([glob for glob in globs if not glob.startswith("!")])
    unwanted = _any_of([glob[1:] for glob in globs if glob.startswith("!")])
    anything = all(glob.startswith("!") for glob in globs)
    return lambda file: (anything or wanted(file)) and not unwanted(file)


def _any_of(globs: list[str]) -> Callable[[KnownFile], bool]:
    """Whether one of the globs, read as in .gitignore, matches the path below the folder or the absolute path."""
    if not globs:
        return lambda _: False
    from pathspec import GitIgnoreSpec

    spec = GitIgnoreSpec.from_lines(globs)
    absolute = GitIgnoreSpec.from_lines([glob for glob in globs if glob.startswith("/")])
    return lambda file: spec.match_file(file.path) or absolute.match_file(f"{file.folder}/{file.path}".lstrip("/"))
