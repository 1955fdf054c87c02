"""show, list and status: what is asked, what is written, and the exit code."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest
from made_up import FAILURE, known_file

from kb.cli.file_arguments import split_place
from kb.records import Failure, Filters, Shown

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a.md", ("a.md", None)),
        ("a.md:12", ("a.md", 12)),
        ("sub/a.md:12-20", ("sub/a.md", 12)),
        ("a:b.md", ("a:b.md", None)),
        ("a:3:7", ("a:3", 7)),
        (":7", (":7", None)),
    ],
)
def test_a_place_is_a_file_and_maybe_a_line(text: str, place: tuple[str, int | None]) -> None:
    """What a hit shows can be pasted back."""
    assert split_place(text) == place


def test_show_writes_the_text(command: CommandLine) -> None:
    """A pipe gets the passages as they are indexed, and of a whole file each line at its number."""
    assert command("show", "db.md") == (0, "\n\n\n\none\ntwo\nthree\n", "")
    assert command.kb.asked == [("show", {"file": os.path.realpath("db.md"), "line": None})]
    command.kb.shown = replace(command.kb.shown, line=5)
    assert command("show", "db.md:5")[1] == "one\ntwo\n\nthree\n"
    assert json.loads(command("show", "db.md", "--json")[1])["passages"][1]["text"] == "three"


def test_a_file_that_is_called_like_a_place_is_shown(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with a colon and a number is a name where there is such a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log:12").touch()

    command("show", "log:12")
    assert command.kb.asked == [("show", {"file": str(tmp_path / "log:12"), "line": None})]


def test_show_tells_that_a_file_changed_or_failed(command: CommandLine) -> None:
    """An old text is never shown in silence, and a failed file is exit code 1 with its reason."""
    command.kb.shown = replace(command.kb.shown, changed=True)
    assert command("show", "db.md")[2] == "kb: the file changed since it was indexed: run kb index\n"

    command.kb.shown = Shown(known_file(state="failed", reason="it is binary"), ())
    assert command("show", "db.md") == (1, "", "kb: the file could not be indexed: it is binary\n")


def test_list_names_the_files(command: CommandLine) -> None:
    """A path a line, with NUL for xargs, with facts, or as one object."""
    assert command("list") == (0, "/notes/a.md\n/notes/b.md\n", "")
    assert command("list", "-0")[1] == "/notes/a.md\0/notes/b.md\0"
    assert command("list", "-l")[1].splitlines()[0].endswith("2026-01-15 en   /notes/a.md  Databases  #work")
    assert [file["path"] for file in json.loads(command("list", "--json")[1])["files"]] == [
        "/notes/a.md",
        "/notes/b.md",
    ]


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


def test_status_tells_people_and_programs(command: CommandLine) -> None:
    """Facts a line, or one object."""
    assert "passages:    9\n" in command("status")[1]
    assert json.loads(command("status", "--json")[1])["passages"] == 9


def test_problems_are_listed_with_their_reasons(command: CommandLine) -> None:
    """Only the files that could not be indexed, a line each, harmless."""
    command.kb.state = replace(command.kb.state, problems=(FAILURE,))
    assert command("status", "--problems") == (0, "/notes/bad\u241b.md: not text:\u2407 it is binary\n", "")

    command.kb.state = replace(command.kb.state, problems=())
    assert command("status", "--problems") == (0, "", "kb: no problems\n")


def test_files_that_are_read_in_part_are_no_failures(command: CommandLine) -> None:
    """They are listed behind those that failed, with what was not read, and counted apart."""
    partly = Failure("/notes", "a.pdf", "1 of 9 pages\ais damaged")
    command.kb.state = replace(command.kb.state, problems=(), failed=0, partly=(partly,))

    assert command("status", "--problems") == (0, "/notes/a.pdf: read in part: 1 of 9 pages\u2407is damaged\n", "")
    assert "files:       3, 1 read in part (kb status --problems)\n" in command("status")[1]
    told = json.loads(command("status", "--json")[1])
    assert (told["failed"], told["problems"]) == (0, [])
    assert told["read_in_part"] == [{"path": "/notes/a.pdf", "reason": "1 of 9 pages\u0007is damaged"}]
    command.kb.state = replace(command.kb.state, problems=(FAILURE,), failed=1)
    assert "files:       3, 1 could not be indexed, 1 read in part (kb status --problems)\n" in command("status")[1]
    assert command("status", "--problems")[1].count("\n") == 2


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
