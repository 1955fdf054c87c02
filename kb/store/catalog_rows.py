"""Converts between the catalog's rows and kb's records, without access to the database."""

from __future__ import annotations

import json
import os
import zlib
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from kb.records import FileStat, KnownFile, StoredPassage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kb.records import FileChange, FileState, FoundFile, Passage

PassageState = Literal["live", "coming", "leaving"]

FILE_COLUMNS = (
    "f.id, f.folder, f.name, f.size, f.mtime_ns, f.ctime_ns, f.inode, f.device, f.content_hash, f.read_ns, f.state, "
    "f.title, f.kind, f.tags, f.date, f.reason, f.replaced, f.live, f.language, f.author, f.unread, "
    "f.crc"
)
PASSAGE_COLUMNS = (
    "p.id, p.text, p.heading, p.first_line, p.last_line, p.page, p.digest, p.ordinal, p.place, p.searched, p.crc"
)

FILE_WIDTH = FILE_COLUMNS.count(",") + 1

FILES = f"SELECT {FILE_COLUMNS} FROM files f"  # noqa: S608  (only a constant is put in)

FILES_OF_FOLDER = f"{FILES} WHERE f.folder = ?"
FILES_AT = f"{FILES} WHERE (f.folder = ? AND f.name = ?) OR (f.folder = ? AND f.name > ? AND f.name < ?)"
# The plus keeps SQLite from reading all files of that state.
FILES_OF_SIZE = f"{FILES} WHERE +f.state = 'done' AND f.size IN (SELECT value FROM json_each(?))"  # noqa: S608  (only a constant is put in)
UNSETTLED_FILES = f"{FILES} WHERE f.state IN ('pending', 'failed')"

_WITH_VECTOR = "state = 'live' AND key NOT IN (SELECT passage FROM unembedded)"
EMBEDDED = f"SELECT id, file_id, digest FROM passages WHERE {_WITH_VECTOR} ORDER BY file_id, ordinal"  # noqa: S608  (only a constant is put in)
UNSETTLED = f"SELECT id FROM passages WHERE NOT ({_WITH_VECTOR})"  # noqa: S608  (only a constant is put in)

MOUNTS = "SELECT value FROM meta WHERE key = 'mounts'"

_INT64 = 2**63
_FILE_STATES: Mapping[bytes, FileState] = {b"pending": "pending", b"done": "done", b"failed": "failed"}
_PASSAGE_STATES: Mapping[bytes, PassageState] = {b"live": "live", b"coming": "coming", b"leaving": "leaving"}


def text_bytes(text: str) -> bytes:
    """The UTF-8 of a text; keeps lone surrogates, which undecodable file names contain."""
    return text.encode("utf-8", "surrogatepass")


def text_of(data: bytes) -> str:
    """The text for bytes from ``text_bytes``."""
    return data.decode("utf-8", "surrogatepass")


def only(statement: str, column: str, ids: Sequence[object] | None) -> tuple[str, tuple[str, ...]]:
    """Return a statement that ends in conditions, and its parameters, for the rows with these ids, or for all.

    With a parameter for that, ``? IS NULL OR column IN ...``, SQLite would look at every row.
    """
    if ids is None:
        return statement, ()
    # json_each passes a list of any length as one parameter, regardless of SQLite's limit.
    some = f"{statement} AND {column} IN (SELECT value FROM json_each(?))"  # noqa: S608  (only constants are put in)
    return some, (json.dumps(list(ids)),)


def place(file: FoundFile) -> tuple[bytes, bytes]:
    """Folder and path as the file system's bytes."""
    return os.fsencode(file.folder), os.fsencode(file.path)


def stat_values(stat: FileStat) -> tuple[int | str, ...]:
    """The numbers of a stat; numbers over SQLite's 64 bits become decimal text."""
    numbers = (stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode, stat.device)
    return tuple(number if -_INT64 <= number < _INT64 else str(number) for number in numbers)


