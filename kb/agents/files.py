"""Files of other programs: read as they are, and replaced as a whole."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from kb.errors import ClientError, reason_of
from kb.system.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path


def read_text(file: Path) -> str | None:
    """Return the text of a file, its line ends as they are; None where it does not exist.

    Raises:
        ClientError: It cannot be read, or is not UTF-8.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise ClientError(
            f"{file} cannot be read: {reason_of(error)}", "Check that it is a text file of yours"
        ) from error


def mode_of(file: Path) -> int:
    """Return the permissions of a file; those of a new one, which may come to hold secrets, are the user's alone."""
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:
        return 0o600


def write_text(file: Path, text: str, mode: int) -> None:
    """Replace a file, or make it with its folders: after an interruption it has its old content or the new one.

    Args:
        file: The file; a link is replaced and not followed.
        text: Its text, whose line ends stay as they are.
        mode: Its permissions.

    Raises:
        ClientError: It cannot be written.
    """
    try:
        data = text.encode("utf-8")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(str(file), data, mode=mode)
    except (OSError, UnicodeError) as error:
        raise ClientError(
            f"{file} cannot be written: {reason_of(error)}", "Check the permissions of its folder, and the space left"
        ) from error
