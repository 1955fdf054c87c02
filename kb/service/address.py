"""The store that a command line refers to, and the address of its daemon.

A command that a daemon runs imports this and little else. ``kb.location`` finds the configuration file and resolves its
paths, as it does for ``kb.config.load``; only the store is read from that file, and a test compares both.
"""

from __future__ import annotations

import os

from kb.location import (
    DEFAULT_STORE,
    LARGEST,
    STORE_KEY,
    NotAFile,
    beginning,
    environment_values,
    expanded,
    is_mine,
    locate,
    resolved,
    trust_folder,
    trust_record,
)
from kb.service.arguments import GLOBAL, HELP, Arguments
from kb.service.command_table import DIGEST
from kb.system import WINDOWS
from kb.system.paths import with_slashes
from kb.system.users import is_private_folder, user_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from kb.location import ConfigPath

# A daemon serves a kb with the same commands and options only, since it would take a command that it does not know for
# a question. The number is incremented when they would not understand each other for another reason.
PROTOCOL: Final = f"2-{DIGEST}"
FILES_REMEDY: Final = "raise the limit with ulimit -n, or fs.file-max where the whole system is short of them"
_MOST_DOTS: Final = 1_000
_SOCKET_PATH: Final = 100


class CommandLine:
    """The global options of a command line, and its command.

    Attributes:
        config: The configuration file.
        overrides: Values by their dotted keys.
        command: The first word; ``search`` after ``--``; empty where there are no words.
    """

    __slots__ = ("command", "config", "overrides")

    def __init__(self, config: str | None, overrides: Mapping[str, str], command: str) -> None:
        self.config = config
        self.overrides = overrides
        self.command = command


class Undetermined(Exception):
    """The store cannot be determined here, only by ``kb.config.load``."""


def split(args: Sequence[str]) -> CommandLine:
    """Read the global options of a command line as the command group does.

    Raises:
        Undetermined: An option is unknown, lacks its value, or asks for another machine, the help
            of kb itself or the version.
    """
    read = Arguments(args)
    words = read.words
    helps = not words and any(argument.tokens[0] in HELP for argument in read.parsed)
    if helps or read.lacks_value or read.unknown is not None:
        raise Undetermined
    config: str | None = None
    store = ""
    overrides: dict[str, str] = {}
    for argument in read.of(GLOBAL):
        match argument.name:
            case "--config" | "--found":
                config = argument.value
            case "--store":
                store = argument.value
            case "-s" | "--set":
                key, equals, text = argument.value.partition("=")
                if not equals:
                    raise Undetermined
                overrides[key.strip()] = text
            case "--version" | "--server":
                raise Undetermined
    if store:
        overrides[STORE_KEY] = store
    return CommandLine(config, overrides, "search" if read.literal else words[0] if words else "")


def store_of(line: CommandLine, environ: Mapping[str, str], cwd: str, *, tolerant: bool = False) -> str:
    """The real path of the store, as ``kb.config.load`` would find it.

    Args:
        line: The global options.
        environ: The environment.
        cwd: The current folder.
        tolerant: Read the store from a file that is not valid TOML elsewhere.

    Raises:
        Undetermined: The configuration cannot be read, or only with more than this.
    """
    try:
        found = locate(line.config, environ, cwd)
        data = _content(found) if found else b""
        typed = _typed(line, environ)
        if typed is not None:
            return resolved(cwd, typed)
        base = os.path.dirname(found.file) if found else cwd  # noqa: PTH120 - pathlib costs the whole command a tenth of its time
        store = resolved(base, _in_file(data, tolerant=tolerant))
        outside = not f"{store}/".startswith(f"{with_slashes(base).rstrip('/')}/")
        if found and found.around and outside:
            record = os.path.join(trust_folder(environ), trust_record(found.file, data))  # noqa: PTH118 - the same
            if not os.path.isfile(record):  # noqa: PTH113 - the same
                raise Undetermined
    except (NotAFile, OSError, RuntimeError, ValueError) as error:
        raise Undetermined from error
    return store


def _content(found: ConfigPath) -> bytes:
    """What is in a configuration file.

    Raises:
        OSError: It cannot be read.
        Undetermined: It is too large, or was found here and belongs to another user.
    """
    data = beginning(found.file)
    if len(data) > LARGEST or (found.around and not is_mine(found.at)):
        raise Undetermined
    return data


