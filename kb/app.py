"""The knowledge base as one object: what the command line does, it does through this."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Self, TypeVar

from kb.claims import claim
from kb.config import Settings, load
from kb.container import Container
from kb.errors import CatalogDamaged, FolderError, NotIndexed, RequestError, StoreDamaged
from kb.indexing.plan import withheld
from kb.maintenance import Guard, rebuilt, tidied
from kb.notes import keep_note
from kb.open_store import CACHE_FILE, Serving
from kb.records import (
    Answer,
    CheckReport,
    Failure,
    Filters,
    IndexReport,
    RebuildReport,
    SearchRequest,
    Shown,
    Status,
    mode_named,
)
from kb.search.filters import selected, tag_count
from kb.search.links import LinkResolver
from kb.search.names import below, file_named, unmatched
from kb.search.rerank import reranked
from kb.search.verify import FileStaleness
from kb.store.damage import set_aside_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from kb.ports import Edit
    from kb.records import (
        FileEvent,
        IndexProgress,
        KnownFile,
        Links,
        Mode,
        Rerank,
        ResolvedLink,
        ResolvedRequest,
        Unmatched,
    )

# What ``kb status`` tells, gathered from the parts without the model and without ChromaDB.


def status_of(container: Container) -> Status:
    """Counts, sizes, the model, how fresh the index is, and what could not be indexed."""
    from kb.sandbox.confine import confinement

    comparison, problems = container.comparison()
    files = container.catalog.files()
    store = Path(container.store_path)
    sizes = {path: path.stat().st_size for path in store.rglob("*") if path.is_file()} if store.is_dir() else {}
    return Status(
        folders=container.settings.folder_paths(),
        store=container.store_path,
        model=container.catalog.meta("model") or container.config.embed.model,
        fingerprint=container.catalog.meta("fingerprint") or "",
        generation=container.catalog.meta("generation") or "",
        files=sum(file.state == "done" for file in files),
        passages=container.catalog.count(),
        failed=sum(file.state == "failed" for file in files) + len(problems),
        replaced=sum(file.replaced > 0 for file in files),
        size=sum(sizes.values()),
        cache_size=sum(size for path, size in sizes.items() if path.name.startswith(CACHE_FILE)),
        index=container.freshness(),
        runtime=container.runtime(),
        problems=(*container.catalog.problems(), *problems),
        held=tuple(sorted(Counter(file.folder for file in withheld(comparison.gone, comparison)).items())),
        set_aside=tuple(set_aside_in(container.store_path)),
        confinement=confinement(),
        partly=tuple(Failure(file.folder, file.path, file.unread) for file in files if file.unread),
    )


_T = TypeVar("_T")
_LOG = logging.getLogger("kb")


class KnowledgeBase:
    """A folder of files, searchable by meaning.

    Open it with ``KnowledgeBase.open()``; use it in a ``with`` block, or call ``close()``. From the first question or
    index run until then it owns the store, and other processes have to wait. While ``kb watch`` owns it, both raise
    ``StoreBusy`` at once: ask that by ``kb search QUESTION --json``, or end it with ``kb watch --stop``.

    Example:
        >>> with KnowledgeBase.open("config.toml") as kb:
        ...     kb.index()
        ...     for hit in kb.search("where do the backups go?").hits:
        ...         print(hit.passage.file.path, hit.passage.first_line, hit.score)
    """

    def __init__(self, parts: Container) -> None:
        self._parts = parts
        self.query_priority, self.guard = parts.query_priority, Guard(parts)
        # One thread at a time changes the store; questions go on beside it.
        self._changing = RLock()
        self._log: Callable[[FileEvent, float], None] | None = None

    @classmethod
    def open(
        cls,
        settings: Settings | str | os.PathLike[str] | None = None,
        *,
        overrides: dict[str, str] | None = None,
        warn: Callable[[str], None] = _LOG.warning,
    ) -> KnowledgeBase:
        """Open a knowledge base. Nothing is loaded or written yet.

        Args:
            settings: Settings, or the path of a ``config.toml``; None looks one up as the command line does.
            overrides: Values to put over the file, by dotted key: ``{"embed.model": "all-MiniLM-L6-v2"}``.
            warn: Gets a sentence whenever something had to be mended, or a wait begins. By default it is logged by
                ``kb``, which Python shows on standard error unless the program has its own logging.

        Raises:
            ConfigError: The configuration has mistakes.
        """
        if not isinstance(settings, Settings):
            settings = load(None if settings is None else os.fspath(settings), overrides=overrides)
        return cls(Container(settings, warn))

    @property
    def settings(self) -> Settings:
        """The configuration in effect."""
        return self._parts.settings

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
        """Bring the index in line with the folders.

        Args:
            full: Read every file again, and take over another model if the configuration names one.
            dry_run: Only say what would be done.
            accept_deletions: Drop files that are gone even where most of a folder went at once.
            take_over: Fill the store of another configuration from now on; what only that one names is dropped.
            on_progress: Called after each batch.
            on_event: Told of each file once it is done.
            should_stop: Asked between files and batches; when true the run ends in order.

        Raises:
            FolderError: No folder is configured, or none of them is there.
            ModelError: The model cannot be had.
            ModelMismatch: The store was made by another model, and ``full`` was not asked for.
            StoreBusy: Another process owns the store.
            StoreError: Another configuration fills it, and ``take_over`` was not asked for.
        """
        if take_over:
            self._parts.take_over()
        if dry_run:
            self._require_folders()
            return self._parts.indexer.dry_run(full=full)

        def run() -> IndexReport:
            self._agree(full=full)
            self._settle_generation()
            report = self._parts.indexer.run(
                full=full,
                accept_deletions=accept_deletions,
                on_progress=on_progress,
                on_event=on_event or self._logged(),
                should_stop=should_stop,
            )
            tidied(self._parts, report, self._logged(), should_stop)
            return report

        with self._changing:
            self._require_folders()
            try:
                self._parts.own()
                self._parts.integrity.refuse_damage()
                return self._answered(run)
            except CatalogDamaged:
                self._parts.replace_catalog()
                return self._answered(run)

    def own(
        self,
        watch: Callable[[], tuple[bool, int]] | None = None,
        *,
        write_batch: int | None = None,
        log: Callable[[FileEvent, float], None] | None = None,
    ) -> None:
        """Own the store from now on until ``close``, with the model loaded, for questions from many threads.

        Args:
            watch: Tells whether a watcher is at work and how many places wait; answers then carry that instead of
                what a scan finds.
            write_batch: How many passages are written at once; few, where questions come in meanwhile.
            log: Told of each file that a run has done, whoever asked for the run, and of the seconds it took.

        Raises:
            StoreBusy: Another process owns it.
        """
        with self._changing:
            self._log = log
            self._parts.serve(Serving(watch, write_batch))
            self.guard.lost()

    def search(
        self,
        question: str | SearchRequest,
        *,
        limit: int | None = None,
        min_score: float | None = None,
        per_file: int | None = None,
        filters: Filters | None = None,
        mode: Mode | str | None = None,
        weak: bool | None = None,
        fold: bool | None = None,
        explain: bool = False,
        literal: bool = False,
        rerank: Rerank | None = None,
        best_seconds: float | None = 0.0,
    ) -> Answer:
        """The passages that answer a question, best first; none where nothing in the notes is about it.

        Args:
            question: What to ask, perhaps with phrases, exclusions and filters in it: see ``kb.search.syntax``. Or a
                whole ``SearchRequest``, beside which there are no keywords.
            limit: How many hits at most; None as configured, and so below.
            min_score: The least cosine.
            per_file: How many hits of one file at most; 0 for any number.
            filters: Which files to ask.
            mode: What orders the hits: a ``Mode``, or its name.
            weak: Whether to give hits no nearer to the question than unrelated passages are.
            fold: Whether near duplicates become one hit, with the others as its ``duplicates``.
            explain: Whether each hit says why it stands where it stands.
            literal: Whether to take the question as it stands, without phrases, exclusions and filters in it.
            rerank: By what to have the best hits read again.
            best_seconds: How long to look for the best sentences of the hits; 0: not at all.

        Raises:
            RequestError: A value is out of its range, or two contradict each other.
        """
        whole = question if isinstance(question, SearchRequest) else None
        request = SearchRequest(
            "" if isinstance(question, SearchRequest) else question,
            limit=limit,
            min_score=min_score,
            per_file=per_file,
            filters=filters or Filters(),
            mode=None if mode is None else mode_named(mode),
            weak=weak,
            fold=fold,
            explain=explain,
            literal=literal,
            rerank=rerank,
            best_seconds=best_seconds,
        )
        if whole is not None and request != SearchRequest():
            raise RequestError("a SearchRequest conflicts with keywords", "Put what the keywords say into the request")
        return self._answer((whole or request).resolved(self._parts.config.search.defaults()))

    def similar(
        self,
        file: str,
        *,
        limit: int | None = None,
        min_score: float | None = None,
        per_file: int | None = None,
        filters: Filters | None = None,
        fold: bool | None = None,
    ) -> Answer:
        """The passages of other files nearest to a file as a whole; one per file unless said otherwise.

        Raises:
            NotIndexed: The file is not in the index.
            RequestError: A value is out of its range.
        """
        filters = filters or Filters()
        return self.search(
            SearchRequest(
                like=os.fspath(file), limit=limit, min_score=min_score, per_file=per_file, filters=filters, fold=fold
            )
        )

    def show(self, file: str, line: int | None = None) -> Shown:
        """The passages of a file as they are in the index, or those at a line.

        Raises:
            NotIndexed: The file, or a passage at that line, is not in the index.
        """
        known = self._known(file)
        passages = self._parts.integrity.passages(known)
        if line is not None:
            passages = [one for one in passages if one.first_line <= line <= one.last_line]
            if not passages:
                raise NotIndexed(f"{file} has no passage at line {line}", f"kb show {file} shows all of them")
        return Shown(known, tuple(passages), FileStaleness(self._parts.files).changed(known), line)

    def resolve(self, name: str) -> str:
        """The absolute path of the file that is called so, or stands at that path below a folder.

        Raises:
            NotIndexed: No file is, or several are.
        """
        return "{0.folder}/{0.path}".format(file_named(self._of_folders(), name, "", self._parts.catalog.named))

    def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]:
        """The values of filters that no file has, with those that may have been meant."""
        return unmatched(self._parts.catalog.files(), filters)

    def documents(self, filters: Filters | None = None) -> list[KnownFile]:
        """The files in the index, failed ones left out, by folder and path."""
        return [file for file in selected(self._parts.catalog.files(), filters or Filters()) if file.state == "done"]

    def tags(self, filters: Filters | None = None) -> list[tuple[str, int]]:
        """Every tag with the number of documents that have it or one below it, the most frequent first."""
        return tag_count(self.documents(filters))

    def status(self) -> Status:
        """Counts, sizes, the model, how fresh the index is, and what could not be indexed."""
        return status_of(self._parts)

    def links(self, file: str) -> Links:
        """What a file links to and what links to it, as of the last index run.

        Raises:
            NotIndexed: The file is not in the index.
        """
        return self._link_resolver().links(self._known(file))

    def broken_links(self) -> list[ResolvedLink]:
        """Every link of the folders that leads nowhere, in the order of its place."""
        return self._link_resolver().broken()

    def check(self, *, repair: bool = False) -> CheckReport:
        """Compare disk, catalog and vectors, passage by passage; with ``repair`` mend them and compare again."""
        with self._changing:
            self._require_folders()
            self._parts.own()
            self._parts.agree()
            return self._answered(lambda: self._parts.checker.check(repair=repair))

    def rebuild(self) -> RebuildReport:
        """Make the vector index again from catalog and cache beside the old one; what was set aside is removed."""
        with self._changing:
            self._parts.own()
            self._parts.agree()
            return rebuilt(self._parts, self._logged())

    def beside(self, store: str, *, folders: Sequence[str] = (), edit: Edit | None = None) -> KnowledgeBase:
        """Another knowledge base in another store, with this one's model, and its vectors for texts that are equal.

        Args:
            store: The folder of the other store.
            folders: What it is to index; none: the folders of this one.
            edit: Changes each document before it is split.
        """
        return KnowledgeBase(self._parts.beside(store, folders, edit))

    def note(
        self,
        text: str,
        *,
        title: str | None = None,
        tags: Sequence[str] = (),
        on_written: Callable[[str], None] = lambda _: None,
    ) -> tuple[str, IndexReport]:
        """Write a dated Markdown note into the first folder and index it; its path, and what indexing did.

        Args:
            text: What it says.
            title: Its title; None: its first line.
            tags: Its tags.
            on_written: Called with the path as soon as the file is written: whatever is raised later is about indexing.

        Raises:
            KbError: There is nothing to write.
            FolderError: The first folder is not there.
        """
        root, below = self._parts.folders[0], self._parts.config.note.folder
        if not Path(root).is_dir():
            raise FolderError(f"notes go into {root}, which is not there", "Mount or make it; nothing was written")
        with suppress(CatalogDamaged):
            # The store of another configuration is refused before anything is written; a damaged one is mended after.
            self._parts.catalog.meta("configuration")
        on_written(path := keep_note(root, below, text, title=title or "", tags=tags))
        return path, self.index()

    def close(self) -> None:
        """Close the store and let others have it. Closing twice is allowed."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, request: ResolvedRequest) -> Answer:
        """Answer a request that leaves nothing open."""
        parts = self._parts
        known = self._known(request.like) if request.like is not None else None
        if known is None and not parts.exists:
            return Answer(request.question, request.mode, parts.freshness())
        parts.ask()
        with self.query_priority:
            if known is not None:
                return self._answered(lambda: parts.searcher.similar(known, request))
            if request.rerank == "off":
                found = self._answered(lambda: parts.searcher.search(request))
            else:
                most, seconds = parts.config.search.rerank_hits, parts.config.search.rerank_seconds
                more = replace(request, limit=max(request.limit, most))
                found = self._answered(lambda: parts.searcher.search(more))
                reranker = parts.rerankers.get(request.rerank)
                found = reranked(found, reranker, limit=request.limit, most=most, seconds=seconds)
            # Most questions write nothing: an index run measures what they need.
            parts.searcher.save_measurements()
            return parts.searcher.quoted(found, request.best_seconds)

    def _logged(self) -> Callable[[FileEvent], None] | None:
        """Passes the files of one run on to the log, each with the seconds since the one before."""
        log, began = self._log, time.monotonic()
        if log is None:
            return None

        def on_event(event: FileEvent) -> None:
            nonlocal began
            before, began = began, time.monotonic()
            log(event, began - before)

        return on_event

    def _require_folders(self) -> None:
        """Refuse to work where there is nothing to look at: a folder that is not there says nothing of its files."""
        folders = self._parts.folders
        if not any(Path(folder).is_dir() for folder in folders):
            raise FolderError(
                f"{folders[0]} is not a folder" if len(folders) == 1 else "none of the folders is there",
                "Mount or make it, or set folders.paths to another one; nothing was removed from the index",
            )

    def _link_resolver(self) -> LinkResolver:
        return LinkResolver(self._parts.catalog, self._parts.files)

    def _agree(self, *, full: bool) -> None:
        """See that the store is of this model and configuration; ``full`` makes way for another model."""
        stored = self._parts.catalog.meta("fingerprint")
        if full and stored not in {None, self._parts.embedder.fingerprint}:
            self._parts.adopt()
        self._parts.agree()
        claim(self._parts.catalog, self._parts.settings)

    def _settle_generation(self) -> None:
        """Mend the vector index before anything else, where it is missing or in doubt; else leave it closed."""
        if self._parts.catalog.count() and not self._parts.vectors.trusted():
            self._parts.index()

    def _answered(self, ask: Callable[[], _T]) -> _T:
        """Do something with the vector index; where it turns out to be damaged, make it again and do it once more."""
        try:
            return ask()
        except StoreDamaged as error:
            with self._changing:
                self._parts.warn(f"{error.message}; the vector index is looked at and made again")
                self._parts.vectors.doubt()
                return ask()

    def _known(self, file: str) -> KnownFile:
        """A file of the index: by its path from the current folder or below a watched one, by name, alias or title."""
        catalog = self._parts.catalog
        return file_named(self._of_folders(), file, os.path.realpath(Path(file).expanduser()), catalog.named)

    def _of_folders(self) -> list[KnownFile]:
        """The files of the folders that are read: a store that came along with a folder may name any other file."""
        return below(self._parts.catalog.files(), self._parts.folders)
