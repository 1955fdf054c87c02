"""Candidates for an answer, the passages searched, and the retriever; ``kb.search.retrieve`` orders candidates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records import Candidates, Signals
from kb.search.centroids import centroid_cosines, centroids_of, file_of
from kb.search.confidence import COMMON
from kb.search.rank import cosines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from kb.ports import Catalog, Nearest
    from kb.records import KeywordMatches
    from kb.search.confidence import Background

# The vectors of what only the words find have to be fetched one by one.
BY_WORDS: Final = 100
# A lower bound of cosines that leaves out nothing.
LEAST_COSINE: Final = -1.0


@dataclass(frozen=True, slots=True)
class SearchScope:
    """The passages that are searched.

    Attributes:
        files: Only those of these files; None for all.
        only: Only these ids; None for all.
        without: None of these ids.
        passages: How many passages there are in ``files``.
        embedded: How many of these have a vector.
    """

    files: tuple[int, ...] | None = None
    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    passages: int = 0
    embedded: int = 0

    @property
    def empty(self) -> bool:
        """Whether no passage is left."""
        return self.files == () or self.only == frozenset()


@dataclass(frozen=True, slots=True)
class CandidatePool:
    """Candidates, the scores that order them, and the signals of each.

    Attributes:
        ids: Their passage ids.
        scores: The scores that order them, one each.
        cosines: Their cosines with the question, by id; those that wait to be embedded have none.
        exhausted: Whether there are no more candidates.
        beyond: The upper bound of the cosine of any passage that is not here.
        cosine_ranks: Ranks among all candidates by cosine, from 1.
        bm25: BM25 scores by id.
        bm25_ranks: Ranks among all candidates by BM25, from 1.
        fused: Fused scores by id, where the mode fuses.
    """

    ids: tuple[str, ...]
    scores: NDArray[np.float64]
    cosines: Mapping[str, float]
    exhausted: bool
    beyond: float = 1.0
    cosine_ranks: Mapping[str, int] = field(default_factory=dict)
    bm25: Mapping[str, float] = field(default_factory=dict)
    bm25_ranks: Mapping[str, int] = field(default_factory=dict)
    fused: Mapping[str, float] = field(default_factory=dict)

    def cosine_of(self, id_: str) -> float | None:
        """Return the cosine of one candidate with the question; None while it waits to be embedded."""
        return self.cosines.get(id_)

    def joined(self, more: CandidatePool) -> CandidatePool:
        """Return these with more candidates, of some of the files; those have no ranks among all."""
        known = frozenset(self.ids)
        new = [at for at, id_ in enumerate(more.ids) if id_ not in known]
        return replace(
            self,
            ids=(*self.ids, *(more.ids[at] for at in new)),
            scores=np.concatenate([self.scores, more.scores[new]]),
            cosines={**more.cosines, **self.cosines},
            bm25={**more.bm25, **self.bm25},
            fused={**more.fused, **self.fused},
            exhausted=more.exhausted,
        )

    def best(self, count: int) -> list[str]:
        """Return the ids of the best candidates, best first."""
        return [self.ids[at] for at in np.argsort(-self.scores, kind="stable")[:count]]

    def signals(self, id_: str) -> Signals:
        """Return the signals of one candidate."""
        return Signals(self.cosine_ranks.get(id_), self.bm25.get(id_), self.bm25_ranks.get(id_), self.fused.get(id_))

    def at_least(self, cosine: float) -> CandidatePool:
        """Return only the candidates that have at least this cosine."""
        kept = [at for at, id_ in enumerate(self.ids) if self.cosines.get(id_, -np.inf) >= cosine]
        return replace(self, ids=tuple(self.ids[at] for at in kept), scores=self.scores[kept])


class CandidateRetriever:
    """Retrieves the candidates for one question.

    Args:
        catalog: Holds the keyword index, and what else a mode may ask of files and passages.
        index: Holds the vectors.
        background: Passages taken at random, which give the distribution of cosines.
        text: The question.
        vector: Its vector.
        scope: The passages that are searched.
    """

    def __init__(
        self,
        catalog: Catalog,
        index: Nearest,
        background: Background,
        *,
        text: str,
        vector: NDArray[np.float32],
        scope: SearchScope,
    ) -> None:
        self.catalog = catalog
        self._index = index
        self._background = background
        self.text = text
        self.vector = vector
        self.scope = scope
        # Those of passages that were scored already.
        self._shares: dict[str, float] = {}

    def among(self, files: Sequence[int]) -> CandidateRetriever:
        """Return a retriever for the same question in these files alone."""
        return self.of(replace(self.scope, files=tuple(files)))

    def of(self, scope: SearchScope) -> CandidateRetriever:
        """Return a retriever for the same question in other passages."""
        return CandidateRetriever(
            self.catalog, self._index, self._background, text=self.text, vector=self.vector, scope=scope
        )

    def containing(self, phrase: str) -> CandidateRetriever:
        """Return a retriever for the same question in those of its passages that contain a phrase."""
        only = frozenset(self.catalog.containing(phrase))
        return self.of(replace(self.scope, only=only if self.scope.only is None else only & self.scope.only))

    def explained(self, pool: CandidatePool, ids: Sequence[str]) -> CandidatePool:
        """Return the candidates with BM25 scores and ranks, where the mode did not use them."""
        if pool.bm25:
            return pool
        matches = self.matches(BY_WORDS, ids)
        return replace(pool, bm25=matches.scores, bm25_ranks=ranks(matches.scores))

    def shares(self, ids: Sequence[str]) -> Mapping[str, float]:
        """Return which share of the question's words each passage contains, 0..1."""
        return self._shares if self._shares.keys() >= set(ids) else self.matches(1, ids).shares

    def word_scores(self, ids: Sequence[str], words: str) -> dict[str, float]:
        """Return the BM25 score of each passage for some words, relative to what a text can reach, 0..1."""
        found = self.matches(1, ids, words=words)
        return {id_: score / found.most for id_, score in found.scores.items()}

    def holding(self, words: str, share: float, min_cosine: float) -> frozenset[str]:
        """Return passages with at least this share of the words, one of which is rare, and at least this cosine.

        Where any cosine will do, passages that wait to be embedded are among them.
        """
        scope = self.scope
        found = self.catalog.holding(words, share, scope.files, only=scope.only, without=scope.without)
        if found.rarest > COMMON:
            return frozenset()
        if min_cosine <= LEAST_COSINE:
            return frozenset(found.ids)
        near = self.cosines_of(found.ids)
        return frozenset(id_ for id_, cosine in near.items() if cosine >= min_cosine)

    def nearest(self, wanted: int) -> tuple[Candidates, bool]:
        """Return the nearest passages of the scope, and whether there are no more."""
        scope = self.scope
        if scope.only is not None:
            return self._these(scope.only - scope.without), True
        found = self._index.query(self.vector, wanted, scope.files)
        exhausted = len(found.ids) < wanted
        kept = [at for at, id_ in enumerate(found.ids) if id_ not in scope.without]
        if len(kept) < len(found.ids):
            found = Candidates(tuple(found.ids[at] for at in kept), found.vectors[kept])
        return found, exhausted

    def _these(self, ids: frozenset[str]) -> Candidates:
        """Return those of some passages that are in the files of the scope."""
        files = self.scope.files
        known = self.catalog.passages(sorted(ids))
        wanted = [id_ for id_, one in known.items() if files is None or one.file.id in files]
        vectors = self._index.vectors(wanted)
        return Candidates(tuple(vectors), np.array(list(vectors.values()), np.float32).reshape(-1, len(self.vector)))

    def cosines_of(self, ids: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
        """Return the cosines of passages with the question; those without a vector are left out."""
        vectors = self._index.vectors(list(ids)) if ids else {}
        if not vectors:
            return {}
        found = Candidates(tuple(vectors), np.array(list(vectors.values()), np.float32))
        return dict(zip(found.ids, cosines(self.vector, found).tolist(), strict=True))

    def centroid_cosines(self, known: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the cosine of the question with the centroid of each candidate's file.

        Args:
            known: The cosines of the candidates themselves.
        """
        files = list(map(file_of, known))
        centroids = centroids_of(self.catalog, self._index, files, len(self.vector))
        return centroid_cosines(self.vector, centroids, files, known.values())

    def background_cosines(self) -> NDArray[np.float64]:
        """Return the cosines of the question with passages from all over the index."""
        return self._background.cosines(self._index, self.vector)

    def matches(
        self, wanted: int, also: Sequence[str] = (), file_weight: float = 0.0, *, words: str = ""
    ) -> KeywordMatches:
        """Return the best passages of the scope by BM25.

        Args:
            wanted: How many of the best.
            also: Ids of passages to score in any case.
            file_weight: The share of the whole file in a passage's score, 0..1.
            words: Other words than the question's.
        """
        scope = self.scope
        found = self.catalog.keyword_matches(
            words or self.text,
            wanted,
            scope.files,
            only=scope.only,
            without=scope.without,
            also=also,
            file_weight=file_weight,
        )
        if not words:
            self._shares.update(found.shares)
        return found


def ranks(scores: Mapping[str, float]) -> dict[str, int]:
    """Return the rank of each candidate by its score, from 1; those that score 0 have none."""
    ids, values = list(scores), np.fromiter(scores.values(), np.float64, len(scores))
    order = np.argsort(-values, kind="stable")[: np.count_nonzero(values > 0)]
    return {ids[at]: rank for rank, at in enumerate(order.tolist(), 1)}
