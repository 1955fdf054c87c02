"""Dated Markdown files from notes typed on the command line."""

from __future__ import annotations

import os
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import FolderError, RequestError
from kb.system import WINDOWS
from kb.system.names import why_not_portable
from kb.system.paths import with_slashes

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME_LENGTH: Final = 60
_MANY: Final = 1000


def keep_note(root: str, below: str, text: str, *, title: str, tags: Sequence[str]) -> str:
    """Write a note to a new file named by its day and title, and return its path.

    Args:
        root: The watched folder.
        below: The subfolder, with ``strftime`` codes for the day.
        text: The text.
        title: The title; empty for the first line that is not blank.
        tags: The tags.

    Raises:
        RequestError: There is nothing to write.
        FolderError: The folder cannot be written to.
    """
    if not text.strip():
        raise RequestError("the note is empty", "Give its text as an argument, on standard input or in the editor")
    for written in (text, title, *tags):
        _require_encodable(written)
    when = datetime.now(UTC).astimezone()
    folder = _folder_of_day(root, below, when)
    title = " ".join(title.split())
    name = note_name(title or note_title(text), when)
    return write_note(str(Path(root, folder)), name, note_text(text, title, tags, when))


def require_place(root: str, below: str) -> None:
    """Check that there is a place for a note of today, as before an editor opens.

    Args:
        root: The watched folder.
        below: The subfolder, with ``strftime`` codes for the day; it is made when the note is written.

    Raises:
        FolderError: The folder is gone, or the subfolder is not one below it.
    """
    if not Path(root).is_dir():
        raise FolderError(f"notes go into {root}, which is not there", "Mount or make it; nothing was written")
    _folder_of_day(root, below, datetime.now(UTC).astimezone())


def _folder_of_day(root: str, below: str, when: datetime) -> str:
    """Return the subfolder for the notes of a day.

    Raises:
        FolderError: Notes cannot be written there.
    """
    folder = when.strftime(below)
    _require_below(root, folder)
    _require_possible(folder)
    return folder


def _require_encodable(text: str) -> None:
    """Check that a file can hold a text. Bytes of a terminal in another encoding are written as they came.

    Raises:
        RequestError: It has half of a surrogate pair.
    """
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        broken = f"U+{ord(text[error.start]):04X}"
        raise RequestError(
            f"the note has {broken}, half of a character", "Leave it out, or give both halves as one character"
        ) from error


def _require_below(root: str, below: str) -> None:
    """Check that a note is written below the watched folder: links that lead out are not followed when indexing.

    Raises:
        FolderError: It is not.
    """
    place = Path(root, below)
    if not place.resolve().is_relative_to(Path(root).resolve()):
        raise FolderError(
            f"note.folder leads out of {root}, to {place.resolve()}; nothing was written",
            "Set note.folder to a folder below it, or name the other one in folders.paths",
        )


def _require_possible(below: str) -> None:
    """Check that there can be folders of these names.

    Raises:
        FolderError: Windows has no such folder.
    """
    for name in with_slashes(below).split("/") if WINDOWS else ():
        if reason := why_not_portable(name):
            raise FolderError(f"there can be no folder {name}: {reason}", "Set note.folder to another one")


def note_title(text: str) -> str:
    """Return the title of a note: its first line with text, without heading signs."""
    lines = (line.strip().lstrip("#").strip() for line in text.splitlines())
    return next((line for line in lines if line), "")


def note_name(title: str, when: datetime) -> str:
    """Return the file name of a note without its suffix: the day, then the title in portable characters."""
    plain = unicodedata.normalize("NFC", title).casefold()
    words = re.sub(r"[^\w]+", "-", plain).strip("-_")[:_NAME_LENGTH].strip("-_")
    return f"{when:%Y-%m-%d}-{words or f'{when:%H%M%S}'}"


def note_text(text: str, title: str, tags: Sequence[str], when: datetime) -> str:
    """Return the whole file: front matter with date and tags, a heading, the text."""
    head = ["---", f"date: {when:%Y-%m-%dT%H:%M:%S%z}"]
    if tags:
        quoted = ", ".join('"' + tag.removeprefix("#").replace("\\", "\\\\").replace('"', '\\"') + '"' for tag in tags)
        head.append(f"tags: [{quoted}]")
    head.append("---")
    body = text.strip("\n")
    if title and not body.lstrip().startswith("#") and note_title(body) != title:
        body = f"# {title}\n\n{body}"
    return "\n".join([*head, "", body, ""])


def write_note(folder: str, name: str, text: str) -> str:
    """Write a new file without overwriting any, create its folder if necessary, and return the path.

    Raises:
        FolderError: The folder cannot be written to.
    """
    for number in range(1, _MANY):
        path = Path(folder) / (f"{name}.md" if number == 1 else f"{name}-{number}.md")
        made = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", errors="surrogateescape") as file:
                made = True
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            continue
        except OSError as error:
            if made:
                # Remove an incomplete note, as on a full disk.
                path.unlink(missing_ok=True)
            raise FolderError(
                f"no note can be written in {folder}: {error.strerror}", "Check the folder, and the room on its disk"
            ) from error
        return str(path)
    raise FolderError(f"there are {_MANY} notes called {name} already", "Give this one a title of its own")
