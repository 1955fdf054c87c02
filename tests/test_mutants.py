"""The mutants still apply: a text that was changed or moved is noticed here, not in the long run of all of them."""

from __future__ import annotations

from mutants import MUTANTS, ROOT


def test_each_mutant_changes_a_text_that_stands_once_in_its_file() -> None:
    """And the test files that must notice it are there."""
    moved = [
        (one.path, one.before)
        for one in MUTANTS
        if not (ROOT / one.path).is_file() or (ROOT / one.path).read_text("utf-8").count(one.before) != 1
    ]
    lost = {name for one in MUTANTS for name in one.tests.split() if not (ROOT / name).is_file()}

    assert not moved
    assert not lost
