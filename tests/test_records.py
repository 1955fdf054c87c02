"""Records that say more than their fields."""

from __future__ import annotations

import pytest

from kb.records import Failure, FileStat, KnownFile


@pytest.mark.parametrize(
    ("folder", "path", "whole"),
    [
        ("/notes", "sub/a.md", "/notes/sub/a.md"),
        ("/", "sub/a.md", "/sub/a.md"),
        ("C:/", "a.md", "C:/a.md"),
        ("/notes", "", "/notes"),
        ("/", "", "/"),
    ],
)
def test_absolute_path_has_one_slash_after_the_folder(folder: str, path: str, whole: str) -> None:
    """Also below the root, whose name is a slash; without a path it is the folder itself."""
    assert Failure(folder, path, "it cannot be read").absolute_path == whole
    assert KnownFile(1, folder, path, FileStat(0, 0, 0, 0, 0), b"", 0, "done").absolute_path == whole
