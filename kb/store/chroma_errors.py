"""What ChromaDB throws, told in kb's words: every error of its Python and Rust halves becomes a StoreError here."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.chroma_import import import_chromadb
from kb.errors import StoreBusy, StoreDamaged, StoreError
from kb.own_files import disk_full, forbidden, no_memory, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATABASE: Final = "chroma.sqlite3"
DETAIL_LENGTH: Final = 300


@contextlib.contextmanager
def seam(directory: str) -> Iterator[None]:
    """Every call into ChromaDB goes through here, so that only kb's own errors come out.

    Raises:
        StoreDamaged: The index does not answer as it should.
        StoreBusy: Another program holds ChromaDB's database.
        StoreError: Anything else, from a full disk to a refused argument.
    """
    errors = import_chromadb().errors
    try:
        yield
    except errors.ChromaError as error:
        raise translate(error, directory) from error
    except MemoryError as error:
        raise no_memory(f"the vector index in {directory}") from error
    except OSError as error:
        raise unusable(f"the vector index in {directory}", error, directory) from error
    except BaseException as error:
        # A panic of the Rust core is no Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise damaged(directory, str(error)) from error


def translate(error: Exception, directory: str) -> StoreError:
    """The StoreError that says what an error of ChromaDB means for the user."""
    text = str(error)
    told = f"{type(error).__name__}: {text}"
    return next((meaning(directory, text) for sign, meaning in _MEANINGS if sign.search(told)), _refused(text))


def damaged(directory: str, detail: str) -> StoreDamaged:
    """The index in this directory is broken, as this detail shows."""
    return StoreDamaged(
        f"the vector index in {directory} is damaged: {_short(detail)}",
        "Run kb rebuild: it makes the index again without embedding again.",
    )


def unwritable(directory: str) -> StoreError:
    """The directory cannot be written."""
    told = forbidden(f"the store in {directory}", directory)
    return StoreError(f"the store in {directory} cannot be written: {told.message}", told.remedy)


def _disk_full(directory: str, _text: str) -> StoreError:
    return disk_full(f"the vector index in {directory}")


def _locked(directory: str, _text: str) -> StoreError:
    return StoreBusy(f"another program holds the database in {directory}", "Stop it and try again.")


def _not_written(directory: str, _text: str) -> StoreError:
    """SQLite calls a database that was removed under it a read-only one."""
    return _gone(directory) or unwritable(directory)


def _broken(directory: str, text: str) -> StoreError:
    """What fails inside may fail only because its files are gone, and in other words each time."""
    return _gone(directory) or damaged(directory, text)


def _gone(directory: str) -> StoreDamaged | None:
    """The error of an index without its database; None where that is there."""
    return None if Path(directory, DATABASE).is_file() else damaged(directory, "its database is not there")


def _other_version(directory: str, text: str) -> StoreError:
    return StoreError(
        f"the store in {directory} was written by another version of ChromaDB: {_short(text)}",
        "Install the version of chromadb that kb names in constraints.txt, or run kb rebuild.",
    )


def _refused(text: str) -> StoreError:
    return StoreError(
        f"ChromaDB refused the request: {_short(text)}",
        "Run kb rebuild; where it comes again, please report it with what kb --debug shows",
    )


def _short(text: str) -> str:
    """An error's text on one line, cut where it grows long."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= DETAIL_LENGTH else f"{line[: DETAIL_LENGTH - 1]}…"


# ChromaDB has one class for all that goes wrong inside. Only SQLite's own words tell the cases apart; they come first.
_MEANINGS: Final[tuple[tuple[re.Pattern[str], Callable[[str, str], StoreError]], ...]] = (
    (re.compile(r"disk is full|no space left|\(code: 13\)", re.IGNORECASE), _disk_full),
    (re.compile(r"database (table )?is locked|\(code: [56]\)", re.IGNORECASE), _locked),
    (
        re.compile(r"readonly|read-only|permission denied|unable to open database|\(code: 14\)", re.IGNORECASE),
        _not_written,
    ),
    (re.compile(r"^VersionMismatchError|migration", re.IGNORECASE), _other_version),
    (re.compile(r"^(InternalError|NotFoundError|InvalidUUIDError):"), _broken),
)
