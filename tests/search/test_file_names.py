"""A file is meant by its path, its name, another name or its title."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kb.errors import AmbiguousName, NotIndexed
from kb.records import FileStat, Filters, KnownFile, Name
from kb.search.filters import selected
from kb.search.names import below, file_named

if TYPE_CHECKING:
    from collections.abc import Sequence

PATHS = [
    "Stores.md",
    "plan.csv",
    "sub/daily.md",
    "old/daily.md",
    "sub/a [1].md",
    "sub/a 1.md",
    "sub/-dash.md",
    "sub/Cafe\u0301.md",
    "caf\udce9.md",
    "!important.md",
    "important.md",
    "#hash.md",
    "2024.md",
]


def known(number: int, path: str, **given: Any) -> KnownFile:
    """A file of the index."""
    return KnownFile(number, "/home/me/notes", path, FileStat(1, 1, 1, 1, 1), b"", 1, "done", **given)


FILES = [known(number, path, title=f"Title {number}") for number, path in enumerate(PATHS)]


def aliases(keys: Sequence[str]) -> list[tuple[int, Name]]:
    """One file has another name, another one a block that is called so too."""
    names = [(0, Name("alias", "Vector DB")), (1, Name("block", "Vector DB")), (12, Name("alias", "folder/Year plan"))]
    return [(id_, name) for id_, name in names if name.key in keys]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Stores.md", "Stores.md"),
        ("Stores", "Stores.md"),
        ("stores", "Stores.md"),
        ("plan", "plan.csv"),
        ("sub/daily", "sub/daily.md"),
        ("sub/daily.md", "sub/daily.md"),
        ("a [1]", "sub/a [1].md"),
        ("-dash.md", "sub/-dash.md"),
        ("./sub/-dash.md", "sub/-dash.md"),
        ("Caf\u00e9", "sub/Cafe\u0301.md"),
        ("caf\udce9.md", "caf\udce9.md"),
        ("vector db", "Stores.md"),
        ("folder/year plan", "2024.md"),
        ("Title 4", "sub/a [1].md"),
        ("2024", "2024.md"),
    ],
)
def test_a_name_means_a_file(name: str, path: str) -> None:
    """With or without suffix, by the end of its path, by another name, by its title; accents in either form."""
    assert file_named(FILES, name, f"/elsewhere/{name}", aliases).path == path


def test_a_path_goes_before_a_name() -> None:
    """From the current folder first."""
    assert file_named(FILES, "daily.md", "/home/me/notes/old/daily.md").path == "old/daily.md"
    assert file_named(FILES, "x", "/home/me/notes/sub/Caf\u00e9.md").path == "sub/Cafe\u0301.md"


def test_several_files_of_a_name_are_listed() -> None:
    """None of them is guessed."""
    with pytest.raises(AmbiguousName) as error:
        file_named(FILES, "daily", "/x/daily")
    assert "/home/me/notes/old/daily.md, /home/me/notes/sub/daily.md" in error.value.message


@pytest.mark.parametrize(
    ("name", "meant"), [("Stroes", "Stores.md"), ("/x/Stroes.md", "Stores.md"), ("paln", "plan.csv")]
)
def test_a_slip_is_told(name: str, meant: str) -> None:
    """With what is called almost so."""
    with pytest.raises(NotIndexed) as error:
        file_named(FILES, name, name)
    assert f"Did you mean {meant}" in error.value.remedy


def test_a_failed_file_says_why() -> None:
    """It is known, but has nothing to show."""
    with pytest.raises(NotIndexed, match="x could not be indexed: it is binary"):
        file_named(
            [KnownFile(1, "/n", "x.md", FileStat(1, 1, 1, 1, 1), b"", 1, "failed", reason="it is binary")], "x", ""
        )


@pytest.mark.parametrize("path", PATHS)
def test_every_path_chooses_its_own_file(path: str) -> None:
    """As it is named below its folder, absolute, and from the folder above; whatever signs it has."""
    for typed in (path, f"/home/me/notes/{path}", f"notes/{path}", f"./{path}"):
        found = [file.path for file in selected(FILES, Filters(paths=(typed,)))]
        assert found == [path], typed


def test_patterns_stay_patterns() -> None:
    """Where no file is called so; what a file's folder is called far above chooses nothing."""
    assert len(selected(FILES, Filters(paths=("sub/*.md",)))) == 5
    assert [file.path for file in selected(FILES, Filters(paths=("daily.md", "!old/")))] == ["sub/daily.md"]
    assert selected(FILES, Filters(paths=("me/",))) == []
    assert [file.path for file in selected(FILES, Filters(paths=("Caf\u00e9.md",)))] == ["sub/Cafe\u0301.md"]
    assert [file.path for file in selected(FILES, Filters(paths=("caf\ufffd.md",)))] == ["caf\udce9.md"]


def test_files_outside_the_folders_are_not_meant() -> None:
    """A store that came along may name any file as its own, by another folder or by a path that leads out."""
    strange = [known(50 + at, path) for at, path in enumerate(("../private.md", "a/../../private.md", "/etc/passwd"))]

    assert below([*FILES, *strange], ["/home/me/notes"]) == FILES
    assert below([*FILES, *strange], ["/home/me"]) == []
    assert below([known(60, "a..b/..c.md")], ["/home/me/notes"]) == [known(60, "a..b/..c.md")]
