"""``LocalKnowledgeBase``: a knowledge base that opens the store in this process, as the daemon and commands do."""

from __future__ import annotations

import logging
import math
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from kb.answers.ask_model import Asking, asked_of_model
from kb.answers.extract import SentenceExtractor
from kb.answers.language_model import open_model
from kb.answers.passages import sources_for
from kb.answers.prompt import prompt_of
from kb.claims import claim
from kb.config import Settings, load
from kb.container import Container
from kb.errors import CatalogDamaged, DocumentError, FolderError, NotIndexed, RequestError, StoreDamaged
from kb.fair_lock import FairLock
from kb.file_text import Part, read_part, require_readable
from kb.indexing.embed import SLICE_SECONDS, TURN_SECONDS
from kb.maintenance import StoreMonitor, maintain_after_run, rebuild_index
from kb.notes import keep_note, require_place
from kb.open_store import Serving
from kb.overview import Overview
from kb.records import (
    MODES,
    Answer,
    CheckReport,
    Filters,
    FoundFile,
    IndexReport,
    Mode,
    RebuildReport,
    Reply,
    SearchRequest,
    Shown,
    Step,
)
from kb.search.filters import selected, tag_count
from kb.search.names import below, file_named, unmatched
from kb.search.rerank import reranked
from kb.search.search import nearest_of
from kb.search.verify import FileStaleness
from kb.search_methods import SearchMethods
from kb.status import status_of
from kb.system.paths import expand_home, real_path, with_slashes
from kb.transfer import KEPT, back_up, export_table, export_vectors, import_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType

    from kb.answers.language_model import LanguageModel
    from kb.answers.passages import SourceText
    from kb.backup.tables import TableFormat
    from kb.embedding.takeover import OnnxTakeover
    from kb.forecast import Forecast
    from kb.ports import Edit, EmbeddingRun, Stream
    from kb.records import (
        BackupReport,
        Claim,
        ExportReport,
        FileEvent,
        FileText,
        ImportReport,
        IndexProgress,
        KnownFile,
        Links,
        Prompt,
        ResolvedLink,
        ResolvedRequest,
        Status,
        StoredPassage,
        Subtree,
        Unmatched,
    )


def _never() -> bool:
    return False


_T = TypeVar("_T")
_LOG = logging.getLogger("kb")
# How long to embed the sentences of an answer at least: a few take a tenth of that, where the machine is not busy.
_SENTENCE_SECONDS: Final = 1.0
# Up to one file in so many is not worth another order of hits: it is embedded in a moment.
_FEW_WAITING: Final = 20


