"""Some rows of the matrix with polling, in every test run; the others are slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from test_matrix import Place, append, atomic_save_from_elsewhere, create, delete_tree
from watched import Watched

if TYPE_CHECKING:
    from pathlib import Path


def test_polling_follows_too(tmp_path: Path) -> None:
    """Files that are created, changed, replaced and deleted are found by scanning at intervals."""
    place = Place(tmp_path)
    with Watched([place.folder, place.second], tmp_path / "store", polling=True) as one:
        one.settle()
        for happens in (create, append, atomic_save_from_elsewhere, delete_tree):
            happens(place)
            one.settle()
