"""A question becomes ranked hits: the vectors give candidates, exact cosine orders them, the disk has the last word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.errors import DocumentError, NotIndexed
from kb.records import Answer, Filters, FoundFile, Freshness, Hit
from kb.search.filter import selected
from kb.search.links import Follower
from kb.search.rank import cosines, distance, ranked, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from kb.ports import Catalog, Embedder, Files, Nearest
    from kb.records import Candidates, KnownFile, StoredPassage


_LOOKED_UP_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """How many hits, from how good, how many of one file, and out of how many candidates."""

    limit: int = 10
    min_score: float = -1.0
    per_file: int = 0
    candidates: int = 320

    def but(self, *, limit: int | None, min_score: float | None, per_file: int | None) -> Limits:
        """These with others put over them, as far as they are given."""
        return replace(
            self,
            limit=self.limit if limit is None else limit,
            min_score=self.min_score if min_score is None else min_score,
            per_file=self.per_file if per_file is None else per_file,
        )


class Searcher:
    """Answers questions from the store.

    Args:
        embedder: The model that embedded the passages.
        index: Lends the vector index for as long as one question needs it.
        catalog: The record, which gives each candidate its text and place.
        files: The watched folders, to see whether a hit's file is still there and still the same.
        freshness: Tells how far the index follows the disk.
    """

    def __init__(
        self,
        embedder: Embedder,
        index: Callable[[], AbstractContextManager[Nearest]],
        catalog: Catalog,
        files: Files,
        freshness: Callable[[], Freshness],
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._catalog = catalog
        self._files = files
        self._freshness = freshness
        self._follower = Follower(catalog, files)

    def search(self, question: str, limits: Limits, filters: Filters | None = None) -> Answer:
        """The passages nearest to a question by cosine, best first."""
        freshness = self._freshness()
        allowed = self._allowed(filters)
        if not question.strip() or self._catalog.count() == 0 or allowed == []:
            return Answer(question, "cosine", freshness)
        vector = self._embedder.embed_query(question)
        return Answer(question, "cosine", freshness, self._hits(vector, limits, allowed))

    def similar(self, file: KnownFile, limits: Limits, filters: Filters | None = None) -> Answer:
        """The passages of other files nearest to the middle of a file's own passages.

        Raises:
            NotIndexed: The file has no passages.
        """
        freshness = self._freshness()
        with self._index() as index:
            own = index.vectors([passage.id for passage in self._catalog.passages_of(file.id)])
        if not own:
            raise NotIndexed(f"{file.path} has no passages in the index", "Run kb index, or name another file")
        middle = np.mean(np.stack(list(own.values())), axis=0, dtype=np.float64)
        vector = np.asarray(middle / max(float(np.linalg.norm(middle)), 1e-12), dtype=np.float32)
        others = [one.id for one in selected(self._catalog.files(), filters or Filters()) if one.id != file.id]
        hits = self._hits(vector, limits, others) if others else ()
        return Answer(file.path, "similar", freshness, hits)

    def _allowed(self, filters: Filters | None) -> list[int] | None:
        """The ids of the files a question is asked of; None for all of them."""
        if not filters:
            return None
        return [file.id for file in selected(self._catalog.files(), filters)]

    def _hits(self, vector: NDArray[np.float32], limits: Limits, allowed: list[int] | None) -> tuple[Hit, ...]:
        """Take candidates, more where filters, vanished files or a limit per file left too few."""
        presence = Presence(self._files)
        wanted = max(limits.candidates, 4 * limits.limit)
        with self._index() as index:
            while True:
                candidates = index.query(vector, wanted, allowed)
                scores = cosines(vector, candidates)
                hits = taken(
                    self._known(candidates, scores),
                    limit=limits.limit,
                    min_score=limits.min_score,
                    per_file=limits.per_file,
                    there=lambda passage: presence.there(passage.file),
                )
                exhausted = len(candidates.ids) < wanted
                if exhausted or len(hits) >= limits.limit or scores.min() < limits.min_score:
                    break
                wanted *= 4
        return self._follower.with_embedding(
            [
                Hit(rank, passage, score, distance(score), changed=presence.changed(passage.file))
                for rank, (passage, score) in enumerate(hits, 1)
            ]
        )

    def _known(self, candidates: Candidates, scores: NDArray[np.float64]) -> Iterator[tuple[StoredPassage, float]]:
        """The candidates that the catalog knows, best first, looked up as they are asked for.

        Reading all of them would cost as much as finding them, and a few are shown. A page ends where a score does, so
        that ties are ordered by place.
        """
        order = np.argsort(-scores, kind="stable")
        start = 0
        while start < len(order):
            end = min(start + _LOOKED_UP_AT_ONCE, len(order))
            while end < len(order) and scores[order[end]] == scores[order[end - 1]]:
                end += 1
            page = {candidates.ids[at]: float(scores[at]) for at in order[start:end]}
            passages = self._catalog.passages(list(page))
            yield from ranked((passage, page[id_]) for id_, passage in passages.items())
            start = end


class Presence:
    """Looks once at each file of an answer: is it there, is it what was indexed.

    Args:
        files: The watched folders.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._there: dict[int, bool] = {}
        self._changed: dict[int, bool] = {}

    def there(self, file: KnownFile) -> bool:
        """Whether the file still exists."""
        if file.id not in self._there:
            self._there[file.id] = self._files.stat(file.folder, file.path) is not None
        return self._there[file.id]

    def changed(self, file: KnownFile) -> bool:
        """Whether the file's content differs from what was indexed. A new stat alone (``touch``) is no change."""
        if file.id not in self._changed:
            self._changed[file.id] = self._differs(file)
        return self._changed[file.id]

    def _differs(self, file: KnownFile) -> bool:
        stat = self._files.stat(file.folder, file.path)
        if stat is None:
            return True
        if stat == file.stat:
            return False
        try:
            source = self._files.load(FoundFile(file.folder, file.path, stat))
        except DocumentError:
            return True
        return source.content_hash != file.content_hash
