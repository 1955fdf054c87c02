"""``kb status``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from made_up import FAILURE

from kb.records import Failure

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


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
