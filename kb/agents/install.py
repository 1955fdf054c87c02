"""Puts kb's entry into the configuration of a client and takes it out, by the client's own command or in its file."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from kb.agents import edit_json, edit_toml
from kb.agents.clients import SERVER, Client, Entry, Launch, Machine, launch_of
from kb.agents.edit_json import NotValid
from kb.agents.files import mode_of, read_text, write_text
from kb.errors import ClientError
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Outcome = Literal["added", "updated", "unchanged", "removed", "absent"]

_BACKUP: Final = ".kb-backup"
_PROGRAM_SECONDS: Final = 60.0
# Some programs hand the change to another process and return at once.
_APPEARS_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class State:
    """The configuration of a client as it is.

    Attributes:
        client: The client.
        file: Its file.
        text: What is in it; None where it does not exist.
        path: The keys that lead to kb's entry.
        entry: kb's entry; None where there is none.
    """

    client: Client
    file: Path
    text: str | None
    path: tuple[str, ...]
    entry: Entry | None

    @property
    def launch(self) -> Launch | None:
        """How the client starts kb; None where it does not."""
        return None if self.entry is None else launch_of(self.entry)


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to the configuration of a client.

    Attributes:
        outcome: What came of it.
        file: The file that has the entry, or had it.
        by: The client's own command that did it, as it is typed; empty where kb changed the file.
        backup: The file as it was before; None where it did not exist, or is as it was.
        notices: What the user should know besides.
    """

    outcome: Outcome
    file: Path
    by: str = ""
    backup: Path | None = None
    notices: tuple[str, ...] = field(default=())


def state_of(client: Client, machine: Machine) -> State:
    """Read the configuration of a client.

    Raises:
        ClientError: It cannot be read, or is not valid in its format.
    """
    file = client.file(machine)
    text = read_text(file)
    values = _parsed(client, file, text)
    path = (*client.section(values), SERVER)
    entry: Any = values
    for key in path:
        entry = entry.get(key) if isinstance(entry, dict) else None
    return State(client, file, text, path, entry if isinstance(entry, dict) else None)


def is_found(client: Client, machine: Machine) -> bool:
    """Whether a client seems to be on this machine."""
    return bool(_program(client, machine)) or any(mark.exists() for mark in client.marks(machine))


def entry_text(client: Client, machine: Machine, launch: Launch) -> str:
    """Return the text that a file with kb's entry and nothing else would have."""
    state = state_of(client, machine)
    return _with_entry(client, "", state.path, client.entry(launch))


def command_to_add(client: Client, machine: Machine, launch: Launch) -> list[str]:
    """Return the client's own command that adds kb; empty where it has none here."""
    program = _program(client, machine)
    return [program, *client.add(launch)] if program and client.add else []


def run_program(command: Sequence[str]) -> str:
    """Run a client's own command; returns why it failed, or an empty string."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=_PROGRAM_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    output = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else (output[-1] if output else f"exit code {done.returncode}")


def install(client: Client, machine: Machine, launch: Launch, run: Callable[[Sequence[str]], str]) -> Change:
    """Have a client start kb. An entry that is there is changed in the file, where what was added to it stays.

    ``run`` runs the client's own command, like ``run_program``.

    Raises:
        ClientError: Its file is not valid or cannot be written; it is as before.
    """
    state = state_of(client, machine)
    if state.launch == launch:
        return Change("unchanged", state.file)
    notices: tuple[str, ...] = ()
    command = command_to_add(client, machine, launch) if state.entry is None else []
    if command:
        backup = _back_up(state)
        problem = run(command)
        if not problem and _comes(lambda: state_of(client, machine).launch == launch):
            return Change("added", state.file, shell.join(command), backup)
        notices = (_fell_back(command, problem, state.file),)
        state = state_of(client, machine)
    text = state.text or ""
    if state.entry is not None and state.launch is None:
        # Clients refuse an entry that has both an address and a command.
        text = _edited(state, lambda: _without_entry(client, state.text or "", state.path))
        notices += (f"the entry kb in {state.file} did not start a program, and was replaced",)
    text = _edited(state, lambda: _with_entry(client, text, state.path, client.entry(launch)))
    backup = _back_up(state)
    _write(state, text)
    return Change("added" if state.entry is None else "updated", state.file, "", backup, notices)


def remove(client: Client, machine: Machine, run: Callable[[Sequence[str]], str]) -> Change:
    """Take kb out of the configuration of a client.

    A file that is otherwise as kb found it gets its old bytes back; one that kb made and nobody changed is deleted.
    The copy from before kb was added is deleted where the file says the same again.

    Raises:
        ClientError: Its file is not valid or cannot be written; it is as before.
    """
    state = state_of(client, machine)
    if state.entry is None or state.text is None:
        return Change("absent", state.file)
    notices: tuple[str, ...] = ()
    program = _program(client, machine)
    if program and client.remove:
        command = [program, *client.remove]
        problem = run(command)
        if not problem and _comes(lambda: state_of(client, machine).entry is None):
            return Change("removed", state.file, shell.join(command), notices=_leave_no_copy(client, state.file))
        notices = (_fell_back(command, problem, state.file),)
        state = state_of(client, machine)
    return _remove_from_file(state, notices)


def _leave_no_copy(client: Client, file: Path) -> tuple[str, ...]:
    """After the client's own command: delete the copy from before kb if the file says the same, else tell of it."""
    saved = _backup_file(file)
    original = read_text(saved)
    if original is None:
        return ()
    now = read_text(file)
    # Comments are not among the values, and a client may have dropped them.
    if now != original and (client.syntax != "json" or _filled(client, file, now) != _filled(client, saved, original)):
        return (f"{saved} has the file as it was before kb was added",)
    saved.unlink()
    return ()


