"""The vector index in ChromaDB: vectors go in, the nearest passages come out, and no text is handed over to embed."""

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
from kb.own_files import disk_full, forbidden, no_memory, unusable
from kb.records import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.records import VectorRecord

# What ChromaDB throws, told in kb's words: every error of its Python and Rust halves becomes a StoreError here.

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


# Opening a ChromaDB collection, making it, and proving that kb made it, before anything else is done with it.
#
# A store may name any embedding function, and ChromaDB builds it, model code included, on many calls that look
# harmless. So a collection is judged by its raw configuration, and one that kb did not make is not touched.

EMBEDDING_FUNCTION: Final = "kb-bge-m3"
SPACE: Final = "cosine"
FORMAT_KEY: Final = "kb_format"
FORMAT: Final = 1
FINGERPRINT_KEY: Final = "kb_fingerprint"
DIMENSION_KEY: Final = "kb_dimension"
# With 100,000 clustered vectors of 384 numbers, recall@10 of 400 candidates is 1.000 here, as with twice the links.
# The graph goes to the disk after every 1000 writes: later would make each start slower, sooner would tear more often.
HNSW: Final[Mapping[str, str | int]] = {
    "space": SPACE,
    "max_neighbors": 16,
    "ef_construction": 100,
    "ef_search": 100,
    "sync_threshold": 1000,
}


def connect(directory: str, *, create: bool) -> Any:  # noqa: ANN401 - naming chromadb's types would import it
    """A client of the store in a directory. ChromaDB itself would make an empty store wherever it is pointed at.

    Raises:
        StoreDamaged: There is no store, and none may be made; or it does not open.
        StoreError: The directory cannot be made.
    """
    if create:
        try:
            Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(directory) from error
    elif not Path(directory, DATABASE).is_file():
        raise damaged(directory, "its database is not there")
    else:
        _check_access(directory)
    try:
        return import_chromadb().PersistentClient(path=directory, settings=safe_settings())
    except AttributeError as error:
        # ChromaDB's way of failing to close what it could not open.
        raise damaged(directory, str(error)) from error
    except ValueError as error:
        # ChromaDB dresses whatever goes wrong while it opens a database as a ValueError about tenants.
        if "already exists" in str(error):
            raise StoreBusy(f"the store in {directory} is already open in this process") from error
        raise damaged(directory, str(error)) from error


def _check_access(directory: str) -> None:
    """See that the database may be read and written, which ChromaDB tells in many ways.

    Raises:
        StoreError: It may not.
    """
    try:
        with Path(directory, DATABASE).open("r+b"):
            return
    except OSError as error:
        raise unusable(f"the vector index in {directory}", error, directory) from error


