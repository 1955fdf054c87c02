"""Searches a store on a read-only disk; test_read_only runs this program in a mount namespace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from damaged_stores import Store, write_notes

from kb.errors import StoreError


def main(root: Path) -> None:
    """Print the first hit in each mode, the messages, and the result of an index run."""
    store = Store(root / "notes", root / "store")
    write_notes(store.folder)
    store.do("kb index")
    place = str(store.path)
    subprocess.run(["mount", "--bind", place, place], check=True)  # noqa: S607  # as found
    subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)  # noqa: S607
    for mode in ("hybrid", "cosine", "keyword"):
        print(store.ask(mode)[0][0])  # noqa: T201  # what the test reads
    print(len(store.told), store.told[0])  # noqa: T201
    try:
        store.do("kb index")
    except StoreError as error:
        print(error)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
