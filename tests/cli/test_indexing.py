"""index, check, rebuild and note: what is done, what is told where, and the exit code."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from made_up import FAILURE

from kb.errors import FolderError, ModelError, StoreBusy
from kb.records import CheckReport, Difference, Failure, IndexReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]

UNINDEXED = "the note is written, but not indexed:"
SMALLER = "Close other programs, lower embed.batch_tokens, or set embed.model to a smaller one"
LATER = "kb index adds the note\n"


class Typed(io.StringIO):
    """Standard input of a terminal, or of a pipe with bytes in it."""

    def __init__(self, data: bytes | None) -> None:
        super().__init__()
        self.buffer = io.BytesIO(data or b"")  # type: ignore[misc]  # settable on this class, whatever the base says
        self._tty = data is None

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._tty


def test_index_tells_what_it_did(command: CommandLine) -> None:
    """The summary is on standard output, progress on standard error."""
    command.kb.report = IndexReport(added=2, embedded=3, total=3, seconds=1.0)

    code, out, err = command("index")
    assert (code, out) == (0, "2 added; 0 files unchanged; 3 passages embedded, 0 reused, 3 in all; 1.0 s\n")
    assert err == "kb: 50 % of 2 files, 3 passages\n"


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


@pytest.mark.parametrize(("repaired", "code"), [(0, 1), (1, 0)])
def test_check_fails_while_something_differs(command: CommandLine, repaired: int, code: int) -> None:
    """A script learns from the exit code; what was mended no longer differs."""
    command.kb.checked = CheckReport(1, 1, 0, (Difference("vector missing", "a.md"),), repaired)

    assert command("check", "--repair")[0] == code
    assert command("check", "--json")[0] == code
    assert command.kb.asked[0] == ("check", {"repair": True})


def test_check_of_a_sound_index_is_zero(command: CommandLine) -> None:
    """All in order is exit code 0."""
    assert command("check") == (0, "all in order: 3 files, 9 passages, 9 vectors\n", "")


def test_rebuild_tells_what_it_made(command: CommandLine) -> None:
    """The new generation, for people and for programs."""
    assert command("rebuild")[1].startswith("g2 built")
    assert json.loads(command("rebuild", "--json")[1])["generation"] == "g2"


def test_a_note_of_words(command: CommandLine) -> None:
    """Words make one note; title and tags go with it; its path is what is written out."""
    assert command("note", "Buy", "milk", "--title", "T", "--tag", "a", "--tag", "b") == (
        0,
        "/notes/2026-01-15.md\n",
        "",
    )
    assert command.kb.asked == [("note", {"text": "Buy milk", "title": "T", "tags": ("a", "b")})]


def test_a_note_tells_of_its_own_failure_only(command: CommandLine) -> None:
    """Other files that cannot be indexed are no news of a note; its own failure is."""
    own = Failure("/notes", "2026-01-15.md", "is 11 MB, over the limit")
    command.kb.report = IndexReport(failures=(FAILURE, own))

    _, out, err = command("note", "Buy milk")

    assert (out, err) == ("/notes/2026-01-15.md\n", "/notes/2026-01-15.md: is 11 MB, over the limit\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            StoreBusy("the store at /x is in use by process 7 (kb watch)", "Wait until it has ended."),
            f"{UNINDEXED} the store at /x is in use by process 7 (kb watch)\n    Wait until it has ended. {LATER}",
        ),
        (
            ModelError("bge-m3 is not here", "kb model fetch"),
            f"{UNINDEXED} bge-m3 is not here\n    kb model fetch. {LATER}",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "the note is written, but not indexed: [Errno 28] No space left on device\n    kb index adds the note\n",
        ),
        (
            MemoryError(),
            f"{UNINDEXED} there is not enough memory\n    {SMALLER}. {LATER}",
        ),
    ],
)
def test_a_note_that_is_written_says_so_whatever_happens_after(
    command: CommandLine, error: Exception, said: str
) -> None:
    """Its path is printed and the exit code is 0: whoever tries again would write it twice."""
    command.kb.after_note = error
    command.ask_daemon = lambda: pytest.fail("the note would be written twice")

    assert command("note", "Buy milk") == (0, "/notes/2026-01-15.md\n", f"kb: {said}")


def test_a_note_that_is_interrupted_while_it_is_indexed_is_written(command: CommandLine) -> None:
    """Ctrl-C ends with 130, and says that the file stays."""
    command.kb.after_note = KeyboardInterrupt()

    assert command("note", "Buy milk") == (
        130,
        "/notes/2026-01-15.md\n",
        "kb: the note is written but not indexed yet; kb index adds it\n",
    )


def test_a_note_that_could_not_be_written_is_an_error(command: CommandLine) -> None:
    """Nothing is on the disk, and nobody says so."""
    command.kb.error = FolderError("notes go into /x, which is not there", "Mount or make it; nothing was written")

    assert command("note", "Buy milk")[:2] == (2, "")


@pytest.mark.parametrize("words", [[], ["-"]])
def test_a_note_from_a_pipe(command: CommandLine, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """Without words, standard input is the note."""
    monkeypatch.setattr(sys, "stdin", Typed(b"one\ntwo \xff\n"))

    assert command("note", *words)[0] == 0
    assert command.kb.asked[0][1]["text"] == "one\ntwo \ufffd\n"


def test_a_note_from_the_editor(command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """At a terminal without words the editor opens, and what it saved is the note."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsleep 0.01\necho "from the editor" > "$1"\ntouch -d "2030-01-01" "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setattr(sys, "stdin", Typed(None))

    assert command("note")[0] == 0
    assert command.kb.asked[0][1]["text"] == "from the editor\n"


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_an_empty_note_is_not_written(command: CommandLine, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Nothing to note is a mistake, and nothing is opened for it."""
    monkeypatch.setattr(sys, "stdin", Typed(data))

    code, _, err = command("note")
    assert (code, command.kb.asked) == (2, [])
    assert "the note is empty" in err


def test_deletions_are_accepted_on_request_only(command: CommandLine) -> None:
    """A folder that lost most of its files keeps them in the index until somebody says so."""
    command("index", "-q")
    command("index", "-q", "--accept-deletions")

    assert [asked["accept_deletions"] for _, asked in command.kb.asked] == [False, True]
