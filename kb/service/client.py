"""The client of the daemon, which sends it command lines. It imports little, since every command pays for it."""

from __future__ import annotations

import os
import sys

from kb.service import arguments
from kb.service.address import PROTOCOL, Undetermined, addresses_of, is_safe, split, store_of
from kb.system.terminals import (
    environment_of_terminal,
    is_terminal,
    leave_standard_output,
    prepare_streams,
    terminal_id,
    terminal_size,
)
from kb.system.users import user_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from socket import socket
    from typing import Any, Final

INTERRUPTED: Final = 130
_ERROR: Final = 2
# The environment variable that names another machine to ask.
SERVER: Final = "KB_SERVER"
# Environment variables that affect the output, and the location of the trust records.
_KNOWN: Final = frozenset({"NO_COLOR", "TERM", "COLUMNS", "LANG", "LC_ALL", "TZ", "XDG_STATE_HOME"})
_CHUNK: Final = 65536
_CONNECT_SECONDS: Final = 5.0
# The daemon begins every answer at once.
_HEAD_SECONDS: Final = 30.0
DEFAULT_COLUMNS: Final = 80
_STOPPED: Final = "the daemon stopped before it finished; run the command again"
_NOTE_WRITTEN: Final = (
    "the note is written, but the daemon stopped before it was indexed; kb index, or the next kb watch, adds it"
)


class RequestRefused(Exception):
    """The daemon refused the request; the message says why."""


class NoAnswer(Exception):
    """The daemon closed the connection before it began to answer: nothing was done."""


class Stopped(RequestRefused):
    """The daemon stopped in the middle of an answer."""


class Silent(RequestRefused):
    """The daemon began no answer in time, as where it is suspended.

    Attributes:
        who: What holds the store.
        remedy: How to resume or end it, as the end of a sentence.
    """

    def __init__(self, pid: int) -> None:
        from kb.system.shell import resume_or_end

        self.who = f"process {pid}" if pid else "the daemon"
        self.remedy = resume_or_end(pid or "its process id")
        super().__init__(f"{self.who} holds the store but does not answer; {self.remedy}")


class DaemonConnection:
    """An open connection to a daemon.

    Attributes:
        socket: The connected socket.
        host: The value of the Host header.
        secret: The bearer token that the daemon expects; empty if it expects none.
        pid: The process of the daemon; 0 if unknown.
    """

    __slots__ = ("host", "pid", "secret", "socket")

    def __init__(self, connected: socket, host: str = "localhost", secret: str = "", pid: int = 0) -> None:
        self.socket = connected
        self.host = host
        self.secret = secret
        self.pid = pid


class CommandInput:
    """What a command reads from standard input, or has the user write in the editor.

    Neither can be had twice, and one command may need it again: where the daemon ends meanwhile, it runs here.

    Attributes:
        taken: Whether the command has written what it was given to its place.
    """

    __slots__ = ("_read", "taken")

    def __init__(self) -> None:
        self._read: dict[str, str] = {}
        self.taken = False

    def read(self, what: str) -> str:
        """Return all of ``stdin``, or a text from the ``editor``, empty if nothing was saved there.

        Raises:
            KbError: The editor cannot be started, or failed.
        """
        if what not in self._read:
            self._read[what] = _from_editor() if what == "editor" else _from_stdin()
        return self._read[what]

    def keep(self, args: Sequence[str]) -> None:
        """After a command that failed: keep what was written in the editor in a file, and say where."""
        text = self._read.get("editor", "")
        if self.taken or not text.strip():
            return
        import tempfile

        from kb.system.shell import with_input

        try:
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", errors="surrogateescape", prefix="kb-note-", suffix=".md", delete=False
            ) as file:
                file.write(text)
        except OSError as error:
            # The terminal is the last place where it is not lost.
            _print_error(f"what you wrote cannot be kept in a file either ({error.strerror}); here it is:")
            _write(sys.stderr, text)
            return
        _print_error(
            f"what you wrote is kept in {file.name}; to try again: {with_input(file.name, ['kb', *args, '-'])}"
        )


def _from_stdin() -> str:
    """Return all of standard input, as text."""
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _from_editor() -> str:
    """Return a text that the user writes in the editor; empty if nothing was saved.

    Raises:
        KbError: The editor cannot be started, or failed.
    """
    import click

    from kb.errors import KbError

    try:
        return click.edit("", extension=".md") or ""
    except click.ClickException as error:
        remedy = "Set VISUAL or EDITOR to one that works, or give the text as an argument"
        raise KbError(error.format_message(), remedy) from error


def forward(args: Sequence[str], given: CommandInput | None = None) -> int | None:
    """Have the daemon run a command line.

    Args:
        args: The command line.
        given: What the command reads, also if it runs in this process afterwards.

    Returns:
        The exit code; None if there is no daemon, or the command must run in this process.
    """
    try:
        cwd = os.getcwd()  # noqa: PTH109 - pathlib costs the whole command a tenth of its time
        line = split(args)
        if not line.command or line.command in arguments.GENERATED.local or asks_server(line.command, os.environ):
            return None
        store = store_of(line, os.environ, cwd)
    except (Undetermined, OSError):
        return None
    connection = connect(store, os.environ)
    prepare_streams()
    request = request_of(args, store, cwd)
    return None if connection is None else _ended(connection, store, request, given or CommandInput())


