"""A daemon whose configuration is edited while it runs: its commands, and what kb watch --status says."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from waiting import wait_until
from watched import LoadedFake

from kb.app import LocalKnowledgeBase
from kb.cli.daemon import Daemon
from kb.cli.main import run
from kb.cli.output.reports import daemon_text
from kb.config import load
from kb.errors import ConfigError
from kb.knowledge_base import KnowledgeBase
from kb.records import IndexReport
from kb.service.server import CommandOutput, CommandRequest
from kb.watching.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Running:
    """A daemon over the first of two folders, each with one note.

    Attributes:
        file: The configuration, as it is edited.
        folders: The folders.
        said: The lines of its log.
        daemon: The daemon.
    """

    file: Path
    folders: list[Path]
    said: list[str]
    daemon: Daemon

    def configure(self, count: int) -> None:
        """Write the configuration with so many of the folders."""
        write(self.file, self.folders[:count])

    def command(self, *words: str) -> tuple[int | None, str]:
        """Run a command in the daemon; returns its exit code and all that it writes."""
        sent: list[bytes] = []
        request = CommandRequest(
            args=["--config", str(self.file), "-s", f"store.path={self.file.parent / 'store'}", *words],
            cwd=str(self.file.parent),
            env={},
            stdin_tty=False,
            stdout_tty=False,
            stderr_tty=False,
            encoding=["utf-8", "strict"] * 2,
            columns=80,
        )
        code = self.daemon.run_command(request, CommandOutput(lambda line: sent.append(line or b"")))
        return code, "".join(next(iter(json.loads(line).values())) for line in sent)


def write(file: Path, folders: list[Path]) -> None:
    """Write a configuration that names some folders."""
    file.write_text(f"[folders]\npaths = {json.dumps([str(one) for one in folders])}\n", encoding="utf-8")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A daemon in this process, with a fake model."""
    runtime = tempfile.mkdtemp(prefix="kb-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    model = LoadedFake()
    monkeypatch.setattr("kb.models.encoder_of", lambda _settings: model)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / f"{folder.name}.md").write_text("# Note\n\nwater and stone\n")
    file = tmp_path / "config.toml"
    write(file, folders[:1])
    ready, said = threading.Event(), list[str]()
    values = {"store.path": str(tmp_path / "store")}
    daemon = Daemon(
        lambda: load(str(file), environ={}, overrides=values), folders_given=False, say=said.append, run=run
    )
    thread = threading.Thread(target=daemon.serve, args=[ready.set])
    thread.start()
    try:
        assert ready.wait(120)
        wait_until(lambda: daemon.status()["state"] == "watching")
        yield Running(file, folders, said, daemon)
    finally:
        daemon.stop()
        thread.join(120)
        shutil.rmtree(runtime)
    assert not thread.is_alive()


@pytest.mark.parametrize("command", [("sync",), ("search", "--wait", "water"), ("list",)])
def test_a_command_right_after_an_edit_goes_by_it(running: Running, command: tuple[str, ...]) -> None:
    """It is not refused for other values, as it was until the daemon had looked at its file again."""
    running.configure(2)

    assert running.command(*command)[0] == 0

    assert "config.toml reloaded" in running.said
    assert running.command("sync") == (0, "")
    assert "two/two.md" in running.command("list")[1]


def test_a_program_right_after_an_edit_goes_by_it(running: Running) -> None:
    """As a command does."""
    running.configure(2)

    settings = load(str(running.file), environ={}, overrides={"store.path": str(running.file.parent / "store")})
    with KnowledgeBase.open(settings) as kb:
        kb.sync()
        assert sorted(Path(one.path).name for one in kb.documents()) == ["one.md", "two.md"]