def _typed(line: CommandLine, environ: Mapping[str, str]) -> str | None:
    """The store as options or else the environment name it; None if they do not.

    Raises:
        Undetermined: It is empty.
    """
    values = {f"{section}.{key}": text for _, section, key, text in environment_values(environ)}
    text = line.overrides.get(STORE_KEY, values.get(STORE_KEY))
    if text == "":
        raise Undetermined
    return text


def _in_file(data: bytes, *, tolerant: bool) -> str:
    """The store as a file names it. Whether the rest of the file is valid is left to ``kb.config.load``.

    Raises:
        Undetermined: It cannot be determined here.
        ValueError: It is not valid TOML.
    """
    if not _may_name_store(data):
        return DEFAULT_STORE
    if any(line.count(b".") > _MOST_DOTS for line in data.split(b"\n")):
        # Endless keys take tomllib minutes; kb.config.load distinguishes them from long lists.
        raise Undetermined
    import tomllib

    text = data.decode("utf-8-sig").replace("\r\n", "\n")
    try:
        section = tomllib.loads(text).get("store", {})
    except tomllib.TOMLDecodeError:
        if not tolerant:
            raise
        section = tomllib.loads(_store_line(text))
    except RecursionError as error:
        raise Undetermined from error
    path = section.get("path", DEFAULT_STORE) if isinstance(section, dict) else None
    if not isinstance(path, str) or not path:
        raise Undetermined
    return path


def _store_line(text: str) -> str:
    """The line with the path of the store; empty where there is none, or it is written in another way."""
    section = ""
    for line in text.split("\n"):
        if line.lstrip().startswith("["):
            section = line.partition("#")[0].strip()
        elif section == "[store]" and line.partition("=")[0].strip() == "path":
            return line
    return ""


def _may_name_store(data: bytes) -> bool:
    """Whether a file could have the key, however it is written; most have not, and need not be parsed for it.

    A line that begins with # holds no key, not even inside a string of many lines.
    """
    lines = [line for line in data.split(b"\n") if not line.lstrip().startswith(b"#")]
    return any(b"path" in line.replace(b"paths", b"") or b"\\" in line for line in lines)


def addresses_of(store: str, environ: Mapping[str, str]) -> list[str]:
    """The addresses at which the daemon of a store may listen, the one for a new daemon first.

    Each is the path of a socket, or where there are none, of a file that names a port. There are several, because
    a command run by cron knows less of the session than one typed.
    """
    from hashlib import sha256

    name = sha256(os.fsencode(store)).hexdigest()[:24] + (".sock" if has_unix_sockets() else ".json")
    return [os.path.join(folder, name) for folder in _runtime_folders(environ)]  # noqa: PTH118 - see store_of


def has_unix_sockets() -> bool:
    """Whether this platform has sockets in the file system."""
    return not WINDOWS


def _runtime_folders(environ: Mapping[str, str]) -> list[str]:
    """Folders of the user alone, with names short enough for a socket."""
    if not has_unix_sockets():
        local = environ.get("LOCALAPPDATA") or os.path.join(expanded("~"), "AppData", "Local")  # noqa: PTH118 - see store_of
        return [os.path.join(local, "kb", "run")]  # noqa: PTH118 - see store_of
    user = user_id()
    folders = [
        os.path.join(given, "kb")  # noqa: PTH118 - see store_of
        for given in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}")
        if given.startswith("/") and len(os.fsencode(given)) <= _SOCKET_PATH - 40 and is_private_folder(given)
    ]
    # The last is one that anybody could have made: is_safe is asked before anything in it is trusted.
    return list(dict.fromkeys([*folders, f"/tmp/kb-{user}"]))  # noqa: S108 - see the line above


def is_safe(address: str) -> bool:
    """Whether the folder of an address belongs to this user alone, so that what lies there may be trusted."""
    return is_private_folder(os.path.dirname(address))  # noqa: PTH120 - see store_of


def make_folder(address: str) -> bool:
    """Make the folder of an address for this user alone; says whether it is safe to listen there."""
    folder = os.path.dirname(address)  # noqa: PTH120 - see store_of
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - see store_of
    except OSError:
        return False
    return is_private_folder(folder)
