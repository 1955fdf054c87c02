"""``POST /v1/search`` by several clients at once, beside the rate at which the model alone embeds such questions.

Rates fall where other programs use the cores; the processor time of both is told beside them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.asking import never_asked
from benchmarks.child import call, progress
from benchmarks.daemon import program
from benchmarks.indexing import MODEL
from benchmarks.programs_python import document_questions, documents_store, summary
from benchmarks.table import Row, at_least, at_most
from kb.embedding.encoder import Encoder
from kb.embedding.locate import locate
from kb.evaluation.bench import DaemonProcess, Times
from kb.records import Mode
from kb.service.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from http.client import HTTPResponse

    from benchmarks.bench import Bench

NAME: Final = "programs-http"
CLIENTS: Final = 8
ROUNDS: Final = 3
ASKED: Final = 400
_LEAST: Final = 40
_OK: Final = 200


class DoorConnection(HTTPConnection):
    """A connection to the daemon of a store that is kept open between requests.

    Args:
        store: The real path of the store.
    """

    def __init__(self, store: str) -> None:
        super().__init__("localhost")
        self._store = store
        self._headers = {"Content-Type": "application/json"}

    def connect(self) -> None:
        """Connect to the daemon's socket.

        Raises:
            ConnectionError: There is no daemon.
        """
        found = connect(self._store, os.environ)
        if found is None:
            raise ConnectionError(f"no daemon holds {self._store}")
        self.sock = found.socket
        self.sock.settimeout(None)
        self.host = found.host
        if found.secret:
            self._headers["Authorization"] = f"Bearer {found.secret}"

    def post(self, path: str, values: dict[str, Any]) -> bytes:
        """Send a request and return the body of the response.

        Raises:
            RuntimeError: The response is not 200.
        """
        try:
            response = self._sent(path, values)
        except (BrokenPipeError, ConnectionResetError):
            # The daemon has closed a connection that was idle; http.client raises a kind of reset for it.
            self.close()
            response = self._sent(path, values)
        body = response.read()
        if response.status != _OK:
            raise RuntimeError(f"{path} answered {response.status}: {body[:500]!r}")
        return body

    def _sent(self, path: str, values: dict[str, Any]) -> HTTPResponse:
        self.request("POST", path, json.dumps(values), self._headers)
        return self.getresponse()


def rows(work: Bench) -> list[Row]:
    """The rows for the mode that requests have by default, and for hybrid."""
    store = documents_store(work)
    kb = program(work.documents, store, work.threads)
    count = max(_LEAST, work.scaled(ASKED))
    found: list[Row] = []
    with kb.daemon(work.folder / "programs-http.log") as daemon:
        for mode in (Mode.COSINE, Mode.HYBRID):
            progress(f"{NAME}: {CLIENTS} clients, {mode}, {ROUNDS} rounds of {count} questions")
            times = call(
                "programs_http:ask_in_turns",
                store=kb.store,
                pid=daemon.pid,
                questions=document_questions(work),
                mode=mode,
                count=count,
                threads=work.threads,
            )
            found += judged(mode, times["port"], times["model"], Times(tuple(times["latencies"])), count)
            found.append(processor(mode, times["port_cpu"], times["model_cpu"], count))
    return found


def judged(mode: str, port: Sequence[float], model: Sequence[float], latencies: Times, count: int) -> list[Row]:
    """The rows for the seconds of each round through the port and through the bare model.

    The default mode has the targets; the other one is told beside it.
    """
    what = f"POST /v1/search, {mode}, {CLIENTS} clients, new questions"
    share = median(bare / asked for asked, bare in zip(port, model, strict=True))
    spread = latencies.p95 / latencies.p50
    rates = f"{count / median(port):.0f} / {count / median(model):.0f} questions/s; {summary(latencies)}"
    if mode != Mode.COSINE:
        return [Row(NAME, f"{what}: / the bare model", f"{share:.2f} x, p95 / p50 {spread:.2f} x; {rates}")]
    return [
        at_least(NAME, f"{what}: questions per second / the bare model's", share, 0.9, "x", digits=2),
        at_most(NAME, f"{what}: p95 / p50", spread, 3, "x"),
        Row(NAME, f"{what}: port / model", rates),
    ]


def processor(mode: str, port: Sequence[float], model: Sequence[float], count: int) -> Row:
    """The row for the seconds of processor time of the daemon and of the bare model in each round."""
    asked, bare = (median(seconds) * 1000 / count for seconds in (port, model))
    what = f"POST /v1/search, {mode}: processor time of the daemon / of the bare model"
    return Row(NAME, what, f"{asked / bare:.2f} x; {asked:.1f} / {bare:.1f} ms a question")


def ask_in_turns(
    store: str, *, pid: int, questions: Sequence[str], mode: str, count: int, threads: int
) -> dict[str, Any]:
    """Ask the daemon and the bare model by turns, each with as many threads as there are clients.

    Args:
        store: The real path of the daemon's store.
        pid: The process of the daemon.
        questions: What to ask, made different each time.
        mode: The search mode.
        count: The number of questions in a round.
        threads: Threads of the bare model.
    """
    encoder = Encoder(locate(MODEL, offline=True), threads=threads)
    mine = threading.local()
    asked = never_asked(questions)

    def port(question: str) -> None:
        if not hasattr(mine, "connection"):
            mine.connection = DoorConnection(store)
        mine.connection.post("/v1/search", {"question": question, "mode": mode, "literal": True})

    latencies: list[float] = []
    found: dict[str, list[float]] = {"port": [], "model": [], "port_cpu": [], "model_cpu": []}
    daemon = DaemonProcess(pid)
    with ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(ROUNDS + 1):
            began = time.process_time()
            bare, _ = _together(pool, encoder.embed_query, [f"{mode} {one}" for one in islice(asked, count)])
            bare_cpu, began = time.process_time() - began, daemon.cpu_seconds()
            wall, each = _together(pool, port, [f"{mode} {one}" for one in islice(asked, count)])
            port_cpu = daemon.cpu_seconds() - began
            # In the first round both load what they need, and connect.
            if number:
                found["model"].append(bare)
                found["port"].append(wall)
                found["model_cpu"].append(bare_cpu)
                found["port_cpu"].append(port_cpu)
                latencies += each
    return {**found, "latencies": latencies}


def _together(
    pool: ThreadPoolExecutor, ask: Callable[[str], object], questions: Sequence[str]
) -> tuple[float, list[float]]:
    """Ask all questions, as many at once as the pool has threads; returns the seconds of all and of each."""

    def timed(question: str) -> float:
        began = time.perf_counter()
        ask(question)
        return time.perf_counter() - began

    began = time.perf_counter()
    each = list(pool.map(timed, questions))
    return time.perf_counter() - began, each
