"""The locations of the last search's hits, saved for ``kb open``: paths and places, no text, private to the user.

Each terminal has a file of its own. It is written by the process that ran the search, which may be the daemon, and
read by the command that the user typed.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from kb.cli.output.formats import where
from kb.system.files import write_whole

if TYPE_CHECKING:
    from kb.records import Answer

_KEPT: Final = 50
_NAME: Final = re.compile(r"[0-9A-Za-z]{1,40}")


class Location(msgspec.Struct, frozen=True):
    """The location of a hit: its file, its place as shown, what a viewer can open, and the server that has it."""

    path: str
    where: str
    kind: str
    line: int = 1
    page: int = 0
    server: str = ""


def folder() -> Path:
    """The folder of these files."""
    import platformdirs

    return Path(platformdirs.user_state_dir("kb", appauthor=False)) / "answers"


def save_results(terminal: str, answer: Answer, server: str = "") -> None:
    """Save the locations of the hits of an answer, which another machine may have given.

    An answer is given even if this fails, so errors are ignored.
    """
    locations = [
        Location(
            hit.passage.file.absolute_path,
            where(hit.passage),
            hit.passage.file.kind,
            hit.passage.first_line,
            hit.passage.page or 0,
            server,
        )
        for hit in answer.hits
    ]
    with suppress(OSError):
        place = folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = msgspec.json.encode([_exact(location) for location in locations])
        # Several searches of one terminal may end at once, in the threads of a daemon: each has a draft of its own.
        write_whole(str(place / _name(terminal)), data, durable=False)
        for old in _newest_first(place)[_KEPT:]:
            old.unlink(missing_ok=True)


def load_results(terminal: str) -> list[Location] | None:
    """Load the locations of this terminal's last search, else of the user's last one; None if there is none."""
    place = folder()
    for file in (place / _name(terminal), *_newest_first(place)[:1]):
        with suppress(OSError, msgspec.DecodeError):
            return [
                msgspec.structs.replace(location, path=os.fsdecode(bytes.fromhex(location.path)))
                for location in msgspec.json.decode(file.read_bytes(), type=list[Location])
            ]
    return None


def _exact(location: Location) -> Location:
    """A location whose path is in hexadecimal, since names need not be text."""
    return msgspec.structs.replace(location, path=os.fsencode(location.path).hex())


def _name(terminal: str) -> str:
    return f"{terminal if _NAME.fullmatch(terminal) else 'none'}.json"


def _newest_first(place: Path) -> list[Path]:
    with suppress(OSError):
        files = [(file.stat().st_mtime_ns, file) for file in place.glob("*.json")]
        return [file for _, file in sorted(files, reverse=True)]
    return []