@pytest.mark.parametrize("command", [("sync",), ("search", "--wait", "water")])
def test_a_command_that_waits_for_the_index_keeps_no_edit_waiting(
    running: Running, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits until everything that the edited configuration names is indexed, as while a long embedding goes on."""
    waiting, waits = threading.Event(), Scheduler.sync

    def sync(self: Scheduler, timeout: float | None = None, gone: Callable[[], bool] = lambda: False) -> bool:
        if "config.toml reloaded" in running.said:
            return waits(self, timeout, gone)
        waiting.set()
        wait_until(gone)
        return False

    monkeypatch.setattr(Scheduler, "sync", sync)
    ended: list[tuple[int | None, str]] = []
    thread = threading.Thread(target=lambda: ended.append(running.command(*command)))
    thread.start()
    assert waiting.wait(120)

    running.configure(2)
    thread.join(120)

    assert [code for code, _ in ended] == [0]
    assert "two/two.md" in running.command("list")[1]


def waiting_program(
    running: Running, edit: Callable[[], object], monkeypatch: pytest.MonkeyPatch, timeout: float | None = None
) -> list[object]:
    """What a program is told that waits for an index run which ends only as an edit is reloaded."""
    busy, update = threading.Event(), LocalKnowledgeBase.update

    def updating(self: LocalKnowledgeBase, **given: Any) -> Any:
        if "config.toml reloaded" not in running.said:
            busy.set()
            wait_until(given["should_stop"])
            return IndexReport(interrupted=True), None
        return update(self, **given)

    monkeypatch.setattr(LocalKnowledgeBase, "update", updating)
    settings = load(str(running.file), environ={}, overrides={"store.path": str(running.file.parent / "store")})
    told: list[object] = []

    def wait() -> None:
        with KnowledgeBase.open(settings) as kb:
            try:
                told.append(kb.sync(timeout))
            except ConfigError as error:
                told.append(error.message)

    thread = threading.Thread(target=wait)
    thread.start()
    assert busy.wait(120)
    edit()
    thread.join(120)
    return told


@pytest.mark.parametrize("timeout", [None, 100.0])
def test_a_program_that_waits_for_the_index_waits_on_after_an_edit(
    running: Running, timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the watcher that follows has indexed everything; the end of the one before is no failure."""

    def edit() -> None:
        running.file.write_text(f"{running.file.read_text()}[watch]\nquiet_ms = 200\n")

    assert waiting_program(running, edit, monkeypatch, timeout) == [True]


def test_a_program_that_waits_for_the_index_is_told_of_other_folders(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that it has are not all that is indexed then."""
    (told,) = waiting_program(running, lambda: running.configure(2), monkeypatch)

    assert "uses other values for folders.paths" in str(told)


def test_a_program_does_not_wait_longer_for_a_watcher_than_it_said(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor when it is gone, where the next watcher does not come."""
    monkeypatch.setattr(Scheduler, "stopping", True)
    monkeypatch.setattr(Scheduler, "sync", lambda *_: False)

    assert not running.daemon.sync(0.2, lambda: False)
    assert not running.daemon.sync(None, lambda: True)


def test_a_command_that_begins_again_has_the_time_that_is_left(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its limit is for all of its waiting."""
    limits: list[float] = []
    waits = Scheduler.sync

    def sync(self: Scheduler, timeout: float, gone: Callable[[], bool]) -> bool:
        limits.append(timeout)
        if len(limits) > 1:
            return waits(self, timeout, gone)
        time.sleep(0.2)
        running.configure(2)
        return False

    monkeypatch.setattr(Scheduler, "sync", sync)

    assert running.command("sync", "--timeout", "300") == (0, "")
    assert limits[0] - limits[1] >= 0.2


def test_a_command_whose_time_is_over_does_not_begin_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the edit has not taken effect, as while another command runs for long."""
    monkeypatch.setattr(Daemon, "_reload", lambda _self: False)
    monkeypatch.setattr("kb.cli.daemon._RELOAD_SECONDS", 0.1)
    running.configure(2)

    assert running.command("sync", "--timeout", "0.3") == (1, "kb: some changes are not indexed yet\n")


def test_a_command_that_is_given_up_while_the_configuration_was_edited_ends(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not begin again for a client that is gone."""
    monkeypatch.setattr(Daemon, "_reload", lambda _self: False)
    monkeypatch.setattr("kb.cli.daemon._RELOAD_SECONDS", 0.1)
    gone = threading.Event()
    monkeypatch.setattr(CommandOutput, "stopping", lambda _self: gone.is_set())
    ended: list[int | None] = []
    running.configure(2)
    thread = threading.Thread(target=lambda: ended.append(running.command("sync")[0]))
    thread.start()
    gone.set()
    thread.join(120)

    assert len(ended) == 1
    assert ended[0] != 0


def test_a_daemon_that_reloads_is_neither_blind_nor_starting(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the end of the old watcher to the end of the scan with the new one, it runs and reads the folders."""
    told: list[str] = []
    opened = LocalKnowledgeBase.open

    def opening(*given: Any, **more: Any) -> LocalKnowledgeBase:
        told.append(daemon_text(running.daemon.status()))
        return opened(*given, **more)

    monkeypatch.setattr(LocalKnowledgeBase, "open", opening)
    running.configure(2)
    wait_until(lambda: "config.toml reloaded" in running.said)
    wait_until(lambda: running.daemon.status()["state"] == "watching")

    assert [line.partition(", ")[0] for line in told] == ["running"]
    assert told[0].endswith(
        ", configuration reloaded and folders being read, scan running: looking through the folders"
    )
    assert running.daemon.status()["folders"] == [str(folder) for folder in running.folders]
