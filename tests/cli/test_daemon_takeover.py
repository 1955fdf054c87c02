"""A daemon whose model runs in torch: once files are found by their words, it exports it to ONNX and switches."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from typing import TYPE_CHECKING

import pytest

from kb.cli.daemon import Daemon
from kb.config import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 240.0


@pytest.fixture
def said(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The log of a daemon with a few notes and a tiny model without an ONNX form."""
    runtime = tempfile.mkdtemp(prefix="kb-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.setenv("KB_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("kb.embedding.takeover.AFTER_SECONDS", 0.0)
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(5):
        (notes / f"{number}.md").write_text(f"# Note {number}\n\nwater and stone {number}\n")
    values = {
        "folders.paths": str([str(notes)]),
        "store.path": str(tmp_path / "store"),
        "embed.model": str(tiny),
        "embed.offline": "true",
    }
    lines: list[str] = []
    daemon = Daemon(
        lambda: load(environ={}, overrides=values), folders_given=True, say=lines.append, run=lambda _args, _session: 0
    )
    thread = threading.Thread(target=daemon.serve, args=[lambda: None])
    thread.start()
    yield lines
    daemon.stop()
    thread.join(120)
    assert not thread.is_alive()
    shutil.rmtree(runtime)


def wait_for(found: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
def test_a_daemon_exports_its_model_and_uses_the_form(said: list[str]) -> None:
    """Words first, then the export, then ONNX Runtime, in one life of the daemon."""
    wait_for(lambda: any("runs in ONNX Runtime now" in line for line in said))

    order = [
        next(number for number, line in enumerate(said) if text in line)
        for text in ("5 files, 5 passages", "exporting the model", "runs in ONNX Runtime now: onnx cpu (float32)")
    ]
    assert order == sorted(order)


@pytest.mark.slow
def test_a_daemon_that_stops_ends_its_export(said: list[str]) -> None:
    """The child does not outlive it; the fixture waits for the daemon to end."""
    wait_for(lambda: any("exporting the model" in line for line in said))