def asks_server(command: str, environ: Mapping[str, str]) -> bool:
    """Whether a command asks the machine that the environment names; a word that is no command is a search."""
    known = arguments.GENERATED
    return bool(environ.get(SERVER)) and (command in known.remote or command not in known.short_help)


def _ended(connection: DaemonConnection, store: str, request: dict[str, Any], given: CommandInput) -> int | None:
    """Send a command and return its exit code, also after errors; None if the daemon did not begin."""
    try:
        code = exchange(connection, request, given)
        return _with_input(code, store, request, given) if isinstance(code, str) else code
    except NoAnswer:
        return None
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe.
        leave_standard_output()
        return 0
    except RequestRefused as error:
        _print_error(str(error))
        return _ERROR
    except OSError as error:
        return _failed(error)


def _print_error(text: str) -> None:
    """Write a message to standard error, wrapped between words if that is a terminal."""
    text = f"kb: {text}"
    if is_terminal(sys.stderr):
        import textwrap

        width = terminal_size(0, 2) or DEFAULT_COLUMNS
        text = textwrap.fill(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    sys.stderr.write(f"{text}\n")


def _failed(error: OSError) -> int:
    """Report why output could not be written, and return the exit code."""
    from kb.errors import reason_of

    # What is left in the buffers must not fail again at exit.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    try:
        _print_error(f"standard output cannot be written: {reason_of(error)}")
        sys.stderr.flush()
    except OSError:
        os.dup2(nowhere, sys.stderr.fileno())
    return _ERROR


def _with_input(wanted: str, store: str, request: dict[str, Any], given: CommandInput) -> int | None:
    """Send a command again with the standard input, or the text from the editor, that it needs.

    Standard input is not read before, since it may belong to the loop of a script.
    """
    from kb.errors import KbError

    try:
        request["stdin"] = given.read(wanted)
    except KbError as error:
        raise RequestRefused(str(error)) from error
    connection = connect(store, os.environ)
    code = exchange(connection, request, given) if connection else None
    if isinstance(code, str):
        raise RequestRefused("the daemon asked for input twice")
    return code


def request_of(args: Sequence[str], store: str, cwd: str) -> dict[str, Any]:
    """Return the request for a command line, with all that affects its result and output."""
    from kb import __version__

    environ = os.environ | environment_of_terminal(os.environ)
    return {
        "protocol": PROTOCOL,
        "version": __version__,
        "store": store,
        "args": list(args),
        "cwd": cwd,
        "env": {name: value for name, value in environ.items() if name in _KNOWN or name.startswith("KB_")},
        "stdin_tty": is_terminal(sys.stdin),
        "stdout_tty": is_terminal(sys.stdout),
        "stderr_tty": is_terminal(sys.stderr),
        "encoding": [getattr(stream, "encoding", None) or "utf-8" for stream in (sys.stdout, sys.stderr)],
        "columns": terminal_size(0) or DEFAULT_COLUMNS,
        "lines": terminal_size(1),
        "error_columns": terminal_size(0, 2) if is_terminal(sys.stderr) else 0,
        "stdin": None,
        "terminal": terminal_id(environ),
        "umask": _umask(),
    }


def _umask() -> int:
    """Return the rights that new files of this process do not have; they can only be read by setting others."""
    found = os.umask(0o077)
    os.umask(found)
    return found


def connect(store: str, environ: Mapping[str, str]) -> DaemonConnection | None:
    """Connect to the daemon of a store; None if there is none."""
    for address in addresses_of(store, environ):
        if os.path.lexists(address) and is_safe(address):
            try:
                return connect_to(address)
            except (OSError, ValueError, KeyError, TypeError):
                # Nobody listens: a daemon that died left the address, and the next one replaces it.
                continue
    return None


def connect_to(address: str) -> DaemonConnection:
    """Connect to an address: a socket, or a JSON file that names a port.

    Raises:
        OSError: Nobody listens there.
    """
    return _loopback(address) if address.endswith(".json") else _unix(address)


def _unix(address: str) -> DaemonConnection:
    import socket

    if sys.platform == "win32":
        raise OSError(f"{address} is no address on Windows")
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    pid = 0
    try:
        connected.settimeout(_CONNECT_SECONDS)
        connected.connect(address)
        if hasattr(socket, "SO_PEERCRED"):
            who = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            pid = int.from_bytes(who[:4], sys.byteorder)
            if int.from_bytes(who[4:8], sys.byteorder) != user_id():
                raise PermissionError(f"{address} belongs to somebody else")  # noqa: TRY301 - closed just below
    except BaseException:
        connected.close()
        raise
    return DaemonConnection(connected, pid=pid)


def _loopback(address: str) -> DaemonConnection:
    import json
    import socket

    from kb.system.locks import PAST_END, is_locked

    if not is_locked(address, PAST_END):
        # The port is anybody's by now.
        raise ConnectionRefusedError(f"the daemon that made {address} has ended")
    with open(address, "rb") as file:  # noqa: PTH123 - pathlib costs the whole command a tenth of its time
        found = json.load(file)
    port = int(found["port"])
    secret = str(found["secret"])
    connected = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS)
    return DaemonConnection(connected, f"127.0.0.1:{port}", secret, int(found["pid"]))


