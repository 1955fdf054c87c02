"""Embeds the passages that are found by their words only, and writes their vectors into the index.

They are queued in the catalog with the text that the model reads, so that no file is read for it again, and a process
that is killed goes on where it was.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kb.indexing.plan import pages, vector_record
from kb.indexing.stopwatch import Stopwatch
from kb.indexing.write import WRITTEN_AT_ONCE, Advance, Stopped, known_centroids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.ports import Catalog, Embedder, VectorCache, VectorIndex
    from kb.records import IndexProgress, IndexReport, QueuedPassage
    from kb.records.reports import Doing

# How long the model works before its vectors are kept, and how much work is sorted by length at a time.
SLICE_SECONDS: Final = 5.0
WINDOW_SECONDS: Final = 30.0
# The same before it is asked whether something else comes first, in a process that others are waiting for.
TURN_SECONDS: Final = 0.25
_FIRST_WINDOW: Final = 256
_LARGEST_WINDOW: Final = 4096
_SMALLEST_SLICE: Final = 32
# A model that computes texts side by side has two at least.
_SMALLEST_TURN: Final = 2


class QueueEmbedder:
    """Embeds queued passages: those of the latest run first, and of that the newest files.

    Args:
        embedder: The embedding model, for texts that are not in the cache.
        cache: The embedding cache.
        catalog: The catalog, which holds the queue.
        index: Opens the vector index; called only if there is something to write.
        advance: Called with the progress after each slice.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        cache: VectorCache,
        catalog: Catalog,
        index: Callable[[], VectorIndex],
        advance: Callable[[Advance], None],
    ) -> None:
        self._embedder = embedder
        self._cache = cache
        self._catalog = catalog
        self._index = index
        self._advance = advance
        self._should_stop = self._should_pause = _never
        self._turn_seconds = SLICE_SECONDS
        # Tokens and passages per second, of the last texts.
        self._tokens_per_second = 0.0
        self._passages_per_second = 0.0
        self._made: dict[bytes, NDArray[np.float32]] = {}
        self._made_seconds = 0.0
        self.embedded = 0
        self.reused = 0

    def run(
        self,
        should_stop: Callable[[], bool],
        should_pause: Callable[[], bool] | None = None,
        *,
        since_run: int = 0,
        turn_seconds: float = SLICE_SECONDS,
    ) -> None:
        """Embed what is queued, until nothing is left or, after some of it, something else comes first.

        Args:
            should_stop: Called between batches; the work ends once it returns True.
            should_pause: Called after each batch: whether something else comes first.
            since_run: Leave what earlier runs have queued.
            turn_seconds: About how long a batch takes.

        Raises:
            Stopped: The user asked to stop. What was computed is kept.
        """
        self._should_stop, self._should_pause = should_stop, should_pause or _never
        self._turn_seconds = turn_seconds
        while window := self._catalog.queued(self._window_size(), since_run):
            if self._should_stop():
                raise Stopped
            self._embed_window(self._sound(window))
            if self._should_pause():
                break

    def _sound(self, window: Sequence[QueuedPassage]) -> list[QueuedPassage]:
        """Those whose text is what was queued. The files of the others are read again by the next run."""
        wrong = {one.passage.file.id for one in window if not one.sound}
        if wrong:
            self._catalog.mark_pending(sorted(wrong))
        return [one for one in window if one.passage.file.id not in wrong]

    def _embed_window(self, window: Sequence[QueuedPassage]) -> None:
        """Write the vectors that are known, and embed the other texts in slices.

        Sorting by length keeps padding small. The longest texts come first, so that a lack of memory shows at once and
        the remaining time is not underestimated.
        """
        of_text: dict[bytes, list[QueuedPassage]] = {}
        for one in window:
            of_text.setdefault(one.passage.digest, []).append(one)
        known = self._cache.get(self._embedder.fingerprint, list(of_text))
        self._write([one for digest in known for one in of_text[digest]], known, new=0)
        waiting = [own[0] for digest, own in of_text.items() if digest not in known]
        waiting.sort(key=lambda one: -one.tokens)
        if waiting and not self._tokens_per_second:
            self._report(doing="loading the model")
        try:
            self._embed_texts(waiting, of_text)
        except BaseException:
            # Such as Ctrl-C: what was computed is not computed again. Another turn may have another window.
            if made := self._taken():
                self._cache.put(self._embedder.fingerprint, made)
            raise

    def _embed_texts(self, waiting: Sequence[QueuedPassage], of_text: dict[bytes, list[QueuedPassage]]) -> None:
        """Embed texts until all are or something else comes first, and write the vectors of each slice."""
        start = 0
        while start < len(waiting):
            if self._should_stop():
                raise Stopped
            part = waiting[start : start + self._next_size(waiting[start].tokens)]
            began = time.monotonic()
            matrix = self._embedder.embed_documents([one.embedded for one in part], [one.tokens for one in part])
            seconds = max(time.monotonic() - began, 1e-6)
            self._tokens_per_second = sum(one.tokens for one in part) / seconds
            self._passages_per_second = len(part) / seconds
            self._made.update((one.passage.digest, vector) for one, vector in zip(part, matrix, strict=True))
            self._made_seconds += seconds
            self.embedded += len(part)
            start += len(part)
            if self._should_pause():
                break
            if self._made_seconds >= SLICE_SECONDS:
                self._keep(of_text)
        self._keep(of_text)

    def _keep(self, of_text: dict[bytes, list[QueuedPassage]]) -> None:
        """Cache the vectors that were computed, and write them into the index."""
        if not self._made:
            return
        # A new index is filled from the cache: opened later, it would get these vectors twice.
        self._index()
        self._cache.put(self._embedder.fingerprint, self._made)
        made = self._taken()
        self._write([one for digest in made for one in of_text[digest]], made, new=len(made))

    def _taken(self) -> dict[bytes, NDArray[np.float32]]:
        """The vectors that were computed since the last call, by digest."""
        made, self._made, self._made_seconds = self._made, {}, 0.0
        return made

    def _write(self, found: Sequence[QueuedPassage], vectors: dict[bytes, NDArray[np.float32]], *, new: int) -> None:
        """Write vectors, ``new`` of them just computed, into the index; then take their passages out of the queue."""
        self.reused += len(found) - new
        for page in pages(found, WRITTEN_AT_ONCE):
            self._index().upsert([vector_record(one.passage, vectors[one.passage.digest]) for one in page])
            self._catalog.embedded([one.passage.id for one in page], self._centroids(page, vectors))
            self._report(settled=len(page), tokens=sum(one.tokens for one in page))

    def _centroids(
        self, page: Sequence[QueuedPassage], vectors: dict[bytes, NDArray[np.float32]]
    ) -> dict[int, NDArray[np.float32]]:
        """The centroids of the files that are complete with these passages."""
        written = Counter(one.passage.file.id for one in page)
        waiting = self._catalog.unembedded(list(written))
        complete = [id_ for id_, count in written.items() if id_ in waiting and waiting[id_].passages == count]
        return known_centroids(self._catalog, self._cache, self._embedder.fingerprint, complete, vectors)

    def _report(self, *, settled: int = 0, tokens: int = 0, doing: Doing = "embedding") -> None:
        self._advance(Advance(doing=doing, embedded=self.embedded, reused=self.reused, settled=settled, tokens=tokens))

    def _window_size(self) -> int:
        """How many passages are embedded in a window, measured on the last texts."""
        if not self._passages_per_second:
            return _FIRST_WINDOW
        return int(min(max(self._passages_per_second * WINDOW_SECONDS, _SMALLEST_SLICE), _LARGEST_WINDOW))

    def _next_size(self, tokens: int) -> int:
        """How many texts to embed next, the first of which has that many tokens."""
        least = _SMALLEST_TURN if self._turn_seconds < SLICE_SECONDS else _SMALLEST_SLICE
        if not self._tokens_per_second:
            return least
        return int(min(max(self._tokens_per_second * self._turn_seconds / max(tokens, 1), least), _LARGEST_WINDOW))


