"""The vector index in ChromaDB. kb passes vectors only; ChromaDB never embeds text.

``translated_errors`` maps ChromaDB's exceptions to kb's, ``connect``, ``find`` and ``make`` open collections safely,
and ``ChromaIndex`` reads and writes one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from kb.chroma_import import import_chromadb, safe_settings
from kb.errors import ForeignStore, ModelMismatch, StoreBusy, StoreDamaged, StoreError
from kb.own_files import disk_full, forbidden, no_memory, store_error_for
from kb.records import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.records import VectorRecord

# Translation of errors from ChromaDB's Python and Rust code into StoreError.

DATABASE: Final = "chroma.sqlite3"
DETAIL_LENGTH: Final = 300


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
        f"the vector index in {directory} is damaged: {_short(detail)}",
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
        f"the store in {directory} was written by another version of ChromaDB: {_short(text)}",
        "Install the version of chromadb that constraints.txt names, or run kb rebuild",
    )


def _refused(text: str) -> StoreError:
    return StoreError(
        f"ChromaDB refused the request: {_short(text)}",
        "Run kb rebuild; if the error returns, please report it with the output of kb --debug",
    )


def _short(text: str) -> str:
    """An error message on one line, shortened if necessary."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= DETAIL_LENGTH else f"{line[: DETAIL_LENGTH - 1]}…"


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


# Opening and creating collections. A store may name any embedding function, and ChromaDB instantiates it, including
# model code, on many seemingly harmless calls. So kb checks the raw configuration of a collection, and does not use one
# that it did not create.

EMBEDDING_FUNCTION: Final = "kb-bge-m3"
SPACE: Final = "cosine"
FORMAT_KEY: Final = "kb_format"
FORMAT: Final = 1
FINGERPRINT_KEY: Final = "kb_fingerprint"
DIMENSION_KEY: Final = "kb_dimension"
# With 100,000 clustered vectors of 384 numbers, recall@10 of 400 candidates is 1.000 here, as with twice the links.
# The graph is persisted every 1,000 writes: less often slows down each start, more often risks more torn files.
HNSW: Final[Mapping[str, str | int]] = {
    "space": SPACE,
    "max_neighbors": 16,
    "ef_construction": 100,
    "ef_search": 100,
    "sync_threshold": 1000,
}


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
        raise _foreign(directory, "kb made none of its collections")
    return None


def make(
    client: Any,  # noqa: ANN401 - see connect
    name: str,
    *,
    fingerprint: str,
    dimension: int,
    function: object | None,
    sync_threshold: int,
) -> Any:  # noqa: ANN401 - see connect
    """Create a collection with the embedding function for other clients."""
    if function is None:
        raise ValueError("a new collection needs an embedding function")
    return client.create_collection(
        name,
        configuration={"hnsw": {**HNSW, "sync_threshold": sync_threshold}},
        metadata={FORMAT_KEY: FORMAT, FINGERPRINT_KEY: fingerprint, DIMENSION_KEY: dimension},
        embedding_function=function,
    )


def check_origin(collection: Any, directory: str) -> None:  # noqa: ANN401 - see connect
    """Reject a collection that kb did not create, without instantiating anything that it names.

    Raises:
        ForeignStore: Its format mark, its space or an embedding function is not kb's.
        StoreError: A later version of kb created it.
    """
    mark = (collection.metadata or {}).get(FORMAT_KEY)
    if mark is None:
        raise _foreign(directory, f"kb did not make its collection {collection.name!r}")
    if mark != FORMAT:
        raise StoreError(
            f"the store in {directory} has the format {mark}, and this kb knows {FORMAT}", "Install the newer kb"
        )
    configuration = collection.configuration_json
    space = (configuration.get("hnsw") or {}).get("space")
    if space != SPACE:
        raise _foreign(directory, f"its space is {space!r} where kb's is {SPACE!r}")
    if (configuration.get("embedding_function") or {}).get("name") != EMBEDDING_FUNCTION:
        raise _foreign(directory, "its embedding function is not kb's")
    for named in _embedding_functions([configuration, collection.get_model()["serialized_schema"]]):
        raise _foreign(directory, f"it names the embedding function {named!r}, which is not kb's")


