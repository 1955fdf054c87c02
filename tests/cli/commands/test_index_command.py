"""``kb index``."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from made_up import FAILURE

from kb.records import Failure, IndexReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_index_tells_what_it_did(command: CommandLine) -> None:
    """The summary is on standard output, progress on standard error."""
    command.kb.report = IndexReport(added=2, embedded=3, total=3, seconds=1.0)

    code, out, err = command("index")
    assert (code, out) == (0, "2 added; 0 files unchanged; 3 passages embedded, 0 reused, 3 in all; 1.0 s\n")
    assert err == "kb: embedding 3 of 6 passages\n"


def test_index_json_is_one_object(command: CommandLine) -> None:
    """Standard output holds the object and nothing else."""
    code, out, _ = command("index", "--json", "--full", "--dry-run")

    assert (code, json.loads(out)["dry_run"]) == (0, True)
    assert command.kb.asked == [("index", {"full": True, "dry_run": True, "accept_deletions": False})]


def test_failures_are_told_and_stop_nothing(command: CommandLine) -> None:
    """A bad file is one line on standard error, harmless, quiet or not, and the exit code stays 0."""
    command.kb.report = IndexReport(failures=(FAILURE,))

    assert command("index", "--quiet") == (0, "", "/notes/bad\u241b.md: not text:\u2407 it is binary\n")


def test_failures_that_were_told_before_are_only_counted(command: CommandLine) -> None:
    """What failed before and did not change is no news: a number, and where to read the reasons."""
    own = Failure("/notes", "new.md", "cannot be read: permission denied")
    command.kb.report = IndexReport(failures=(FAILURE, own), standing=(FAILURE,))

    news, before = command("index", "--quiet")[2].splitlines()

    assert news == "/notes/new.md: cannot be read: permission denied"
    assert before == "1 file still could not be indexed: see kb status --problems"


def test_the_summary_of_an_interrupted_run_is_true(command: CommandLine) -> None:
    """What is in the index, and how many files are left."""
    command.kb.report = IndexReport(added=12, unchanged=3, embedded=96, total=60, seconds=1.0, waiting=36)
    command.kb.during_index = lambda _: os.kill(os.getpid(), signal.SIGINT)

    code, out, _ = command("index")

    assert code == 130
    assert out.startswith("12 added; 36 files left for the next run; 3 files unchanged; ")
    assert out.endswith("96 passages embedded, 0 reused, 60 in all; 1.0 s\n")


def test_an_interrupted_run_says_how_to_go_on(command: CommandLine) -> None:
    """The first Ctrl-C stops at a file boundary: the report still comes, with exit code 130."""

    def interrupted(_should_stop: Callable[[], bool]) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    command.kb.during_index = interrupted

    code, out, err = command("index", "--json")
    assert (code, json.loads(out)["interrupted"], command.kb.closed) == (130, True, True)
    assert err.endswith("kb: interrupted; run kb index to resume\n")


def test_a_second_interrupt_stops_at_once(command: CommandLine) -> None:
    """No report then, but the knowledge base is closed."""

    def interrupted(_should_stop: Callable[[], bool]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    command.kb.during_index = interrupted

    code, out, _ = command("index", "-q")
    assert (code, out, command.kb.closed) == (130, "", True)


def test_deletions_are_accepted_on_request_only(command: CommandLine) -> None:
    """A folder that lost most of its files keeps them in the index until somebody says so."""
    command("index", "-q")
    command("index", "-q", "--accept-deletions")

    assert [asked["accept_deletions"] for _, asked in command.kb.asked] == [False, True]
