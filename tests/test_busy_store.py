"""A program that meets a store in use: at once where ``kb watch`` has it, and never in silence."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from kb.errors import StoreBusy
from kb.service.listen import listen
from kb.store.lock import StoreLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.app import LocalKnowledgeBase


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and a folder of the user alone for sockets."""
    runtime = tmp_path_factory.mktemp("r")
    runtime.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return tmp_path / "store"


def test_a_store_that_is_served_is_refused_at_once(
    store: Path, notes: Path, open_kb: Callable[..., LocalKnowledgeBase]
) -> None:
    """Whatever ``store.wait_seconds`` says: the one who serves it never lets go by itself, and can be asked."""
    lock = StoreLock(str(store)).acquire()
    serving = listen(str(store), os.environ)
    started = time.monotonic()
    try:
        with pytest.raises(StoreBusy) as busy:
            open_kb(notes, store, store__wait_seconds="3600").index()
    finally:
        serving.remove()
        serving.socket.close()
        lock.release()

    assert time.monotonic() - started < 120
    assert busy.value.message.startswith("kb watch (process ")
    assert f"kb --store {store} search QUESTION --json, or end it first: kb --store {store} watch" in busy.value.remedy


def test_a_wait_is_told(
    store: Path, notes: Path, open_kb: Callable[..., LocalKnowledgeBase], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody gave a place for warnings, so it is logged; the store is had as soon as it is free."""
    lock = StoreLock(str(store), "kb index").acquire()

    def release() -> None:
        until = time.monotonic() + 120
        while "waiting for process" not in caplog.text and time.monotonic() < until:
            time.sleep(0.05)
        lock.release()

    releasing = threading.Thread(target=release)
    with caplog.at_level(logging.WARNING, "kb"):
        releasing.start()
        report = open_kb(notes, store, store__wait_seconds="3600").index()
    releasing.join()

    assert report.added == 4
    assert "waiting for process" in caplog.text
