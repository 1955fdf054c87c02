"""A knowledge base over real notes, asked over real sockets as programs do."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from kb.api.events import EventBus
from kb.api.http import Backend, Configuration
from kb.api.token import TokenFile
from kb.app import LocalKnowledgeBase
from kb.cli.http_port import HttpPort
from kb.cli.resource_errors import resource_error
from kb.config import load
from kb.container import Container
from kb.testing import FakeEmbedder, FakeTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kb.ports import Knowledge

# Addresses are plain HTTP: else each client would read all certificates of this machine.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
NOTES = {
    "backup.md": "# Backups\n\nThe backups go to the cellar disk every night. #disk\n\nSee [[restore]].\n",
    "restore.md": "# Restore\n\nTo restore a file, mount the cellar disk and copy the file back. #disk/cellar\n",
    "tea/green.md": "# Green tea\n\nGreen tea is steeped at 80 degrees for two minutes.\n",
    "tea/names.md": "# Names\n\nSencha, Gyokuro, Bancha.\n",
    "twice/one.md": "# Twice\n\nOne of two files with a title.\n",
    "twice/two.md": "# Twice\n\nAnother of two files with a title.\n",
    "Ünï cödé & co?.md": "# Ünï\n\nA name that has to be escaped in an address.\n",
    ".kbignore": "private/\n",
    "private/diary.md": "# Diary\n\nThe secret word is xyzzy.\n",
}
OUTSIDE = "The secret word outside is plugh."


@dataclass
class StandIn:
    """A daemon beside which everything is indexed, or nothing ever is."""

    never: bool = False
    waiting: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)

    def open_page(self, port: int = 0) -> str:
        """A link to a page that is not there."""
        return f"http://127.0.0.1:{port or 1}/open?key=once"

    def close_page(self) -> bool:
        """There is none."""
        return False

    def sync(self, timeout: float | None, gone: Callable[[], bool]) -> bool:
        """Say so, or wait until the client is gone."""
        self.waiting.set()
        while self.never and not gone():
            self.left.wait(0.01)
        if self.never:
            self.left.set()
        return not self.never and timeout is None

    def status(self) -> dict[str, Any]:
        """A state."""
        return {"pid": 1, "errors": []}


@dataclass
class Served:
    """A port for programs over a folder of notes.

    Attributes:
        folder: The watched folder.
        kb: The knowledge base.
        daemon: The daemon.
        events: The events.
        said: The log.
    """

    folder: Path
    kb: Knowledge
    daemon: StandIn = field(default_factory=StandIn)
    events: EventBus = field(default_factory=EventBus)
    said: list[str] = field(default_factory=list)

    def backend(self) -> Backend:
        """What answers."""
        return Backend(
            using=self._using,
            daemon=self.daemon,
            configuration=lambda: Configuration.of({"a": 1}),
            events=self.events,
            follower=lambda: lambda _: None,
            known=resource_error,
            say=self.said.append,
        )

    @contextmanager
    def _using(self) -> Iterator[Knowledge]:
        yield self.kb

    @contextmanager
    def at_port(self, address: str = "127.0.0.1:0") -> Iterator[Client]:
        """Open a port, and yield a client that has the token."""
        port = HttpPort(self.backend(), self.said.append)
        port.move(address)
        try:
            token = TokenFile.of(os.environ).read()
            headers = {"Authorization": f"Bearer {token}"}
            with Client(base_url=port.url, headers=headers, timeout=120, verify=_NO_TLS) as client:
                yield client
        finally:
            port.close()


class Client(httpx.Client):
    """A program that asks."""

    def ask(self, path: str, **fields: object) -> httpx.Response:
        """Post a request as JSON."""
        return self.post(path, content=json.dumps(fields), headers={"Content-Type": "application/json"})

    def hang_up(self, path: str, once: threading.Event, **fields: object) -> None:
        """Post a request as JSON, and close the connection once something has happened."""
        body = json.dumps(fields)
        head = f"POST {path} HTTP/1.1\r\nHost: {self.base_url.netloc.decode()}\r\n"
        head += f"Authorization: {self.headers['authorization']}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((self.base_url.host, self.base_url.port or 0)) as connected:
            connected.sendall(f"{head}{body}".encode())
            assert once.wait(120)


class LoadedFake(FakeEmbedder):
    """A fake model with what a daemon asks of a real one; it is no part of what is tested."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = FakeTokens()

    def load(self) -> str:
        """Say where it runs."""
        return "nowhere"

    def runs(self) -> str:
        """Say where it would run."""
        return "nowhere"

    def share(self, give_way: Callable[[], None]) -> None:
        """Nothing: its batches take no time."""


@contextmanager
def opened(folder: Path, store: Path) -> Iterator[LocalKnowledgeBase]:
    """A knowledge base as a daemon has it, with a fake model."""
    values = {
        "folders.paths": json.dumps([str(folder)]),
        "folders.follow_symlinks": "false",
        "store.path": str(store),
        "store.wait_seconds": "0",
    }
    container = Container(load(environ={}, overrides=values), lambda _: None, embedder=LoadedFake())  # type: ignore[arg-type]  # a fake
    with LocalKnowledgeBase(container) as kb:
        kb.own(lambda: (True, 0))
        yield kb


def write_notes(folder: Path) -> Path:
    """Write the notes, with a secret beside their folder and links that lead to it."""
    for name, text in NOTES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    outside = folder.parent / "outside.md"
    outside.write_text(OUTSIDE, "utf-8")
    (folder / "link.md").symlink_to(outside)
    (folder / "linked").symlink_to(folder.parent)
    return folder
