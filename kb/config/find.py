"""Finds the configuration file in effect."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kb import location
from kb.errors import ConfigError
from kb.location import FILE_NAME, LARGEST, NotAFile, beginning, locate

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file and how it was found.

    Attributes:
        file: The file, with links resolved.
        at: The path at which it was found, links and all.
        around: Whether it was found in the current folder or above, not named, and is not the user's own.
    """

    file: Path
    at: Path
    around: bool = False


def user_config_path() -> Path:
    """Return the user's own configuration file, in the platform's configuration directory."""
    return Path(location.user_config_file(os.environ))


def user_store_path() -> Path:
    """Return the user's own store, in the platform's data directory."""
    import platformdirs

    return Path(platformdirs.user_data_dir("kb", appauthor=False)) / "store"


def look_for(
    config_file: str | None, environ: Mapping[str, str], here: Path, *, found: bool = False
) -> ConfigFile | None:
    """Find the configuration file that ``load`` reads; None if there is none.

    Args:
        config_file: The file that was named, from the current folder.
        environ: The environment.
        here: The current folder.
        found: Whether ``config_file`` was found, not named, by the process that started this one.

    Raises:
        ConfigError: A file that was named does not exist.
    """
    try:
        place = locate(config_file, environ, str(here))
    except NotAFile as error:
        source = "--config" if config_file else "$KB_CONFIG"
        raise ConfigError(f"{source} names {error}, which is not a file", "Name a config.toml that exists") from error
    if place is None:
        return None
    return ConfigFile(Path(place.file), Path(place.at), around=place.around or (found and bool(config_file)))


def find_file(environ: Mapping[str, str], here: Path) -> Path | None:
    """Return the path of the file that ``look_for`` finds where the command line names none.

    Raises:
        ConfigError: The environment names a file that does not exist.
    """
    place = look_for(None, environ, here)
    return place.file if place else None


def belongs_to_kb(file: Path) -> bool:
    """Whether a file is a configuration of kb; other programs have a config.toml too."""
    return location.belongs_to_kb(str(file))


def read_config(file: Path) -> bytes:
    """Read a configuration file, which may not be trusted yet.

    Raises:
        ConfigError: It cannot be read, is not a regular file, or is too large.
    """
    try:
        data = beginning(str(file))
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", "Check its permissions and that it is a file"
        ) from error
    if len(data) > LARGEST:
        raise ConfigError(f"{file} is larger than {LARGEST // 1000} kB, the limit of a configuration", "Shorten it")
    return data


def why_none(cwd: str) -> str:
    """Return a message that no configuration was found, which mentions a config.toml of another program."""
    theirs = Path(cwd, FILE_NAME)
    other = theirs.is_file() and not belongs_to_kb(theirs)
    return f"no configuration was found{'; the config.toml here is of another program' if other else ''}"
