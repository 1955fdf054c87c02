"""Files by their name: those whose name has what was typed, beside what their passages say."""

from __future__ import annotations

import heapq
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kb.web.results import shown_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.records import KnownFile

_MOST: Final = 4
# Fewer letters are in too many names.
_FEWEST: Final = 3
_BETWEEN: Final = re.compile(r"[\s_-]+")


def named_files(files: Iterable[KnownFile], typed: str) -> list[KnownFile]:
    """Return the files whose names have what was typed, at most four: whole names first, then the shortest.

    Spaces, hyphens and underscores are the same, as are capitals and small letters. With a slash, paths are looked at.

    Args:
        files: The files.
        typed: What was typed.
    """
    wanted = _plain(typed.strip())
    if len(wanted) < _FEWEST:
        return []
    of = _path_of if "/" in wanted else _name_of
    found = ((name, file) for file in files if wanted in (name := of(file.path)))
    return [file for _, file in heapq.nsmallest(_MOST, found, key=lambda one: _distance(wanted, *one))]


def labelled(files: Sequence[KnownFile], folders: Sequence[str]) -> list[tuple[KnownFile, str]]:
    """Return files with how they are told apart: by their names, else by their paths."""
    names = [file.path.rpartition("/")[2] for file in files]
    return [
        (file, name if names.count(name) == 1 else shown_path(file, folders))
        for file, name in zip(files, names, strict=True)
    ]


def _distance(wanted: str, name: str, file: KnownFile) -> tuple[bool, bool, int, str]:
    whole = wanted in {name, name.rpartition(".")[0]}
    return not whole, not name.startswith(wanted), len(name), file.path


@lru_cache(maxsize=131_072)
def _name_of(path: str) -> str:
    return _plain(path.rpartition("/")[2])


@lru_cache(maxsize=131_072)
def _path_of(path: str) -> str:
    return _plain(path)


def _plain(name: str) -> str:
    return _BETWEEN.sub(" ", name.casefold())
