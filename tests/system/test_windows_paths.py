r"""Paths and names of Windows: drives, backslashes, long paths, devices, and how people type them."""

from __future__ import annotations

import ntpath
from datetime import UTC, datetime
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.cli.file_arguments import split_place
from kb.cli.output.terminal import file_url, relative_path
from kb.notes import note_name
from kb.system.names import why_not_portable
from kb.system.paths import in_own_form, is_absolute, to_the_system, with_slashes

DRIVE = "C:/notes/sub/a.md"


def test_paths_are_kept_with_slashes_and_shown_with_backslashes() -> None:
    """On POSIX a backslash is a character of a name."""
    assert with_slashes(r"C:\notes\sub\a.md", windows=True) == DRIVE
    assert in_own_form(DRIVE, windows=True) == r"C:\notes\sub\a.md"
    assert with_slashes(r"a\b", windows=False) == in_own_form(r"a\b", windows=False) == r"a\b"


@given(st.lists(st.text("aé _.-", min_size=1).filter(lambda part: part.strip(". ")), min_size=1))
def test_windows_reads_both_forms_alike(parts: list[str]) -> None:
    """A path that kb keeps means the same file to Windows."""
    own = "\\".join(["C:", *parts])

    assert PureWindowsPath(with_slashes(own, windows=True)) == PureWindowsPath(own)
    assert in_own_form(with_slashes(own, windows=True), windows=True) == own


@pytest.mark.parametrize(
    ("path", "absolute"),
    [("C:/a", True), ("c:/a", True), ("/a", True), ("//server/share/a", True),
     ("a/b", False), ("1:/a", False), ("é:/", False), ("", False)],
)  # fmt: skip
def test_absolute_paths_have_a_drive_or_a_server(path: str, *, absolute: bool) -> None:
    """A drive is one letter of ASCII; on POSIX it is a part of a name."""
    assert is_absolute(path, windows=True) is absolute
    assert is_absolute(path, windows=False) is path.startswith("/")


def test_long_paths_get_a_prefix() -> None:
    r"""Behind it Windows interprets nothing, so that slashes have to go; servers have another one."""
    long, server = f"C:/{'a' * 300}/b.md", f"//server/share/{'a' * 300}"

    assert to_the_system(DRIVE, windows=True) == DRIVE
    assert to_the_system(long, windows=True) == f"\\\\?\\C:\\{'a' * 300}\\b.md"
    assert to_the_system(server, windows=True) == f"\\\\?\\UNC\\server\\share\\{'a' * 300}"
    assert to_the_system(to_the_system(long, windows=True), windows=True) == to_the_system(long, windows=True)
    assert to_the_system(long, windows=False) == long
    assert ntpath.isabs(to_the_system(long, windows=True))


def test_the_root_of_a_drive_keeps_its_slash() -> None:
    """``C:`` alone would be the current folder of that drive."""
    assert to_the_system("C:", windows=True) == "C:/"


def test_a_place_in_a_file_may_have_a_drive() -> None:
    """The colon behind the drive is none before a line."""
    assert split_place(r"C:\notes\a.md:12") == (r"C:\notes\a.md", 12)
    assert split_place(r"C:\notes\a.md:12-20") == (r"C:\notes\a.md", 12)
    assert split_place(r"C:\notes\a.md") == (r"C:\notes\a.md", None)


def test_links_to_files_name_the_drive() -> None:
    """As browsers and terminals read them."""
    assert file_url("C:/my notes/a.md") == "file:///C:/my%20notes/a.md" == PureWindowsPath(r"C:\my notes\a.md").as_uri()
    assert file_url("/my notes/a:b.md") == "file:///my%20notes/a%3Ab.md"


def test_paths_below_the_current_folder_are_shown_from_it() -> None:
    """The folder comes from Windows, the path from kb."""
    assert relative_path("C:/notes/a.md", with_slashes(r"C:\notes", windows=True)) == "a.md"


@pytest.mark.parametrize(
    "name", ["CON", "con.md", "nul.tar.gz", "Aux", "COM1", "lpt9.txt", "COM¹", "CONIN$",
             "a.", "b ", "c:d", "e?", "f*", "g\x01", "h/i"]
)  # fmt: skip
def test_names_that_windows_does_not_have(name: str) -> None:
    """Devices whatever the suffix, signs of the shell, and ends that are dropped."""
    assert "indows" in why_not_portable(name)


@pytest.mark.parametrize("name", ["console.md", "COM10", "com", "a.con", ".git", "naïve.md", "2026-01-01-con.md", ".."])
def test_names_that_every_system_has(name: str) -> None:
    """Only whole names are devices."""
    assert why_not_portable(name) == ""


@given(st.text())
def test_every_note_gets_a_name_that_every_system_has(title: str) -> None:
    """Folders of notes are carried from one to another."""
    name = note_name(title, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    assert why_not_portable(f"{name}.md") == ""
    assert name == name.casefold()
