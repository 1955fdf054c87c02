"""Finds and deletes damaged files that were set aside: generations of the vector index, catalogs, embedding caches."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import StoreError
from kb.store.generations import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATABASE: Final = re.compile(r"(?:catalog|embeddings)\.sqlite3\.damaged(?:-wal|-shm)?")


def set_aside_in(store: str) -> list[tuple[str, int]]:
    """The damaged files that were set aside, as (name, size in bytes), by name; empty if there is no store."""
    return [(path.name, sum(file.stat().st_size for file in _files(path))) for path in _set_aside(store)]


def remove_set_aside(store: str) -> None:
    """Delete the damaged files that were set aside in a store.

    Raises:
        StoreError: They cannot be deleted.
    """
    try:
        for path in _set_aside(store):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise StoreError(
            f"the damaged files that were set aside in {store} cannot be deleted: {error.strerror or error}",
            "Make the folder writable and run the command again",
        ) from error


def _set_aside(store: str) -> list[Path]:
    folder = Path(store)
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if not path.is_symlink()
        and (DAMAGED.fullmatch(path.name) if path.is_dir() else _DATABASE.fullmatch(path.name)) is not None
    )


def _files(path: Path) -> Iterator[Path]:
    return (file for file in (path, *path.rglob("*")) if file.is_file() and not file.is_symlink())
