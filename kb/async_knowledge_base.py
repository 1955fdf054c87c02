"""``AsyncKnowledgeBase``: ``KnowledgeBase`` for programs that run an event loop."""

from __future__ import annotations

import asyncio
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar

from kb.api.cancellation import Cancellation
from kb.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType

    from kb.config import Settings

_P = ParamSpec("_P")
_T = TypeVar("_T")
_LOG: Final = logging.getLogger("kb")
_THREADS: Final = 8


def _in_thread(
    method: Callable[Concatenate[KnowledgeBase, _P], _T],
) -> Callable[Concatenate[AsyncKnowledgeBase, _P], Coroutine[Any, Any, _T]]:
    """Make a method of ``KnowledgeBase`` a coroutine that runs in a thread of the pool."""

    @functools.wraps(method)
    async def run(self: AsyncKnowledgeBase, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return await self._run(lambda kb: method(kb, *args, **options))

    return run


class AsyncKnowledgeBase:
    """The methods of ``KnowledgeBase`` as coroutines, with the same arguments, results and errors.

    Calls run in a thread pool of its own, as many at once as it has threads; further ones wait. Cancelling a call that
    the daemon answers closes its connection, so that the daemon stops working on it; cancelling ``index`` also stops a
    run in this process. Any other call in this process runs to its end, and its result is dropped. Functions that are
    passed to a method, such as ``on_progress``, are called in a thread of the pool.

    Example:
        >>> async with AsyncKnowledgeBase.open() as kb:
        ...     first, second = await asyncio.gather(kb.search("backups"), kb.search("bread"))

    Args:
        kb: The knowledge base.
        threads: How many calls run at once.
    """

    def __init__(self, kb: KnowledgeBase, *, threads: int = _THREADS) -> None:
        self._kb = kb
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def open(
        cls,
        settings: Settings | str | os.PathLike[str] | None = None,
        *,
        overrides: Mapping[str, str] | None = None,
        wait: float = 0.0,
        warn: Callable[[str], None] = _LOG.warning,
        threads: int = _THREADS,
    ) -> Self:
        """Open a knowledge base. Nothing is loaded, asked or written yet.

        Args:
            settings: As for ``KnowledgeBase.open``, like the following.
            overrides: Values that override the file, by dotted key.
            wait: Seconds to wait for a store that another process holds.
            warn: Called with a sentence when something was repaired or a wait begins, in a thread of the pool.
            threads: How many calls run at once.

        Raises:
            ConfigError: The configuration is invalid.
        """
        return cls(KnowledgeBase.open(settings, overrides=overrides, wait=wait, warn=warn), threads=threads)

    @property
    def settings(self) -> Settings:
        """The configuration in effect."""
        return self._kb.settings

    search = _in_thread(KnowledgeBase.search)
    similar = _in_thread(KnowledgeBase.similar)
    ask = _in_thread(KnowledgeBase.ask)
    passage = _in_thread(KnowledgeBase.passage)
    read = _in_thread(KnowledgeBase.read)
    show = _in_thread(KnowledgeBase.show)
    resolve = _in_thread(KnowledgeBase.resolve)
    documents = _in_thread(KnowledgeBase.documents)
    unmatched = _in_thread(KnowledgeBase.unmatched)
    tags = _in_thread(KnowledgeBase.tags)
    links = _in_thread(KnowledgeBase.links)
    broken_links = _in_thread(KnowledgeBase.broken_links)
    status = _in_thread(KnowledgeBase.status)
    sync = _in_thread(KnowledgeBase.sync)
    index = _in_thread(KnowledgeBase.index)
    note = _in_thread(KnowledgeBase.note)
    check = _in_thread(KnowledgeBase.check)
    rebuild = _in_thread(KnowledgeBase.rebuild)

    async def close(self) -> None:
        """Wait for the calls that run, then close as ``KnowledgeBase.close`` does. Closing twice is allowed."""
        pool, self._pool = self._pool, None
        await asyncio.to_thread(self._close, pool)

    def _close(self, pool: ThreadPoolExecutor | None) -> None:
        if pool is not None:
            pool.shutdown()
        self._kb.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, call: Callable[[KnowledgeBase], _T]) -> _T:
        """Run a call in a thread; where this is cancelled, so is the call."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="kb-async")
        cancellation = Cancellation()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._pool, cancellation.run, lambda: call(self._kb))
        try:
            return await work
        except asyncio.CancelledError:
            cancellation.cancel()
            raise
