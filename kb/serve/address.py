"""Finds the store that a command line means, and where the owner of that store listens.

A command that only asks a running owner imports this and little else, so it reads the few settings it needs by itself
instead of loading the whole configuration; a test holds it to ``kb.config.load``.
"""

from __future__ import annotations

import os
import stat
import sys

from kb.serve.arguments import GLOBAL, HELP, Arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

# Raised whenever owner and asker would no longer understand each other.
PROTOCOL: Final = 1
FILES_REMEDY: Final = "raise the limit with ulimit -n, or fs.file-max where the whole system is short of them"
_FILE_NAME: Final = "config.toml"
_BEGINNINGS: Final = tuple(
    mark + name + end
    for name in (b"folders", b"chunk", b"documents", b"embed", b"store", b"search", b"note", b"watch")
    for mark, end in ((b"[", b"]"), (b"", b"."), (b"", b"={"))
)
# As in kb.config.find.
_LARGEST: Final = 100_000
_MOST_DOTS: Final = 1_000
_KEY: Final = "store.path"
_DEFAULT: Final = ".kb"
_SOCKET_PATH: Final = 100
_ANYONE_ELSE: Final = 0o077


class Line:
    """What a command line says of the configuration, wherever it says it, and the command that it seems to mean.

    Attributes:
        config: The configuration file.
        overrides: Values by their dotted keys.
        command: The first word, ``search`` where no command can be meant, or nothing where nothing is typed.
    """

    __slots__ = ("command", "config", "overrides")

    def __init__(self, config: str | None, overrides: Mapping[str, str], command: str) -> None:
        self.config = config
        self.overrides = overrides
        self.command = command


class Unclear(Exception):
    """The store cannot be told this way; whoever loads the configuration properly will."""


def split(args: Sequence[str]) -> Line:
    """The global options of a command line, read as the command group reads them.

    Raises:
        Unclear: An option is unknown, lacks its value, or asks for the help of kb itself or the version.
    """
    read = Arguments(args)
    words = read.words
    helps = not words and any(piece.tokens[0] in HELP for piece in read.pieces)
    if helps or read.lacks_value or read.strange is not None:
        raise Unclear
    config: str | None = None
    store = ""
    overrides: dict[str, str] = {}
    for piece in read.of(GLOBAL):
        match piece.name:
            case "--config" | "--found":
                config = piece.value
            case "--store":
                store = piece.value
            case "-s" | "--set":
                key, equals, text = piece.value.partition("=")
                if not equals:
                    raise Unclear
                overrides[key.strip()] = text
            case "--version":
                raise Unclear
            case _:
                pass
    if store:
        overrides[_KEY] = store
    return Line(config, overrides, "search" if read.literal else words[0] if words else "")


def store_of(line: Line, environ: Mapping[str, str], cwd: str) -> str:
    """The real path of the store, as ``kb.config.load`` would find it.

    Raises:
        Unclear: The configuration cannot be read, or only with more than this.
    """
    file, around = _config_file(line.config, environ, cwd)
    base = os.path.dirname(file) if file else cwd  # noqa: PTH120 - pathlib costs the whole command a tenth of its time
    typed = _overridden(line, environ)
    try:
        if typed is not None:
            return os.path.realpath(_joined(cwd, typed))
        store = os.path.realpath(_joined(base, _in_file(file) if file else _DEFAULT))
        outside = around and not f"{store}/".startswith(f"{base.rstrip('/')}/")
        if outside and file != os.path.realpath(_user_file(environ)) and not _is_trusted(file, environ):
            raise Unclear
    except (OSError, ValueError) as error:
        raise Unclear from error
    return store


def _config_file(named: str | None, environ: Mapping[str, str], cwd: str) -> tuple[str, bool]:
    """The real path of the configuration file, or nothing where there is none; and whether it was found around here.

    Raises:
        Unclear: One that was named is not there, or the one that is found is another user's.
    """
    named = named or environ.get("KB_CONFIG")
    if named:
        path = _joined(cwd, named)
        if not os.path.isfile(path):  # noqa: PTH113 - see store_of
            raise Unclear
        return os.path.realpath(path), False
    folder = cwd
    while True:
        path = os.path.join(folder, _FILE_NAME)  # noqa: PTH118 - see store_of
        if os.path.isfile(path) and (folder == cwd or _is_mine(path)) and _belongs_to_kb(path):  # noqa: PTH113 - see store_of
            if not _is_mine(path):
                raise Unclear
            return os.path.realpath(path), True
        above = os.path.dirname(folder)  # noqa: PTH120 - see store_of
        if above == folder:
            break
        folder = above
    path = _user_file(environ)
    return (os.path.realpath(path) if os.path.isfile(path) else "", False)  # noqa: PTH113 - see store_of


