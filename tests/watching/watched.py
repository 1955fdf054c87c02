"""Two watched folders with a real scheduler, real files and a real ChromaDB; only the model is a fake."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from kb.app import LocalKnowledgeBase
from kb.config import load
from kb.container import Container
from kb.testing import FakeEmbedder, FakeTokens
from kb.watching.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kb.records import Subtree

Held = list[tuple[str, str, int, int, str, tuple[str, ...]]]
QUIET, POLL = 0.1, 0.25


class LoadedFake(FakeEmbedder):
    """A fake model with the methods that a daemon needs."""

    def __init__(self) -> None:
        super().__init__(dimension=32)
        self.tokens = FakeTokens()

    def load(self) -> str:
        """Return where it runs."""
        return "nowhere"

    def runs(self) -> str:
        """Return where it would run."""
        return "nowhere"

    def share(self, give_way: Callable[[], None]) -> None:
        """Do nothing, since its batches take no time."""


class Watched:
    """The owner of a store, in this process."""

    def __init__(self, folders: Sequence[Path], store: Path, *, polling: bool) -> None:
        settings = load(
            environ={},
            overrides={
                "folders.paths": str([str(folder) for folder in folders]),
                "store.path": str(store),
                "store.wait_seconds": "0",
            },
        )
        self.told: list[str] = []
        self.polling = polling
        self.updating = False
        self.embedder = LoadedFake()
        self.parts = Container(settings, self.told.append, embedder=self.embedder)  # type: ignore[arg-type]  # a fake
        self.kb = LocalKnowledgeBase(self.parts)
        self.kb.own(lambda: (True, self.scheduler.state.waiting), write_batch=32)
        self.scheduler = Scheduler(
            folders=settings.folder_paths(),
            update=self._update,
            never=(str(store),),
            polling=polling,
            poll_seconds=POLL,
            quiet=QUIET,
            patience=1.0,
            heartbeat_seconds=0.25,
            say=self.told.append,
        )
        self.thread = threading.Thread(target=self.scheduler.run)

    def _update(self, places: frozenset[Subtree] | None) -> None:
        """Index what changed, as the daemon does, and embed it at once."""
        self.updating = True
        try:
            _, embedding = self.kb.update(places=places)
            while self.kb.embed(embedding):
                pass
        finally:
            self.updating = False

    def __enter__(self) -> Self:
        self.thread.start()
        assert self.scheduler.sync(120), "the first scan did not end"
        return self

    def __exit__(self, *_: object) -> None:
        self.scheduler.stop()
        self.thread.join(120)
        self.kb.close()
        assert not self.thread.is_alive()

    def held(self) -> Held:
        """The content of the store, passage by passage."""
        return sorted(
            (one.file.folder, one.file.path, one.first_line, one.last_line, one.text, one.heading)
            for one in self.parts.catalog.all_passages()
        )

    def fresh(self) -> Held:
        """The content of a new index of the folders as they are now."""
        found: Held = []
        for file in self.parts.files.scan().files:
            _, passages = self.parts.reader.read(self.parts.files.load(file))
            found += [
                (file.folder, file.path, one.first_line, one.last_line, one.text, one.heading) for one in passages
            ]
        return sorted(found)

    def settle(self, seconds: float = 120.0) -> None:
        """Wait, without requesting a scan, until the store equals a new index; then check everything.

        Words are stored before their vectors, and a scan of all folders counts as no waiting place.
        """
        deadline = time.monotonic() + seconds
        while (held := self.held()) != (fresh := self.fresh()) or self.scheduler.state.waiting or self.updating:
            assert time.monotonic() < deadline, (
                f"too much: {[row[:3] for row in held if row not in fresh]}, "
                f"missing: {[row[:3] for row in fresh if row not in held]}, {self.scheduler.state}, {self.told}"
            )
            time.sleep(0.05)
        assert self.kb.check().differences == ()