def _never() -> bool:
    return False


class Embedding:
    """Embeds what is queued in turns, and adds up progress and result. Implements ``kb.ports.EmbeddingRun``.

    Args:
        embedder: The embedding model.
        cache: The embedding cache.
        catalog: The catalog.
        index: Opens the vector index.
        progress: The progress of the run that queued, at its end.
        run: The number of that run.
        on_progress: Called after each slice.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        cache: VectorCache,
        catalog: Catalog,
        index: Callable[[], VectorIndex],
        progress: IndexProgress,
        run: int,
        on_progress: Callable[[IndexProgress], None] | None = None,
    ) -> None:
        self._catalog = catalog
        self._run = run
        self._queue = QueueEmbedder(embedder=embedder, cache=cache, catalog=catalog, index=index, advance=self._advance)
        self._on_progress = on_progress
        self._seconds = progress.seconds
        self._reused = progress.reused
        self._progress = progress
        self._watch: Stopwatch | None = None
        self._interrupted = False

    @property
    def embedded(self) -> int:
        """How many passages were embedded."""
        return self._queue.embedded

    @property
    def interrupted(self) -> bool:
        """Whether the user asked to stop."""
        return self._interrupted

    @property
    def progress(self) -> IndexProgress:
        """How far it is; until the first turn, the progress of the run that queued, at its end."""
        return self._progress

    def turn(
        self,
        should_stop: Callable[[], bool],
        should_pause: Callable[[], bool] | None = None,
        *,
        leave_earlier: bool = False,
        turn_seconds: float = SLICE_SECONDS,
    ) -> bool:
        """Embed until nothing is left or something else comes first; returns whether something is left."""
        since_run = self._run if leave_earlier else 0
        queued, done = self._catalog.queue_size(), self._progress
        self._progress = replace(
            done,
            to_embed=done.embedded_of + queued.passages,
            tokens_total=done.tokens + queued.tokens,
            doing="embedding",
        )
        with Stopwatch() as watch:
            self._watch = watch
            try:
                self._queue.run(should_stop, should_pause, since_run=since_run, turn_seconds=turn_seconds)
            except Stopped:
                self._interrupted = True
            finally:
                self._watch = None
                self._seconds += watch.seconds()
        left = not self._interrupted and bool(self._catalog.queued(1, since_run))
        if not left and not self._interrupted and self.embedded:
            # What follows takes a while with a large model.
            self._advance(Advance(doing="finishing", embedded=self.embedded, reused=self._queue.reused))
        return left

    def report(self, words: IndexReport) -> IndexReport:
        """The report of the run that queued, with what was embedded after it."""
        queued = self._catalog.queue_size()
        return replace(
            words,
            embedded=words.embedded + self.embedded,
            reused=words.reused + self._queue.reused,
            total=self._catalog.count(),
            seconds=self._seconds,
            interrupted=words.interrupted or self._interrupted,
            unembedded=queued.passages,
            words_only=queued.files,
        )

    def _advance(self, step: Advance) -> None:
        self._progress = replace(
            self._progress,
            doing=step.doing,
            embedded=step.embedded,
            reused=self._reused + step.reused,
            embedded_of=self._progress.embedded_of + step.settled,
            tokens=self._progress.tokens + step.tokens,
            seconds=self._seconds + (self._watch.seconds() if self._watch else 0.0),
        )
        if self._on_progress is not None:
            self._on_progress(self._progress)
