"""A damaged store gives right answers, or an error whose remedy repairs it: some cases here, all with -m faults."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from damage_walk import Walk, cases

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of each kind of file a few, and one that a child process looks into: more of those are among all of them.
QUICK = (
    ("catalog.sqlite3", "truncated to half"),
    ("catalog.sqlite3", "another store's"),
    ("catalog.sqlite3", "a directory"),
    ("catalog.sqlite3", "unreadable"),
    ("catalog.left", "zeroed"),
    ("embeddings.sqlite3", "a dangling link"),
    ("generation-0001/*/index_metadata.pickle", "a bit flipped (4)"),
    ("kb.lock", "a directory"),
    ("rows of the catalog", "passages dropped"),
    ("rows of the catalog", "lines shifted by 100"),
    ("rows of the catalog", "a text altered"),
    ("rows of the catalog", "a passage removed"),
    ("rows of the catalog", "postings removed"),
    ("rows of the catalog", "tags altered"),
    ("rows of the catalog", "files called failed"),
    ("rows of the catalog", "an index dropped"),
    ("rows of the cache", "signs of vectors flipped"),
    ("rows of the cache", "vectors dropped"),
    ("the store", "generation removed"),
    ("the store", "older store"),
)
SEEDED = tuple(random.Random(7).sample([case for case in cases() if case[0].startswith("rows")], 6))

# One of each remedy for every run of the tests.
SOON = (
    ("catalog.sqlite3", "truncated to half"),
    ("catalog.left", "zeroed"),
    ("embeddings.sqlite3", "a dangling link"),
    ("generation-0001/*/index_metadata.pickle", "a bit flipped (4)"),
    ("rows of the catalog", "a text altered"),
    ("rows of the cache", "signs of vectors flipped"),
    ("the store", "older store"),
)
REST = [case for case in dict.fromkeys((*QUICK, *SEEDED)) if case not in SOON]


@pytest.fixture(scope="module")
def walk() -> Iterator[Walk]:
    """Prepared stores in a folder that an unprivileged user can reach, which pytest's folders are not."""
    with tempfile.TemporaryDirectory(prefix="kb-walk-") as name:
        root = Path(name)
        root.chmod(0o755)
        yield Walk(root)


@pytest.mark.parametrize(("what", "how"), [*SOON, *(pytest.param(*case, marks=pytest.mark.slow) for case in REST)])
def test_damage_is_harmless_or_repaired_by_its_remedy(walk: Walk, what: str, how: str) -> None:
    """A store with one kind of damage gives the answers of a new one, at once or after one remedy."""
    assert walk.outcome(what, how)


@pytest.mark.faults
@pytest.mark.parametrize(("what", "how"), cases())
def test_every_damage_is_harmless_or_repaired_by_its_remedy(walk: Walk, what: str, how: str) -> None:
    """Each file of the store in each way, and each kind of changed row."""
    assert walk.outcome(what, how)
