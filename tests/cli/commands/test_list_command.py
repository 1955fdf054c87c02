"""``kb list``, and the filters that it shares with others."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest
from made_up import known_file

from kb.records import FileStat, Filters

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_list_names_the_files(command: CommandLine) -> None:
    """A path a line, with NUL for xargs, with facts, or as one object."""
    assert command("list") == (0, "/notes/a.md\n/notes/b.md\n", "")
    assert command("list", "-0")[1] == "/notes/a.md\0/notes/b.md\0"
    assert command("list", "-l")[1].splitlines()[0].endswith("2026-01-15 en   /notes/a.md  Databases  #work")
    assert [file["path"] for file in json.loads(command("list", "--json")[1])["files"]] == [
        "/notes/a.md",
        "/notes/b.md",
    ]


def test_list_is_sorted(command: CommandLine) -> None:
    """The newest or largest first, and those that are equal by path; a file without a date counts by its change."""
    day = 86_400 * 10**9
    command.kb.files = [
        known_file("a.md", date=date(1970, 1, 9), stat=FileStat(5, 1, 1, 1, 1)),
        known_file("b.md", date=None, stat=FileStat(70, 20 * day, 1, 1, 1)),
        known_file("c.md", date=date(1970, 1, 9), stat=FileStat(70, 2, 1, 1, 1)),
        known_file("d.md", date=None, stat=FileStat(6, 30 * day, 1, 1, 1)),
    ]

    def order(*words: str) -> str:
        return "".join(path.removeprefix("/notes/")[0] for path in command("list", *words)[1].splitlines())

    assert (order(), order("--sort", "path")) == ("abcd", "abcd")
    assert order("--sort", "date") == "dbca"
    assert order("--sort=size") == "bcda"
    assert json.loads(command("list", "--json", "--sort", "size")[1])["files"][0]["path"] == "/notes/b.md"
    assert command("list", "--sort", "name")[0] == 2


@pytest.mark.parametrize(
    ("number", "shown", "told"),
    [
        ("1", "b", "kb: 3 more files; -n 4 shows all\n"),
        ("3", "bca", "kb: 1 more file; -n 4 shows all\n"),
        ("4", "bcad", ""),
        ("90", "bcad", ""),
    ],
)
def test_list_shows_as_many_as_are_wanted(command: CommandLine, number: str, shown: str, told: str) -> None:
    """The first ones in the order asked for; how many more there are is told, in JSON by the number of all."""
    sizes = {"a": 30, "b": 50, "c": 40, "d": 20}
    command.kb.files = [known_file(f"{name}.md", stat=FileStat(size, 1, 1, 1, 1)) for name, size in sizes.items()]

    code, out, err = command("list", "--sort", "size", "-n", number)
    as_json = command("list", "--sort", "size", "--json", "--limit", number)
    long = command("list", "--sort", "size", f"-ln{number}")

    assert (code, err) == (0, told)
    assert out == "".join(f"/notes/{name}.md\n" for name in shown)
    assert (len(long[1].splitlines()), long[2]) == (len(shown), told)
    assert [file["path"] for file in json.loads(as_json[1])["files"]] == out.splitlines()
    assert (json.loads(as_json[1])["total"], as_json[2]) == (4, "")


def test_list_of_no_files_is_refused(command: CommandLine) -> None:
    """A limit is a number from 1 on, as that of hits."""
    assert command("list", "-n", "0")[0] == 2


@pytest.mark.parametrize(
    ("flag", "word", "told"),
    [("--type", "pyhton", "did you mean python"), ("--lang", "german", "such as en, de or zh")],
)
def test_a_slip_in_a_filter_is_told(command: CommandLine, flag: str, word: str, told: str) -> None:
    """It is an error, not a folder without such files."""
    code, _, err = command("list", flag, word)

    assert (code, told in err) == (2, True)


def test_list_takes_filters_and_is_one_without_files(command: CommandLine) -> None:
    """The same filters as a question; nothing left is exit code 1."""
    command.kb.files = []

    assert command("list", "--tag", "x", "--since", "2026-01-15") == (1, "", "kb: nothing matches\n")
    assert command.kb.asked == [("documents", {"filters": Filters(tags=("x",), since=date(2026, 1, 15))})]


def test_list_in_two_ways_at_once_is_refused(command: CommandLine) -> None:
    """One listing has one form."""
    assert command("list", "-l", "--json")[0] == 2


@pytest.mark.parametrize(
    ("typed", "globs"),
    [
        ("gone.md", ["gone.md"]),
        ("./gone/*.md", ["gone/*.md"]),
        ("a [1].md", ["a [1].md", "{here}/a \\[1].md"]),
        ("./a [1].md", ["{here}/a \\[1].md"]),
        ("!b/", ["!b/", "!{here}/b/"]),
        ("!../{name}/b", ["!{here}/b"]),
        (".", ["{here}"]),
        ("/b", ["/b"]),
        ("*.md", ["*.md"]),
        ("./*.md", ["{here}/*.md"]),
        ("b/*", ["b/*", "{here}/b/*"]),
        ("!b/**/[cd]?.md", ["!b/**/[cd]?.md", "!{here}/b/**/[cd]?.md"]),
        ("../{name}/b/*", ["{here}/b/*"]),
        ("gone/*", ["gone/*"]),
    ],
)
def test_a_path_from_here_chooses_files_too(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, globs: list[str]
) -> None:
    """As kb itself shows it; what matches nothing is told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a [1].md").touch()
    (tmp_path / "b").mkdir()
    command.kb.files = []

    code, _, err = command("list", "--path", typed.format(name=tmp_path.name))

    assert (code, err) == (1, "kb: nothing matches\n")
    assert command.kb.asked[0][1]["filters"].paths == tuple(glob.format(here=tmp_path) for glob in globs)
