"""The searcher: a request becomes an answer with ranked hits, each verified against its file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from kb.errors import NotIndexed
from kb.formats.registry import REGISTRY
from kb.records import MODES, Answer, Filters, Freshness, Hit, LeftOut, Missing, Mode, Searched
from kb.records.centroid import centroid_of
from kb.search.best_sentences import BestSentences
from kb.search.candidates import CandidatePool, CandidateRetriever, SearchScope
from kb.search.confidence import (
    ALL_WORDS,
    COMMON,
    FEW,
    MOST_WORDS,
    SOME_PROBES,
    Background,
    usual_cosine,
    without_question_words,
)
from kb.search.filters import selected
from kb.search.links import LinkResolver
from kb.search.names import is_known, unmatched
from kb.search.rank import distance, ranked, taken
from kb.search.retrieve import retrieved, strategy_of
from kb.search.syntax import Question, narrowed, parse
from kb.search.verify import FileStaleness
from kb.search.words import content_words, inflected, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date

    from kb.ports import Catalog, Embedder, Files, Nearest
    from kb.records import KnownFile, ReadAs, ResolvedRequest, StoredPassage, Unmatched
    from kb.search.confidence import Judge
    from kb.search.verify import Verifier

_NO_FILTERS: Final = Filters()
# How many passages with the letters of an option are checked for the option.
_CHECKED_PASSAGES: Final = 200
# How many candidates are checked for excluded passages where there are no hits.
_CHECKED_CANDIDATES: Final = 10
# An option as it is written: after something on the same line, or in code.
_AS_OPTION: Final = r"""(?:[`'"(]|\S[ \t]+)-{}(?![\w-])"""


def written_as_option(word: str, catalog: Catalog) -> bool:
    """Whether a passage contains ``-word`` as an option, rather than as a list item without a space."""
    pattern = re.compile(_AS_OPTION.replace("{}", re.escape(word)))
    ids = sorted(catalog.containing(word))[:_CHECKED_PASSAGES]
    return any(pattern.search(passage.text) for passage in catalog.passages(ids).values())


class Interpretation:
    """How a question was parsed, with the numbers of passages that its operators exclude and keep.

    Args:
        question: The question.
        scope: The passages that are searched.
        catalog: The catalog.
    """

    def __init__(self, question: Question, scope: SearchScope, catalog: Catalog) -> None:
        self._question = question
        self._scope = scope
        self._catalog = catalog

    @property
    def whole(self) -> SearchScope:
        """The scope without the exclusions of the question."""
        return replace(self._scope, without=frozenset())

    def read_as(
        self, whole: CandidateRetriever | None = None, hits: Sequence[Hit] = (), request: ResolvedRequest | None = None
    ) -> ReadAs:
        """Return how the question was parsed, with the numbers of excluded and searched passages.

        Args:
            whole: A retriever for ``whole``; None where nothing was searched.
            hits: The hits.
            request: The request.
        """
        question, read = self._question, self._question.read_as
        if not question.without and not question.phrases and not question.filters:
            return read
        left_out = None
        if question.without:
            out = self._among(self._scope.without)
            ahead = self._count_ahead(whole, out, hits, request) if whole and request and out else 0
            left_out = LeftOut(len(out), len(_files(out)), ahead)
        return replace(read, left_out=left_out, asked=self._searched())

    def _searched(self) -> Searched:
        scope = self._scope
        without = self._among(scope.without)
        if scope.only is not None:
            ids = self._among(scope.only) - without
            return Searched(len(ids), len(_files(ids)))
        files = len(scope.files) if scope.files is not None else sum(one.passages > 0 for one in self._catalog.files())
        return Searched(scope.passages - len(without), files)

    def _among(self, ids: Iterable[str]) -> frozenset[str]:
        """Return those of the ids that are in the scope, exclusions aside."""
        scope = self._scope
        files = None if scope.files is None else frozenset(scope.files)
        return frozenset(
            id_ for id_ in ids if (files is None or _file(id_) in files) and (scope.only is None or id_ in scope.only)
        )

    @staticmethod
    def _count_ahead(
        whole: CandidateRetriever, out: frozenset[str], hits: Sequence[Hit], request: ResolvedRequest
    ) -> int:
        """Return how many of the excluded passages would rank above the first hit."""
        pool = retrieved(whole, request.mode, request.candidates, request.min_score)
        best = pool.best(len(pool.ids)) if hits else pool.best(min(_CHECKED_CANDIDATES, request.limit))
        first = hits[0].passage.id if hits else ""
        return sum(id_ in out for id_ in takewhile(lambda id_: id_ != first, best))


def _files(ids: Iterable[str]) -> frozenset[int]:
    return frozenset(map(_file, ids))


def _file(id_: str) -> int:
    """Return the id of a passage's file, which the passage's id begins with (``kb.indexing.plan.identify``)."""
    return int(id_.partition("-")[0], 16)


_Candidate = TypeVar("_Candidate")
_PAGE: Final = 16
# Whether there is an answer is decided by this many of the best passages with a vector, however many are shown.
_JUDGED: Final = 30


class _KnownCandidates:
    """The candidates that the catalog knows, best first, looked up in pages and once.

    Reading all of them would cost as much as finding them, and only a few are shown. Equal scores are in one page, so
    that ties are ordered by place.

    Args:
        catalog: The catalog.
        pool: The candidates.
    """

    def __init__(self, catalog: Catalog, pool: CandidatePool) -> None:
        self._catalog = catalog
        self._pool = pool
        self._order = np.argsort(-pool.scores, kind="stable")
        self._known: list[tuple[StoredPassage, float]] = []
        self._next = 0

    def __iter__(self) -> Iterator[tuple[StoredPassage, float]]:
        """Yield each passage with its score."""
        at = 0
        while at < len(self._known) or self._next < len(self._order):
            if at == len(self._known):
                self._read_page()
            else:
                yield self._known[at]
                at += 1

    def _read_page(self) -> None:
        scores, order, start = self._pool.scores, self._order, self._next
        end = min(start + _PAGE, len(order))
        while end < len(order) and scores[order[end]] == scores[order[end - 1]]:
            end += 1
        page = {self._pool.ids[at]: float(scores[at]) for at in order[start:end]}
        passages = self._catalog.passages(list(page))
        self._known += ranked((passage, page[id_]) for id_, passage in passages.items())
        self._next = end


@dataclass(frozen=True, slots=True)
class _Found:
    """The hits, the candidates they were taken from, those that the catalog knows, and the state of their files."""

    hits: tuple[Hit, ...]
    pool: CandidatePool
    known: _KnownCandidates
    staleness: FileStaleness


class Searcher:
    """Answers questions from the store. Only ``save_measurements`` and ``measure`` write to the catalog.

    Args:
        embedder: The model that embedded the passages.
        index: Opens the vector index for the duration of one query.
        catalog: The catalog, with the text and place of each passage.
        files: The watched folders, to check whether a hit's file still exists and is unchanged.
        freshness: Returns how up to date the index is.
        missing: Returns what is not in the index; called where nothing is found.
        verifier: Creates the verifier that compares the hits of one answer with their files; None for none.
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
        verifier: Callable[[FileStaleness], Verifier] | None = None,
    ) -> None:
        self._verifier = verifier
        self._embedder = embedder
        self._index = index
        self._catalog = catalog
        self._files = files
        self._freshness = freshness
        self._missing = missing
        self._link_resolver = LinkResolver(catalog, files)
        self._background = Background(embedder, catalog)
        self._best = BestSentences(embedder)
        self.sentence_vectors = self._best.vectors

    def search(self, request: ResolvedRequest) -> Answer:
        """Return the passages that answer a question, best first; none where the index has no answer.

        Unless it is taken literally, the question may contain phrases, exclusions and filters (``kb.search.syntax``).
        """
        freshness = self._freshness()
        typed = request.question
        # The files that pass a filter which is a word where none does.
        passing: dict[Filters, list[KnownFile]] = {}

        def matches(filters: Filters) -> bool:
            passing[filters] = selected(self._catalog.files(), filters)
            return is_known(filters, passing[filters])

        question = parse(
            typed,
            _today(),
            literal=request.literal,
            written=lambda word: written_as_option(word, self._catalog),
            cwd=request.cwd,
            matches=matches,
        )
        wanted = narrowed(request.filters, question.filters)
        chosen = self._chosen(wanted, request.files, passing) if wanted or request.files else None
        lost = self._unmatched(wanted, chosen or ())
        nothing = Answer(typed, request.mode, freshness, read_as=question.read_as, unmatched=lost)
        if not question.text or self._catalog.count() == 0:
            return self._with_missing(nothing, wanted, request.files)
        scope = self._scope(question, chosen)
        interpretation = Interpretation(question, scope, self._catalog)
        if scope.empty:
            return self._with_missing(replace(nothing, read_as=interpretation.read_as()), wanted, request.files)
        nothing = replace(nothing, parts=self._embedder.question_parts(question.text))
        vector = self._embedder.embed_query(question.text)
        with self._index() as index:
            retriever = CandidateRetriever(
                self._catalog, index, self._background, text=question.text, vector=vector, scope=scope
            )
            found = self._found(retriever, request)
            unfamiliar = self._unfamiliar(found, index, scope, request)
            holding = None if unfamiliar else self._answering(retriever, found, index, scope, request)
            shown = self._count_related(retriever, found, index, request)
            read_as = interpretation.read_as(retriever.of(interpretation.whole), found.hits, request)
            nothing = replace(nothing, read_as=read_as, unfamiliar=unfamiliar)
            if found.hits and holding == frozenset():
                hits = found.hits if request.weak else self._by_cosine(retriever, found, request)
                return self._with_missing(_weak(nothing, hits, show=request.weak), wanted, request.files)
        elsewhere = not MODES[request.mode].by_words and _elsewhere(holding, found.hits)
        answer = replace(nothing, hits=found.hits[:shown], elsewhere=elsewhere, below=len(found.hits) - shown)
        return answer if answer.hits else self._with_missing(answer, wanted, request.files)

    def quoted(self, answer: Answer, seconds: float) -> Answer:
        """Return an answer with the best sentences of its hits, as many as can be found in some seconds."""
        if not answer.hits or seconds <= 0:
            return answer
        vector = self._embedder.embed_query(answer.query)
        hits = self._best.of(answer.hits, vector, words_of(answer.query), seconds)
        return replace(answer, hits=hits)

    def similar(self, file: KnownFile, request: ResolvedRequest) -> Answer:
        """Return the passages of other files nearest to the centroid of a file's own.

        Args:
            file: The file that ``request.like`` names.
            request: The request.

        Raises:
            NotIndexed: The file has no passages, or they all wait to be embedded.
        """
        freshness = self._freshness()
        chosen = self._chosen(request.filters, request.files)
        others = [one for one in chosen if one.id != file.id]
        with self._index() as index:
            own = index.vectors([passage.id for passage in self._catalog.passages_of(file.id)])
            if not own:
                raise self._without_vectors(file)
            vector = centroid_of(list(own.values()))
            scope = self._counted(SearchScope(tuple(one.id for one in others)), others)
            retriever = CandidateRetriever(self._catalog, index, self._background, text="", vector=vector, scope=scope)
            hits = self._found(retriever, request).hits if others else ()
        return Answer(file.path, "similar", freshness, hits, unmatched=self._unmatched(request.filters, chosen))

    def measure(self) -> None:
        """Measure the cosines of unrelated passages where the index has grown, so that no query has to."""
        if self._catalog.count_embedded() >= FEW:
            with self._index() as index:
                self._background.unrelated(index)
            self.save_measurements()
        else:
            for probe in SOME_PROBES:
                self._embedder.embed_query(probe)

    def save_measurements(self) -> None:
        """Write what queries measured to the catalog, so that the next process need not measure again."""
        self._background.keep()

    def _with_missing(self, answer: Answer, filters: Filters, ids: Sequence[int]) -> Answer:
        """Return an answer without hits, with what is missing from the index and may pass the filters.

        A held file is known as it was; of a file that failed only its path is, and so its type. A file that waits may
        be any.
        """
        missing = self._missing()
        if missing and (filters or ids):
            at_paths = self._chosen(Filters(paths=filters.paths), ids)
            inside = sum(map(_failed, selected(at_paths, Filters(types=filters.types))))
            elsewhere = sum(map(_failed, self._catalog.files())) - inside
            # A folder that cannot be listed is no file of the catalog, and what it has may match.
            failed = max(missing.failed - elsewhere, 0) if at_paths else 0
            missing = replace(missing, held=self._held(missing, at_paths, filters), failed=failed)
        return replace(answer, missing=missing) if missing else answer

    def _held(self, missing: Missing, files: Sequence[KnownFile], filters: Filters) -> int:
        """Return how many of some files are held and pass the filters, paths aside: those that are not on the disk."""
        if not missing.held:
            return 0
        there = FileStaleness(self._files).there
        gone = sum(file.passages > 0 and not there(file) for file in selected(files, replace(filters, paths=())))
        # A deleted file is gone too, until the next run.
        return min(missing.held, gone)

    def _chosen(
        self, filters: Filters, ids: Sequence[int], passing: Mapping[Filters, list[KnownFile]] | None = None
    ) -> list[KnownFile]:
        """Return the files that pass the filters; only those with one of the ids where there are any.

        Args:
            filters: The filters.
            ids: The ids.
            passing: Filters that were looked up before, each with the files that pass it.
        """
        if only := frozenset(ids):
            return selected([one for one in self._catalog.files() if one.id in only], filters)
        for known, files in (passing or {}).items():
            if (others := _others(filters, known)) is not None:
                return selected(files, others)
        return selected(self._catalog.files(), filters)

    def _unmatched(self, filters: Filters, chosen: Sequence[KnownFile]) -> tuple[Unmatched, ...]:
        """Return the filters that match no file, where some files passed all of them."""
        if not filters:
            return ()
        return unmatched(self._catalog.files(), filters, some=any(one.state != "failed" for one in chosen))

    def _scope(self, question: Question, files: Sequence[KnownFile] | None) -> SearchScope:
        """Return the passages to search, only those of some files where these were selected."""
        found = [self._catalog.containing(phrase) for phrase in question.phrases]
        scope = SearchScope(
            files=None if files is None else tuple(file.id for file in files),
            only=frozenset(set.intersection(*found)) if found else None,
            without=frozenset().union(*(self._catalog.containing(phrase) for phrase in question.without)),
        )
        return self._counted(scope, files)

    def _counted(self, scope: SearchScope, files: Sequence[KnownFile] | None) -> SearchScope:
        """Return a scope with the numbers of its passages, and of those with a vector."""
        if files is None:
            return replace(scope, passages=self._catalog.count(), embedded=self._catalog.count_embedded())
        passages = sum(file.passages for file in files)
        waiting = self._catalog.unembedded([file.id for file in files]) if self._catalog.queue_size().files else {}
        left = sum(one.passages for one in waiting.values())
        return replace(scope, passages=passages, embedded=passages - left)

    def _without_vectors(self, file: KnownFile) -> NotIndexed:
        """Return the error for a file that nothing can be compared with."""
        if self._catalog.unembedded([file.id]):
            return NotIndexed(
                f"{file.path} is found by its words only so far: its passages wait to be embedded",
                "Ask again once they are: kb status says how many files wait",
            )
        return NotIndexed(f"{file.path} has no passages in the index", "Run kb index, or name another file")

    def _count_related(
        self, retriever: CandidateRetriever, found: _Found, index: Nearest, request: ResolvedRequest
    ) -> int:
        """Return how many hits to show, where there are too few passages to decide whether there is an answer.

        The last one shown is nearer than unrelated passages are, or contains most of the question's words.
        """
        hits, scope = found.hits, retriever.scope
        judged = _is_selected(scope, request) or scope.passages >= FEW or not MODES[request.mode].by_meaning
        if judged or request.weak or len(hits) <= 1:
            return len(hits)
        usual = usual_cosine(self._embedder, self._catalog, index, self._background)
        shares = retriever.shares([hit.passage.id for hit in hits])
        related = [
            (hit.score is not None and hit.score > usual) or shares.get(hit.passage.id, 0.0) >= MOST_WORDS
            for hit in hits
        ]
        return max((place for place, one in enumerate(related, 1) if one), default=1)

    def _found(self, retriever: CandidateRetriever, request: ResolvedRequest) -> _Found:
        """Find hits, with more candidates where deleted files, exclusions or a limit per file left too few."""
        staleness = FileStaleness(self._files)
        verified = self._verified(staleness)
        wanted = max(request.candidates, 4 * request.limit)
        pool = retrieved(retriever, request.mode, wanted, request.min_score)
        while True:
            known = _KnownCandidates(self._catalog, pool)
            found = taken(
                known,
                limit=request.limit,
                per_file=request.per_file,
                there=lambda passage: staleness.there(passage.file) and verified(passage) is not None,
                fold=request.fold,
            )
            if pool.exhausted or len(found) >= request.limit:
                break
            wanted *= 4
            if not request.per_file:
                pool = retrieved(retriever, request.mode, wanted, request.min_score)
                continue
            # Passages of a file that has all its hits are not retrieved again: there may be any number of them.
            left = self._files_with_room(retriever, found, request.per_file)
            if not left:
                break
            pool = pool.joined(retrieved(retriever.among(left), request.mode, wanted, request.min_score))
        if request.explain:
            pool = retriever.explained(pool, [passage.id for passage, *_ in found])
        hits = [
            self._hit(rank, [verified(passage) or passage for passage in same], pool, staleness, request)
            for rank, same in enumerate(found, 1)
        ]
        return _Found(self._link_resolver.with_embedding(hits), pool, known, staleness)

    def _by_cosine(self, retriever: CandidateRetriever, found: _Found, request: ResolvedRequest) -> Sequence[Hit]:
        """Return hits among which is the nearest one: the words may have kept it from those found."""
        if not MODES[request.mode].by_words:
            return found.hits
        return self._found(retriever, replace(request, mode=Mode.COSINE, limit=1)).hits or found.hits

    def _verified(self, staleness: FileStaleness) -> Callable[[StoredPassage], StoredPassage | None]:
        """Return a function that verifies a passage against its file, once per passage."""
        if self._verifier is None:
            return lambda passage: passage
        return cache(self._verifier(staleness).checked)

    def _files_with_room(
        self, retriever: CandidateRetriever, found: Sequence[Sequence[StoredPassage]], per_file: int
    ) -> list[int]:
        """Return the files of the scope that may have more hits."""
        hits = Counter(passage.file.id for passage, *_ in found)
        files = retriever.scope.files
        searched = [one.id for one in self._catalog.files() if one.passages] if files is None else files
        return [id_ for id_ in searched if hits[id_] < per_file]

    def _hit(
        self,
        rank: int,
        same: Sequence[StoredPassage],
        pool: CandidatePool,
        staleness: FileStaleness,
        request: ResolvedRequest,
    ) -> Hit:
        """Return the first of some near duplicates as a hit, with the others under it."""
        passage, *copies = same
        cosine, signals = pool.cosine_of(passage.id), pool.signals(passage.id)
        return Hit(
            rank,
            passage,
            cosine,
            None if cosine is None else distance(cosine),
            changed=staleness.changed(passage.file),
            signals=signals,
            why=strategy_of(request.mode).why(cosine, signals) if request.explain else "",
            duplicates=tuple(self._hit(rank, [copy], pool, staleness, request) for copy in copies),
        )

    def _answering(
        self, retriever: CandidateRetriever, found: _Found, index: Nearest, scope: SearchScope, request: ResolvedRequest
    ) -> frozenset[str] | None:
        """Return None where the cosines show that there is an answer; else the passages that answer by their words.

        A question with phrases is answered wherever they occur, one in a mode that any hit answers by whatever is
        found, and a handful of passages is too few to decide. Words are only compared where the cosines leave it open.
        A passage that waits to be embedded answers by most of them, as in a search by words. The decision does not
        depend on how many hits are shown.
        """
        if _is_selected(scope, request) or scope.embedded < FEW or not found.hits:
            return None
        judge = self._background.judge(index, retriever.vector, scope.embedded)
        # With calibrated languages, the language of each passage has to be looked up first.
        pool = found.pool
        judged = frozenset(() if judge.near else _judged(pool.best(len(pool.ids)), pool.cosines.__contains__))
        near = (hit.score for hit in found.hits if hit.passage.id in judged)
        if any(cosine is not None and judge.evidence("", cosine, 0.0) >= 0 for cosine in near):
            # Hits are known already; most queries end here.
            return None
        there = (one for one, _ in found.known if found.staleness.there(one.file))
        best = list(_judged(there, lambda one: one.id in pool.cosines))

        def answering(shares: Mapping[str, float], by_words: Mapping[str, float]) -> frozenset[str]:
            def answers(one: StoredPassage) -> bool:
                cosine = pool.cosine_of(one.id)
                if cosine is None:
                    return shares.get(one.id, 0.0) >= MOST_WORDS
                return judge.evidence(one.file.language, cosine, by_words.get(one.id, 0.0)) >= 0

            return frozenset(one.id for one in best if answers(one))

        if answering({}, {}):
            return None
        shares = retriever.shares([one.id for one in best])
        if good := answering(shares, {**shares, **_word_scores(retriever, best, judge)}):
            return good
        words = content_words(retriever.text)
        texts = {one.id: "\n".join((one.file.title, *one.heading, one.text)) for one in best}
        if same := inflected(words, texts, COMMON):
            return same
        share = MOST_WORDS if MODES[request.mode].answered_by == "most words" else ALL_WORDS
        holding = retriever.holding(words, share, request.min_score) if words else frozenset()
        known = self._catalog.passages(sorted(holding))
        return frozenset(id_ for id_, passage in known.items() if found.staleness.there(passage.file))

    def _unfamiliar(self, found: _Found, index: Nearest, scope: SearchScope, request: ResolvedRequest) -> str:
        """Return the language of the best hit if the model does not support it and hits are ranked by cosine."""
        if MODES[request.mode].by_words or scope.embedded < FEW or not found.hits:
            return ""
        language = found.hits[0].passage.file.language
        measured = self._background.unrelated(index).languages.get(language)
        return language if measured is not None and not measured.known else ""


def _failed(file: KnownFile) -> bool:
    """Whether a file could not be indexed, though it is of a kind that kb reads."""
    return file.state == "failed" and not REGISTRY.unread(file.path, file.reason)


def _is_selected(scope: SearchScope, request: ResolvedRequest) -> bool:
    """Whether all that is found answers the question: it has phrases, or the mode is answered by any hit."""
    return scope.only is not None or MODES[request.mode].answered_by == "any hit"


def _judged(best: Iterable[_Candidate], has_vector: Callable[[_Candidate], bool]) -> Iterator[_Candidate]:
    """Yield the candidates by which it is decided whether there is an answer: the best 30 that have a vector.

    Those among them that wait to be embedded come too, 30 at most: they say less, and take the place of no other.
    """
    left = {True: _JUDGED, False: _JUDGED}
    for one in best:
        embedded = has_vector(one)
        if left[embedded]:
            left[embedded] -= 1
            yield one
        if not left[True]:
            return


def _weak(nothing: Answer, hits: Sequence[Hit], *, show: bool) -> Answer:
    """Return an answer whose hits are all weak, with these hits, or with the nearest of them only."""
    if show:
        return replace(nothing, hits=tuple(hits), weak=True)
    return replace(nothing, weak=True, nearest=nearest_of(hits))


def nearest_of(hits: Sequence[Hit]) -> Hit:
    """Return the hit with the highest cosine; the first of them where none has one."""
    return max(hits, key=lambda hit: -np.inf if hit.score is None else hit.score)


def _word_scores(retriever: CandidateRetriever, best: Sequence[StoredPassage], judge: Judge) -> dict[str, float]:
    """Return the scores of the passages in calibrated languages by the words of the question, 0..1."""
    ids = [one.id for one in best if judge.calibrated(one.file.language)]
    found = retriever.word_scores(ids, without_question_words(retriever.text)) if ids else {}
    return {id_: found.get(id_, 0.0) for id_ in ids}


def _elsewhere(holding: frozenset[str] | None, hits: Iterable[Hit]) -> bool:
    """Whether there are passages that answer by their words and none of them is a hit."""
    shown = {id_ for hit in hits for id_ in (hit.passage.id, *(one.passage.id for one in hit.duplicates))}
    return bool(holding) and shown.isdisjoint(holding or ())


def _others(filters: Filters, known: Filters) -> Filters | None:
    """Return filters without those that are known; None where one of these has other values among them."""
    names = [one.name for one in fields(known) if getattr(known, one.name)]
    if any(getattr(filters, name) != getattr(known, name) for name in names):
        return None
    return replace(filters, **{name: getattr(_NO_FILTERS, name) for name in names})


def _today() -> date:
    return datetime.now(UTC).astimezone().date()