def checksum(*values: bytes | str | float | None) -> int:
    """The checksum of a row's values of any types. Callers leave out values that change without a new version."""
    encoded = [value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass") for value in values]
    return zlib.crc32(b"\x1f".join(encoded))


def file_values(change: FileChange, live: int) -> tuple[Any, ...]:
    """The row of a pending file after a change, in the order of ``FILE_COLUMNS`` without ``state``."""
    document = change.document
    folder, name = place(change.file)
    title = text_bytes(document.title if document else "")
    kind = document.kind if document else ""
    tags = json.dumps(document.tags if document else ())
    day = document.date.isoformat() if document and document.date else None
    reason = text_bytes(change.reason)
    replaced = document.replaced if document else 0
    language = document.language if document else ""
    author = text_bytes(document.author if document else "")
    unread = text_bytes("; ".join(document.unread) if document else "")
    described = (title, kind, tags, day, reason, replaced, language, author, *_if_any(unread))
    return (
        change.file_id,
        folder,
        name,
        *stat_values(change.file.stat),
        change.content_hash,
        change.read_ns,
        title,
        kind,
        tags,
        day,
        reason,
        replaced,
        live,
        language,
        author,
        unread,
        checksum(change.file_id, folder, name, change.content_hash, *described),
    )


def passage_values(passage: Passage, file_id: int, ordinal: int, state: PassageState) -> tuple[Any, ...]:
    """The row of a passage: the columns that may change, then its file and its id."""
    heading, named, text = json.dumps(passage.heading), text_bytes(passage.place), text_bytes(passage.text)
    lines = (passage.first_line, passage.last_line, passage.page)
    searched = text_bytes(passage.searched)
    return (
        ordinal,
        state,
        passage.digest,
        heading,
        *lines,
        named,
        text,
        searched,
        checksum(passage.id, file_id, ordinal, passage.digest, heading, *lines, named, text, *_if_any(searched)),
        file_id,
        passage.id,
    )


def next_states(known: Mapping[str, PassageState], wanted: frozenset[str]) -> dict[str, PassageState]:
    """The states of the known and wanted passages of a file after a change.

    Only a wanted passage that is live stays live. A leaving one becomes coming, because its vector may be gone already.
    """
    states: dict[str, PassageState] = {id_: "leaving" for id_ in known if id_ not in wanted}
    for id_ in wanted:
        states[id_] = "live" if known.get(id_) == "live" else "coming"
    return states


# Many files share few folders, kinds and sets of tags, so each value is decoded only once.
@lru_cache(maxsize=256)
def _folder(name: bytes) -> str:
    return os.fsdecode(name)


@lru_cache(maxsize=256)
def _kind(name: bytes) -> str:
    return name.decode()


@lru_cache(maxsize=2048)
def _texts(array: bytes) -> tuple[str, ...]:
    return tuple(json.loads(array))


def passage_state(value: bytes) -> PassageState:
    """The state of a passage in its row."""
    return _PASSAGE_STATES[value]


def mounts(row: tuple[Any, ...]) -> list[tuple[str, str]]:
    """The mount points in a row of ``MOUNTS``, as (folder, path)."""
    return [(str(folder), str(path)) for folder, path in json.loads(text_of(row[0]))]


def known_file(row: tuple[Any, ...]) -> KnownFile:
    """The record for a row of ``FILE_COLUMNS``."""
    (id_, folder, name, size, mtime, ctime, inode, device, content_hash, read_ns, state,
     title, kind, tags, day, reason, replaced, live, language, author, unread, _) = row  # fmt: skip
    return KnownFile(
        id_,
        _folder(folder),
        os.fsdecode(name),
        FileStat(int(size), int(mtime), int(ctime), int(inode), int(device)),
        content_hash,
        read_ns,
        _FILE_STATES[state],
        title.decode("utf-8", "surrogatepass"),
        _kind(kind),
        _texts(tags),
        date.fromisoformat(day.decode()) if day else None,
        text_of(reason) if reason else "",
        replaced,
        live,
        _kind(language),
        text_of(author) if author else "",
        text_of(unread) if unread else "",
    )


# One answer reads several passages of a file, and the next one the same files again.
@lru_cache(maxsize=4096)
def examined_file(row: tuple[Any, ...]) -> tuple[KnownFile, bool]:
    """The record for a row of ``FILE_COLUMNS``, and whether the row has the right checksum."""
    return known_file(row), file_is_sound(row)


def moved_values(row: tuple[Any, ...], folder: bytes) -> tuple[bytes, int, int]:
    """The folder, checksum and id of a row of ``FILE_COLUMNS`` after its folder has moved."""
    (id_, _, name, _, _, _, _, _, content_hash, _, _,
     title, kind, tags, day, reason, replaced, _, language, author, unread, _) = row  # fmt: skip
    described = (title, kind, tags, day, reason, replaced, language, author, *_if_any(unread))
    return folder, checksum(id_, folder, name, content_hash, *described), id_


def file_is_sound(row: tuple[Any, ...]) -> bool:
    """Whether a row of ``FILE_COLUMNS`` has the right checksum."""
    (id_, folder, name, _, _, _, _, _, content_hash, _, state,
     title, kind, tags, day, reason, replaced, _, language, author, unread, crc) = row  # fmt: skip
    described = (title, kind, tags, day, reason, replaced, language, author, *_if_any(unread))
    settled = state == b"pending" or (state == b"failed") == bool(reason)
    return settled and crc in {None, checksum(id_, folder, name, content_hash, *described)}


def passage_is_sound(row: tuple[Any, ...], file_id: int) -> bool:
    """Whether a row of ``PASSAGE_COLUMNS`` has the right checksum."""
    id_, text, heading, first_line, last_line, page, digest, ordinal, named, searched, crc = row
    described = (digest, heading, first_line, last_line, page, named, text)
    return crc in {None, checksum(id_, file_id, ordinal, *described, *_if_any(searched))}


def _if_any(value: bytes) -> tuple[bytes, ...]:
    """A part of a checksum that is left out if it is empty, as it is in rows of earlier versions of kb."""
    return (value,) if value else ()


def stored_passage(row: tuple[Any, ...], file: KnownFile, *, sound: bool) -> StoredPassage:
    """The record for a row of ``PASSAGE_COLUMNS`` and its file."""
    id_, text, heading, first_line, last_line, page, digest, ordinal, named, _, _ = row
    return StoredPassage(
        id_.decode(),
        file,
        text_of(text),
        _texts(heading),
        first_line,
        last_line,
        page,
        digest,
        ordinal,
        text_of(named) if named else "",
        sound=sound,
    )


def require_unique(changes: Sequence[FileChange]) -> None:
    """Check that no file, and no passage of a file, occurs twice.

    Raises:
        ValueError: One does.
    """
    if len({change.file_id for change in changes}) < len(changes):
        raise ValueError("a file occurs twice in one call of begin")
    for change in changes:
        if len({passage.id for passage in change.passages}) < len(change.passages):
            raise ValueError(f"a passage of {change.file.path!r} occurs twice")
