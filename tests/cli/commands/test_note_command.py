"""``kb note``."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_up import FAILURE, settings

from kb.__main__ import main
from kb.errors import FolderError, ModelError, StoreBusy
from kb.records import Failure, IndexReport
from kb.service.client import CommandInput

if TYPE_CHECKING:
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
    command.settings = settings(str(tmp_path))

    assert command("note")[0] == 0
    assert command.kb.asked[0][1]["text"] == "from the editor\n"


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_an_empty_note_is_not_written(command: CommandLine, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Nothing to note is a mistake, and nothing is opened for it."""
    monkeypatch.setattr(sys, "stdin", Typed(data))

    code, _, err = command("note")
    assert (code, command.kb.asked) == (2, [])
    assert "the note is empty" in err


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes a note, at a terminal; the folder ``gone`` in the current one is taken away meanwhile."""
    program = tmp_path / "editor"
    program.write_text(
        f'#!/bin/sh\nsleep 0.01\ntouch {tmp_path}/opened\nrm -rf gone\necho "an hour of work" > "$1"\n'
        'touch -d "2030-01-01" "$1"\n'
    )
    program.chmod(0o755)
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))
    monkeypatch.setenv("VISUAL", str(program))
    monkeypatch.setattr(sys, "stdin", Typed(None))
    return program


def noted(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """Run the console script ``kb note``, and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["kb", "note", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", "no configuration"),
        ("[folders]\npaths = 3\n", "folders.paths"),
        ('[folders]\npaths = ["missing"]\n', "which is not there"),
        ('[folders]\npaths = ["."]\n[note]\nfolder = "../out"\n', "note.folder"),
    ],
)
def test_the_editor_opens_only_where_a_note_can_be_written(
    editor: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], config: str, said: str
) -> None:
    """Nobody writes for an hour to be told that there is no configuration, or no folder."""
    if config:
        Path("config.toml").write_text(config)

    assert noted(monkeypatch) == 2
    assert said in capfd.readouterr().err
    assert not (editor.parent / "opened").exists()


def test_what_was_written_is_kept_where_the_note_cannot_be(
    here: Path, editor: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The folder went away while the editor was open: the text is in a file, and the command that is told writes it."""
    (here / "gone").mkdir()
    (here / "config.toml").write_text('[folders]\npaths = ["gone"]\n')

    assert noted(monkeypatch, "--title", "My day") == 2

    [kept] = (editor.parent / "kept").iterdir()
    assert kept.read_text() == "an hour of work\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert f"kept in {kept}; to try again: kb note --title 'My day' - < {kept}" in capfd.readouterr().err


def test_a_note_that_is_written_is_kept_nowhere_else(editor: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What the command took, and what is empty, needs no second place."""
    given = CommandInput()
    given.keep(["note"])
    assert given.read("editor") == "an hour of work\n"
    given.taken = True
    given.keep(["note"])

    assert list((editor.parent / "kept").iterdir()) == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("output", "why", "unbuffered"),
    [
        (">&-", "bad file descriptor", ""),
        # Python gives a process no standard output then, buffered or not.
        pytest.param(">&-", "bad file descriptor", "1", marks=pytest.mark.slow),
        ("> /dev/full", "no space left on device", ""),
        ("> /dev/full", "no space left on device", "1"),
    ],
)
def test_a_note_whose_path_cannot_be_printed_is_written(
    here: Path, monkeypatch: pytest.MonkeyPatch, output: str, why: str, unbuffered: str
) -> None:
    """Whoever gets an error writes it once more; so its path is told elsewhere, and it is indexed like any other."""
    if "full" in output and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (here / "config.toml").write_text('[folders]\npaths = ["."]\n[embed]\noffline = true\n')
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)

    line = ["/bin/sh", "-c", f'exec "$0" -P -m kb note some words {output}', sys.executable]
    done = subprocess.run(line, capture_output=True, text=True, check=False)

    [note] = here.glob("*-some-words.md")
    told, *more = done.stderr.splitlines()
    assert done.returncode == 0
    assert told == f"kb: the note is written to {note.name}, but standard output cannot be written: {why}"
    # What keeps it from being indexed is another thing: here no model.
    assert "but not indexed: BAAI/bge-m3" in more[0]


def test_an_editor_that_fails(
    here: Path, editor: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One sentence with a remedy."""
    (here / "config.toml").write_text('[folders]\npaths = ["."]\n')
    editor.write_text("#!/bin/sh\nexit 1\n")

    assert noted(monkeypatch) == 2
    assert "Editing failed\n    Set VISUAL or EDITOR" in capfd.readouterr().err