def find(client: Any, name: str, directory: str) -> Any | None:  # noqa: ANN401 - see connect
    """The collection of this name, or None in an empty store.

    Raises:
        StoreError: kb made the store, with a collection of another name.
        ForeignStore: There are collections, and kb made none of them.
    """
    collections = client.list_collections()
    for collection in collections:
        if collection.name == name:
            # Without an embedding function, and so without the check of its name, which kb does itself.
            return client.get_collection(name, embedding_function=None)
    for collection in collections:
        if FORMAT_KEY in (collection.metadata or {}):
            raise StoreError(
                f"the store in {directory} holds the collection {collection.name!r}, not {name!r}",
                "Set store.collection back, or run kb rebuild.",
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
    """Make the collection, with the embedding function that other clients are to use."""
    if function is None:
        raise ValueError("a collection is made with the embedding function it is for")
    return client.create_collection(
        name,
        configuration={"hnsw": {**HNSW, "sync_threshold": sync_threshold}},
        metadata={FORMAT_KEY: FORMAT, FINGERPRINT_KEY: fingerprint, DIMENSION_KEY: dimension},
        embedding_function=function,
    )


def check_origin(collection: Any, directory: str) -> None:  # noqa: ANN401 - see connect
    """Refuse a collection that kb did not make, without building anything that it names.

    Raises:
        ForeignStore: Its mark, its space or an embedding function it names is not kb's.
        StoreError: A later kb made it.
    """
    mark = (collection.metadata or {}).get(FORMAT_KEY)
    if mark is None:
        raise _foreign(directory, f"kb did not make its collection {collection.name!r}")
    if mark != FORMAT:
        raise StoreError(
            f"the store in {directory} has the format {mark}, and this kb knows {FORMAT}", "Install the newer kb."
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
    """Refuse a collection that holds another model's vectors.

    Raises:
        ModelMismatch: The fingerprint or the dimension it was made with is another one.
    """
    made_by = collection.metadata.get(FINGERPRINT_KEY)
    if made_by != fingerprint:
        raise ModelMismatch(
            f"the store was made by another model ({made_by}) than the one configured ({fingerprint})",
            "Run kb index --full to embed everything again, or set embed.model back.",
        )
    made_with = collection.metadata.get(DIMENSION_KEY)
    if made_with != dimension or collection.get_model()["dimension"] not in {None, dimension}:
        raise ModelMismatch(
            f"the store holds vectors of {made_with} numbers, and the model gives {dimension}",
            "Run kb index --full to embed everything again, or set embed.model back.",
        )


def _embedding_functions(node: object) -> Iterator[object]:
    """The names of embedding functions other than kb's, wherever they stand in a raw configuration."""
    if isinstance(node, list):
        for item in node:
            yield from _embedding_functions(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "embedding_function" and isinstance(value, dict):
            # The index for sparse vectors, which kb leaves off, has a function of the type "unknown" and no name.
            if value.get("name", EMBEDDING_FUNCTION) != EMBEDDING_FUNCTION:
                yield value["name"]
        else:
            yield from _embedding_functions(value)


def _foreign(directory: str, detail: str) -> ForeignStore:
    return ForeignStore(f"kb did not make the store in {directory}: {detail}", "Set store.path to a folder of its own.")


# ChromaDB merges the labels of a record that is written again, so every record has exactly these.
LABELS: Final = frozenset({"file", "path", "heading"})
WRITE_BATCH: Final = 256
DELETE_PAGE: Final = 500
VECTOR_PAGE: Final = 500
ID_PAGE: Final = 2_000
# SQLite takes 32,766 values in one statement; the fewer the pages, the faster the filter.
FILE_PAGE: Final = 10_000

Item = TypeVar("Item")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _at_once() -> None:
    """Nobody has to be let go first."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an index is written.

    Attributes:
        batch: How many records one call writes or deletes. Each stops every Python thread until it is done, so an owner
            that answers questions meanwhile sets it low.
        give_way: Called before each such call; returns when it may begin.
    """

    batch: int = WRITE_BATCH
    give_way: Callable[[], None] = _at_once


class ChromaIndex:
    """One collection of a ChromaDB store on this machine. Implements ``kb.ports.VectorIndex``; ``open`` makes one."""

    def __init__(self, client: Any, collection: Any, directory: str, pace: Pace) -> None:  # noqa: ANN401 - naming chromadb's types would import it
        self._pace = pace
        self._directory = directory
        self._client = client
        self._collection = collection
        # The schema names embedding functions, and ChromaDB builds them on every upsert, even one of vectors. Only
        # this process's copy of it is emptied.
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
        """Open the collection in a directory, or make it where ``create`` allows and nothing is there.

        Args:
            directory: Where ChromaDB's files are. The caller holds the store's lock.
            collection: The name of the collection.
            fingerprint: Whatever changes a vector of the model in use.
            dimension: The length of its vectors.
            embedding_function: Registered with a collection that is made, for other clients to use; never called.
            create: Whether to make what is not there.
            sync_threshold: After how many writes a collection that is made puts its graph on the disk.
            pace: How fast to write.

        Raises:
            ForeignStore: kb did not make what is there.
            ModelMismatch: Another model made it.
            StoreDamaged: It is not there and may not be made, or it does not open.
        """
        real = os.path.realpath(directory)
        with seam(real):
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
        """Open a collection that kb made, by whichever model, to look whether it is sound.

        Raises:
            ForeignStore: kb did not make what is there.
            StoreDamaged: It is not there, or does not open.
        """
        real = os.path.realpath(directory)
        with seam(real):
            client = connect(real, create=False)
            try:
                return cls._checked(client, find(client, collection, real), real, Pace())
            except BaseException:
                client.close()
                raise

    @classmethod
    def _checked(cls, client: Any, collection: Any | None, directory: str, pace: Pace) -> ChromaIndex:  # noqa: ANN401 - see __init__
        if collection is None:
            raise damaged(directory, "the collection is not there")
        check_origin(collection, directory)
        return cls(client, collection, directory, pace)

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; writing one again changes nothing."""
        for page in _pages(records, self._pace.batch):
            self._pace.give_way()
            with seam(self._directory):
                self._open_collection().upsert(
                    ids=[record.id for record in page],
                    embeddings=[np.asarray(record.vector, dtype=np.float32) for record in page],
                    documents=[visible(record.text) for record in page],
                    metadatas=[_clean(record.labels) for record in page],
                )

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        """Replace the labels of records, and nothing else; ids that are not there are passed over."""
        for page in _pages(list(zip(ids, labels, strict=True)), self._pace.batch):
            self._pace.give_way()
            with seam(self._directory):
                self._open_collection().update(
                    ids=[id_ for id_, _ in page], metadatas=[_clean(label) for _, label in page]
                )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records; ids that are not there are no error."""
        for page in _pages(list(dict.fromkeys(ids)), min(DELETE_PAGE, self._pace.batch)):
            self._pace.give_way()
            with seam(self._directory):
                self._open_collection().delete(ids=page)

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """The ``count`` records nearest to a vector by cosine, best first, of the given files only."""
        question = np.asarray(vector, dtype=np.float32)
        filters: list[dict[str, Any] | None] = [None]
        if files is not None:
            filters = [{"file": {"$in": page}} for page in _pages(sorted(set(files)), FILE_PAGE)]
        found = [self._nearest(question, count, where) for where in filters] if count > 0 else []
        return best(found, question, count)

    def _nearest(self, question: NDArray[np.float32], count: int, where: dict[str, Any] | None) -> Candidates:
        with seam(self._directory):
            answer = self._open_collection().query(
                query_embeddings=[question], n_results=count, where=where, include=["embeddings"]
            )
        vectors = np.asarray(answer["embeddings"][0], dtype=np.float32).reshape(-1, len(question))
        return Candidates(ids=tuple(answer["ids"][0]), vectors=vectors)

    def ids(self) -> Iterator[str]:
        """Every id, oldest first, in pages behind the scenes; nothing may be written meanwhile."""
        for offset in itertools.count(0, ID_PAGE):
            with seam(self._directory):
                page = self._open_collection().get(include=[], limit=ID_PAGE, offset=offset)["ids"]
            yield from page
            if len(page) < ID_PAGE:
                return

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The stored vectors of the ids that are there."""
        known: dict[str, NDArray[np.float32]] = {}
        for page in _pages(list(dict.fromkeys(ids)), VECTOR_PAGE):
            with seam(self._directory):
                answer = self._open_collection().get(ids=page, include=["embeddings"])
            known.update(zip(answer["ids"], np.asarray(answer["embeddings"], dtype=np.float32), strict=True))
        return known

    def count(self) -> int:
        """How many records there are."""
        with seam(self._directory):
            return int(self._open_collection().count())

    def close(self) -> None:
        """Close ChromaDB's files, so that the directory may be moved or removed; doing it again changes nothing."""
        if self._client is not None:
            with seam(self._directory):
                self._client.close()
            self._client = self._collection = None

    def _open_collection(self) -> Any:  # noqa: ANN401 - see __init__
        if self._collection is None:
            raise StoreError(f"the vector index in {self._directory} is closed")
        return self._collection


def visible(text: str) -> str:
    """The text with each half character, which ChromaDB cannot write down, shown as U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def _clean(labels: Mapping[str, str | int]) -> dict[str, str | int]:
    """The labels as ChromaDB can keep them; exactly kb's keys, since what an earlier write set would stay."""
    if labels.keys() != LABELS:
        raise ValueError(f"a record's labels are {sorted(LABELS)}, not {sorted(labels)}")
    return {key: visible(value) if isinstance(value, str) else value for key, value in labels.items()}


def best(found: Sequence[Candidates], question: NDArray[np.float32], count: int) -> Candidates:
    """The best candidates of several answers, by exact cosine, best first."""
    ids = tuple(itertools.chain.from_iterable(part.ids for part in found))
    if not ids:
        return Candidates(ids=(), vectors=np.empty((0, len(question)), dtype=np.float32))
    vectors = np.concatenate([part.vectors for part in found])
    order = np.argsort(-(vectors @ question), kind="stable")[:count]
    return Candidates(ids=tuple(ids[position] for position in order), vectors=vectors[order])


def _pages(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
