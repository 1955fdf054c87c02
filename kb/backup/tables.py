"""Passages with their places, metadata and vectors, for other programs: JSON Lines, or Parquet through PyArrow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, TypedDict

import msgspec

from kb.errors import BackupError
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.ports import Stream
    from kb.records import StoredPassage

TableFormat: TypeAlias = Literal["jsonl", "parquet"]
TABLE_FORMATS: Final[tuple[TableFormat, ...]] = ("jsonl", "parquet")


class PassageRow(TypedDict):
    """A passage as a row: what ``kb search --json`` says of a hit, and the metadata of its file.

    The columns of a table have its names, in this order.
    """

    id: str
    path: str
    folder: str
    file: str
    title: str
    author: str
    kind: str
    tags: list[str]
    date: str | None
    language: str
    file_sha256: str
    heading: list[str]
    place: str
    page: int | None
    first_line: int
    last_line: int
    text: str
    text_sha256: str
    vector: NDArray[np.float32] | None


class Table(Protocol):
    """A table that is being written."""

    def write(self, records: Sequence[PassageRow]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write the end. The file stays open."""


def record_of(passage: StoredPassage, vector: NDArray[np.float32] | None) -> PassageRow:
    """A passage as a row."""
    file = passage.file
    return {
        "id": passage.id,
        "path": _text(file.absolute_path),
        "folder": _text(file.folder),
        "file": _text(file.path),
        "title": _text(file.title),
        "author": _text(file.author),
        "kind": file.kind,
        "tags": [_text(tag) for tag in file.tags],
        "date": file.date.isoformat() if file.date else None,
        "language": file.language,
        "file_sha256": file.content_hash.hex(),
        "heading": [_text(heading) for heading in passage.heading],
        "place": _text(passage.place),
        "page": passage.page,
        "first_line": passage.first_line,
        "last_line": passage.last_line,
        "text": _text(passage.text),
        "text_sha256": passage.digest.hex(),
        "vector": vector,
    }


def open_table(file: Stream, kind: TableFormat, about: Mapping[str, str]) -> Table:
    """A table in a file.

    Args:
        file: The file, empty.
        kind: Its format.
        about: What holds for all rows: in JSON Lines a part of each, in Parquet the metadata of the file.

    Raises:
        BackupError: PyArrow is missing, for Parquet.
    """
    return _JsonLines(file, about) if kind == "jsonl" else _Parquet(file, about)


class _JsonLines:
    """One JSON object a line. Implements ``Table``."""

    def __init__(self, file: Stream, about: Mapping[str, str]) -> None:
        self._file = file
        self._about = about
        self._encoder = msgspec.json.Encoder()

    def write(self, records: Sequence[PassageRow]) -> None:
        for record in records:
            vector = record["vector"]
            numbers = None if vector is None else vector.tolist()
            self._file.write(self._encoder.encode({**record, **self._about, "vector": numbers}) + b"\n")

    def close(self) -> None:
        """Do nothing: there is no end to write."""


class _Parquet:
    """A Parquet file, compressed with Zstandard. Implements ``Table``."""

    def __init__(self, file: Stream, about: Mapping[str, str]) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise BackupError(
                "Parquet needs PyArrow, which is not installed",
                f"Run {shell.quote(sys.executable)} -m pip install 'localkb[parquet]', or use --format jsonl",
            ) from error
        text, number = pa.string(), pa.int32()
        kinds = {
            "tags": pa.list_(text),
            "heading": pa.list_(text),
            "page": number,
            "first_line": number,
            "last_line": number,
            "vector": pa.list_(pa.float32()),
        }
        columns = [(name, kinds.get(name, text)) for name in PassageRow.__annotations__]
        self._schema = pa.schema(columns, metadata=dict(about))
        self._table = pa.Table
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, records: Sequence[PassageRow]) -> None:
        self._writer.write_table(self._table.from_pylist(list(records), schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _text(text: str) -> str:
    """Text without lone surrogates, which no UTF-8 has: bytes of a name that are not text become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
