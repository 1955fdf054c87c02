"""Finds the configuration file and the paths in it.

``kb.config`` and the client of the daemon share this module, so that a command finds the same store with a daemon and
without one. It works on plain strings and imports very little, since imports are most of the client's time.
"""

from __future__ import annotations

import os
import stat
import sys

from kb.system.paths import expand_home, real_path
from kb.system.users import is_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

FILE_NAME: Final = "config.toml"
ENV_PREFIX: Final = "KB_"
# The sections of the file, in order; kb.config.schema has their keys.
SECTIONS: Final = ("folders", "chunk", "documents", "embed", "store", "search", "answer", "note", "watch", "serve")
STORE_KEY: Final = "store.path"
DEFAULT_STORE: Final = ".kb"
# In bytes; ten times the size of a configuration with every key and a hundred folders.
LARGEST: Final = 100_000
_BEGINNINGS: Final = tuple(
    f"{mark}{name}{end}".encode() for name in SECTIONS for mark, end in (("[", "]"), ("", "."), ("", "={"))
)


class NotAFile(Exception):
    """The configuration file that was named does not exist."""


class ConfigPath:
    """A configuration file.

    Attributes:
        file: Its real path.
        at: The path at which it was found, links and all.
        named: Whether it was named, by an option or the environment.
        around: Whether it was found in the current folder or above, not named, and is not the user's own.
    """

    __slots__ = ("around", "at", "file", "named")

    def __init__(self, at: str, *, named: bool = False, around: bool = False) -> None:
        self.file = os.path.realpath(at)
        self.at = at
        self.named = named
        self.around = around


def locate(config_file: str | None, environ: Mapping[str, str], cwd: str) -> ConfigPath | None:
    """Find the configuration file in effect; None if there is none.

    It is ``config_file``, else ``$KB_CONFIG``, else the nearest ``config.toml`` of kb in the current folder or above,
    else the user's own.

    Args:
        config_file: The file that was named, from the current folder.
        environ: The environment of the command.
        cwd: The current folder.

    Raises:
        NotAFile: A file that was named does not exist.
        UnknownHome: Its path begins with the home folder of an unknown user.
    """
    named = config_file or environ.get(f"{ENV_PREFIX}CONFIG")
    if named:
        path = joined(cwd, named)
        if not os.path.isfile(path):  # noqa: PTH113 - pathlib costs the client a tenth of its time
            raise NotAFile(named)
        return ConfigPath(path, named=True)
    own = user_config_file(os.environ)
    folder = cwd
    while True:
        path = os.path.join(folder, FILE_NAME)  # noqa: PTH118 - see above
        # Above the current folder, for example in /tmp, anyone may have created one.
        if os.path.isfile(path) and (folder == cwd or is_mine(path)) and belongs_to_kb(path):  # noqa: PTH113 - see above
            return ConfigPath(path, around=os.path.realpath(folder) != os.path.realpath(os.path.dirname(own)))  # noqa: PTH120 - see above
        above = os.path.dirname(folder)  # noqa: PTH120 - see above
        if above == folder:
            return ConfigPath(own) if os.path.isfile(own) else None  # noqa: PTH113 - see above
        folder = above


def belongs_to_kb(path: str) -> bool:
    """Whether a file has a section or a key of kb; other programs have a config.toml as well.

    A file that cannot be read counts, so that reading it reports the error. Of a long file, only the beginning is read.
    """
    try:
        lines = beginning(path).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError:
        return True
    return any(line.translate(None, b" \t\r\"'").startswith(_BEGINNINGS) for line in lines)


def beginning(path: str) -> bytes:
    """Read the beginning of a file: the largest size of a configuration and one byte more. FIFOs do not block.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(22, "it is not a regular file")
        return stream.read(LARGEST + 1)


def is_mine(path: str) -> bool:
    """Whether a file, and the link to it, belong to this user; True on systems without owners."""
    return is_own(os.stat(path)) and is_own(os.lstat(path))  # noqa: PTH116 - see locate


def user_config_file(environ: Mapping[str, str]) -> str:
    """Return the user's own configuration file, in the platform's configuration directory."""
    if sys.platform.startswith("linux"):
        folder = environ.get("XDG_CONFIG_HOME", "").strip() or expanded("~/.config")
        return os.path.join(folder, "kb", FILE_NAME)  # noqa: PTH118 - see locate
    import platformdirs

    return os.path.join(platformdirs.user_config_dir("kb", appauthor=False), FILE_NAME)  # noqa: PTH118 - see locate


def trust_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of the records of trusted configurations, in the platform's state directory."""
    if sys.platform.startswith("linux"):
        given = environ.get("XDG_STATE_HOME", "").strip()
        state = os.path.join(given if given.startswith("/") else expanded("~/.local/state"), "kb")  # noqa: PTH118 - see locate
    else:
        import platformdirs

        state = platformdirs.user_state_dir("kb", appauthor=False)
    return os.path.join(state, "trusted")  # noqa: PTH118 - see locate


def trust_record(file: str, data: bytes) -> str:
    """Return the name of the record of trust for a file of this real path and content."""
    from hashlib import sha256

    return f"{sha256(os.fsencode(file) + bytes(1) + data).hexdigest()}.json"


def environment_values(environ: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return the values in the environment, ``KB_SECTION__KEY``, as (variable, section, key, text); the last one wins.

    Variables without two underscores are not values.
    """
    found = []
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX) and "__" in name:
            section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
            found.append((name, section, key, environ[name]))
    return found


def resolved(base: str, path: str) -> str:
    """Resolve a path of the configuration: expand ``~``, join it to a folder, resolve links.

    Raises:
        UnknownHome: It begins with the home folder of an unknown user.
    """
    return real_path(joined(base, path))


def joined(base: str, path: str) -> str:
    """Expand ``~`` in a path and join it to a folder.

    Raises:
        UnknownHome: It begins with the home folder of an unknown user.
    """
    return os.path.join(base, expanded(path))  # noqa: PTH118 - see locate


def expanded(path: str) -> str:
    """Expand a leading ``~`` or ``~name``, as ``Path(path).expanduser()`` does.

    Raises:
        UnknownHome: There is no such user.
    """
    # pathlib drops leading "./" before it looks for the tilde.
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    found = expand_home(path)
    if path.startswith("~") and found.startswith("~"):
        # The client, which pays for each import, seldom needs it.
        from kb.errors import UnknownHome

        name = path.split("/", 1)[0].removeprefix("~")
        missing = f"there is no user {name}" if name else "this user has no home folder"
        raise UnknownHome(f"{path}: {missing}", "Write the path in full, without ~")
    return found
