"""``kb web``: a daemon that opens the page, and ends it."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from made_up import settings

from kb.api.events import EventBus
from kb.cli import web_port
from kb.cli.web_port import WebPort, open_in_editor
from kb.errors import KbError
from kb.service.listen import listen
from kb.web.context import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from command_line import CommandLine

    from kb.embedding.spec import Located

pytest_plugins = ["command_line"]


def test_options_that_exclude_one_another(command: CommandLine) -> None:
    """Closing the page prints no link."""
    assert command("web", "--stop", "--print")[0] == 2


def test_stop_without_a_daemon(command: CommandLine) -> None:
    """Where no daemon runs, no page is open, and none is started to close it."""
    assert command("web", "--stop") == (1, "", "kb: the page is not open\n")


@pytest.mark.parametrize("option", ["--print", "--stop"])
def test_daemon_that_ends_meanwhile(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """It listens, and closes the connection: that is told, and no fault of kb."""
    command.settings = settings(str(tmp_path))
    with tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        listening = listen(command.settings.store_path(), os.environ)

        def end() -> None:
            with listening.socket.accept()[0] as client:
                client.recv(65536)

        ending = threading.Thread(target=end)
        ending.start()
        code, out, err = command("web", option)
        ending.join()
        listening.remove()
        listening.socket.close()

    assert (code, out) == (2, "")
    assert err.startswith("kb: kb watch stopped before it answered\n    Run kb web again")


def test_editor_that_needs_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The daemon has no terminal: the command to run in one is told instead."""
    note = tmp_path / "a.md"
    note.write_text("x\n")
    monkeypatch.setenv("EDITOR", "nano")
    monkeypatch.delenv("VISUAL", raising=False)

    with pytest.raises(KbError, match="nano needs a terminal") as error:
        open_in_editor(str(note), 3, 0, "markdown")
    assert f"nano +3 {note}" in error.value.remedy


def test_editor_with_a_window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An editor with a window is started at the line."""
    started: list[tuple[tuple[str, ...], bool]] = []

    def start(command: tuple[str, ...], *, here: bool) -> int:
        started.append((command, here))
        return 0

    monkeypatch.setattr("kb.cli.commands.open.start", start)
    monkeypatch.setenv("VISUAL", "gvim")

    assert open_in_editor(f"{tmp_path}/a.md", 3, 0, "markdown") == f"gvim +3 {tmp_path}/a.md"
    assert started == [(("gvim", "+3", f"{tmp_path}/a.md"), False)]


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, one sentence says so, and how to get it."""
    monkeypatch.setitem(sys.modules, "nh3", None)

    with pytest.raises(KbError, match="the page needs the extra web") as error:
        web_port._page_class()
    assert "localkb[web]" in error.value.remedy


def test_port_stays_the_same(tmp_path: Path) -> None:
    """A store has its page at one port, whichever daemon shows it; where that is in use, at another one."""
    backend = Backend(nullcontext, bytes, str, None, EventBus())  # type: ignore[arg-type]  # it shows nothing

    def port_of(store: str) -> WebPort:
        return WebPort(lambda: backend, lambda _: None, f"{tmp_path}/{store}")

    def place(port: WebPort) -> str:
        return urlsplit(port.link()).netloc

    first, second, other, later = port_of("a"), port_of("a"), port_of("b"), port_of("a")
    usual = place(first)
    assert len({usual, place(second), place(other)}) == 3
    assert first.close()

    assert place(later) == usual
    assert sum(port.close() for port in (second, other, later)) == 3


@pytest.fixture
def run(onnx_minilm: Located, notes: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs kb over a few notes, with sockets in a short folder; a daemon that is left is stopped."""
    runtime = Path(tempfile.mkdtemp(prefix="kb", dir="/tmp"))
    file = tmp_path / "config.toml"
    file.write_text(
        f'[folders]\npaths = ["{notes}"]\n[store]\npath = "{tmp_path}/store"\n'
        f'[embed]\nmodel = "{onnx_minilm.name}"\noffline = true\n'
    )
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "KB_CONFIG": str(file), "BROWSER": "/nonexistent"}

    def run_(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kb", *args],
            env=environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            cwd=tmp_path,
        )

    yield run_
    run_("watch", "--stop")
    shutil.rmtree(runtime, ignore_errors=True)


def status(link: str, path: str = "") -> int:
    """The HTTP status of a link, or of another path there."""
    place = urlsplit(link)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        connection.request("GET", path or f"{place.path}?{place.query}")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.slow
def test_page_of_a_daemon(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """A daemon is started, each link lets in once, and with the page its port and sessions end, but not the daemon."""
    opened = run("web", "--print")
    assert opened.returncode == 0, opened.stderr
    assert "started kb watch in the background" in opened.stderr
    link = opened.stdout.strip()
    again = run("web", "--print").stdout.strip()

    assert urlsplit(link).hostname == "127.0.0.1"
    assert urlsplit(link).netloc == urlsplit(again).netloc
    assert link != again
    assert (status(link), status(link), status(again)) == (303, 403, 303)
    assert status(link, "/v1/status") == 401

    closed = run("web", "--stop")
    assert (closed.returncode, closed.stdout) == (0, "the page is closed\n")
    with pytest.raises(ConnectionRefusedError):
        status(link)
    assert run("web", "--stop").returncode == 1
    assert run("watch", "--status").stdout.startswith(("watching", "starting"))
