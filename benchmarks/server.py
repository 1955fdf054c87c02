"""Questions to a Chroma server on this machine, beside those to ChromaDB in a folder, over the same made vectors."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.child import call, progress
from benchmarks.recall import DIMENSION, Clusters
from benchmarks.table import Row, at_most
from kb.embedding.bge_m3 import BgeM3EmbeddingFunction
from kb.embedding.cache import EmbeddingCache
from kb.errors import ChromaServerError
from kb.indexing.plan import labels
from kb.records import VectorRecord
from kb.store.chroma import Pace
from kb.store.local_chroma import open_index
from kb.store.server import ChromaServer, ServerAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from benchmarks.bench import Bench
    from kb.store.chroma import ChromaIndex

NAME: Final = "scale-server"
PASSAGES: Final = 20_000
QUESTIONS: Final = 200
CANDIDATES: Final = 320
_START_SECONDS: Final = 60.0
_RUN: Final = "from chromadb.cli.cli import app; app()"


def rows(work: Bench) -> list[Row]:
    """How much longer a question to the server takes."""
    count = work.scaled(PASSAGES)
    found: dict[str, Any] = call("server:measure", folder=str(work.folder / "server"), count=count)
    what = f"{CANDIDATES} of {count} vectors of {DIMENSION}, p50"
    local, server = found["local"] * 1000, found["server"] * 1000
    return [
        Row(NAME, f"{what}, in a folder", f"{local:.1f} ms"),
        Row(NAME, f"{what}, from chroma run", f"{server:.1f} ms"),
        at_most(NAME, "chroma run over a folder", server / local, 2.0),
        Row(NAME, "writing, chroma run over a folder", f"{found['server_written'] / found['local_written']:.2f}"),
    ]


def measure(folder: str, count: int) -> dict[str, float]:
    """Fill both, and ask them in turns, so that whatever else the machine does slows both.

    As in a store on a server, the vectors of its answers come from an embedding cache.
    """
    clusters = Clusters(count, DIMENSION)
    vectors = np.asarray(clusters.draw(count), np.float32)
    records = [
        VectorRecord(f"{n:x}-0", vector, "", labels(n // 5, f"{n // 5}.md", ())) for n, vector in enumerate(vectors)
    ]
    questions = np.asarray(clusters.draw(QUESTIONS), np.float32)
    function = BgeM3EmbeddingFunction(offline=True)
    Path(folder).mkdir()
    cache = EmbeddingCache(f"{folder}/embeddings.sqlite3", count, warn=progress)
    digests = {one.id: sha256(one.id.encode()).digest() for one in records}
    cache.put("made", {digests[one.id]: one.vector for one in records})

    def known(ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        vectors = cache.peek("made", [digests[id_] for id_ in ids])
        return {id_: vectors[digests[id_]] for id_ in ids}

    with running(folder) as url:
        server = ChromaServer(ServerAddress(url, "default_tenant", "default_database", "", 60.0))
        indexes = {
            "local": open_index(f"{folder}/local", "bench", "made", DIMENSION, function, create=True),
            "server": server.make(
                "bench", {}, fingerprint="made", dimension=DIMENSION, function=function, pace=Pace(100), known=known
            ),
        }
        found = {}
        for name, index in indexes.items():
            progress(f"writing {count} vectors: {name}")
            began = time.perf_counter()
            index.upsert(records)
            found[f"{name}_written"] = time.perf_counter() - began
        taken: dict[str, list[float]] = {name: [] for name in indexes}
        for question in questions:
            local, remote = (_timed(index, question, taken[name]) for name, index in indexes.items())
            if len(local & remote) <= CANDIDATES // 2:
                raise ValueError("the two indexes give different answers")
        for index in indexes.values():
            index.close()
        server.close()
    cache.close()
    return found | {name: median(times[10:]) for name, times in taken.items()}


def _timed(index: ChromaIndex, question: NDArray[np.float32], taken: list[float]) -> set[str]:
    began = time.perf_counter()
    ids = index.query(question, CANDIDATES).ids
    taken.append(time.perf_counter() - began)
    return set(ids)


@contextmanager
def running(folder: str) -> Iterator[str]:
    """The address of a server that keeps its files in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", _RUN, "run", "--path", f"{folder}/served", "--host", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    ) as process:
        try:
            _wait(url)
            yield url
        finally:
            process.kill()


def _wait(url: str) -> None:
    server = ChromaServer(ServerAddress(url, "default_tenant", "default_database", "", 5.0))
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            server.version()
        except ChromaServerError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            server.close()
            return
