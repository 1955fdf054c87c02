"""``kb note``."""

from __future__ import annotations

import errno
import io
import sys
from typing import TYPE_CHECKING

import pytest
from made_up import FAILURE

from kb.errors import FolderError, ModelError, StoreBusy
from kb.records import Failure, IndexReport

if TYPE_CHECKING:
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
            "the note is written, but not indexed: no space left on device\n    kb index adds the note\n",
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
