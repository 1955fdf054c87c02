"""A command run for another process: its streams, its settings, and a knowledge base that outlives it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import FakeKnowledge, answer, hit, settings

from kb.cli.main import run
from kb.cli.remote import DaemonProxy, Stream, client_context
from kb.cli.session import InputNeeded, Session
from kb.records import IndexReport
from kb.service.server import CommandOutput, CommandRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kb.config import Settings


@given(st.text(), st.sampled_from(["utf-8", "ascii", "latin-1", "cp1252", "no such encoding"]), st.booleans())
def test_what_is_sent_fits_the_stream_over_there(text: str, encoding: str, tty: bool) -> None:
    """Whatever a file holds or is called, the other side can write it without another thought."""
    sent: list[str] = []
    stream = Stream(sent.append, encoding, tty=tty)

    stream.write(text + "\udce9")

    known = "utf-8" if encoding.startswith("no") else encoding
    written = "".join(sent).encode(known, "surrogateescape")
    assert written.endswith(b"?" if tty else b"\xe9")
    if encoding == "utf-8":
        assert written[:-1].decode() == text


def request(*args: str, stdin: str | None = None, tty: bool = False) -> CommandRequest:
    """A command line from another process."""
    return CommandRequest(
        args=list(args),
        cwd="/notes",
        env={"NO_COLOR": "1"},
        stdin_tty=tty,
        stdout_tty=False,
        stderr_tty=False,
        encoding=["utf-8", "utf-8"],
        columns=60,
        stdin=stdin,
    )


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({"stdout_tty": True, "lines": 12}, 2),
        ({"stdout_tty": True}, 9),
        ({"stdout_tty": True, "lines": 12, "args": ["x", "-n", "9"]}, 9),
        ({"lines": 12}, 9),
        ({"lines": 12, "args": ["x", "--color", "always"]}, 9),
        ({"stdout_tty": True, "lines": 12, "args": ["x", "--format", "paths"]}, 1),
    ],
)
def test_the_list_fits_the_terminal_of_the_asker(changed: dict[str, Any], shown: int) -> None:
    """Unless it says how many hits it wants, does not say how high its terminal is, as an older one, or has none."""
    kb = FakeKnowledge(given=answer(*(hit(f"Answer {number}.", number) for number in range(1, 10))))

    code, frames = answered(msgspec.structs.replace(request("x"), **changed), kb)

    assert code == 0
    assert (frames.count(b"0.750") or frames.count(b"db.md")) == shown, frames


def test_a_note_says_on_a_terminal_that_it_is_one() -> None:
    """Whoever meant a question sees what was written, and how to take it back; a script gets the path alone."""
    asked = request("note", "about", "taxes")
    _, typed = answered(msgspec.structs.replace(asked, stdout_tty=True), FakeKnowledge())

    assert b"kb: this file is the new note; to undo: rm 2026-01-15.md" in typed
    assert answered(asked, FakeKnowledge()) == (0, b'{"out": "2026-01-15.md\\n"}\n')


class Writing(FakeKnowledge):
    """Writes notes to a folder, with the rights that a daemon's umask leaves."""

    mode = 0o644

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def note(self, text: str, **options: Any) -> tuple[str, IndexReport]:
        """Write one."""
        file = self.folder / "note.md"
        file.write_text(text, "utf-8")
        file.chmod(self.mode)
        options["on_written"](str(file))
        return str(file), IndexReport()


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644), (0, 0o644)])
def test_a_note_has_the_rights_of_whoever_wrote_it(tmp_path: Path, umask: int, mode: int) -> None:
    """A note that nobody else should read stays private, though the daemon writes it under another umask."""
    asked = msgspec.structs.replace(request("note", "Buy", "milk"), umask=umask)

    assert answered(asked, Writing(tmp_path), folder=str(tmp_path))[0] == 0

    assert (tmp_path / "note.md").stat().st_mode & 0o777 == mode


