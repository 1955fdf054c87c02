"""The folder in a store in which a restore prepares the new store, and private copies of a catalog that is in use."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGING: Final = "restoring"
_COPY: Final = re.compile(r"copying-(\d+)-\w+")


def remove_unfinished(store: str) -> None:
    """Remove what a restore left that was killed. The caller holds the store's lock, so none is at work."""
    folder = Path(store, STAGING)
    if os.path.lexists(folder):
        with suppress(OSError):
            shutil.rmtree(folder)


def abandoned_copies(store: Path) -> Iterator[Path]:
    """The private copies of processes that were killed."""
    # Every command imports this module, and few write a backup.
    from kb.system.processes import is_alive

    for path in store.iterdir():
        found = _COPY.fullmatch(path.name)
        if found and not is_alive(int(found[1])):
            yield path


@contextmanager
def private_folder(store: str) -> Iterator[Path]:
    """A folder for a copy of the catalog, on the disk of the store, which is known to have room for text.

    For a store that cannot be written, it is in the temporary folder.
    """
    writable = os.access(store, os.W_OK)
    if writable:
        for copy in list(abandoned_copies(Path(store))):
            shutil.rmtree(copy, ignore_errors=True)
    with TemporaryDirectory(prefix=f"copying-{os.getpid()}-", dir=store if writable else None) as folder:
        yield Path(folder)