def _filled(client: Client, file: Path, text: str | None) -> dict[str, Any]:
    """The values of a file without its empty sections, which a client leaves where kb was the only server."""
    return {key: value for key, value in _parsed(client, file, text).items() if value != {}}


def _remove_from_file(state: State, notices: tuple[str, ...]) -> Change:
    client, text, entry = state.client, state.text or "", state.entry or {}
    saved = _backup_file(state.file)
    original = read_text(saved)
    if original is not None and _gives(client, original, state.path, entry, text):
        _write(state, original)
        saved.unlink()
        return Change("removed", state.file, notices=notices)
    if original is None and _gives(client, "", state.path, entry, text):
        state.file.unlink()
        return Change("removed", state.file, notices=notices)
    edited = _edited(state, lambda: _without_entry(client, text, state.path))
    backup = _back_up(state, always=True)
    _write(state, edited)
    return Change("removed", state.file, "", backup, notices)


def _gives(client: Client, original: str, path: tuple[str, ...], entry: Entry, text: str) -> bool:
    """Whether installing kb into an original, which has no kb, gives a text."""
    try:
        return _without_entry(client, original, path) == original and _with_entry(client, original, path, entry) == text
    except NotValid:
        return False


def _fell_back(command: Sequence[str], problem: str, file: Path) -> str:
    reason = problem or "it changed nothing"
    return f"{Path(command[0]).name} {command[1]} did not do it ({reason}), so kb changed {file} itself"


def _comes(true: Callable[[], bool]) -> bool:
    """Whether something becomes true within a few seconds."""
    until = time.monotonic() + _APPEARS_SECONDS
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _program(client: Client, machine: Machine) -> str:
    """The path of a client's own command line; empty where it has none, or none is here."""
    import shutil

    return (shutil.which(client.program, path=machine.environ.get("PATH")) or "") if client.program else ""


# --- The formats --------------------------------------------------------------------------------------------------


def _parsed(client: Client, file: Path, text: str | None) -> dict[str, Any]:
    try:
        if client.syntax == "toml":
            return edit_toml.parse(text or "")
        values = edit_json.parse(text or "", strict=client.syntax == "json")
    except NotValid as error:
        raise _not_valid(client, file, str(error)) from error
    if values is not None and not isinstance(values, dict):
        raise _not_valid(client, file, "it is not an object")
    return values or {}


def _with_entry(client: Client, text: str, path: tuple[str, ...], entry: Entry) -> str:
    if client.syntax == "toml":
        return edit_toml.with_entry(text, path, entry)
    return edit_json.with_entry(text, path, entry, strict=client.syntax == "json")


def _without_entry(client: Client, text: str, path: tuple[str, ...]) -> str:
    if client.syntax == "toml":
        return edit_toml.without_entry(text, path)
    return edit_json.without_entry(text, path, strict=client.syntax == "json")


def _edited(state: State, edit: Callable[[], str]) -> str:
    try:
        return edit()
    except NotValid as error:
        raise _not_valid(state.client, state.file, str(error)) from error


def _not_valid(client: Client, file: Path, reason: str) -> ClientError:
    language = {"json": "JSON without comments", "jsonc": "JSON", "toml": "TOML"}[client.syntax]
    return ClientError(
        f"{file} cannot be changed, since {client.title} needs {language}: {reason}",
        f"Correct the file, or enter what kb mcp install {client.name} --print shows",
    )


def _backup_file(file: Path) -> Path:
    return file.with_name(file.name + _BACKUP)


def _back_up(state: State, *, always: bool = False) -> Path | None:
    """Keep a file as it is before it changes.

    One that already has kb in it does not replace an earlier copy, and one that only kb is in needs none.
    """
    if state.text is None or (state.entry and _gives(state.client, "", state.path, state.entry, state.text)):
        return None
    saved = _backup_file(state.file)
    if always or state.entry is None or not saved.exists():
        write_text(saved, state.text, mode_of(state.file))
    return saved


def _write(state: State, text: str) -> None:
    """Replace a file by a text, unless somebody else changed it meanwhile."""
    if read_text(state.file) != state.text:
        raise ClientError(
            f"{state.file} was changed by another program meanwhile",
            f"Quit {state.client.title} and run the command again",
        )
    target = Path(os.path.realpath(state.file))
    write_text(target, text, mode_of(target))