class LocalKnowledgeBase(SearchMethods):
    """A knowledge base that opens the store in this process, whether or not a daemon runs.

    Programs use ``kb.KnowledgeBase``, which asks a running daemon first. This one locks the store from the first search
    or index run until ``close()``; other processes wait. While ``kb watch`` holds the lock, both raise ``StoreBusy`` at
    once. The methods that ``KnowledgeBase`` has too are described there.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self.query_priority, self.monitor = container.query_priority, StoreMonitor(container)
        self.overview = Overview(container)
        # One thread at a time changes the store; searches continue.
        self._changing = FairLock()
        self._serving = False
        self._log: Callable[[FileEvent, float], None] | None = None

    @classmethod
    def open(
        cls,
        settings: Settings | str | os.PathLike[str] | None = None,
        *,
        overrides: Mapping[str, str] | None = None,
        warn: Callable[[str], None] = _LOG.warning,
    ) -> LocalKnowledgeBase:
        """Open a knowledge base, as ``KnowledgeBase.open`` does. Nothing is loaded or written yet."""
        if not isinstance(settings, Settings):
            settings = load(None if settings is None else os.fspath(settings), overrides=overrides)
        return cls(Container(settings, warn))

    @property
    def settings(self) -> Settings:
        """The configuration in effect."""
        return self._container.settings

    def index(
        self,
        *,
        full: bool = False,
        dry_run: bool = False,
        accept_deletions: bool = False,
        take_over: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        on_event: Callable[[FileEvent], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> IndexReport:
        """Bring the index up to date with the folders."""
        if take_over:
            self._container.take_over()
        if dry_run:
            self._require_a_folder()
            return self._container.indexer.dry_run(full=full)

        def run() -> IndexReport:
            report, embedding = self.update(
                full=full,
                accept_deletions=accept_deletions,
                on_progress=on_progress,
                on_event=on_event,
                should_stop=should_stop,
            )
            report = self._embed_all(report, embedding, should_stop=should_stop)
            return replace(report, unsent=self._container.catalog.count_deferred())

        try:
            return run()
        except CatalogDamaged:
            # Damaged while it embedded: the next update sets the catalog aside and begins a new one.
            return run()

    def update(
        self,
        *,
        places: Collection[Subtree] | None = None,
        full: bool = False,
        accept_deletions: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        on_event: Callable[[FileEvent], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> tuple[IndexReport, EmbeddingRun]:
        """Do what ``index`` does but embed nothing: new texts are found by their words.

        ``places`` is where something changed since this was last called, None where that is not known: the other places
        are looked at only where they may matter. The other arguments are those of ``index``.

        Returns:
            The report, and what ``embed`` takes to embed everything that is queued.
        """

        def run() -> tuple[IndexReport, EmbeddingRun]:
            self._require_model(full=full)
            self._repair_index()
            report, embedding = self._container.indexer.run(
                places=places,
                full=full,
                accept_deletions=accept_deletions,
                on_progress=on_progress,
                on_event=on_event or self._event_logger(),
                should_stop=should_stop,
            )
            maintain_after_run(self._container, report, self._event_logger(), should_stop)
            # A new vector index may lack vectors that the cache no longer has; their texts are queued again.
            return embedding.report(report), embedding

        with self._changing:
            self._require_a_folder()
            try:
                self._container.own()
                self._container.store.integrity.refuse_damage()
                return self._with_recovery(run)
            except CatalogDamaged:
                self._container.replace_catalog()
                return self._with_recovery(run)
            finally:
                self._container.look_again()

    def embed(
        self,
        embedding: EmbeddingRun,
        *,
        should_stop: Callable[[], bool] | None = None,
        should_pause: Callable[[], bool] | None = None,
        leave_earlier: bool = False,
    ) -> bool:
        """Embed for a turn, which ends where another thread wants to change the store.

        Args:
            embedding: What ``update`` returned.
            should_stop: Called between batches; the work ends once it returns True, and nothing counts as left.
            should_pause: The same for the turn alone.
            leave_earlier: Leave what was queued before that update.

        Returns:
            Whether something is left.
        """

        def paused() -> bool:
            return self._changing.wanted or (should_pause is not None and should_pause())

        seconds = TURN_SECONDS if self._serving else SLICE_SECONDS
        with self._changing:
            left = self._with_recovery(
                lambda: embedding.turn(should_stop or _never, paused, leave_earlier=leave_earlier, turn_seconds=seconds)
            )
            if not left:
                self._container.store.settle_exact()
            # A user who stops a run does not want to wait for this; the next run does it.
            if embedding.embedded and not left and not embedding.interrupted:
                self._container.searcher.measure()
            return left

    def complete_index(self) -> float | None:
        """Send a Chroma server what it lacks, where it keeps the vectors and can be used.

        Returns:
            After how many seconds to call this again; None if the store keeps the vectors itself.

        Raises:
            StoreError: Another process or another store has the collections.
        """
        server = self._container.store.server
        if server is None:
            return None
        with self._changing:
            self._container.store.complete(_never)
        return server.due_in()

    def _embed_all(
        self,
        report: IndexReport,
        embedding: EmbeddingRun,
        *,
        should_stop: Callable[[], bool] | None = None,
        leave_earlier: bool = False,
    ) -> IndexReport:
        """Embed in turns until nothing is left; returns the report with that."""
        if report.interrupted or not report.unembedded:
            return report
        while self.embed(embedding, should_stop=should_stop, leave_earlier=leave_earlier):
            pass
        return embedding.report(report)

    def own(
        self,
        watch: Callable[[], tuple[bool, int]] | None = None,
        *,
        write_batch: int | None = None,
        log: Callable[[FileEvent, float], None] | None = None,
    ) -> None:
        """Lock the store until ``close`` and load the model, for searches from many threads.

        Args:
            watch: Returns whether folders are watched and how many changes are waiting; used for the freshness of
                answers instead of a scan.
            write_batch: The number of passages written at once; a small number keeps searches fast.
            log: Called with each file of every index run and the seconds it took.

        Raises:
            StoreBusy: Another process holds the store.
        """
        with self._changing:
            self._log, self._serving = log, True
            self._container.serve(Serving(watch, write_batch))
            self.monitor.lost()

    def forecast(self) -> Forecast | None:
        """What the first run of a new store does here, after a few seconds; None if it is not new, or does little.

        Raises:
            ConfigError: A pattern of the configuration is invalid.
        """
        from kb.forecast import of_new_store

        return of_new_store(self._container.settings, self._container.embedder_if_here)

    def takeover(self, say: Callable[[str], None]) -> OnnxTakeover:
        """What exports the model to ONNX in the background of a daemon, and switches to the result.

        Raises:
            ModelError: The model is not on this machine and cannot be fetched.
        """
        from kb.embedding.takeover import OnnxTakeover

        return OnnxTakeover(self._container.embedder, say)

    def ask(
        self,
        request: SearchRequest | str,
        /,
        *,
        model: str | None = None,
        on_step: Callable[[Step | Claim], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Reply:
        """Answer a question in sentences, each with quotes from the files.

        Args:
            request: The question, or a ``SearchRequest``. The mode that it leaves open is ``answer.mode``.
            model: The language model; None for ``answer.model``, empty for none, so that the sentences of the files are
                the answer.
            on_step: Called with each step, and with each sentence of a model as soon as its quotes are checked.
            should_stop: Called several times a second while a model answers; it is given up once this returns True.

        Raises:
            AnswerError: The library llm or the model is missing, or text would leave this machine without leave.
            Cancelled: ``should_stop`` returned True.
            RequestError: The request is for passages like a file.
        """
        request = SearchRequest(request) if isinstance(request, str) else request
        if request.like is not None:
            raise RequestError("a question has no field like", "Use similar for passages like a file")
        config = self._container.config
        name = config.answer.model if model is None else model
        asked = self._language_model(name) if name else None
        resolved = request.resolved(config.answer.defaults(config.search))
        on_step(Step("searching", "searching"))
        answer = self._answer_resolved(resolved)
        if not answer.hits:
            return Reply((), answer)
        reply = self._extracted(answer, resolved)
        if asked is None or not reply.quotes:
            return reply
        asking = Asking(config.answer.seconds, config.answer.max_tokens, should_stop, on_step)
        return asked_of_model(reply, asked, self.passages_for(reply), answer.query, asking)

    def _language_model(self, name: str) -> LanguageModel:
        answer = self._container.config.answer
        return open_model(name, answer.endpoint, offline=answer.offline, seconds=answer.seconds)

    def prompt(self, request: SearchRequest | str, /) -> Prompt:
        """What a language model would be sent for a question; nothing is sent."""
        reply = self.ask(request, model="")
        return prompt_of(reply.answer.query, self.passages_for(reply))

    def passages_for(self, reply: Reply) -> list[SourceText]:
        """The passages of a reply's hits that a language model is given, joined with their neighbours."""
        room = self._container.config.answer.context_chars

        def passages_of(passage: StoredPassage) -> Sequence[StoredPassage]:
            return self._container.store.integrity.passages(passage.file)

        return sources_for(reply.answer.hits, passages_of, room)

    def _extracted(self, answer: Answer, request: ResolvedRequest) -> Reply:
        """Return the sentences of the hits that answer best."""
        container = self._container
        seconds = max(_SENTENCE_SECONDS, request.best_seconds, container.config.search.best_seconds)
        with self.query_priority:
            # The vector of the question may come from the cache; those of the sentences need the model.
            container.embedder.load()
            vector = container.store.questions.get().embed_query(answer.query)
            extractor = SentenceExtractor(container.searcher.sentence_vectors)
            quotes = extractor.best(answer, vector, seconds, weak=request.weak)
        if not quotes:
            # None of them says anything to the question, so the hits are no better than weak ones.
            answer = replace(answer, hits=(), weak=True, nearest=nearest_of(answer.hits), below=0)
        return Reply(quotes, answer)

    def read(
        self, file: str, *, first_line: int = 1, last_line: int | None = None, page: int | None = None
    ) -> FileText:
        """The exact text of an indexed file, or of some of its lines, or of a page."""
        part = Part(first_line, last_line, page)
        return read_part(self._container.files, self._container.store.integrity, self._known(file), part)

    def content(self, folder: str, path: str) -> bytes:
        """The bytes of a file that the rules include, indexed or not, such as an image that a note embeds.

        Args:
            folder: A watched folder.
            path: The path of the file in it.

        Raises:
            DocumentError: It is not there, not a regular file, excluded, or behind a link.
        """
        files = self._container.files
        stat = files.stat(folder, path)
        if stat is None or not files.belongs(folder, path):
            raise DocumentError("is not there, or excluded", "Look at the rules for files in config.toml")
        return files.load(FoundFile(folder, path, stat)).data

    def passage(self, passage_id: str) -> StoredPassage:
        """The passage with an id."""
        container = self._container
        found = container.catalog.passages([passage_id]).get(passage_id)
        if found is not None and below([found.file], container.folders):
            require_readable(container.files, found.file)
            found = container.store.integrity.verifier().checked(found)
            if found is not None:
                return found
        raise NotIndexed(f"no passage has the id {passage_id}", "Ids change with the text: search for it again")

    def show(self, file: str, line: int | None = None) -> Shown:
        """The indexed passages of a file, or those at a line."""
        known = self._known(file)
        passages = self._container.store.integrity.passages(known)
        if line is not None:
            passages = [one for one in passages if one.first_line <= line <= one.last_line]
            if not passages:
                raise NotIndexed(f"{file} has no passage at line {line}", f"kb show {file} shows all of them")
        return Shown(known, tuple(passages), FileStaleness(self._container.files).changed(known), line)

    def resolve(self, name: str) -> str:
        """The absolute path of the indexed file with a name or relative path."""
        return file_named(self._files_in_folders(), name, "", self._container.catalog.named).absolute_path

    def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]:
        """The filter values that match no file, with suggestions."""
        return unmatched(self._container.catalog.files(), filters)

    def documents(self, filters: Filters | None = None) -> list[KnownFile]:
        """The indexed files without failed ones, sorted by folder and path."""
        return [
            file for file in selected(self._container.catalog.files(), filters or Filters()) if file.state == "done"
        ]

    def tags(self, filters: Filters | None = None) -> list[tuple[str, int]]:
        """Every tag with the number of documents that have it or a nested tag, the most frequent first."""
        return tag_count(self.documents(filters))

    def status(self) -> Status:
        """Counts, sizes, model, freshness and files that could not be indexed."""
        return status_of(self._container)

    def links(self, file: str) -> Links:
        """The links of a file and the links to it, as of the last index run."""
        return self._container.store.link_resolver.get().links(self._known(file))

    def broken_links(self) -> list[ResolvedLink]:
        """All broken links, sorted by file and line."""
        return self._container.store.link_resolver.get().broken()

    def sync(self, timeout: float | None = None) -> bool:
        """Index everything that is on disk now, or as much as the time allows; returns whether that was everything."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        return not self.index(should_stop=lambda: time.monotonic() > until).interrupted

    @property
    def holds_store(self) -> bool:
        """Whether this process has the store locked."""
        return self._container.lock.held

    def hold_store(self, wait_seconds: float) -> None:
        """Lock the store until ``close``, waiting so many seconds for another process.

        Raises:
            StoreBusy: Another process holds the store.
        """
        self._container.hold(wait_seconds)

    def check(self, *, repair: bool = False) -> CheckReport:
        """Compare disk, catalog and vectors passage by passage; ``repair`` fixes differences and compares again."""
        with self._changing:
            self._require_a_folder()
            self._container.own()
            self._container.store.require_model()
            self._container.look_again()
            report = self._with_recovery(lambda: self._container.store.checker.get().check(repair=repair))
        if not report.repaired or not report.unembedded:
            return report
        embedded = self.index()
        return replace(report, vectors=self._container.index().count(), unembedded=embedded.unembedded)

    def rebuild(self) -> RebuildReport:
        """Rebuild the vector index from catalog and cache, and delete the damaged files that were set aside."""
        started = time.monotonic()
        with self._changing:
            self._container.own()
            self._container.store.require_model()
            generation, embedding = rebuild_index(self._container, self._event_logger())
        while self.embed(embedding, leave_earlier=True):
            pass
        total = self._container.index().count()
        return RebuildReport(generation, total - embedding.embedded, embedding.embedded, time.monotonic() - started)

    def backup(
        self, path: Path, *, incremental: bool = False, keep: int = KEPT, should_stop: Callable[[], bool] = _never
    ) -> BackupReport:
        """Write a backup into a file, or with ``incremental`` what changed since the last one into a folder.

        The store may be searched and indexed meanwhile.

        Args:
            path: The file or folder.
            incremental: Add to a folder of backups.
            keep: How many backups the folder keeps.
            should_stop: Called between pieces; ``Cancelled`` is raised once it returns True.

        Raises:
            BackupError: Something else is at the path.
        """
        return back_up(self._container, path, incremental=incremental, keep=keep, should_stop=should_stop)

    def export(
        self,
        path: Path | Stream,
        kind: TableFormat,
        *,
        vectors: bool = True,
        replace: bool = False,
        should_stop: Callable[[], bool] = _never,
    ) -> ExportReport:
        """Write all passages for other programs, with their places, metadata and vectors.

        Args:
            path: The file, or a stream.
            kind: The format.
            vectors: Whether to write the vectors.
            replace: Whether an existing file may be replaced.
            should_stop: Called between pieces; ``Cancelled`` is raised once it returns True.

        Raises:
            BackupError: The file exists, or a library is missing.
        """
        return export_table(self._container, path, kind, vectors=vectors, replace=replace, should_stop=should_stop)

    def export_vectors(self, path: Path, *, should_stop: Callable[[], bool] = _never) -> BackupReport:
        """Write the vectors into a file, for ``import_vectors`` on another machine.

        Raises:
            BackupError: Something else is at the path.
        """
        return export_vectors(self._container, path, should_stop)

    def import_vectors(self, path: Path, *, should_stop: Callable[[], bool] = _never) -> ImportReport:
        """Bring the vectors of a file or a backup into the embedding cache, so that only other texts are embedded.

        Raises:
            ModelMismatch: They are of another model.
            BackupError: It is no such file.
        """
        return import_vectors(self._container, path, should_stop)

    def beside(self, store: str, *, folders: Sequence[str] = (), edit: Edit | None = None) -> LocalKnowledgeBase:
        """Another knowledge base in another store that shares this one's model and cached vectors.

        Args:
            store: The directory of the other store.
            folders: The folders to index; the folders of this one if empty.
            edit: Changes each document before it is split.
        """
        return LocalKnowledgeBase(self._container.beside(store, folders, edit))

    def note(
        self,
        text: str,
        *,
        title: str | None = None,
        tags: Sequence[str] = (),
        on_written: Callable[[str], None] = lambda _: None,
    ) -> tuple[str, IndexReport]:
        """Write a dated Markdown note into the first folder and index it."""
        root, below = self._container.folders[0], self._container.config.note.folder
        require_place(root, below)
        with suppress(CatalogDamaged):
            # Refuse the store of another configuration before writing; a damaged store is repaired by the index run.
            self._container.catalog.meta("configuration")
        self._container.look_again()
        on_written(path := keep_note(root, below, text, title=title or "", tags=tags))
        # What waited before is left to whoever began with it.
        report, embedding = self.update()
        return path, self._embed_all(report, embedding, leave_earlier=self._serving)

    def close(self) -> None:
        """Close the store and release its lock. Closing twice is allowed."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, request: SearchRequest) -> Answer:
        container = self._container
        return self._answer_resolved(request.resolved(container.config.search.defaults()))

    def _answer_resolved(self, request: ResolvedRequest) -> Answer:
        """Answer a request whose defaults are filled in."""
        container = self._container
        began = time.monotonic()
        answer = self._found(request)
        server = container.store.server if container.exists else None
        why = server.fell_back(began) if server is not None else ""
        return replace(answer, index=replace(answer.index, without_server=why)) if why else answer

    def _found(self, request: ResolvedRequest) -> Answer:
        """The passages that answer a request."""
        container = self._container
        request = self._by_both_meanwhile(request)
        known = self._known(request.like) if request.like is not None else None
        if known is None and not container.exists:
            return Answer(request.question, request.mode, container.store.freshness())
        container.ask()
        with self.query_priority:
            if known is not None:
                return self._with_recovery(lambda: container.searcher.similar(known, request))
            if request.rerank == "off":
                found = self._with_recovery(lambda: container.searcher.search(request))
            else:
                most, seconds = container.config.search.rerank_hits, container.config.search.rerank_seconds
                more = replace(request, limit=max(request.limit, most))
                found = self._with_recovery(lambda: container.searcher.search(more))
                reranker = container.rerankers.get(request.rerank)
                found = reranked(found, reranker, limit=request.limit, most=most, seconds=seconds)
            # Rarely writes: index runs take these measurements.
            container.searcher.save_measurements()
            return container.searcher.quoted(found, request.best_seconds)

    def _by_both_meanwhile(self, request: ResolvedRequest) -> ResolvedRequest:
        """The request by meaning and words, where it names no mode and many files are not found by meaning yet."""
        if not request.mode_open or MODES[request.mode].by_words or not self._container.exists:
            return request
        catalog = self._container.catalog
        few = catalog.queue_size().files * _FEW_WAITING <= catalog.count_files()
        return request if few else replace(request, mode=Mode.HYBRID)

    def _event_logger(self) -> Callable[[FileEvent], None] | None:
        """A callback that logs each file of one run with the seconds since the previous file."""
        log, began = self._log, time.monotonic()
        if log is None:
            return None

        def on_event(event: FileEvent) -> None:
            nonlocal began
            before, began = began, time.monotonic()
            log(event, began - before)

        return on_event

    def _require_a_folder(self) -> None:
        """Raise ``FolderError`` if no folder exists: a missing folder says nothing about its files."""
        folders = self._container.folders
        if not any(Path(folder).is_dir() for folder in folders):
            raise FolderError(
                f"{folders[0]} is not a folder" if len(folders) == 1 else "none of the folders is there",
                "Mount or make it, or set folders.paths to another one; nothing was removed from the index",
            )

    def _require_model(self, *, full: bool) -> None:
        """Check that the store has this model and configuration; ``full`` switches the model."""
        stored = self._container.catalog.meta("fingerprint")
        if full and stored not in {None, self._container.embedder.fingerprint}:
            self._container.store.switch_model()
        self._container.store.require_model()
        claim(self._container.catalog, self._container.settings)

    def _repair_index(self) -> None:
        """Open, and so repair, the vector index if it is missing or may be damaged; otherwise leave it closed."""
        if self._container.store.on_server:
            self._container.store.complete(_never)
        elif self._container.catalog.count_embedded() and not self._container.vectors.is_usable():
            self._container.index()

    def _with_recovery(self, ask: Callable[[], _T]) -> _T:
        """Call ``ask``; if the vector index turns out to be damaged, repair it and call ``ask`` again."""
        try:
            return ask()
        except StoreDamaged as error:
            with self._changing:
                self._container.warn(f"{error.message}; the vector index is looked at and made again")
                self._container.vectors.mark_suspect()
                return ask()

    def _known(self, file: str) -> KnownFile:
        """Find an indexed file by path (from the current or a watched folder), name, alias or title."""
        catalog = self._container.catalog
        absolute = real_path(expand_home(file))
        return file_named(self._files_in_folders(), with_slashes(file), absolute, catalog.named)

    def _files_in_folders(self) -> list[KnownFile]:
        """The indexed files inside the configured folders: a store from elsewhere may name any file."""
        return below(self._container.catalog.files(), self._container.folders)
