"""A local ChromaDB store: its errors, and how its collection is opened and created safely."""

from __future__ import annotations

import contextlib
import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb.chroma_import import import_chromadb, safe_settings
from kb.errors import StoreBusy, StoreDamaged, StoreError
from kb.own_files import disk_full, forbidden, no_memory, store_error_for
from kb.store.chroma import ChromaIndex, Limits, Pace, least_visited, short
from kb.store.collection import FORMAT_KEY, HNSW, Place, check_model, check_origin, make_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATABASE: Final = "chroma.sqlite3"

# Translation of errors from ChromaDB's Python and Rust code into StoreError.


@contextlib.contextmanager
def translated_errors(directory: str) -> Iterator[None]:
    """Translate the errors of ChromaDB; wraps every call into it.

    Raises:
        StoreDamaged: The index is damaged.
        StoreBusy: Another program holds ChromaDB's database.
        StoreError: Anything else, such as a full disk or a rejected argument.
    """
    errors = import_chromadb().errors
    try:
        yield
    except errors.ChromaError as error:
        raise translate(error, directory) from error
    except MemoryError as error:
        raise no_memory(f"the vector index in {directory}") from error
    except OSError as error:
        raise store_error_for(f"the vector index in {directory}", error, directory) from error
    except BaseException as error:
        # A panic of the Rust core is a BaseException whose class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise damaged(directory, str(error)) from error


def translate(error: Exception, directory: str) -> StoreError:
    """The StoreError for an error of ChromaDB."""
    text = str(error)
    named = f"{type(error).__name__}: {text}"
    return next(
        (make_error(directory, text) for pattern, make_error in _ERRORS if pattern.search(named)), _refused(text)
    )


def damaged(directory: str, detail: str) -> StoreDamaged:
    """The error for a damaged index."""
    return StoreDamaged(
        f"the vector index in {directory} is damaged: {short(detail)}",
        "Run kb rebuild, which makes the index again without embedding again",
    )


def unwritable(directory: str) -> StoreError:
    """The error for a directory that cannot be written."""
    error = forbidden(f"the store in {directory}", directory)
    return StoreError(f"the store in {directory} cannot be written: {error.message}", error.remedy)


def _disk_full(directory: str, _text: str) -> StoreError:
    return disk_full(f"the vector index in {directory}")


def _locked(directory: str, _text: str) -> StoreError:
    return StoreBusy(f"another program holds the database in {directory}", "Stop it and try again")


def _not_written(directory: str, _text: str) -> StoreError:
    """SQLite reports a deleted database as read-only."""
    return _gone(directory) or unwritable(directory)


def _broken(directory: str, text: str) -> StoreError:
    """An internal error, which missing files can cause in many forms."""
    return _gone(directory) or damaged(directory, text)


def _gone(directory: str) -> StoreDamaged | None:
    """The error for a missing database; None if it exists."""
    return None if Path(directory, DATABASE).is_file() else damaged(directory, "its database is missing")


def _other_version(directory: str, text: str) -> StoreError:
    return StoreError(
        f"the store in {directory} was written by another version of ChromaDB: {short(text)}",
        "Install the version of chromadb that constraints.txt names, or run kb rebuild",
    )


def _refused(text: str) -> StoreError:
    return StoreError(
        f"ChromaDB refused the request: {short(text)}",
        "Run kb rebuild; if the error returns, please report it with the output of kb --debug",
    )


# ChromaDB has one class for internal errors. SQLite's messages distinguish them, so they come first.
_ERRORS: Final[tuple[tuple[re.Pattern[str], Callable[[str, str], StoreError]], ...]] = (
    (re.compile(r"disk is full|no space left|\(code: 13\)", re.IGNORECASE), _disk_full),
    (re.compile(r"database (table )?is locked|\(code: [56]\)", re.IGNORECASE), _locked),
    (
        re.compile(r"readonly|read-only|permission denied|unable to open database|\(code: 14\)", re.IGNORECASE),
        _not_written,
    ),
    (re.compile(r"^VersionMismatchError|migration", re.IGNORECASE), _other_version),
    # ChromaDB reports a damaged log of writes as an invalid argument.
    (re.compile(r"^(InternalError|NotFoundError|InvalidUUIDError):|from the log store"), _broken),
)


