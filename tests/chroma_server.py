"""A real Chroma server for the tests: ``chroma run`` in a process that can be killed, stopped and emptied."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Self

from kb.store.server import ServerAddress, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_SECONDS = 120.0
# What the command does, without a second for importing the client's side of ChromaDB.
_RUN = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(sys.argv)"


# Below those that systems give out by themselves, to whatever else connects or listens meanwhile.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port of this machine that nobody listens at, nor soon will."""
    while True:
        number = random.SystemRandom().choice(_PORTS)
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", number))
            return number


class RunningChroma:
    """A server in a folder, at the same port whenever it runs.

    Args:
        folder: Where it keeps its files and its log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", _RUN, "run", "--path", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)], stdout=log, stderr=log, cwd=self.folder
            )
        until = time.monotonic() + _START_SECONDS
        while not self.answers():
            assert self._process.poll() is None, (self.folder / "log").read_text("utf-8", "replace")
            assert time.monotonic() < until, "chroma run does not answer"
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        """Whether it is there."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/api/v2/heartbeat")
            return "nanosecond heartbeat" in json.load(connection.getresponse())
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """Kill it, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it: it takes connections, and answers nothing."""
        self.signal(signal.SIGSTOP)
        assert self._process is not None
        # Returns once it has stopped, which on a busy machine is later than the signal.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """Let it answer again."""
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client of another program."""
        # Chroma's own leaves its connections to the garbage collector.
        client = connect(ServerAddress(self.url, "default_tenant", "default_database", "", 30.0))
        try:
            yield client
        finally:
            client.close()

    def collections(self) -> dict[str, dict[str, Any]]:
        """The metadata of all collections, by name."""
        with self.client() as client:
            return {one.name: dict(one.metadata or {}) for one in client.list_collections()}

    def records(self, collection: str) -> dict[str, tuple[dict[str, Any], list[float], str | None]]:
        """Labels, vector and text of every record of a collection, by id."""
        with self.client() as client:
            found = client.get_collection(collection, embedding_function=None).get(
                include=["metadatas", "embeddings", "documents"]
            )
        rows = zip(found["ids"], found["metadatas"], found["embeddings"], found["documents"], strict=True)
        return {id_: (dict(labels), [float(one) for one in vector], text) for id_, labels, vector, text in rows}

    def empty(self) -> None:
        """Delete all its collections."""
        with self.client() as client:
            for one in client.list_collections():
                client.delete_collection(one.name)
