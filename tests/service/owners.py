"""A daemon that runs made-up commands, and a folder short enough for its socket."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kb import __version__
from kb.service.listen import Listening, listen
from kb.service.server import CommandOutput, CommandRequest, DaemonServer, Handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class MadeUp:
    """What a made-up daemon was asked, and what it does."""

    command: Callable[[CommandRequest, CommandOutput], int | None] = lambda _request, _wire: 0
    requests: list[CommandRequest] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, request: CommandRequest, output: CommandOutput) -> int | None:
        """Run the command given."""
        self.requests.append(request)
        return self.command(request, output)

    def status(self) -> dict[str, Any]:
        """A made-up state."""
        return {"pid": os.getpid()}

    def start(self, listening: Listening, store: str, version: str = __version__) -> DaemonServer:
        """Begin to answer."""
        daemon = DaemonServer(listening, store, version, Handlers(self.run, self.status, self.stopped.set))
        daemon.start()
        return daemon


@pytest.fixture
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of this test alone, with a short name: for sockets, or for files that name a port."""
    folder = Path(tempfile.mkdtemp(prefix="kb-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    if getattr(request, "param", "socket") == "port":
        monkeypatch.setenv("LOCALAPPDATA", str(folder))
        monkeypatch.setattr("kb.service.address.has_unix_sockets", lambda: False)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def store(runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store that a command typed in the current folder means."""
    assert runtime.is_dir()
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / ".kb")


@pytest.fixture
def made_up(store: str) -> Iterator[MadeUp]:
    """A daemon of that store, at work."""
    made = MadeUp()
    daemon = made.start(listen(store, os.environ), store)
    yield made
    daemon.close()