def check_model(collection: Any, fingerprint: str, dimension: int) -> None:  # noqa: ANN401 - see connect
    """Reject a collection with another model's vectors.

    Raises:
        ModelMismatch: Its fingerprint or dimension differs.
    """
    made_by = collection.metadata.get(FINGERPRINT_KEY)
    if made_by != fingerprint:
        raise ModelMismatch(
            f"the store was made with another model ({made_by}) than the configured one ({fingerprint})",
            "Run kb index --full to embed everything again, or set embed.model back",
        )
    made_with = collection.metadata.get(DIMENSION_KEY)
    if made_with != dimension or collection.get_model()["dimension"] not in {None, dimension}:
        raise ModelMismatch(
            f"the store has vectors of {made_with} numbers, and the model gives {dimension}",
            "Run kb index --full to embed everything again, or set embed.model back",
        )


def _embedding_functions(node: object) -> Iterator[object]:
    """The names of all embedding functions in a raw configuration that are not kb's."""
    if isinstance(node, list):
        for item in node:
            yield from _embedding_functions(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "embedding_function" and isinstance(value, dict):
            # The sparse index, which kb does not use, has a function of type "unknown" without a name.
            if value.get("name", EMBEDDING_FUNCTION) != EMBEDDING_FUNCTION:
                yield value["name"]
        else:
            yield from _embedding_functions(value)


def _foreign(directory: str, detail: str) -> ForeignStore:
    return ForeignStore(f"kb did not make the store in {directory}: {detail}", "Set store.path to a folder of its own")


# ChromaDB merges labels when a record is written again, so every record has exactly these.
LABELS: Final = frozenset({"file", "path", "heading"})
WRITE_BATCH: Final = 256
DELETE_PAGE: Final = 500
VECTOR_PAGE: Final = 500
ID_PAGE: Final = 2_000
# SQLite allows 32,766 values in a statement; fewer pages are faster.
FILE_PAGE: Final = 10_000

Item = TypeVar("Item")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _at_once() -> None:
    """Do not wait."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an index is written.

    Attributes:
        batch: The number of records in one write or delete. Each call blocks all Python threads, so a daemon uses a
            small number.
        give_way: Called before each such call; returns when it may start.
    """

    batch: int = WRITE_BATCH
    give_way: Callable[[], None] = _at_once


class ChromaIndex:
    """A collection of a local ChromaDB store. Implements ``kb.ports.VectorIndex``; created by ``open``."""

    def __init__(self, client: Any, collection: Any, directory: str, pace: Pace) -> None:  # noqa: ANN401 - naming chromadb's types would import it
        self._pace = pace
        self._directory = directory
        self._client = client
        self._collection = collection
        # ChromaDB instantiates the embedding functions of the schema on every upsert, even of vectors. This clears only
        # the copy of this process.
        collection.get_model()["serialized_schema"] = None

    @classmethod
    def open(
        cls,
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
                    found = make(
                        client,
                        collection,
                        fingerprint=fingerprint,
                        dimension=dimension,
                        function=embedding_function,
                        sync_threshold=sync_threshold,
                    )
                index = cls._checked(client, found, real, pace or Pace())
                check_model(found, fingerprint, dimension)
            except BaseException:
                client.close()
                raise
        return index

    @classmethod
    def inspect(cls, directory: str, collection: str) -> ChromaIndex:
        """Open a collection of any model to check it.

        Raises:
            ForeignStore: kb did not create the store.
            StoreDamaged: It is missing or cannot be opened.
        """
        real = os.path.realpath(directory)
        with translated_errors(real):
            client = connect(real, create=False)
            try:
                return cls._checked(client, find(client, collection, real), real, Pace())
            except BaseException:
                client.close()
                raise

    @classmethod
    def _checked(cls, client: Any, collection: Any | None, directory: str, pace: Pace) -> ChromaIndex:  # noqa: ANN401 - see __init__
        if collection is None:
            raise damaged(directory, "the collection is missing")
        check_origin(collection, directory)
        return cls(client, collection, directory, pace)

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; idempotent."""
        for page in _pages(records, self._pace.batch):
            self._pace.give_way()
            with translated_errors(self._directory):
                self._open_collection().upsert(
                    ids=[record.id for record in page],
                    embeddings=[np.asarray(record.vector, dtype=np.float32) for record in page],
                    documents=[visible(record.text) for record in page],
                    metadatas=[_clean(record.labels) for record in page],
                )

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        """Replace only the labels of records; unknown ids are ignored."""
        for page in _pages(list(zip(ids, labels, strict=True)), self._pace.batch):
            self._pace.give_way()
            with translated_errors(self._directory):
                self._open_collection().update(
                    ids=[id_ for id_, _ in page], metadatas=[_clean(label) for _, label in page]
                )

    def delete(self, ids: Sequence[str]) -> None:
        """Delete records; unknown ids are ignored."""
        for page in _pages(list(dict.fromkeys(ids)), min(DELETE_PAGE, self._pace.batch)):
            self._pace.give_way()
            with translated_errors(self._directory):
                self._open_collection().delete(ids=page)

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """The ``count`` records nearest to a vector by cosine, best first; optionally only of some files."""
        question = np.asarray(vector, dtype=np.float32)
        filters: list[dict[str, Any] | None] = [None]
        if files is not None:
            filters = [{"file": {"$in": page}} for page in _pages(sorted(set(files)), FILE_PAGE)]
        found = [self._nearest(question, count, where) for where in filters] if count > 0 else []
        return best(found, question, count)

    def _nearest(self, question: NDArray[np.float32], count: int, where: dict[str, Any] | None) -> Candidates:
        with translated_errors(self._directory):
            answer = self._open_collection().query(
                query_embeddings=[question], n_results=count, where=where, include=["embeddings"]
            )
        vectors = np.asarray(answer["embeddings"][0], dtype=np.float32).reshape(-1, len(question))
        return Candidates(ids=tuple(answer["ids"][0]), vectors=vectors)

    def ids(self) -> Iterator[str]:
        """All ids, oldest first, read in pages; nothing may be written in the meantime."""
        for offset in itertools.count(0, ID_PAGE):
            with translated_errors(self._directory):
                page = self._open_collection().get(include=[], limit=ID_PAGE, offset=offset)["ids"]
            yield from page
            if len(page) < ID_PAGE:
                return

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The stored vectors of the known ids."""
        known: dict[str, NDArray[np.float32]] = {}
        for page in _pages(list(dict.fromkeys(ids)), VECTOR_PAGE):
            with translated_errors(self._directory):
                answer = self._open_collection().get(ids=page, include=["embeddings"])
            known.update(zip(answer["ids"], np.asarray(answer["embeddings"], dtype=np.float32), strict=True))
        return known

    def count(self) -> int:
        """The number of records."""
        with translated_errors(self._directory):
            return int(self._open_collection().count())

    def close(self) -> None:
        """Close ChromaDB's files, so that the directory may be moved or deleted. Closing again is allowed."""
        if self._client is not None:
            with translated_errors(self._directory):
                self._client.close()
            self._client = self._collection = None

    def _open_collection(self) -> Any:  # noqa: ANN401 - see __init__
        if self._collection is None:
            raise StoreError(f"the vector index in {self._directory} is closed")
        return self._collection


def visible(text: str) -> str:
    """The text with lone surrogates, which ChromaDB cannot store, replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def _clean(labels: Mapping[str, str | int]) -> dict[str, str | int]:
    """The labels in a form that ChromaDB can store; they must have exactly kb's keys."""
    if labels.keys() != LABELS:
        raise ValueError(f"a record's labels are {sorted(LABELS)}, not {sorted(labels)}")
    return {key: visible(value) if isinstance(value, str) else value for key, value in labels.items()}


def best(found: Sequence[Candidates], question: NDArray[np.float32], count: int) -> Candidates:
    """The best candidates of several results by exact cosine, best first."""
    ids = tuple(itertools.chain.from_iterable(part.ids for part in found))
    if not ids:
        return Candidates(ids=(), vectors=np.empty((0, len(question)), dtype=np.float32))
    vectors = np.concatenate([part.vectors for part in found])
    order = np.argsort(-(vectors @ question), kind="stable")[:count]
    return Candidates(ids=tuple(ids[position] for position in order), vectors=vectors[order])


def _pages(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
