"""A question becomes ranked hits: candidates by vectors and by words, one order, and the disk has the last word."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.errors import NotIndexed
from kb.records import MODES, Answer, Asked, Freshness, Hit, LeftOut, Missing
from kb.records.centroid import middle_of
from kb.search.best_sentences import BestSentences
from kb.search.candidates import Gatherer, Pool, Scope
from kb.search.confidence import ALL_WORDS, COMMON, FEW, MOST_WORDS, SOME_PROBES, Background, bare, usual_cosine
from kb.search.filters import selected
from kb.search.links import Follower
from kb.search.names import unmatched
from kb.search.rank import distance, ranked, taken
from kb.search.retrieve import retrieved, strategy_of
from kb.search.syntax import Question, narrowed, parse
from kb.search.verify import Presence
from kb.search.words import inflected, telling, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date

    from kb.ports import Catalog, Embedder, Files, Nearest
    from kb.records import KnownFile, ReadAs, ResolvedRequest, StoredPassage
    from kb.search.confidence import Judge
    from kb.search.verify import Verifier

# What a question left out by its own words, counted, so that an answer can tell it.

# Whether an option stands in the notes is seen from so many of the passages with its letters.
_LOOKED_AT: Final = 200
# Where everything that would be found was left out, so many are looked at.
_AHEAD: Final = 10
# As options are written: behind something on the same line, or in code.
_AS_OPTION: Final = r"""(?:[`'"(]|\S[ \t]+)-{}(?![\w-])"""


def written_as_option(word: str, catalog: Catalog) -> bool:
    """Whether a passage has ``-word`` as options are written: a list without spaces behind its signs is none."""
    pattern = re.compile(_AS_OPTION.replace("{}", re.escape(word)))
    ids = sorted(catalog.containing(word))[:_LOOKED_AT]
    return any(pattern.search(passage.text) for passage in catalog.passages(ids).values())


class Reading:
    """How a question was read and what that left out.

    Args:
        question: The question.
        scope: Which passages it is asked of.
        catalog: Knows how many files and passages there are.
    """

    def __init__(self, question: Question, scope: Scope, catalog: Catalog) -> None:
        self._question = question
        self._scope = scope
        self._catalog = catalog

    @property
    def whole(self) -> Scope:
        """The scope with what the question left out by ``-word``."""
        return replace(self._scope, without=frozenset())

    def read_as(
        self, whole: Gatherer | None = None, hits: Sequence[Hit] = (), request: ResolvedRequest | None = None
    ) -> ReadAs:
        """How the question was read, with the numbers of what that left out.

        Args:
            whole: Gathers what would be found with what was left out; None: nothing was asked.
            hits: What was found.
            request: What was asked.
        """
        question, read = self._question, self._question.read_as
        if not question.without and not question.phrases and not question.filters:
            return read
        left_out = None
        if question.without:
            out = self._among(self._scope.without)
            ahead = self._ahead(whole, out, hits, request) if whole and request and out else 0
            left_out = LeftOut(len(out), len(_files(out)), ahead)
        return replace(read, left_out=left_out, asked=self._asked())

    def _asked(self) -> Asked:
        scope = self._scope
        without = self._among(scope.without)
        if scope.only is not None:
            ids = self._among(scope.only) - without
            return Asked(len(ids), len(_files(ids)))
        files = len(scope.files) if scope.files is not None else sum(one.passages > 0 for one in self._catalog.files())
        return Asked(scope.passages - len(without), files)

    def _among(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids that are asked, exclusions aside."""
        scope = self._scope
        files = None if scope.files is None else frozenset(scope.files)
        return frozenset(
            id_ for id_ in ids if (files is None or _file(id_) in files) and (scope.only is None or id_ in scope.only)
        )

    @staticmethod
    def _ahead(whole: Gatherer, out: frozenset[str], hits: Sequence[Hit], request: ResolvedRequest) -> int:
        """How many of the passages that were left out would come before the first hit."""
        pool = retrieved(whole, request.mode, request.candidates, request.min_score)
        best = pool.best(len(pool.ids)) if hits else pool.best(min(_AHEAD, request.limit))
        first = hits[0].passage.id if hits else ""
        return sum(id_ in out for id_ in takewhile(lambda id_: id_ != first, best))


def _files(ids: Iterable[str]) -> frozenset[int]:
    return frozenset(map(_file, ids))


def _file(id_: str) -> int:
    """The file of a passage, which the passage's id begins with (``kb.indexing.plan.identify``)."""
    return int(id_.partition("-")[0], 16)


_LOOKED_UP_AT_ONCE: Final = 16
# Whether there is an answer is seen from so many of the best, however many are shown.
_JUDGED: Final = 30


@dataclass(frozen=True, slots=True)
class _Found:
    """The hits, what they were taken from, and which of its files are there."""

    hits: tuple[Hit, ...]
    pool: Pool
    presence: Presence


class Searcher:
    """Answers questions from the store. Only ``keep_measurements`` and ``measure`` write to the catalog.

    Args:
        embedder: The model that embedded the passages.
        index: Lends the vector index for as long as one question needs it.
        catalog: The record, which gives each candidate its text and place.
        files: The watched folders, to see whether a hit's file is still there and still the same.
        freshness: Tells how far the index follows the disk.
        missing: Tells what is not in the index, where nothing is found.
        verifier: Lays the hits of one answer beside their files; without it they are taken as they are.
    """

    def __init__(
        self,
        embedder: Embedder,
        index: Callable[[], AbstractContextManager[Nearest]],
        catalog: Catalog,
        files: Files,
        freshness: Callable[[], Freshness],
        *,
        missing: Callable[[], Missing] = Missing,
        verifier: Callable[[], Verifier] | None = None,
    ) -> None:
        self._verifier = verifier
        self._embedder = embedder
        self._index = index
        self._catalog = catalog
        self._files = files
        self._freshness = freshness
        self._missing = missing
        self._follower = Follower(catalog, files)
        self._background = Background(embedder, catalog)
        self._best = BestSentences(embedder)

    def search(self, request: ResolvedRequest) -> Answer:
        """The passages that answer a question, best first; none where nothing in the index is about it.

        The question may say what has to stand there and which files are meant: see ``kb.search.syntax``; unless it is
        to be taken literally.
        """
        freshness = self._freshness()
        typed = request.question
        question = parse(
            typed, _today(), literal=request.literal, written=lambda word: written_as_option(word, self._catalog)
        )
        wanted = narrowed(request.filters, question.filters)
        files = self._catalog.files() if wanted else []
        nothing = Answer(typed, request.mode, freshness, read_as=question.read_as, unmatched=unmatched(files, wanted))
        if not question.text or self._catalog.count() == 0:
            return self._lacking(nothing)
        scope = self._scope(question, selected(files, wanted) if wanted else None)
        reading = Reading(question, scope, self._catalog)
        if scope.empty:
            return self._lacking(replace(nothing, read_as=reading.read_as()))
        nothing = replace(nothing, parts=self._embedder.question_parts(question.text))
        vector = self._embedder.embed_query(question.text)
        with self._index() as index:
            gather = Gatherer(self._catalog, index, self._background, text=question.text, vector=vector, scope=scope)
            found = self._found(gather, request)
            unfamiliar = self._unfamiliar(found, index, scope, request)
            holding = None if unfamiliar else self._answering(gather, found, index, scope, request)
            shown = self._related(gather, found, index, request)
            read_as = reading.read_as(gather.of(reading.whole), found.hits, request)
            nothing = replace(nothing, read_as=read_as, unfamiliar=unfamiliar)
        if found.hits and holding == frozenset():
            return self._lacking(_weak(nothing, found.hits, show=request.weak))
        elsewhere = not MODES[request.mode].by_words and _elsewhere(holding, found.hits)
        answer = replace(nothing, hits=found.hits[:shown], elsewhere=elsewhere, below=len(found.hits) - shown)
        return answer if answer.hits else self._lacking(answer)

    def quoted(self, answer: Answer, seconds: float) -> Answer:
        """The answer to a question with the best sentences of its hits, of as many as can be done in the time."""
        if not answer.hits or seconds <= 0:
            return answer
        vector = self._embedder.embed_query(answer.asked)
        hits = self._best.of(answer.hits, vector, words_of(answer.asked), seconds)
        return replace(answer, hits=hits)

    def similar(self, file: KnownFile, request: ResolvedRequest) -> Answer:
        """The passages of other files nearest to the middle of a file's own passages.

        Args:
            file: The file that ``request.like`` means.
            request: What was asked.

        Raises:
            NotIndexed: The file has no passages.
        """
        freshness = self._freshness()
        others = [one for one in selected(self._catalog.files(), request.filters) if one.id != file.id]
        with self._index() as index:
            own = index.vectors([passage.id for passage in self._catalog.passages_of(file.id)])
            if not own:
                raise NotIndexed(f"{file.path} has no passages in the index", "Run kb index, or name another file")
            vector = middle_of(list(own.values()))
            scope = Scope(tuple(one.id for one in others), passages=sum(one.passages for one in others))
            gather = Gatherer(self._catalog, index, self._background, text="", vector=vector, scope=scope)
            hits = self._found(gather, request).hits if others else ()
        return Answer(file.path, "similar", freshness, hits)

    def measure(self) -> None:
        """Measure what unrelated passages look like, where the index has grown, and keep that: no question waits."""
        if self._catalog.count() >= FEW:
            with self._index() as index:
                self._background.unrelated(index)
            self.keep_measurements()
        else:
            for probe in SOME_PROBES:
                self._embedder.embed_query(probe)

    def keep_measurements(self) -> None:
        """Keep what questions had to have measured, so that the next process need not."""
        self._background.keep()

    def _lacking(self, answer: Answer) -> Answer:
        """An answer that found nothing, with what is missing from the index."""
        missing = self._missing()
        return replace(answer, missing=missing) if missing else answer

    def _scope(self, question: Question, files: Sequence[KnownFile] | None) -> Scope:
        """Which passages a question is asked of; where files were chosen, only theirs."""
        found = [self._catalog.containing(phrase) for phrase in question.phrases]
        return Scope(
            files=None if files is None else tuple(file.id for file in files),
            only=frozenset(set.intersection(*found)) if found else None,
            without=frozenset().union(*(self._catalog.containing(phrase) for phrase in question.without)),
            passages=self._catalog.count() if files is None else sum(file.passages for file in files),
        )

    def _related(self, gather: Gatherer, found: _Found, index: Nearest, request: ResolvedRequest) -> int:
        """How many hits to show of a list that is too short for a verdict.

        It ends where no more of them are nearer than unrelated passages are, or have most of the question's words.
        """
        hits, scope = found.hits, gather.scope
        judged = scope.only is not None or scope.passages >= FEW or not MODES[request.mode].by_meaning
        if judged or request.weak or len(hits) <= 1:
            return len(hits)
        usual = usual_cosine(self._embedder, self._catalog, index, self._background)
        shares = gather.shares([hit.passage.id for hit in hits])
        related = [hit.score > usual or shares.get(hit.passage.id, 0.0) >= MOST_WORDS for hit in hits]
        return max((place for place, one in enumerate(related, 1) if one), default=1)

    def _found(self, gather: Gatherer, request: ResolvedRequest) -> _Found:
        """Take candidates, more where vanished files, exclusions or a limit per file left too few."""
        presence = Presence(self._files)
        verified = self._verified()
        wanted = max(request.candidates, 4 * request.limit)
        pool = retrieved(gather, request.mode, wanted, request.min_score)
        while True:
            found = taken(
                self._known(pool),
                limit=request.limit,
                per_file=request.per_file,
                there=lambda passage: presence.there(passage.file) and verified(passage) is not None,
                fold=request.fold,
            )
            if pool.exhausted or len(found) >= request.limit:
                break
            wanted *= 4
            if not request.per_file:
                pool = retrieved(gather, request.mode, wanted, request.min_score)
                continue
            # The passages of a file that has its hits are not asked for again: there may be any number of them.
            left = self._not_full(gather, found, request.per_file)
            if not left:
                break
            pool = pool.joined(retrieved(gather.among(left), request.mode, wanted, request.min_score))
        if request.explain:
            pool = gather.explained(pool, [passage.id for passage, *_ in found])
        hits = [
            self._hit(rank, [verified(passage) or passage for passage in same], pool, presence, request)
            for rank, same in enumerate(found, 1)
        ]
        return _Found(self._follower.with_embedding(hits), pool, presence)

    def _verified(self) -> Callable[[StoredPassage], StoredPassage | None]:
        """Gives each passage of one answer as it stands in its file; each is looked at once."""
        if self._verifier is None:
            return lambda passage: passage
        return cache(self._verifier().checked)

    def _not_full(self, gather: Gatherer, found: Sequence[Sequence[StoredPassage]], per_file: int) -> list[int]:
        """The files that are asked and have fewer hits than they may have."""
        hits = Counter(passage.file.id for passage, *_ in found)
        files = gather.scope.files
        asked = [one.id for one in self._catalog.files() if one.passages] if files is None else files
        return [id_ for id_ in asked if hits[id_] < per_file]

    def _hit(
        self, rank: int, same: Sequence[StoredPassage], pool: Pool, presence: Presence, request: ResolvedRequest
    ) -> Hit:
        """The first of some passages that say the same, with the others under it."""
        passage, *copies = same
        cosine, signals = pool.cosine_of(passage.id), pool.signals(passage.id)
        return Hit(
            rank,
            passage,
            cosine,
            distance(cosine),
            changed=presence.changed(passage.file),
            signals=signals,
            why=strategy_of(request.mode).why(cosine, signals) if request.explain else "",
            alike=tuple(self._hit(rank, [copy], pool, presence, request) for copy in copies),
        )

    def _answering(
        self, gather: Gatherer, found: _Found, index: Nearest, scope: Scope, request: ResolvedRequest
    ) -> frozenset[str] | None:
        """None where a cosine alone says that there is an answer; else the passages whose words say it, perhaps none.

        Who names the words that have to stand there has been answered wherever they do, and a handful of passages is
        no measure. The words are only looked at where the cosines leave it open. The same passages are judged however
        many are shown.
        """
        if scope.only is not None or scope.passages < FEW or not found.hits:
            return None
        judge = self._background.judge(index, gather.vector, scope.passages)
        # Where languages differ, each passage has to be looked up first.
        near = {
            id_
            for id_ in (() if judge.near else found.pool.best(_JUDGED))
            if judge.evidence("", found.pool.cosine_of(id_), 0.0) >= 0
        }
        if any(hit.passage.id in near for hit in found.hits):
            # What is shown need not be looked up again; this is how most questions end.
            return None
        there = (one for one, _ in self._known(found.pool) if found.presence.there(one.file))
        best = list(islice(there, _JUDGED))

        def answering(shares: Mapping[str, float]) -> frozenset[str]:
            return frozenset(
                one.id
                for one in best
                if judge.evidence(one.file.language, found.pool.cosine_of(one.id), shares.get(one.id, 0.0)) >= 0
            )

        if answering({}):
            return None
        if good := answering(_shares(gather, best, judge)):
            return good
        words = telling(gather.text)
        texts = {one.id: "\n".join((one.file.title, *one.heading, one.text)) for one in best}
        if same := inflected(words, texts, COMMON):
            return same
        share = MOST_WORDS if MODES[request.mode].answered_by == "most words" else ALL_WORDS
        holding = gather.holding(words, share, request.min_score) if words else frozenset()
        known = self._catalog.passages(sorted(holding))
        return frozenset(id_ for id_, passage in known.items() if found.presence.there(passage.file))

    def _unfamiliar(self, found: _Found, index: Nearest, scope: Scope, request: ResolvedRequest) -> str:
        """The language of the best hit, where the order is that of cosines that say nothing in it; else empty."""
        if MODES[request.mode].by_words or scope.passages < FEW or not found.hits:
            return ""
        language = found.hits[0].passage.file.language
        measured = self._background.unrelated(index).languages.get(language)
        return language if measured is not None and not measured.known else ""

    def _known(self, pool: Pool) -> Iterator[tuple[StoredPassage, float]]:
        """The candidates that the catalog knows, best first, looked up as they are asked for.

        Reading all of them would cost as much as finding them, and a few are shown. A page ends where a score does, so
        that ties are ordered by place.
        """
        scores = pool.scores
        order = np.argsort(-scores, kind="stable")
        start = 0
        while start < len(order):
            end = min(start + _LOOKED_UP_AT_ONCE, len(order))
            while end < len(order) and scores[order[end]] == scores[order[end - 1]]:
                end += 1
            page = {pool.ids[at]: float(scores[at]) for at in order[start:end]}
            passages = self._catalog.passages(list(page))
            yield from ranked((passage, page[id_]) for id_, passage in passages.items())
            start = end


def _weak(nothing: Answer, hits: Sequence[Hit], *, show: bool) -> Answer:
    """An answer without any passage that is near enough, its hits shown or only the nearest of them named."""
    if show:
        return replace(nothing, hits=tuple(hits), weak=True)
    return replace(nothing, weak=True, nearest=max(hits, key=lambda hit: hit.score))


def _shares(gather: Gatherer, best: Sequence[StoredPassage], judge: Judge) -> dict[str, float]:
    """How much of the question each passage holds: in languages measured by themselves without the words that ask."""
    ids = [one.id for one in best]
    shares = dict(gather.shares(ids))
    apart = {one.id for one in best if one.file.language in judge.near}
    if apart:
        shares |= {id_: share for id_, share in gather.shares(ids, bare(gather.text)).items() if id_ in apart}
    return shares


def _elsewhere(holding: frozenset[str] | None, hits: Iterable[Hit]) -> bool:
    """Whether there are passages that answer by their words, and none of them is shown."""
    shown = {id_ for hit in hits for id_ in (hit.passage.id, *(one.passage.id for one in hit.alike))}
    return bool(holding) and shown.isdisjoint(holding or ())


def _today() -> date:
    return datetime.now(UTC).astimezone().date()
