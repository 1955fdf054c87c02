"""The page over a real knowledge base, in a server of its own; for tests and for trying it out."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kb.api.events import EventBus
from kb.service.connections import ConnectionLimits
from kb.service.http_server import HttpServer
from kb.web.app import Page
from kb.web.context import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from kb.app import LocalKnowledgeBase
    from kb.web.viewed import Viewed


@dataclass
class OpenDaemon:
    """What stands for the daemon: the state of one that watches, and which files were opened."""

    folders: list[str]
    state: str = "watching"
    errors: list[str] = field(default_factory=list)
    run: dict[str, Any] | None = None
    opened: list[tuple[str, int, int, str]] = field(default_factory=list)

    def status(self) -> dict[str, Any]:
        """As the daemon says it."""
        return {
            "folders": self.folders,
            "state": self.state,
            "reason": "",
            "waiting": 0,
            "errors": self.errors,
            "run": self.run,
        }

    def open_page(self, port: int = 0) -> str:
        """A link to a page that is not there."""
        return f"http://127.0.0.1:{port or 1}/open?key=once"

    def close_page(self) -> bool:
        """There is none."""
        return False

    def sync(self, _timeout: float | None, _gone: object) -> bool:
        """Nothing waits."""
        return True

    def launch(self, path: str, line: int, page: int, kind: str) -> str:
        """Remember what would have been opened."""
        self.opened.append((path, line, page, kind))
        return f"editor +{line} {path}"


@dataclass
class Served:
    """A running page, and what it uses the knowledge base by."""

    using: Callable[[], AbstractContextManager[Viewed]]
    page: Page
    url: str
    daemon: OpenDaemon
    events: EventBus
    said: list[str]


@contextmanager
def backend_of(kb: LocalKnowledgeBase, daemon: OpenDaemon, events: EventBus, said: list[str]) -> Iterator[Backend]:
    """What a page needs, over a knowledge base in this process."""

    @contextmanager
    def using() -> Iterator[LocalKnowledgeBase]:
        yield kb

    yield Backend(using, kb.content, daemon.launch, daemon, events, say=said.append)


@contextmanager
def served(kb: LocalKnowledgeBase, port: int = 0) -> Iterator[Served]:
    """Serve the page at a port of its own until the block ends."""
    listening = socket.create_server(("127.0.0.1", port))
    host = f"127.0.0.1:{listening.getsockname()[1]}"
    daemon, events, said = OpenDaemon([str(one) for one in kb.settings.folder_paths()]), EventBus(), list[str]()
    with backend_of(kb, daemon, events, said) as backend:
        page = Page(backend, host)
        server = HttpServer(page, listening, ConnectionLimits(keep_alive=5), said.append, name="kb-page")
        server.start()
        try:
            yield Served(backend.using, page, f"http://{host}", daemon, events, said)
        finally:
            page.stop()
            server.close()
            page.close()