def test_a_note_whose_rights_cannot_be_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk without them; it is written all the same."""
    change = os.chmod

    def refuse(path: str, mode: int, **options: Any) -> None:
        if mode != Writing.mode:
            raise PermissionError(1, "Operation not permitted")
        change(path, mode, **options)

    monkeypatch.setattr("os.chmod", refuse)
    asked = msgspec.structs.replace(request("note", "Buy", "milk"), umask=0o077)

    code, frames = answered(asked, Writing(tmp_path), folder=str(tmp_path))

    assert code == 0
    assert b"others may read the note, whose rights cannot be changed: operation not permitted" in frames.lower()


class FailingOwner:
    """A daemon that cannot bring the index in line, and says why; or waits until the client is gone."""

    def __init__(self, *errors: str) -> None:
        self.errors = errors
        self.waited: list[bool] = []

    def open_page(self, port: int = 0) -> str:
        """A link to a page that is not there."""
        return f"http://127.0.0.1:{port or 1}/open?key=once"

    def close_page(self) -> bool:
        """There is none."""
        return False

    def sync(self, timeout: float | None, gone: Callable[[], bool]) -> bool:
        """It fails."""
        del timeout
        self.waited.append(gone())
        return False

    def status(self) -> dict[str, Any]:
        """What failed."""
        return {"errors": list(self.errors)}


def answered(
    asked: CommandRequest, kb: FakeKnowledge, daemon: FailingOwner | None = None, folder: str = "/notes"
) -> tuple[int, bytes]:
    """The exit code of a command run for another process, and the frames sent to it."""
    sent: list[bytes | None] = []

    def load(_session: Session, overrides: Mapping[str, str]) -> Settings:
        assert not overrides
        return settings(folder)

    session = Session(
        open_knowledge=lambda found, _warn: DaemonProxy(kb, found.config),
        load_settings=load,
        client=client_context(asked, CommandOutput(sent.append)),
        daemon=daemon,
    )
    code = run(asked.args, session)
    return code, b"".join(one for one in sent if one)


def test_a_command_writes_to_whoever_asked(capfd: pytest.CaptureFixture[str]) -> None:
    """Hits, help, mistakes and notices: nothing is written to the owner's own streams, and nothing is closed."""
    kb = FakeKnowledge()

    assert answered(request("search", "x"), kb) == (0, b'{"out": "db.md:5:Use ChromaDB.\\n"}\n')
    asked = kb.asked[0][1]["request"]
    assert (asked.limit, asked.cwd) == (10, "/notes")
    assert not kb.closed
    assert answered(request("search", "--help"), kb)[1].startswith(b'{"out": "Usage: kb search')
    assert answered(request("--version"), kb)[1].startswith(b'{"out": "kb ')
    code, frames = answered(request("search", "x", "-n", "0"), kb)
    assert (code, frames[:8]) == (2, b'{"err": ')
    assert answered(request("statsu"), kb)[1].startswith(b'{"err": "kb: no command')
    assert capfd.readouterr() == ("", "")


class SlowOwner(FailingOwner):
    """A daemon that takes its time to embed."""

    def sync(self, timeout: float | None, gone: Callable[[], bool]) -> bool:
        """It succeeds."""
        del timeout, gone
        time.sleep(0.5)
        return True

    def status(self) -> dict[str, Any]:
        """How far it is."""
        run = {"embedded": 242, "to_embed": 2420}
        return {
            "pid": 7, "state": "watching", "reason": "", "since": "2026-01-15T10:00:00+00:00", "waiting": 0,
            "errors": [], "last_sweep": "2026-01-15T10:00:00+00:00", "run": run,
        }  # fmt: skip


@pytest.mark.parametrize(("seconds", "told"), [(0.05, True), (60.0, False)])
def test_who_waits_long_hears_how_far_the_daemon_is(
    monkeypatch: pytest.MonkeyPatch, seconds: float, *, told: bool
) -> None:
    """After some seconds, once; nothing where it takes no longer."""
    monkeypatch.setattr("kb.cli.session._SLOW_SECONDS", seconds)

    code, frames = answered(request("sync"), FakeKnowledge(), SlowOwner())

    assert code == 0
    assert frames.count(b"waiting for kb watch (watching, process 7") == told
    assert frames.count(b"embedding 242 of 2,420 passages") == told


def test_who_waits_for_the_folders_hears_what_failed() -> None:
    """``kb sync`` and ``--wait`` name the error; the answer to a question comes all the same."""
    daemon = FailingOwner("The disk is full. Make room")
    told = b"some files could not be indexed: The disk is full. Make room"

    code, frames = answered(request("sync"), FakeKnowledge(), daemon)
    assert (code, told in frames) == (1, True)
    code, frames = answered(request("search", "x", "--wait"), FakeKnowledge(), daemon)
    assert (told in frames, b"Use ChromaDB" in frames) == (True, True)
    assert b"some changes are not indexed yet" in answered(request("sync"), FakeKnowledge(), FailingOwner())[1]
    assert daemon.waited == [False, False]


def test_who_waits_hears_of_missing_files_that_are_kept() -> None:
    """A folder that is suddenly empty is no reason to drop its passages, and none to say nothing."""
    kb, daemon = FakeKnowledge(), FailingOwner()
    daemon.sync = lambda *_: True  # type: ignore[method-assign]  # everything is indexed
    assert answered(request("sync"), kb, daemon) == (0, b"")
    kb.state = replace(kb.state, held=(("/notes", 3), ("/more", 2)))

    code, frames = answered(request("sync"), kb, daemon)

    assert (code, b"5 missing files kept (run kb index --accept-deletions to drop them)" in frames) == (0, True)


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        (request("search", "-"), "stdin"),
        (request("note"), "stdin"),
        (request("note", tty=True), "editor"),
    ],
)
def test_input_is_asked_for_before_anything_is_done(asked: CommandRequest, needed: str, tmp_path: Path) -> None:
    """The other process has it; the command is sent again with it."""
    kb = FakeKnowledge()

    with pytest.raises(InputNeeded, match=needed):
        answered(asked, kb, folder=str(tmp_path))
    assert kb.asked == []

    assert answered(msgspec.structs.replace(asked, stdin="some words"), kb, folder=str(tmp_path))[0] == 0
