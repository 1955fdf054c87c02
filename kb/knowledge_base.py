"""``KnowledgeBase``: the public interface of kb for Python, beside a running daemon and without one."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import replace
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Final, Self, TypeVar

import msgspec

from kb.api.cancellation import current
from kb.api.client import DaemonClient
from kb.api.transport import ConnectionLost, NoDaemon
from kb.config import Settings, load
from kb.errors import StoreBusy, StoreError
from kb.search_methods import SearchMethods

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from kb.app import LocalKnowledgeBase
    from kb.records import (
        Answer,
        CheckReport,
        FileEvent,
        FileText,
        Filters,
        IndexProgress,
        IndexReport,
        KnownFile,
        Links,
        RebuildReport,
        Reply,
        ResolvedLink,
        SearchRequest,
        Shown,
        Status,
        StoredPassage,
        Unmatched,
    )

_T = TypeVar("_T")
_LOG: Final = logging.getLogger("kb")
# A daemon that ends closes its connections first, and the store a moment later.
_ENDING_SECONDS: Final = 10.0
# Each time, a daemon was started or stopped while it was asked.
_ATTEMPTS: Final = 4


class KnowledgeBase(SearchMethods):
    """Folders of files, searchable by meaning.

    Open it with ``KnowledgeBase.open()``, and use it in a ``with`` block or call ``close()``. Where ``kb watch`` runs,
    every call asks that daemon: the model is loaded, the index follows the folders, and nothing is opened in this
    process. Where it does not, the first search or index run opens the store and locks it until ``close()``. Results
    and errors are the same, also when a daemon is started or stopped meanwhile.

    A knowledge base may be used from many threads. ``AsyncKnowledgeBase`` has the same methods as coroutines.

    All methods raise ``StoreBusy`` where another process holds the store and does not answer questions, and
    ``ConfigError`` where the daemon runs with another configuration or another version of kb.

    Example:
        >>> with KnowledgeBase.open("config.toml") as kb:
        ...     kb.index()
        ...     for hit in kb.search("where do the backups go?").hits:
        ...         print(hit.passage.file.path, hit.passage.first_line, hit.score)
    """

    def __init__(self, settings: Settings, *, wait: float = 0.0, warn: Callable[[str], None] = _LOG.warning) -> None:
        self._settings = settings
        self._wait = wait
        self._warn = warn
        self._daemon = DaemonClient(settings)
        # Whether a daemon was there at the last call.
        self._served = False
        self._opening = RLock()
        self._local: LocalKnowledgeBase | None = None

    @classmethod
    def open(
        cls,
        settings: Settings | str | os.PathLike[str] | None = None,
        *,
        overrides: Mapping[str, str] | None = None,
        wait: float = 0.0,
        warn: Callable[[str], None] = _LOG.warning,
    ) -> Self:
        """Open a knowledge base. Nothing is loaded, asked or written yet.

        Args:
            settings: Settings, or the path of a ``config.toml``; None finds one as the command line does.
            overrides: Values that override the file, by dotted key: ``{"embed.model": "all-MiniLM-L6-v2"}``.
            wait: Seconds to wait for a store that another process holds, until that releases it or, as a daemon that
                starts, begins to answer.
            warn: Called with a sentence when something was repaired or a wait begins. The default is the logger
                ``kb``, which Python prints to standard error unless the program configures logging.

        Raises:
            ConfigError: The configuration is invalid.
        """
        if not isinstance(settings, Settings):
            settings = load(None if settings is None else os.fspath(settings), overrides=overrides)
        return cls(settings, wait=wait, warn=warn)

    @property
    def settings(self) -> Settings:
        """The configuration in effect."""
        return self._settings

    def ask(self, request: SearchRequest | str, /) -> Reply:
        """Quote the sentences that answer a question best, with the hits in which they stand.

        Args:
            request: The question, or a ``SearchRequest``.
        """
        from kb.records import SearchRequest

        whole = request if isinstance(request, SearchRequest) else SearchRequest(request)
        return self._call(lambda kb: kb.ask(whole))

    def passage(self, passage_id: str) -> StoredPassage:
        """Return a passage by its id, as ``hit.passage.id`` has it.

        Raises:
            NotIndexed: There is none, or its file is gone or excluded.
        """
        return self._call(lambda kb: kb.passage(passage_id))

    def read(
        self, file: str, *, first_line: int = 1, last_line: int | None = None, page: int | None = None
    ) -> FileText:
        """Return the exact text of an indexed file, or of some of its lines, or of a page.

        Text files are read from the disk. Of documents such as PDF, the extracted text is returned, with the lines and
        pages that hits name.

        Args:
            file: The file: its path from the current or a watched folder, its name, alias or title.
            first_line: The first line.
            last_line: The last line; None for the last one of the file.
            page: The page, instead of lines.

        Raises:
            NotIndexed: The file is not in the index, gone, or excluded by the rules.
            RequestError: There is no such line or page.
        """
        return self._call(lambda kb: kb.read(file, first_line=first_line, last_line=last_line, page=page))

    def show(self, file: str, line: int | None = None) -> Shown:
        """Return the indexed passages of a file, or those at a line.

        Raises:
            NotIndexed: The file, or a passage at that line, is not in the index.
        """
        return self._call(lambda kb: kb.show(file, line))

    def resolve(self, name: str) -> str:
        """Return the absolute path of the indexed file with a name or relative path.

        Raises:
            NotIndexed: No file matches, or several do.
        """
        return self._call(lambda kb: kb.resolve(name))

    def documents(self, filters: Filters | None = None) -> list[KnownFile]:
        """Return the indexed files without failed ones, sorted by folder and path."""
        return self._call(lambda kb: kb.documents(filters))

    def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]:
        """Return the filter values that match no file, with suggestions."""
        return self._call(lambda kb: kb.unmatched(filters))

    def tags(self, filters: Filters | None = None) -> list[tuple[str, int]]:
        """Return every tag with the number of documents that have it or a nested tag, the most frequent first."""
        return self._call(lambda kb: kb.tags(filters))

    def links(self, file: str) -> Links:
        """Return the links of a file and the links to it, as of the last index run.

        Raises:
            NotIndexed: The file is not in the index.
        """
        return self._call(lambda kb: kb.links(file))

    def broken_links(self) -> list[ResolvedLink]:
        """Return all broken links, sorted by file and line."""
        return self._call(lambda kb: kb.broken_links())

    def status(self) -> Status:
        """Return counts, sizes, model, freshness and files that could not be indexed."""
        return self._call(lambda kb: kb.status())

    def sync(self, timeout: float | None = None) -> bool:
        """Wait until everything that is on disk now is indexed; without a daemon, index it.

        Args:
            timeout: Seconds to wait or index at most; None for as long as it takes.

        Returns:
            Whether everything is indexed. Files that cannot be read do not count; ``status().problems`` names them.
        """
        if timeout is None:
            return self._call(lambda kb: kb.sync())
        until = monotonic() + timeout
        return self._call(lambda kb: kb.sync(max(0.0, until - monotonic())))

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
        """Bring the index up to date with the folders; a running daemon does it.

        Args:
            full: Read every file again, and switch to the configured model if it is another one.
            dry_run: Only report what would be done.
            accept_deletions: Drop missing files even if most of a folder is missing.
            take_over: Use a store that another configuration filled; files that only that one names are dropped.
            on_progress: Called after each batch.
            on_event: Called after each file.
            should_stop: Called between files and batches; the run ends once it returns True. A daemon's report then
                says no more than that.

        Raises:
            FolderError: No folder is configured, or none of them exists.
            ModelError: The model cannot be loaded.
            ModelMismatch: The store was made with another model, and ``full`` is False.
            StoreError: The store is another configuration's, and ``take_over`` is False; or the daemon stopped before
                it finished.
        """
        cancelled = current().requested

        def stop() -> bool:
            return cancelled() or (should_stop is not None and should_stop())

        ask = self._call if dry_run else self._change
        return ask(
            lambda kb: kb.index(
                full=full,
                dry_run=dry_run,
                accept_deletions=accept_deletions,
                take_over=take_over,
                on_progress=on_progress,
                on_event=on_event,
                should_stop=stop,
            )
        )

    def note(
        self,
        text: str,
        *,
        title: str | None = None,
        tags: Sequence[str] = (),
        on_written: Callable[[str], None] = lambda _: None,
    ) -> tuple[str, IndexReport]:
        """Write a dated Markdown note into the first folder and index it.

        Args:
            text: The text of the note.
            title: The title; None for the first line.
            tags: The tags.
            on_written: Called with the path once the file is written; exceptions after that concern only indexing.

        Returns:
            The path of the note and the report of the index run.

        Raises:
            KbError: The note is empty.
            FolderError: The first folder does not exist.
            StoreError: The daemon stopped before it answered; the note may be written.
        """
        written: list[str] = []

        def tell(path: str) -> None:
            written.append(path)
            on_written(path)

        return self._change(lambda kb: kb.note(text, title=title, tags=tags, on_written=tell), lambda: bool(written))

    def check(self, *, repair: bool = False) -> CheckReport:
        """Compare disk, catalog and vectors passage by passage; ``repair`` fixes differences and compares again."""
        return self._change(lambda kb: kb.check(repair=repair))

    def rebuild(self) -> RebuildReport:
        """Rebuild the vector index from catalog and cache, and delete the damaged files that were set aside."""
        return self._change(lambda kb: kb.rebuild())

    def close(self) -> None:
        """Close the connections to the daemon, and the store where this process has it. Closing twice is allowed."""
        self._daemon.close()
        with self._opening:
            local, self._local = self._local, None
        if local is not None:
            local.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Where a call goes.

    def _answer(self, request: SearchRequest) -> Answer:
        return self._call(lambda kb: kb.search(request))

    def _call(self, do: Callable[[DaemonClient | LocalKnowledgeBase], _T]) -> _T:
        """Have a question answered, by whoever has the store; asked again where a daemon stops meanwhile."""
        ending = False
        for _ in range(_ATTEMPTS):
            try:
                return self._call_once(do, ending=ending)
            except ConnectionLost:
                ending = True
            except _Served:
                continue
        raise StoreError("the daemon keeps stopping before it answers", "Its log says why: kb watch --status names it")

    def _change(
        self, do: Callable[[DaemonClient | LocalKnowledgeBase], _T], begun: Callable[[], bool] = lambda: False
    ) -> _T:
        """Have something done that must not be done twice.

        Args:
            do: The call.
            begun: Whether a call in this process has changed something before it needed the store.
        """
        try:
            for _ in range(_ATTEMPTS):
                with suppress(_Served):
                    return self._call_once(do, begun=begun)
        except ConnectionLost as error:
            raise StoreError(
                "the daemon stopped before it finished; part of it may be done", "kb status says what is indexed"
            ) from error
        raise StoreError("the daemon keeps stopping before it begins", "Its log says why: kb watch --status names it")

    def _call_once(
        self,
        do: Callable[[DaemonClient | LocalKnowledgeBase], _T],
        *,
        ending: bool = False,
        begun: Callable[[], bool] = lambda: False,
    ) -> _T:
        """Call the local store if this process has it, else the daemon, else open the store.

        Args:
            do: The call.
            ending: Whether a daemon has just ended, so that it may hold the store for a moment.
            begun: Whether the call must not be repeated with a daemon that has appeared meanwhile.

        Raises:
            ConnectionLost: The daemon ended before it answered.
            _Served: A daemon has begun to serve the store meanwhile; nothing was done.
        """
        local = self._local
        if local is not None and local.holds_store:
            return do(local)
        if self._daemon.reachable():
            self._served = True
            try:
                return do(self._daemon)
            except NoDaemon:
                ending = True
        ending, self._served = ending or self._served, False
        local = self._opened()
        try:
            if ending:
                local.hold_store(max(self._wait, _ENDING_SECONDS))
            return do(local)
        except StoreBusy as error:
            if begun() or not self._daemon.reachable():
                raise
            raise _Served from error

    def _opened(self) -> LocalKnowledgeBase:
        """The knowledge base that opens the store in this process."""
        with self._opening:
            if self._local is None:
                from kb.app import LocalKnowledgeBase

                config = self._settings.config
                store = msgspec.structs.replace(config.store, wait_seconds=self._wait)
                settings = replace(self._settings, config=msgspec.structs.replace(config, store=store))
                self._local = LocalKnowledgeBase.open(settings, warn=self._warn)
            return self._local


class _Served(Exception):
    """A daemon has begun to serve the store."""
