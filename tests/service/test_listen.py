"""The file that names the daemon's port: written in the place of an old one, and locked past whoever looks at it."""

from __future__ import annotations

import json
import os
from threading import Timer
from typing import TYPE_CHECKING

import pytest

from kb.errors import FolderError
from kb.service import listen
from kb.system.files import replace_file
from kb.system.locks import PAST_END, is_locked, try_lock

if TYPE_CHECKING:
    from pathlib import Path


def looked_at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Timer:
    """Have somebody lock the file as soon as it is there, and let go of it after some seconds."""
    held: list[int] = []
    timer = Timer(seconds, lambda: os.close(held[0]))

    def replace_and_lock(source: str, target: str) -> None:
        replace_file(source, target)
        held.append(os.open(target, os.O_RDWR))
        assert try_lock(held[0], PAST_END)
        timer.start()

    monkeypatch.setattr(listen, "replace_file", replace_and_lock)
    return timer


def test_a_client_that_looks_at_the_file_does_not_keep_the_daemon_from_locking_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock, every later command would take the daemon for dead."""
    address = tmp_path / "daemon.json"
    address.write_text("of a daemon that died")
    timer = looked_at(monkeypatch, 0.2)
    listening = listen.listen_at(str(address))
    timer.join()

    assert is_locked(str(address), PAST_END)
    assert json.loads(address.read_bytes())["pid"] == os.getpid()
    listening.remove()
    listening.socket.close()
    assert not address.exists()


def test_a_file_that_somebody_keeps_locked_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better than a daemon that no command would ask."""
    monkeypatch.setattr(listen, "_LOCK_SECONDS", 0.05)
    timer = looked_at(monkeypatch, 600.0)
    with pytest.raises(FolderError, match=r"keeps .+ locked"):
        listen.listen_at(str(tmp_path / "daemon.json"))
    timer.cancel()
    timer.function()
