"""A Chroma server and a kb that are killed while one writes to the other: afterwards nothing is missing or wrong."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from server_stores import assert_whole, forget_problem

from kb.store.lease import SECONDS as LEASE_SECONDS
from kb.store.lease import Lease
from kb.store.probe import lost_among

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chroma_server import RunningChroma

    from kb.app import LocalKnowledgeBase

    Open = Callable[..., tuple[LocalKnowledgeBase, list[str]]]


def write_notes(folder: Path, count: int, version: int) -> None:
    """Notes of one passage each, all with another text in each of two versions."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        text = f"# Note {number}\n\nThe {('boiler', 'garden')[version]} of house {number} was looked at.\n"
        (folder / f"note-{number:04}.md").write_text(text, "utf-8")


def kill_rounds(server: RunningChroma, kb: LocalKnowledgeBase, folder: Path, *, notes: int, kills: int) -> None:
    """Kill a server at random moments while all notes are written to it anew, and compare after each.

    Every text is embedded once, in the first two runs.
    """
    took = 0.0
    for version in (0, 1, 0):
        write_notes(folder, notes, version)
        began = time.monotonic()
        kb.index()
        took = time.monotonic() - began
    assert_whole(kb, server)
    chance = random.Random(1)
    for kill in range(kills):
        write_notes(folder, notes, (kill + 1) % 2)
        timer = threading.Timer(chance.uniform(0.0, took), server.kill)
        timer.start()
        report = kb.index()
        timer.join()
        server.kill()
        assert report.embedded == 0
        server.start()
        forget_problem(kb)

        again = kb.index()
        assert (again.embedded, again.unsent) == (0, 0)

        assert_whole(kb, server)
        print(f"kill {kill + 1}: {report.unsent} changes were sent later")  # noqa: T201 - shown where a test fails
        vectors = kb._container.store.server
        assert vectors is not None
        index = vectors.whole()
        live = kb._container.catalog.with_vectors()[:: max(1, notes // 20)]
        assert lost_among(index, list(index.vectors([id_ for id_, _, _ in live]).values())) == 0


@pytest.mark.slow
def test_server_killed_amid_writes(own_chroma: RunningChroma, on_server: Open, tmp_path: Path) -> None:
    """A few times, with few notes; ``make test-faults`` kills it more often."""
    kb, _ = on_server(own_chroma, tmp_path / "many")

    kill_rounds(own_chroma, kb, tmp_path / "many", notes=60, kills=2)


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_server_killed_amid_a_thousand_writes(own_chroma: RunningChroma, on_server: Open, tmp_path: Path) -> None:
    """Twenty times; the graph of the server is written to its disk meanwhile, and can tear."""
    # A graph that was torn takes a server a while to load.
    kb, told = on_server(own_chroma, tmp_path / "many", store__server_seconds="30")

    kill_rounds(own_chroma, kb, tmp_path / "many", notes=1000, kills=20)

    assert told


@pytest.mark.slow
def test_kb_killed_amid_writes(
    own_chroma: RunningChroma, on_server: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process takes the lease of the dead one at once, and goes on where that was."""
    folder, store = tmp_path / "many", tmp_path / "store"
    write_notes(folder, 200, 0)
    kb, _ = on_server(own_chroma, folder, store)
    overrides = {
        key: getattr(getattr(kb.settings.config, key.partition(".")[0]), key.partition(".")[2])
        for key in ("embed.model", "store.chroma", "store.collection")
    }
    kb.close()
    options = [part for key, value in overrides.items() for part in ("-s", f"{key}={value}")]
    options += ["-s", f'folders.paths=["{folder}"]', "--store", str(store)]
    command = [sys.executable, "-m", "kb", *options, "index", "-q"]
    for seconds in (0.0, 0.3, 0.8):
        process = subprocess.Popen(command, env=os.environ | {"KB_EMBED__OFFLINE": "true"})
        until = time.monotonic() + 120.0
        while not any("lease" in name for name in own_chroma.collections()):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()

    kb, _ = on_server(own_chroma, folder, store)
    waits: list[float] = []
    acquire = Lease.acquire

    def timed(lease: Lease, wait_seconds: float = 0.0) -> None:
        began = time.monotonic()
        acquire(lease, wait_seconds)
        waits.append(time.monotonic() - began)

    monkeypatch.setattr(Lease, "acquire", timed)
    kb.index()

    assert waits
    assert max(waits) < LEASE_SECONDS / 2
    assert_whole(kb, own_chroma)