def _belongs_to_kb(path: str) -> bool:
    """Whether a file has a line that begins or fills one of kb's sections.

    Raises:
        Unclear: It cannot be read.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - see store_of
            lines = stream.read(_LARGEST + 1).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise Unclear from error
    return any(line.translate(None, b" \t\r\"'").startswith(_BEGINNINGS) for line in lines)


def _is_mine(path: str) -> bool:
    """Whether a file, and the link by which it is reached, belong to this user, where the system knows that."""
    return not hasattr(os, "getuid") or {os.stat(path).st_uid, os.lstat(path).st_uid} == {os.getuid()}  # noqa: PTH116 - see store_of


def _is_trusted(path: str, environ: Mapping[str, str]) -> bool:
    """Whether the user trusts a configuration as it is now; ``kb.config.trust`` has the memory."""
    from hashlib import sha256

    name = f"{sha256(os.fsencode(path) + bytes(1) + _content(path)).hexdigest()}.json"
    if sys.platform.startswith("linux"):
        given = environ.get("XDG_STATE_HOME", "").strip()
        state = os.path.join(given if given.startswith("/") else _expanded("~/.local/state"), "kb")  # noqa: PTH118 - see store_of
    else:
        import platformdirs

        state = platformdirs.user_state_dir("kb", appauthor=False)
    return os.path.isfile(os.path.join(state, "trusted", name))  # noqa: PTH113, PTH118 - see store_of


def _user_file(environ: Mapping[str, str]) -> str:
    """The user's own configuration file, in the platform's place for it."""
    if sys.platform.startswith("linux"):
        folder = environ.get("XDG_CONFIG_HOME", "").strip() or _expanded("~/.config")
        return os.path.join(folder, "kb", _FILE_NAME)  # noqa: PTH118 - see store_of
    import platformdirs

    return os.path.join(platformdirs.user_config_dir("kb", appauthor=False), _FILE_NAME)  # noqa: PTH118 - see store_of


def _overridden(line: Line, environ: Mapping[str, str]) -> str | None:
    """The store as flags or environment name it, flags first."""
    text: str | None = None
    for name in sorted(environ):
        if name.startswith("KB_") and name.removeprefix("KB_").lower() == "store__path":
            text = environ[name]
    text = line.overrides.get(_KEY, text)
    if text == "":
        raise Unclear
    return text


def _in_file(file: str) -> str:
    """The store as the file names it."""
    data = _content(file)
    if not _may_name_store(data):
        return _DEFAULT
    if any(line.count(b".") > _MOST_DOTS for line in data.split(b"\n")):
        # kb.config.load tells keys without end, which take tomllib minutes, from long lists.
        raise Unclear
    import tomllib

    text = data.decode("utf-8-sig")
    try:
        section = tomllib.loads(text.replace("\r\n", "\n")).get("store", {})
    except RecursionError as error:
        raise Unclear from error
    path = section.get("path", _DEFAULT) if isinstance(section, dict) else None
    if not isinstance(path, str) or not path:
        raise Unclear
    return path


def _content(file: str) -> bytes:
    """What is in a configuration file.

    Raises:
        Unclear: It has more than any has that somebody wrote.
    """
    with open(file, "rb") as stream:  # noqa: PTH123 - see store_of
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise Unclear
    return data


def _may_name_store(data: bytes) -> bool:
    """Whether a file could have the key, however it is written; most have not, and need not be parsed for it.

    A line that begins with # holds no key, not even inside a string of many lines.
    """
    lines = [line for line in data.split(b"\n") if not line.lstrip().startswith(b"#")]
    return any(b"path" in line.replace(b"paths", b"") or b"\\" in line for line in lines)


def _joined(base: str, path: str) -> str:
    """A path as ``base / Path(path).expanduser()`` gives it."""
    return os.path.join(base, _expanded(path))  # noqa: PTH118 - see store_of


def _expanded(path: str) -> str:
    """A path with its leading ``~`` or ``~name`` replaced.

    Raises:
        Unclear: There is no such user.
    """
    # pathlib drops leading "./" before it looks for the tilde.
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    expanded = os.path.expanduser(path)  # noqa: PTH111 - see store_of
    if path.startswith("~") and expanded.startswith("~"):
        raise Unclear
    return expanded


def rendezvous(store: str, environ: Mapping[str, str]) -> list[str]:
    """Where the owner of a store may listen, the place for a new owner first; no folder is made.

    Each is the path of a socket, or where there are none, of a file that names a port. There are several, because
    a command run by cron knows less of the session than one typed.
    """
    from hashlib import sha256

    name = sha256(os.fsencode(store)).hexdigest()[:24] + (".sock" if has_unix_sockets() else ".json")
    return [os.path.join(folder, name) for folder in _runtime_folders(environ)]  # noqa: PTH118 - see store_of


def has_unix_sockets() -> bool:
    """Whether this platform has sockets in the file system."""
    return sys.platform != "win32"


def _runtime_folders(environ: Mapping[str, str]) -> list[str]:
    """Folders of the user alone, with names short enough for a socket."""
    if not has_unix_sockets():
        return [os.path.join(_expanded("~"), ".cache", "kb")]  # noqa: PTH118 - see store_of
    user = os.getuid()
    folders = [
        os.path.join(given, "kb")  # noqa: PTH118 - see store_of
        for given in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}")
        if given.startswith("/") and len(os.fsencode(given)) <= _SOCKET_PATH - 40 and _is_ours(given)
    ]
    # The last is one that anybody could have made: is_safe is asked before anything in it is trusted.
    return list(dict.fromkeys([*folders, f"/tmp/kb-{user}"]))  # noqa: S108 - see the line above


def _is_ours(folder: str) -> bool:
    """Whether a folder is there, is no link, belongs to this user and is closed to everyone else."""
    try:
        about = os.lstat(folder)
    except (OSError, ValueError):
        return False
    if not has_unix_sockets():
        return stat.S_ISDIR(about.st_mode)
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & _ANYONE_ELSE


def is_safe(address: str) -> bool:
    """Whether the folder of an address belongs to this user alone, so that what lies there may be trusted."""
    return _is_ours(os.path.dirname(address))  # noqa: PTH120 - see store_of


def make_folder(address: str) -> bool:
    """Make the folder of an address for this user alone; says whether it is safe to listen there."""
    folder = os.path.dirname(address)  # noqa: PTH120 - see store_of
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - see store_of
    except OSError:
        return False
    return _is_ours(folder)
