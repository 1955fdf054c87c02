"""The vector index in ChromaDB: vectors go in, the nearest passages come out, and no text is handed over to embed."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from kb.errors import StoreError
from kb.records import Candidates
from kb.store.chroma_errors import damaged, seam
from kb.store.chroma_open import HNSW, check_model, check_origin, connect, find, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.records import VectorRecord

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
