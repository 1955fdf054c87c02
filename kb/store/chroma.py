"""A collection of ChromaDB as a vector index, local or on a server. kb passes vectors only; ChromaDB never embeds text.

``kb.store.local_chroma`` and ``kb.store.server`` open collections and translate ChromaDB's errors.
"""

from __future__ import annotations

import itertools
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from kb.errors import StoreError
from kb.records import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from kb.ports import KnownVectors
    from kb.records import VectorRecord

# ChromaDB merges labels when a record is written again, so every record has exactly these.
LABELS: Final = frozenset({"file", "path", "heading"})
WRITE_BATCH: Final = 256
DELETE_PAGE: Final = 500
VECTOR_PAGE: Final = 500
ID_PAGE: Final = 2_000
# SQLite allows 32,766 values in a statement; fewer pages are faster.
FILE_PAGE: Final = 10_000
DETAIL_LENGTH: Final = 300

Item = TypeVar("Item")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# All of the ten nearest were found, for 2,000 questions over 100,000 records with this many visited, for 200 over a
# million with a hundred times as many: see docs/scale.md. What is missed are clusters that the search does not come to.
_VISITED_OF_100_000: Final = 80
_MOST_VISITED: Final = 8_000


def least_visited(size: int) -> int:
    """Return how many records of a graph of so many have to be visited to find the nearest.

    More of them than ``_MOST_VISITED`` take longer than a tenth of a second.
    """
    return min(_VISITED_OF_100_000 * size**2 // 100_000**2, _MOST_VISITED)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an index is written.

    Attributes:
        batch: The number of records in one write or delete. Each call blocks all Python threads, so a daemon uses a
            small number.
        give_way: Called before each such call; returns when it may start.
    """

    batch: int = WRITE_BATCH
    give_way: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call to ChromaDB may carry, and what it is given to keep.

    Attributes:
        results: The most records that one call returns.
        label_bytes: The longest label in UTF-8; longer ones are cut.
        texts: Whether the text of a passage is kept beside its vector, for other programs. kb never reads it.
        visited: Returns how many records are visited at least in a search of so many, however few are asked for.
    """

    results: int = sys.maxsize
    label_bytes: int = sys.maxsize
    texts: bool = True
    visited: Callable[[int], int] = lambda _: 0


class ChromaIndex:
    """A collection of ChromaDB. Implements ``kb.ports.VectorIndex``.

    Args:
        client: The client to close with the index; None where it serves others too.
        collection: The collection, which is kb's own.
        name: What the index is, for messages.
        translated: Wraps every call into ChromaDB, and translates its errors.
        pace: How fast to write.
        limits: What one call may carry.
        known: Returns those vectors of some ids that are at hand, so that an answer need not carry them.
    """

    def __init__(
        self,
        client: Any | None,  # noqa: ANN401 - naming chromadb's types would import it
        collection: Any,  # noqa: ANN401 - the same
        name: str,
        translated: Callable[[], AbstractContextManager[None]],
        *,
        pace: Pace,
        limits: Limits = Limits(),
        known: KnownVectors | None = None,
    ) -> None:
        self._pace = pace
        self._limits = limits
        self._known = known
        self._name = name
        self._translated = translated
        self._client = client
        self._collection = collection
        # The number of records, or more where some were written again; None until it is asked for.
        self._size: int | None = None
        # ChromaDB instantiates the embedding functions of the schema on every upsert, even of vectors. This clears only
        # the copy of this process.
        collection.get_model()["serialized_schema"] = None

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; idempotent."""
        for page in _pages(records, self._pace.batch):
            self._pace.give_way()
            with self._translated():
                self._open_collection().upsert(
                    ids=[record.id for record in page],
                    embeddings=[np.asarray(record.vector, dtype=np.float32) for record in page],
                    documents=[visible(record.text) for record in page] if self._limits.texts else None,
                    metadatas=[self._labels(record.labels) for record in page],
                )
            if self._size is not None:
                self._size += len(page)

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        """Replace only the labels of records; unknown ids are ignored."""
        for page in _pages(list(zip(ids, labels, strict=True)), self._pace.batch):
            self._pace.give_way()
            with self._translated():
                self._open_collection().update(
                    ids=[id_ for id_, _ in page], metadatas=[self._labels(label) for _, label in page]
                )

    def delete(self, ids: Sequence[str]) -> None:
        """Delete records; unknown ids are ignored."""
        for page in _pages(list(dict.fromkeys(ids)), min(DELETE_PAGE, self._pace.batch)):
            self._pace.give_way()
            with self._translated():
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
        """The nearest records, in as many calls as their number needs."""
        most = self._limits.results
        if count <= most:
            return self._asked(question, count, where)[0]
        found, files = self._asked(question, most, where, labels=True)
        if len(found.ids) < most or len(files) == 1:
            return found
        # About half of what was found is in half of the files, so that each half has room for more. A half that gives
        # all it may can have more still.
        middle = files[len(files) // 2]
        halves = [_within(where, {"file": {operator: middle}}) for operator in ("$lt", "$gte")]
        return best([self._nearest(question, count, half) for half in halves], question, count)

    def _asked(
        self,
        question: NDArray[np.float32],
        count: int,
        where: dict[str, Any] | None,
        *,
        labels: bool = False,
    ) -> tuple[Candidates, list[int]]:
        """The answer to one call, and with ``labels`` the files of the records in order."""
        visited = max(count, self._least_visited())
        with_vectors = self._known is None and visited == count
        include = [*(["metadatas"] if labels else []), *(["embeddings"] if with_vectors else [])]
        with self._translated():
            answer = self._open_collection().query(
                query_embeddings=[question], n_results=visited, where=where, include=include
            )
        ids, vectors = answer["ids"][0][:count], answer["embeddings"]
        if vectors is None:
            gathered = self._gathered(ids)
            ids, vectors = list(gathered), [list(gathered.values())]
        files = sorted({int(one["file"]) for one in (answer["metadatas"] or [[]])[0]})
        return Candidates(tuple(ids), np.asarray(vectors[0], dtype=np.float32).reshape(-1, len(question))), files

    def _least_visited(self) -> int:
        """The number of records to visit in a search, however few are asked for.

        ChromaDB visits as many as it returns, or as its collection says, which it reads only when it is opened.
        """
        return self._limits.visited(self.count() if self._size is None else self._size)

    def _gathered(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of records in their order: those at hand, and from the index those that are not.

        A record that was deleted a moment ago has none.
        """
        known = {} if self._known is None else dict(self._known(ids))
        known |= self.vectors([id_ for id_ in ids if id_ not in known])
        return {id_: known[id_] for id_ in ids if id_ in known}

    def ids(self) -> Iterator[str]:
        """All ids, oldest first, read in pages; nothing may be written in the meantime."""
        size = min(ID_PAGE, self._limits.results)
        for offset in itertools.count(0, size):
            with self._translated():
                page = self._open_collection().get(include=[], limit=size, offset=offset)["ids"]
            yield from page
            if len(page) < size:
                return

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The stored vectors of the known ids."""
        known: dict[str, NDArray[np.float32]] = {}
        for page in _pages(list(dict.fromkeys(ids)), min(VECTOR_PAGE, self._limits.results)):
            with self._translated():
                answer = self._open_collection().get(ids=page, include=["embeddings"])
            known.update(zip(answer["ids"], np.asarray(answer["embeddings"], dtype=np.float32), strict=True))
        return known

    def count(self) -> int:
        """The number of records."""
        with self._translated():
            self._size = int(self._open_collection().count())
        return self._size

    def close(self) -> None:
        """Close ChromaDB's files, so that the directory may be moved or deleted. Closing again is allowed."""
        client, self._client, self._collection = self._client, None, None
        if client is not None:
            with self._translated():
                client.close()

    def _labels(self, labels: Mapping[str, str | int]) -> dict[str, str | int]:
        """The labels in a form that ChromaDB can store; they must have exactly kb's keys."""
        if labels.keys() != LABELS:
            raise ValueError(f"a record's labels are {sorted(LABELS)}, not {sorted(labels)}")
        return {
            key: _cut(visible(value), self._limits.label_bytes) if isinstance(value, str) else value
            for key, value in labels.items()
        }

    def _open_collection(self) -> Any:  # noqa: ANN401 - see __init__
        if self._collection is None:
            raise StoreError(f"{self._name} is closed")
        return self._collection


def visible(text: str) -> str:
    """The text with lone surrogates, which ChromaDB cannot store, replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def short(text: str) -> str:
    """An error message of ChromaDB on one line, shortened if necessary."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= DETAIL_LENGTH else f"{line[: DETAIL_LENGTH - 1]}…"


def best(found: Sequence[Candidates], question: NDArray[np.float32], count: int) -> Candidates:
    """The best candidates of several results by exact cosine, best first."""
    ids = tuple(itertools.chain.from_iterable(part.ids for part in found))
    if not ids:
        return Candidates(ids=(), vectors=np.empty((0, len(question)), dtype=np.float32))
    vectors = np.concatenate([part.vectors for part in found])
    order = np.argsort(-(vectors @ question), kind="stable")[:count]
    return Candidates(ids=tuple(ids[position] for position in order), vectors=vectors[order])


def _cut(text: str, most: int) -> str:
    """The beginning of a text that has no more than a number of bytes in UTF-8."""
    return text if len(text) * 4 <= most else text.encode()[:most].decode(errors="ignore")


def _within(where: dict[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """A filter that both have to pass."""
    if where is None:
        return more
    return {"$and": [*where.get("$and", [where]), more]}


def _pages(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
