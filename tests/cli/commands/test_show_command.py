"""``kb show``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from made_up import known_file

from kb.cli.file_arguments import split_place
from kb.records import Shown

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
