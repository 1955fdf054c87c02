"""A command and the daemon that runs it: everything goes over and comes back, and nothing is left when either dies."""

from __future__ import annotations

import errno
import io
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kb.cli.session import ClientContext
from kb.service import arguments
from kb.service.address import addresses_of
from kb.service.client import (
    CommandInput,
    DaemonConnection,
    RequestRefused,
    Silent,
    Stopped,
    ask,
    connect,
    connect_to,
    exchange,
    forward,
    post,
    request_of,
)
from kb.service.listen import listen, listen_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from owners import MadeUp

    from kb.service.server import CommandOutput, CommandRequest

pytest_plugins = ["owners"]

# Over a socket, and over a port, as where there are no sockets in the file system.
ON_BOTH = pytest.mark.parametrize("runtime", ["socket", "port"], indirect=True)


def until(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Wait until something holds; says whether it does."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@ON_BOTH
def test_streams_and_exit_code_come_back(made_up: MadeUp, capfd: pytest.CaptureFixture[str]) -> None:
    """What the command writes there is written here, each stream to its own."""

    def command(_request: CommandRequest, output: CommandOutput) -> int:
        output.out("one\n")
        output.err("careful\n")
        output.out("two ü\n")
        return 1

    made_up.command = command

    assert forward(["search", "x"]) == 1
    assert capfd.readouterr() == ("one\ntwo ü\n", "careful\n")


@ON_BOTH
def test_the_surroundings_go_over(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Arguments, folder, kb's own variables and the terminal; no other variable leaves the process."""
    monkeypatch.setenv("KB_SEARCH__LIMIT", "3")
    monkeypatch.setenv("COLUMNS", "123")
    monkeypatch.setenv("LINES", "45")
    monkeypatch.setenv("A_SECRET", "1")

    assert forward(["-s", "search.limit=2", "search", "caf\udce9"]) == 0

    request = made_up.requests[0]
    assert capfd.readouterr() == ("", "")
    assert (request.args, request.cwd) == (["-s", "search.limit=2", "search", "caf\udce9"], str(tmp_path))
    assert (request.env["KB_SEARCH__LIMIT"], request.columns, request.lines) == ("3", 123, 45)
    assert not request.stdout_tty
    assert not any(name == "A_SECRET" for name in request.env)


@pytest.mark.parametrize("args", [[], ["init"], ["config"], ["completion", "bash"], ["watch"], ["--help"], ["-h"]])
def test_some_commands_run_here(made_up: MadeUp, args: list[str]) -> None:
    """What makes or shows a configuration, or starts a daemon, is nothing for the daemon."""
    assert forward(args) is None
    assert made_up.requests == []


def test_option_of_a_new_command_reaches_the_daemon(made_up: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the generated table has it; until then the command runs here, where the commands themselves are asked."""
    args = ["greet", "--times", "watch", "Ada"]
    assert forward(args) is None

    known = {name: getattr(arguments.GENERATED, name) for name in arguments.CommandTable.__slots__}
    known["valued"] |= {"--times"}
    monkeypatch.setattr(arguments, "GENERATED", arguments.CommandTable(**known))

    assert forward(args) == 0
    assert [one.args for one in made_up.requests] == [args]


def test_without_a_daemon_the_command_runs_here(store: str) -> None:
    """No socket, one nobody listens to, and a file that is none: all the same."""
    address = Path(addresses_of(store, os.environ)[0])
    assert forward(["search", "x"]) is None

    listening = listen(store, os.environ)
    listening.socket.close()
    assert address.exists()
    assert forward(["search", "x"]) is None

    address.unlink()
    address.write_text("no socket")
    assert forward(["search", "x"]) is None


@ON_BOTH
def test_what_a_dead_daemon_left_is_replaced(store: str) -> None:
    """The next daemon listens in its place, and takes away only what is its own."""
    dead = listen(store, os.environ)
    dead.socket.close()

    alive = listen(store, os.environ)
    dead.remove()

    connection = connect(store, os.environ)
    assert connection is not None
    connection.socket.close()
    alive.remove()
    alive.socket.close()
    assert not Path(alive.address).exists()


@ON_BOTH
def test_a_socket_in_a_folder_open_to_others_is_ignored(made_up: MadeUp, store: str) -> None:
    """Somebody else may have put it there."""
    folder = Path(addresses_of(store, os.environ)[0]).parent
    folder.chmod(0o777)

    assert forward(["search", "x"]) is None
    folder.chmod(0o700)
    assert forward(["search", "x"]) == 0
    assert len(made_up.requests) == 1


@ON_BOTH
def test_the_daemon_notices_that_nobody_listens(made_up: MadeUp, store: str, tmp_path: Path) -> None:
    """A command whose client is gone is told to stop."""
    began, stopped = threading.Event(), threading.Event()

    def command(_request: CommandRequest, output: CommandOutput) -> int:
        began.set()
        if until(output.stopping):
            stopped.set()
        return 0

    made_up.command = command
    connection = connect(store, os.environ)
    assert connection is not None

    client = threading.Thread(target=lambda: _ignored(connection, store, tmp_path))
    client.start()
    assert began.wait(120)
    connection.socket.shutdown(socket.SHUT_RDWR)

    assert stopped.wait(120)
    client.join()


@pytest.mark.parametrize(
    ("args", "code"), [(["note", "x"], 0), (["-s", "a.b=c", "note", "x"], 0), (["search", "x"], 2)]
)
def test_a_daemon_that_dies_after_a_note_was_written_is_no_reason_to_write_it_again(
    store: str, capfd: pytest.CaptureFixture[str], args: list[str], code: int
) -> None:
    """The path came, and then the connection ended: the note is there."""
    listening = listen(store, os.environ)

    def answer() -> None:
        with listening.socket.accept()[0] as client:
            client.recv(65536)
            client.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"out": "/notes/a.md\\n"}\n')

    dying = threading.Thread(target=answer)
    dying.start()

    assert forward(args) == code
    dying.join()
    listening.remove()
    listening.socket.close()
    out, err = capfd.readouterr()
    assert out == "/notes/a.md\n"
    assert ("the note is written" in err) == (code == 0)


def _ignored(connection: DaemonConnection, store: str, cwd: Path) -> None:
    with pytest.raises(RequestRefused):
        exchange(connection, request_of(["index"], store, str(cwd)))


def test_many_commands_run_at_once(made_up: MadeUp, store: str, tmp_path: Path) -> None:
    """A slow one keeps no other from its answer."""
    together = threading.Barrier(4, timeout=120)

    def command(_request: CommandRequest, output: CommandOutput) -> int:
        together.wait()
        output.err("")
        return 7

    made_up.command = command
    codes: list[object] = []

    def one() -> None:
        connection = connect(store, os.environ)
        assert connection is not None
        codes.append(exchange(connection, request_of(["search", "x"], store, str(tmp_path))))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == [7] * 4


@pytest.mark.parametrize(("typed", "text"), [(b"a question\xff", "a question\ufffd"), (b"", "")])
def test_standard_input_is_sent_when_it_is_needed(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch, typed: bytes, text: str
) -> None:
    """The command asks for it, and is sent again with it; a command that does not leaves it alone."""
    stdin = io.TextIOWrapper(io.BytesIO(typed))
    monkeypatch.setattr(sys, "stdin", stdin)

    assert forward(["search", "x"]) == 0
    assert stdin.buffer.tell() == 0

    def command(request: CommandRequest, output: CommandOutput) -> int | None:
        if request.stdin is None:
            output.need("stdin")
            return None
        return 5 if request.stdin == text else 6

    made_up.command = command
    assert forward(["search", "-"]) == 5


def test_input_is_kept_for_a_command_that_runs_here_after_all(
    store: str, made_up: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon ends while the user writes: the text is not lost."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"written for long")))

    def command(_request: CommandRequest, output: CommandOutput) -> None:
        for address in addresses_of(store, os.environ):
            Path(address).unlink(missing_ok=True)
        output.need("stdin")

    made_up.command = command
    given = CommandInput()

    assert forward(["note"], given) is None
    assert ClientContext.of_this_process(given).text() == "written for long"


@pytest.mark.parametrize(("out", "taken"), [("/notes/a.md\n", True), ("", False)])
def test_output_of_a_command_says_that_it_took_its_input(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch, out: str, taken: bool
) -> None:
    """A note whose path came back is on the disk, also where the command failed after that."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"written for long")))

    def command(request: CommandRequest, output: CommandOutput) -> int | None:
        if request.stdin is None:
            output.need("stdin")
            return None
        if out:
            output.out(out)
        return 130

    made_up.command = command
    given = CommandInput()

    assert forward(["note"], given) == 130
    assert given.taken == taken


def test_an_editor_that_fails_for_a_daemon(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One sentence with a remedy, as without a daemon."""
    monkeypatch.setenv("VISUAL", "false")
    made_up.command = lambda _request, output: output.need("editor")

    assert forward(["note"]) == 2
    assert capfd.readouterr().err.startswith("kb: false: Editing failed. Set VISUAL")


@pytest.mark.parametrize("sent", [b'{"out": "half a li', b'{"exit": 0}'[:-1]])
def test_answer_that_is_cut_off(sent: bytes, tmp_path: Path) -> None:
    """A daemon that is killed amid a line is told as one that stopped."""
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + sent)
    theirs.shutdown(socket.SHUT_WR)

    with pytest.raises(Stopped):
        exchange(DaemonConnection(ours), request_of(["search", "x"], "/store", str(tmp_path)))
    theirs.close()


def test_the_umask_of_whoever_asks_is_told() -> None:
    """It stays as it was."""
    before = os.umask(0o027)
    try:
        assert request_of(["note", "x"], "/store", "/")["umask"] == 0o027
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@ON_BOTH
def test_another_version_is_told(store: str, capfd: pytest.CaptureFixture[str]) -> None:
    """After an upgrade the old daemon still runs; the message says what to do."""
    from owners import MadeUp

    daemon = MadeUp().start(listen(store, os.environ), store, version="0.0.9")
    try:
        assert forward(["search", "x"]) == 2
    finally:
        daemon.close()

    assert capfd.readouterr().err == "kb: the daemon runs kb 0.0.9; restart it: kb watch --stop, then kb watch\n"


@ON_BOTH
def test_a_daemon_with_other_commands_is_told(
    store: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same version, as between two commits: it would take a command that it does not know for a question."""
    from owners import MadeUp

    daemon = MadeUp().start(listen(store, os.environ), store)
    monkeypatch.setattr("kb.service.client.PROTOCOL", "2-01234567")
    try:
        assert forward(["search", "x"]) == 2
    finally:
        daemon.close()

    told = "kb: the daemon runs a kb with other commands; restart it: kb watch --stop, then kb watch\n"
    assert capfd.readouterr().err == told


@ON_BOTH
def test_a_daemon_that_ends_lets_commands_finish(store: str, capfd: pytest.CaptureFixture[str]) -> None:
    """They are told to stop, and what they still say arrives."""
    from owners import MadeUp

    began = threading.Event()

    def command(_request: CommandRequest, output: CommandOutput) -> int:
        began.set()
        assert until(output.stopping)
        output.out("stopped in order\n")
        return 130

    made = MadeUp(command)
    daemon = made.start(listen(store, os.environ), store)
    codes: list[int | None] = []
    client = threading.Thread(target=lambda: codes.append(forward(["index"])))
    client.start()
    assert began.wait(120)

    daemon.close()
    client.join(120)

    assert codes == [130]
    assert capfd.readouterr().out == "stopped in order\n"
    assert forward(["index"]) is None


def test_a_port_with_a_secret_does_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where there are no sockets in the file system: only who can read the file gets in."""
    from owners import MadeUp

    def command(_request: CommandRequest, output: CommandOutput) -> int:
        output.out("hit\n")
        return 0

    address = str(tmp_path / "a.json")
    daemon = MadeUp(command).start(listen_at(address), "/store")
    try:
        assert Path(address).stat().st_mode & 0o777 == 0o600
        connection = connect_to(address)
        assert exchange(connection, request_of(["x"], "/store", "/")) == 0
        wrong = connect_to(address)
        wrong.secret = "guessed"  # noqa: S105 - made up
        with pytest.raises(RequestRefused, match="secret"):
            list(post(wrong, "/stop", b"{}"))
    finally:
        daemon.close()

    assert capfd.readouterr().out == "hit\n"
    assert not Path(address).exists()


def test_a_daemon_that_does_not_answer_is_named(
    store: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A process stopped by Ctrl-Z still has its socket, and connections to it are made."""
    monkeypatch.setattr("kb.service.client._HEAD_SECONDS", 0.1)
    listening = listen(store, os.environ)

    assert forward(["search", "x"]) == 2

    who = f"process {os.getpid()}" if sys.platform == "linux" else "the daemon"
    assert f"kb: {who} holds the store but does not answer" in capfd.readouterr().err
    with pytest.raises(Silent, match="kill -CONT"):
        ask(store, "/status")
    listening.socket.close()


def test_an_answer_may_take_its_time(made_up: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has begun, which it does at once; and what only ends a wait begins when that ends."""
    monkeypatch.setattr("kb.service.client._HEAD_SECONDS", 2.0)

    def command(_request: CommandRequest, _wire: CommandOutput) -> int:
        time.sleep(2.2)
        return 7

    made_up.command = command
    assert forward(["index"]) == 7


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("kept", ["1", "2"])
def test_output_that_cannot_be_written_is_told(made_up: MadeUp, kept: str) -> None:
    """As on a full disk: one sentence where one can still be read, and exit code 2."""

    def command(_request: CommandRequest, output: CommandOutput) -> int:
        output.out("one\n")
        output.err("careful\n")
        return 0

    made_up.command = command
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m kb list {kept}> /dev/full', sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )

    told = "kb: standard output cannot be written: no space left on device\n"
    assert (done.returncode, done.stderr) == (2, told if kept == "1" else "")


@pytest.mark.parametrize(
    ("output", "why"), [(">&-", "bad file descriptor"), ("> /dev/full", "no space left on device")]
)
@pytest.mark.parametrize("ends", [0, 130])
def test_a_note_whose_path_cannot_be_printed_is_written(made_up: MadeUp, output: str, why: str, ends: int) -> None:
    """As without a daemon: the path is told elsewhere, and the exit code is that of the command."""
    if "full" in output and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def command(_request: CommandRequest, sent: CommandOutput) -> int:
        sent.out("some notes/a b.md\n")
        sent.err("kb: the note is written but not indexed yet\n" if ends else "")
        return ends

    made_up.command = command
    line = ["/bin/sh", "-c", f'exec "$0" -m kb note some words {output}', sys.executable]
    done = subprocess.run(line, capture_output=True, text=True, check=False)

    told = f"kb: the note is written to some notes/a b.md, but standard output cannot be written: {why}\n"
    more = "kb: the note is written but not indexed yet\n" if ends else ""
    assert (done.returncode, done.stderr) == (ends, told + more)


def test_a_typed_note_whose_path_cannot_be_printed_is_not_kept_again(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was typed is in the note; a copy with the advice to try again would lead to another one."""

    def command(_request: CommandRequest, sent: CommandOutput) -> int:
        sent.out("a.md\n")
        return 0

    def full(_stream: object, _text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made_up.command = command
    monkeypatch.setattr("kb.service.client._write", full)
    monkeypatch.setattr("kb.service.client.leave_standard_output", lambda: None)
    given = CommandInput()

    assert (forward(["note"], given), given.taken) == (0, True)


@pytest.mark.parametrize("daemon", [True, False])
def test_a_closed_output_is_told(made_up: MadeUp, tmp_path: Path, daemon: bool) -> None:
    """As of ``kb list >&-``, in the daemon and without one; standard error may be closed as well."""

    def command(_request: CommandRequest, output: CommandOutput) -> int:
        output.out("one\n")
        return 0

    made_up.command = command
    args = "list" if daemon else "completion bash"

    def ended(closed: str) -> tuple[int, str]:
        line = ["/bin/sh", "-c", f'exec "$0" -m kb {args} {closed}', sys.executable]
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)
        return done.returncode, done.stderr

    assert ended(">&-") == (2, "kb: standard output cannot be written: bad file descriptor\n")
    assert ended(">&- 2>&-") == (2, "")
    assert ended("2>&-") == (0, "")


@ON_BOTH
def test_status_and_stop(made_up: MadeUp, store: str) -> None:
    """What kb watch asks of a running daemon."""
    assert ask(store, "/status") == {"pid": os.getpid()}
    assert ask(store, "/stop", {}) == {"stopping": True}
    assert made_up.stopped.is_set()
    assert ask("/another/store", "/status") is None


@pytest.mark.usefixtures("made_up")
def test_the_way_to_a_daemon_is_light(tmp_path: Path) -> None:
    """Whatever a command through the daemon imports is paid for each time."""
    heavy = {
        "numpy", "chromadb", "torch", "click", "rich", "msgspec", "dataclasses", "logging", "tempfile", "http.client",
        "pathlib", "asyncio", "urllib", "platformdirs", "starlette", "kb.config", "kb.cli",
    }  # fmt: skip
    (tmp_path / "config.toml").write_text("[search]\nlimit = 3\n")
    code = (
        "import sys; from kb.__main__ import main; sys.argv[1:] = ['x']\n"
        "try: main()\n"
        f"except SystemExit as end: print(end.code, sorted({heavy} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert (done.stdout, done.stderr) == ("0 []\n", "")
