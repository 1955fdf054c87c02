"""Finds the configuration file that is in effect, and says how it was found."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.config.schema import sections
from kb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_PREFIX: Final = "KB_"
FILE_NAME: Final = "config.toml"
# Ten times what a configuration has that names every key and a hundred folders.
LARGEST: Final = 100_000
_OF_A_SECTION: Final = (("[", "]"), ("", "."), ("", "={"))


@dataclass(frozen=True, slots=True)
class Place:
    """A configuration file and how it was found.

    Attributes:
        file: The file, with links resolved.
        at: The path at which it was found, links and all.
        around: Whether it was found by looking around: not named by anybody, and not the user's own.
    """

    file: Path
    at: Path
    around: bool = False


def user_config_path() -> Path:
    """The user's own configuration file, in the platform's place for it."""
    import platformdirs

    return Path(platformdirs.user_config_dir("kb", appauthor=False)) / FILE_NAME


def user_store_path() -> Path:
    """Where the user's own store is kept, in the platform's place for data."""
    import platformdirs

    return Path(platformdirs.user_data_dir("kb", appauthor=False)) / "store"


def look_for(config_file: str | None, environ: Mapping[str, str], here: Path, *, found: bool = False) -> Place | None:
    """The configuration file that ``load`` reads, or None where there is none.

    Args:
        config_file: The file that was named, from the current folder.
        environ: The environment.
        here: The current folder.
        found: ``config_file`` was found by looking around, by the process that started this one.

    Raises:
        ConfigError: One that was named is not there.
    """
    named = config_file or environ.get(f"{ENV_PREFIX}CONFIG")
    if named:
        path = here / Path(named).expanduser()
        if not path.is_file():
            source = "--config" if config_file else "$KB_CONFIG"
            raise ConfigError(f"{source} names {named}, which is not a file", "Name a config.toml that exists")
        return Place(path.resolve(), path, around=found and bool(config_file))
    own = user_config_path()
    for folder in (here, *here.parents):
        file = folder / FILE_NAME
        # Above the current folder, as in /tmp, anybody may have put one.
        if os.path.isfile(file) and (folder == here or is_mine(file)) and belongs_to_kb(file):  # noqa: PTH113 - False where not allowed to look
            return Place(file.resolve(), file, around=not _same(file, own))
    return Place(own.resolve(), own) if own.is_file() else None


def find_file(config_file: str | None, environ: Mapping[str, str], here: Path) -> Path | None:
    """The path of the file that ``look_for`` finds.

    Raises:
        ConfigError: One that was named is not there.
    """
    place = look_for(config_file, environ, here)
    return place.file if place else None


def _same(file: Path, own: Path) -> bool:
    """Whether a file was found in the user's own place."""
    return os.path.realpath(file.parent) == os.path.realpath(own.parent)


def belongs_to_kb(file: Path) -> bool:
    """Whether a file has a line that begins or fills one of kb's sections; other programs have a config.toml too.

    One that cannot be read counts, so that this is told to whoever reads it. Of a long one the beginning is looked at.
    """
    try:
        lines = _beginning(file).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError:
        return True
    begins = tuple(f"{mark}{name}{end}".encode() for name in sections() for mark, end in _OF_A_SECTION)
    return any(line.translate(None, b" \t\r\"'").startswith(begins) for line in lines)


def read_config(file: Path) -> bytes:
    """What is in a configuration file, which may have come along with any folder.

    Raises:
        ConfigError: It cannot be read, is no regular file, or is larger than any that somebody wrote.
    """
    try:
        data = _beginning(file)
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", "Check its permissions and that it is a file"
        ) from error
    if len(data) > LARGEST:
        raise ConfigError(f"{file} has more than {LARGEST // 1000} kB, and is no configuration", "Shorten it")
    return data


def _beginning(file: Path) -> bytes:
    """As much of a file as a configuration may have, and one byte more. What is no file is not waited for.

    Raises:
        OSError: It cannot be read.
    """
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return stream.read(LARGEST + 1)


def why_none(cwd: str) -> str:
    """That no configuration was found from a folder, though a file in it may look like one."""
    theirs = Path(cwd, FILE_NAME)
    other = theirs.is_file() and not belongs_to_kb(theirs)
    return f"no configuration was found{'; the config.toml here is of another program' if other else ''}"


def is_mine(file: Path) -> bool:
    """Whether a file, and the link by which it is reached, belong to this user, where the system knows that."""
    if not hasattr(os, "getuid"):
        return True
    return {file.stat().st_uid, file.lstat().st_uid} == {os.getuid()}
