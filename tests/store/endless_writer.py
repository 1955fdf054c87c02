"""A program that writes records into a store until it is killed, and prints the number that are durable."""

from __future__ import annotations

import itertools
import sys

from vector_stores import make_records, open_index, unit_vectors

BATCH = 20


def main(directory: str) -> None:
    """Upsert batch after batch, with a graph that is persisted often."""
    index = open_index(directory, sync_threshold=50)
    for first in itertools.count(0, BATCH):
        index.upsert(make_records(unit_vectors(BATCH, seed=first), first=first))
        sys.stdout.write(f"{first + BATCH}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
