"""Writes configuration files, trusts those that kb has written, and checks the folders they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import ConfigError, FolderError, reason_of
from kb.system.files import write_whole
from kb.system.paths import expand_home, real_path

if TYPE_CHECKING:
    from kb.cli.session import Session


def write_config(target: Path, text: str) -> None:
    """Replace a configuration file, or make it with its folder: it has its old content or the new one.

    A link to it stays a link, and whoever may read the file may read it afterwards.

    Raises:
        ConfigError: It cannot be written.
        FolderError: The text is not UTF-8.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise FolderError("the folder's name is not UTF-8, which a TOML file must be", "Rename the folder") from error
    try:
        file = Path(real_path(str(target)))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(str(file), data, mode=None)
    except OSError as error:
        raise ConfigError(
            f"{target} cannot be written: {reason_of(error)}", "Choose another place: --config FILE"
        ) from error


def trust_written(session: Session, target: Path) -> None:
    """Trust a configuration that kb has just written for the user, if it needs trust to apply."""
    from kb.config import load
    from kb.config.find import ConfigFile
    from kb.config.trust import reaches, trust, writable_by_others

    place = ConfigFile(target.resolve(), target, around=True)
    settings = load(str(place.file), environ={}, cwd=session.client.cwd or None)
    if reaches(settings, place) or writable_by_others(place):
        trust(settings, place, session.client.environ)


def checked_folder(folder: str, *, force: bool | None = None) -> str:
    """Return the real path of a folder to index. ``force`` allows any folder; None means that there is no such option.

    Raises:
        FolderError: It does not exist, or is too large to be intended.
    """
    from kb.config.trust import is_too_broad

    real = real_path(expand_home(folder))
    if not os.path.isdir(real):  # noqa: PTH112 - names as str, undecodable bytes included
        missing = "is not a folder" if os.path.lexists(real) else "does not exist"
        raise FolderError(f"{folder} {missing}", "Name a folder of notes: kb init FOLDER")
    if not force and is_too_broad(real):
        raise FolderError(
            f"{real} is too broad for a folder of notes",
            f"Name a folder inside it{'' if force is None else ', or use --force'}",
        )
    return real
