"""A program that opens a store and compares all vectors with those written; it may crash instead of the test."""

from __future__ import annotations

import sys

import numpy as np
from vector_stores import make_records, open_index, unit_vectors

from kb.errors import StoreDamaged


def main(directory: str, number: int) -> int:
    """Exit with 0 if every record has and finds its vector, with 3 if not, with 4 if the index reports an error."""
    try:
        return 0 if is_right(directory, number) else 3
    except StoreDamaged:
        return 4


def is_right(directory: str, number: int) -> bool:
    """Whether the store returns what was written."""
    index = open_index(directory, create=False)
    records = make_records(unit_vectors(number))
    stored = index.vectors([record.id for record in records])
    # A flipped bit may lie below what any score shows.
    right = [*index.ids()] == [record.id for record in records] and all(
        np.linalg.norm(stored[record.id] - record.vector) <= 1e-3 for record in records
    )
    found = sum(index.query(record.vector, 10).ids[0] == record.id for record in records[::10])
    index.close()
    return right and found >= 0.98 * len(records[::10])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
