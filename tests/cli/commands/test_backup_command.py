"""The commands ``kb backup``, ``restore``, ``export`` and ``import`` as they are typed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from made_up import acting

from kb.cli.commands.restore import _folders
from kb.cli.session import Session
from kb.errors import Cancelled

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_a_file_is_named_from_the_current_folder(command: CommandLine, here: Path) -> None:
    """The daemon, which may run the command, has another one."""
    code, out, _ = command("backup", "b.kb")

    assert code == 0
    assert command.kb.asked == [("backup", {"path": here / "b.kb", "incremental": False, "keep": 7})]
    assert "3 files, 9 passages, 8 vectors" in out
    assert "1 text without a vector" in out


def test_a_folder_of_backups(command: CommandLine, here: Path) -> None:
    """With a number of backups to keep."""
    code, out, _ = command("backup", "--incremental", "--keep", "3", "backups", "--json")

    assert code == 0
    assert command.kb.asked == [("backup", {"path": here / "backups", "incremental": True, "keep": 3})]
    assert json.loads(out)["without_vector"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "b.kb", "--keep", "3"),
        ("backup", "b.kb", "--verify", "--incremental"),
        ("backup",),
        ("export", "-", "--vectors"),
        ("export", "-", "--format", "parquet"),
        ("export", "v.kb", "--vectors", "--format", "jsonl"),
        ("restore", "b.kb", "--folder", "notes"),
    ],
)
def test_what_makes_no_sense_is_refused(command: CommandLine, here: Path, arguments: tuple[str, ...]) -> None:
    """Before anything is opened."""
    code, _, err = command(*arguments)

    assert code == 2
    assert err
    assert command.kb.asked == []
    assert list(here.iterdir()) == []


def test_a_file_that_is_no_backup(command: CommandLine, here: Path) -> None:
    """A check needs no store."""
    (here / "note.md").write_text("a note")
    code, _, err = command("backup", "--verify", "note.md")

    assert code == 2
    assert "is not a backup of kb" in err


@pytest.mark.parametrize("arguments", [("backup", "b.kb"), ("export", "x.jsonl"), ("import", "v.kb")])
def test_interrupted(command: CommandLine, arguments: tuple[str, ...]) -> None:
    """The exit code says so, and the message that nothing was changed."""
    command.kb.error = Cancelled("interrupted; nothing was changed")
    code, _, err = command(*arguments)

    assert code == 130
    assert "nothing was changed" in err


def test_exports_go_to_standard_output(command: CommandLine) -> None:
    """Lines for other programs, which a terminal shows as text."""
    code, out, _ = command("export", "-")

    assert code == 0
    assert acting(out) == []
    assert "red" in json.loads(out)["text"]


def test_exports_go_to_a_file(command: CommandLine, here: Path) -> None:
    """The options are passed on."""
    code, out, _ = command("export", "x.parquet", "--format", "parquet", "--no-vectors", "--force")

    assert code == 0
    given = {"path": here / "x.parquet", "kind": "parquet", "vectors": False, "replace": True}
    assert command.kb.asked == [("export", given)]
    assert "9 passages (1 without a vector)" in out


def test_vectors_go_from_one_machine_to_another(command: CommandLine, here: Path) -> None:
    """Out of one and into the other."""
    assert "8 vectors of tiny" in command("export", "--vectors", "v.kb")[1]
    assert "3 new vectors, 5 known before" in command("import", "v.kb")[1]
    assert [(name, given["path"]) for name, given in command.kb.asked] == [
        ("export_vectors", here / "v.kb"),
        ("import_vectors", here / "v.kb"),
    ]


@pytest.mark.parametrize(
    "old", ["/home/ann/notes", "/home/ann/notes//", "/home//ann/./notes", "/home/ann/x/../notes", "~/notes"]
)
def test_the_old_folder_may_be_spelled_in_other_ways(old: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backup has it as the configuration resolved it, and no link in it can be followed here."""
    monkeypatch.setenv("HOME", "/home/ann")

    assert _folders(Session(), f"{old}={here}") == ("/home/ann/notes", str(here))