def connect(directory: str, *, create: bool) -> Any:  # noqa: ANN401 - naming chromadb's types would import it
    """A client for the store in a directory. Unlike ChromaDB, creates a store only with ``create``.

    Raises:
        StoreDamaged: There is no store and ``create`` is False, or it cannot be opened.
        StoreError: The directory cannot be created.
    """
    if create:
        try:
            Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(directory) from error
    elif not Path(directory, DATABASE).is_file():
        raise damaged(directory, "its database is missing")
    else:
        _check_access(directory)
    try:
        return import_chromadb().PersistentClient(path=directory, settings=safe_settings())
    except AttributeError as error:
        # ChromaDB fails to close a client that it could not open.
        raise damaged(directory, str(error)) from error
    except ValueError as error:
        # ChromaDB reports every error while opening a database as a ValueError about tenants.
        if "already exists" in str(error):
            raise StoreBusy(f"the store in {directory} is already open in this process") from error
        raise damaged(directory, str(error)) from error


def _check_access(directory: str) -> None:
    """Check that the database is readable and writable, which ChromaDB reports in many ways.

    Raises:
        StoreError: It is not.
    """
    try:
        with Path(directory, DATABASE).open("r+b"):
            return
    except OSError as error:
        raise store_error_for(f"the vector index in {directory}", error, directory) from error


def find(client: Any, name: str, directory: str) -> Any | None:  # noqa: ANN401 - see connect
    """The collection with a name; None in an empty store.

    Raises:
        StoreError: kb created the store with another collection name.
        ForeignStore: kb created none of the collections.
    """
    collections = client.list_collections()
    for collection in collections:
        if collection.name == name:
            # No embedding function, so ChromaDB does not check its name; kb does.
            return client.get_collection(name, embedding_function=None)
    for collection in collections:
        if FORMAT_KEY in (collection.metadata or {}):
            raise StoreError(
                f"the store in {directory} has the collection {collection.name!r}, not {name!r}",
                "Set store.collection back, or run kb rebuild",
            )
    if collections:
        raise _place(directory).foreign("kb made none of its collections")
    return None


def open_index(
    directory: str,
    collection: str,
    fingerprint: str,
    dimension: int,
    embedding_function: object | None,
    *,
    create: bool,
    sync_threshold: int = int(HNSW["sync_threshold"]),
    pace: Pace | None = None,
) -> ChromaIndex:
    """Open the collection in a directory, or create it if ``create`` is True.

    Args:
        directory: The directory of ChromaDB's files. The caller holds the store's lock.
        collection: The name of the collection.
        fingerprint: The fingerprint of the model.
        dimension: The length of its vectors.
        embedding_function: Registered with a new collection for other clients; kb does not call it.
        create: Create a missing store.
        sync_threshold: The number of writes after which a new collection persists its graph.
        pace: How fast to write.

    Raises:
        ForeignStore: kb did not create the store.
        ModelMismatch: It was made with another model.
        StoreDamaged: It is missing and ``create`` is False, or it cannot be opened.
    """
    real = os.path.realpath(directory)
    with translated_errors(real):
        client = connect(real, create=create)
        try:
            found = find(client, collection, real)
            if found is None and create:
                found = make_collection(
                    client,
                    collection,
                    fingerprint=fingerprint,
                    dimension=dimension,
                    function=embedding_function,
                    sync_threshold=sync_threshold,
                )
            index = _checked(client, found, real, pace or Pace())
            check_model(found, fingerprint, dimension)
        except BaseException:
            client.close()
            raise
    return index


def inspect_index(directory: str, collection: str) -> ChromaIndex:
    """Open a collection of any model to check it.

    Raises:
        ForeignStore: kb did not create the store.
        StoreDamaged: It is missing or cannot be opened.
    """
    real = os.path.realpath(directory)
    with translated_errors(real):
        client = connect(real, create=False)
        try:
            return _checked(client, find(client, collection, real), real, Pace())
        except BaseException:
            client.close()
            raise


def _checked(client: Any, collection: Any | None, directory: str, pace: Pace) -> ChromaIndex:  # noqa: ANN401 - see connect
    if collection is None:
        raise damaged(directory, "the collection is missing")
    check_origin(collection, _place(directory))
    return ChromaIndex(
        client,
        collection,
        f"the vector index in {directory}",
        partial(translated_errors, directory),
        pace=pace,
        limits=Limits(visited=least_visited),
    )


def _place(directory: str) -> Place:
    return Place(f"the store in {directory}", "Set store.path to a folder of its own")
