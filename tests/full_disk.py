"""Indexing on a disk that is full, then has room: the program that test_full_disk runs in a mount namespace."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from kb.app import LocalKnowledgeBase
from kb.errors import StoreError


def main(root: Path) -> None:
    """Print the error of each run on the full disk, what the run with room did, and what a search then found."""
    disk = root / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(disk)], check=True)  # noqa: S607  # as found
    overrides = {
        "embed.model": "all-MiniLM-L6-v2",
        "embed.offline": "true",
        "folders.paths": str(root / "notes"),
        "store.path": str(disk / "store"),
    }
    for _ in range(2):
        try:
            with LocalKnowledgeBase.open(overrides=overrides) as kb:
                kb.index()
                print("indexed")  # noqa: T201  # what the test reads
        except StoreError as error:
            print(error)  # noqa: T201
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)  # noqa: S607
    with LocalKnowledgeBase.open(overrides=overrides) as kb:
        report = kb.index()
        hit = kb.search("topic 70", limit=1).hits[0].passage.file.path
        print(report.total, len(report.failures), len(kb.check().differences), hit)  # noqa: T201
    fill(disk / "other")
    with LocalKnowledgeBase.open(overrides=overrides) as kb:
        print(len(kb.search("topic 70", limit=3).hits), kb.status().files)  # noqa: T201


def fill(file: Path) -> None:
    """Write a file until its disk is full."""
    with suppress(OSError), file.open("wb", buffering=0) as stream:
        while stream.write(bytes(2**12)):
            pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