def exchange(connection: DaemonConnection, request: Mapping[str, Any], given: CommandInput | None = None) -> int | str:
    """Send a command and write its output as it arrives.

    Args:
        connection: The connection to the daemon.
        request: See ``request_of``.
        given: What the command was given; output of the command means that it has taken it.

    Returns:
        The exit code, or what the command needs first: ``stdin`` or ``editor``.

    Raises:
        RequestRefused: The daemon refused it, or stopped before it ended.
    """
    import json

    written = False
    try:
        for line in post(connection, "/run", json.dumps(request).encode()):
            frame = _parsed(line)
            if "out" in frame:
                written = True
                if given is not None:
                    given.taken = True
                _write_out(frame["out"], request)
            elif "err" in frame:
                _write(sys.stderr, frame["err"])
            elif "need" in frame:
                return str(frame["need"])
            elif "exit" in frame:
                return int(frame["exit"])
        raise Stopped(_STOPPED)  # noqa: TRY301 - also where the connection breaks
    except Stopped:
        # Sending the request again would write another one.
        if written and _notes(request):
            _print_error(_NOTE_WRITTEN)
            return 0
        raise


def _notes(request: Mapping[str, Any]) -> bool:
    """Whether a request is to write a note, whose path is the output, once the file exists."""
    return split(request["args"]).command == "note"


def _write_out(text: str, request: Mapping[str, Any]) -> None:
    """Write output of a command; where that is the path of a note and cannot be written, standard error has it."""
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        if not _notes(request):
            raise
        from kb.errors import reason_of

        leave_standard_output()
        why = f"standard output cannot be written: {reason_of(error)}"
        _print_error(f"the note is written to {text.rstrip()}, but {why}")


def _write(stream: Any, text: str) -> None:  # noqa: ANN401 - a text stream; its class costs an import
    """Write text from the daemon, whose lone surrogates are bytes of undecodable names."""
    if stream is None:
        return
    if stream.errors != "surrogateescape":
        stream.reconfigure(errors="surrogateescape")
    stream.write(text)
    stream.flush()


def post(connection: DaemonConnection, path: str, body: bytes = b"", method: str = "POST") -> Iterator[bytes]:
    """Send a request and yield the lines of the answer as they arrive.

    Raises:
        NoAnswer: The daemon closed the connection before it began to answer.
        RequestRefused: The answer is not "200 OK", and its body says why.
        Silent: There was none, as from a stopped process.
    """
    head = [f"{method} {path} HTTP/1.0", f"Host: {connection.host}", "Content-Type: application/json"]
    head += [f"Content-Length: {len(body)}"]
    head += [f"Authorization: Bearer {connection.secret}"] if connection.secret else []
    with connection.socket as connected:
        connected.settimeout(_HEAD_SECONDS)
        try:
            ok, data = _answered(connected, "\r\n".join([*head, "", ""]).encode() + body)
        except TimeoutError as error:
            raise Silent(connection.pid) from error
        connected.settimeout(None)
        part = b""
        while True:
            if ok:
                *lines, data = data.split(b"\n")
                yield from lines
            try:
                part = connected.recv(_CHUNK)
            except OSError as error:
                raise Stopped(_STOPPED) from error
            if not part:
                break
            data += part
    if ok and data:
        yield data
    if not ok:
        raise RequestRefused(data.decode("utf-8", "replace").strip() or "the daemon refused")


def ask(store: str, path: str, values: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Send the daemon a GET request, or, with values, a POST request; None if there is no daemon.

    Raises:
        RequestRefused: It refused.
    """
    import json

    connection = connect(store, os.environ)
    if connection is None:
        return None
    body, method = (b"", "GET") if values is None else (json.dumps(values).encode(), "POST")
    try:
        return _parsed(b"".join(post(connection, path, body, method)))
    except NoAnswer:
        return None


def _parsed(data: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        Stopped: It is cut off.
    """
    import json

    try:
        found: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise Stopped(_STOPPED) from error
    return found


def _answered(connected: socket, request: bytes) -> tuple[bool, bytes]:
    """Send a request and read the head of the answer; return whether it is 200, and the data after the head.

    Raises:
        TimeoutError: No answer began in time.
        NoAnswer: The connection was closed before an answer began.
    """
    data = b""
    try:
        connected.sendall(request)
        while b"\r\n\r\n" not in data:
            part = connected.recv(_CHUNK)
            if not part:
                raise NoAnswer
            data += part
    except TimeoutError:
        raise
    except OSError as error:
        raise NoAnswer from error
    top, _, rest = data.partition(b"\r\n\r\n")
    words = top.split(b"\r\n")[0].split(b" ", 2)
    return len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1] == b"200", rest
