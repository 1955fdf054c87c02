"""What kb watch --status says while passages wait to be embedded."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from waiting import wait_until
from watched import LoadedFake

from kb.app import LocalKnowledgeBase
from kb.cli.daemon import Daemon
from kb.cli.output.reports import daemon_text, freshness_notice
from kb.config import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from kb.records import Freshness, IndexProgress

FILES = 6


class HeldModel(LoadedFake):
    """A model that calls ``at_first`` when it embeds its first texts, and embeds the next ones once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.at_first: Callable[[], None] = lambda: None
        self.held = threading.Event()
        self.go_on = threading.Event()

    def embed_documents(self, texts: Sequence[str], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Embed, at the first call and once it is let go."""
        if self.calls:
            self.held.set()
            assert self.go_on.wait(120)
        else:
            self.at_first()
        return super().embed_documents(texts, tokens)


@pytest.fixture
def model() -> HeldModel:
    """The model of the daemon."""
    return HeldModel()


@pytest.fixture
def said() -> list[str]:
    """The lines of the daemon's log."""
    return []


@pytest.fixture
def daemon(tmp_path: Path, model: HeldModel, said: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon over a few notes, with a log file, started in the folder above them."""
    monkeypatch.chdir(tmp_path)
    runtime = tempfile.mkdtemp(prefix="kb-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.setattr("kb.models.encoder_of", lambda _settings: model)
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(FILES):
        (notes / f"{number}.md").write_text(f"# Note {number}\n\nwater and stone {number}\n")
    values = {"folders.paths": str([str(notes)]), "store.path": str(tmp_path / "store"), "watch.quiet_ms": "50"}
    ready = threading.Event()
    one = Daemon(
        lambda: load(environ={}, overrides=values),
        folders_given=True,
        say=said.append,
        run=lambda _args, _session: 0,
        log=str(tmp_path / "watch.log"),
    )

    def change() -> None:
        (notes / "new.md").write_text("# New\n\nfire and wind\n")
        wait_until(one._scheduler.due)

    model.at_first = change
    thread = threading.Thread(target=one.serve, args=[ready.set])
    thread.start()
    assert ready.wait(120)
    yield one
    model.go_on.set()
    one.stop()
    thread.join(120)
    assert not thread.is_alive()
    shutil.rmtree(runtime)


def test_the_status_says_how_many_passages_are_embedded(daemon: Daemon, model: HeldModel) -> None:
    """Also where a changed file came in between, and the work goes on after it."""
    assert model.held.wait(120)

    assert daemon_text(daemon.status()).endswith(f", embedding 2 of {FILES + 1} passages")

    model.go_on.set()
    wait_until(lambda: daemon.status()["run"] is None)
    assert "embedding" not in daemon_text(daemon.status())


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Freshness]]:
    """How many files a run has left, with what an answer says of how up to date the index is, as often as it tells."""
    told: list[tuple[int, Freshness]] = []
    original = LocalKnowledgeBase.update

    def update(kb: LocalKnowledgeBase, *, on_progress: Callable[[IndexProgress], None], **more: Any) -> Any:
        def noted(now: IndexProgress) -> None:
            on_progress(now)
            told.append((now.files_total - now.files, kb._container.store.freshness()))

        return original(kb, on_progress=noted, **more)

    monkeypatch.setattr(LocalKnowledgeBase, "update", update)
    return told


def test_the_files_of_a_run_wait_not_the_one_place_that_they_are_in(
    waiting: list[tuple[int, Freshness]], daemon: Daemon, model: HeldModel
) -> None:
    """At the start all folders are one place, as are those that are new in the configuration."""
    model.go_on.set()
    wait_until(lambda: daemon._watch_state() == (True, 0))

    first, freshness = waiting[0]
    assert (first, freshness.pending) == (FILES, FILES)
    told = freshness_notice(replace(freshness, as_of=datetime.now(UTC)), hits=1)
    assert told.startswith(f"at least {FILES} changes being indexed; the answer may be incomplete")
    assert all(index.pending >= left for left, index in waiting)


@pytest.mark.usefixtures("daemon")
def test_a_log_file_has_whole_paths(said: list[str], model: HeldModel, tmp_path: Path) -> None:
    """Whoever reads it does not know where the daemon was started."""
    model.go_on.set()
    wait_until(lambda: any(line.startswith("added ") for line in said))

    assert f"process {os.getpid()} opened the store at {tmp_path.resolve()}/store" in said
    assert all(str(tmp_path.resolve()) in line for line in said if line.startswith("added "))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> list[list[str]]:
    """The log as it was each time that the export of the model could begin; the totals take a while to count."""
    found: list[list[str]] = []
    count = LocalKnowledgeBase.status

    class Takeover:
        def step(self) -> None:
            found.append(list(said))

        def stop(self) -> None:
            """There is nothing to stop."""

    def status(kb: LocalKnowledgeBase) -> Any:
        time.sleep(0.3)
        return count(kb)

    monkeypatch.setattr(LocalKnowledgeBase, "takeover", lambda *_: Takeover())
    monkeypatch.setattr(LocalKnowledgeBase, "status", status)
    monkeypatch.setattr("kb.cli.daemon._HEARTBEAT_SECONDS", 0.02)
    return found


def test_the_model_is_exported_after_the_totals_of_the_first_run(
    steps: list[list[str]], daemon: Daemon, model: HeldModel
) -> None:
    """Every file is found by its words then, and the log says so first."""
    model.go_on.set()
    wait_until(lambda: daemon._totals_logged and steps)

    assert any(line.startswith(f"{FILES} files, ") for line in steps[0]), steps[0]
