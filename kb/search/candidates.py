"""What candidates for an answer are taken from, and what is known of each; ``kb.search.retrieve`` orders them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records import Candidates, Signals
from kb.search.centroids import file_of, middle_cosines, middles_of
from kb.search.confidence import COMMON
from kb.search.rank import cosines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from kb.ports import Catalog, Nearest
    from kb.records import KeywordMatches
    from kb.search.confidence import Background

# Of what only the words find, the vectors have to be fetched one by one.
BY_WORDS: Final = 100


@dataclass(frozen=True, slots=True)
class Scope:
    """Which passages are asked: those of some files (None: all), only these ids, without those; how many they are."""

    files: tuple[int, ...] | None = None
    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    passages: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is left to ask."""
        return self.files == () or self.only == frozenset()


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates with what they are ordered by, and what is known of each.

    ``exhausted`` says that there are no more; the ranks are places among all candidates of one side, from 1. No passage
    that is not here has a cosine above ``beyond``.
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

    def cosine_of(self, id_: str) -> float:
        """The cosine of one candidate with the question."""
        return self.cosines[id_]

    def joined(self, more: Pool) -> Pool:
        """These and the candidates of some of the files, whose places among all of them nobody knows."""
        new = [at for at, id_ in enumerate(more.ids) if id_ not in self.cosines]
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
        """The ids of the best candidates."""
        return [self.ids[at] for at in np.argsort(-self.scores, kind="stable")[:count]]

    def signals(self, id_: str) -> Signals:
        """What speaks for one candidate."""
        return Signals(self.cosine_ranks.get(id_), self.bm25.get(id_), self.bm25_ranks.get(id_), self.fused.get(id_))

    def at_least(self, cosine: float) -> Pool:
        """Only the candidates with at least this cosine."""
        kept = [at for at, id_ in enumerate(self.ids) if self.cosines[id_] >= cosine]
        return replace(self, ids=tuple(self.ids[at] for at in kept), scores=self.scores[kept])


class Gatherer:
    """Gathers the candidates for one question.

    Args:
        catalog: Knows which words stand where.
        index: Knows which vectors are near.
        background: Passages taken at random, to see what a cosine says.
        text: The question.
        vector: Its vector.
        scope: Which passages are asked.
    """

    def __init__(
        self,
        catalog: Catalog,
        index: Nearest,
        background: Background,
        *,
        text: str,
        vector: NDArray[np.float32],
        scope: Scope,
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._background = background
        self.text = text
        self.vector = vector
        self.scope = scope

    def among(self, files: Sequence[int]) -> Gatherer:
        """The same question, asked of these files alone."""
        return self.of(replace(self.scope, files=tuple(files)))

    def of(self, scope: Scope) -> Gatherer:
        """The same question, asked of other passages."""
        return Gatherer(self._catalog, self._index, self._background, text=self.text, vector=self.vector, scope=scope)

    def explained(self, pool: Pool, ids: Sequence[str]) -> Pool:
        """The same with what the words say, where the mode did not ask them, and the ranks by cosine."""
        if pool.bm25:
            return pool
        matches = self.matches(BY_WORDS, ids)
        return replace(pool, bm25=matches.scores, bm25_ranks=ranks(matches.scores))

    def shares(self, ids: Sequence[str], words: str = "") -> Mapping[str, float]:
        """How much of the question's words, or of others, each passage holds, 0..1."""
        return self.matches(1, ids, words=words).shares

    def holding(self, words: str, share: float, min_cosine: float) -> frozenset[str]:
        """Some passages with this share of words of which one at least is rare, and with at least this cosine."""
        scope = self.scope
        found = self._catalog.holding(words, share, scope.files, only=scope.only, without=scope.without)
        if found.rarest > COMMON:
            return frozenset()
        near = self.cosines_of(found.ids)
        return frozenset(id_ for id_, cosine in near.items() if cosine >= min_cosine)

    def nearest(self, wanted: int) -> tuple[Candidates, bool]:
        """The nearest passages of the scope, and whether there are no more."""
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
        """The passages with some ids, of the files that are asked."""
        files = self.scope.files
        known = self._catalog.passages(sorted(ids))
        wanted = [id_ for id_, one in known.items() if files is None or one.file.id in files]
        vectors = self._index.vectors(wanted)
        return Candidates(tuple(vectors), np.array(list(vectors.values()), np.float32).reshape(-1, len(self.vector)))

    def cosines_of(self, ids: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
        """The cosines of passages that were not found by them; those without a vector are left out."""
        vectors = self._index.vectors(list(ids)) if ids else {}
        if not vectors:
            return {}
        found = Candidates(tuple(vectors), np.array(list(vectors.values()), np.float32))
        return dict(zip(found.ids, cosines(self.vector, found).tolist(), strict=True))

    def middle_cosines(self, known: Mapping[str, float]) -> NDArray[np.float64]:
        """For each candidate, by its own cosine, the cosine of the question with the middle of its file."""
        middles = middles_of(self._catalog, self._index, map(file_of, known), len(self.vector))
        return middle_cosines(self.vector, middles, known)

    def background_cosines(self) -> NDArray[np.float64]:
        """The cosines of the question with passages from all over the index."""
        return self._background.cosines(self._index, self.vector)

    def matches(self, wanted: int, also: Sequence[str] = (), whole: float = 0.0, *, words: str = "") -> KeywordMatches:
        """What the words say of the passages of the scope that hold them best.

        Args:
            wanted: How many of the best.
            also: Ids of passages to look at besides.
            whole: How much the whole file counts beside a passage, 0..1.
            words: Other words than the question's.
        """
        scope = self.scope
        return self._catalog.keyword_matches(
            words or self.text, wanted, scope.files, only=scope.only, without=scope.without, also=also, beside=whole
        )


def ranks(scores: Mapping[str, float]) -> dict[str, int]:
    """The place of each candidate by its score, from 1; those with nothing have none."""
    order = sorted((id_ for id_, score in scores.items() if score > 0), key=lambda id_: -scores[id_])
    return {id_: rank for rank, id_ in enumerate(order, 1)}
