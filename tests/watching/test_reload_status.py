"""What kb watch --status says while a daemon reloads an edited configuration."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from waiting import wait_until
from watched import LoadedFake

from kb.app import LocalKnowledgeBase
from kb.cli.daemon import Daemon
from kb.cli.output.reports import daemon_text
from kb.config import load

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_daemon_that_reloads_is_neither_blind_nor_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the end of the old watcher to the end of the scan with the new one, it runs and reads the folders."""
    runtime = tempfile.mkdtemp(prefix="kb-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    model = LoadedFake()
    monkeypatch.setattr("kb.models.encoder_of", lambda _settings: model)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "a.md").write_text("# Note\n\nwater and stone\n")
    file = tmp_path / "config.toml"

    def configure(count: int) -> None:
        paths = json.dumps([str(folder) for folder in folders[:count]])
        file.write_text(f"[folders]\npaths = {paths}\n", encoding="utf-8")

    configure(1)
    values = {"store.path": str(tmp_path / "store")}
    ready, said = threading.Event(), list[str]()
    daemon = Daemon(
        lambda: load(str(file), environ={}, overrides=values),
        folders_given=False,
        say=said.append,
        run=lambda _args, _session: 0,
    )
    thread = threading.Thread(target=daemon.serve, args=[ready.set])
    thread.start()
    try:
        assert ready.wait(60)
        wait_until(lambda: daemon.status()["state"] == "watching")
        told: list[str] = []
        opened = LocalKnowledgeBase.open

        def opening(*given: Any, **more: Any) -> LocalKnowledgeBase:
            told.append(daemon_text(daemon.status()))
            return opened(*given, **more)

        monkeypatch.setattr(LocalKnowledgeBase, "open", opening)
        configure(2)
        wait_until(lambda: "config.toml reloaded" in said)
        wait_until(lambda: daemon.status()["state"] == "watching")
    finally:
        daemon.stop()
        thread.join(60)
        shutil.rmtree(runtime)

    assert not thread.is_alive()
    assert [line.partition(", ")[0] for line in told] == ["running"]
    assert told[0].endswith(
        ", configuration reloaded and folders being read, scan running: looking through the folders"
    )
    assert daemon.status()["folders"] == [str(folder) for folder in folders]
