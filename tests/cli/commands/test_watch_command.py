"""``kb watch``: one thing at a time, with a daemon and without one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from made_up import answer, hit, settings

from kb.cli.main import run
from kb.cli.session import Session
from kb.service.background import BackgroundDaemon
from kb.service.listen import listen
from kb.store.lock import OWNER_FILE, StoreLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from command_line import CommandLine

    from kb.embedding.spec import Located

pytest_plugins = ["command_line"]


def test_flags_that_exclude_one_another_are_refused(command: CommandLine) -> None:
    """One thing at a time."""
    assert command("watch", "--stop", "--status")[0] == 2
    assert command("watch", "--print")[0] == 2
    assert command.loaded == []


def test_without_a_daemon_status_and_stop_say_so(command: CommandLine, tmp_path: Path) -> None:
    """Exit code 1, for scripts."""
    command.settings = settings(str(tmp_path))

    assert command("watch", "--status") == (1, "not running\n", "")
    assert json.loads(command("watch", "--status", "--json")[1]) == {"owner": None}
    assert command("watch", "--stop") == (1, "", "kb: kb watch is not running\n")


@pytest.mark.parametrize("asked", ["--stop", "--status"])
def test_a_suspended_daemon_is_told_with_what_resumes_it(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """It has its socket, and answers nobody: kb waits for a while, and names what resumes or ends it."""
    runtime = tempfile.mkdtemp(prefix="kb-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.setattr("kb.service.client._HEAD_SECONDS", 0.1)
    command.settings = replace(settings(str(tmp_path)), base=tmp_path)
    listening = listen(command.settings.store_path(), os.environ)
    try:
        code, out, err = command("watch", asked)
    finally:
        listening.socket.close()
        shutil.rmtree(runtime)

    assert (code, out) == (2, "")
    assert re.search(r"^kb: (process \d+|the daemon) holds the store but does not answer\n", err)
    assert re.search(r"    Resume it with kill -CONT .+ if it is suspended, or end it with kill -9 ", err)


@pytest.mark.parametrize(
    ("name", "state", "why"),
    [
        ("kb watch", "not answering\n", "does not answer yet; it may be loading the model"),
        ("kb index", "not running\n", "answers no commands"),
    ],
)
def test_a_process_that_has_the_store_and_cannot_be_asked_is_named(
    command: CommandLine, tmp_path: Path, name: str, state: str, why: str
) -> None:
    """With what ends it; a number that a dead process left behind, and another one has by now, is not."""
    command.settings = replace(settings(str(tmp_path)), base=tmp_path)
    told = f"kb: process {os.getpid()} ({name}) holds the store and {why}; stop it with kill {os.getpid()}\n"

    with StoreLock(str(tmp_path / ".kb"), name):
        assert command("watch", "--status") == (1, state, told)
        assert command("watch", "--stop") == (1, "", told)
        note = (tmp_path / ".kb" / OWNER_FILE).read_bytes()

    (tmp_path / ".kb" / OWNER_FILE).write_bytes(note)
    assert command("watch", "--stop") == (1, "", "kb: kb watch is not running\n")


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("[folders]\npaths = ['.']\n[search]\nlimit = 'three'\n", ".kb"),
        ("[folders]\npaths = ['.'\n[store]\n# where\npath = 'kept'  # here\n", "kept"),
        ("[search]\nlimti = 3\n[store] # mine\n path='kept'\n[embed]\n", "kept"),
        ("[store]\npath = 'kept'\nlock_timeout = = 3\n[folders]\n", "kept"),
        ("[folders]\nexclude = [\n", ".kb"),
    ],
)
def test_a_configuration_that_is_not_valid_keeps_nobody_from_stopping_the_daemon(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], text: str, store: str
) -> None:
    """The mistake is told beside; where no daemon answers it is the error."""
    (here / "config.toml").write_text(text)
    running = {str(here / store): {"pid": 7}}
    asked: list[tuple[str, str]] = []

    def ask(store: str, path: str, _values: object = None) -> dict[str, int] | None:
        asked.append((store, path))
        return running.get(store)

    monkeypatch.setattr("kb.service.client.ask", ask)

    assert run(["watch", "--stop"], Session()) == 0
    out, err = capfd.readouterr()
    assert (out, asked[-1]) == ("stopped process 7\n", (str(here / store), "/stop"))
    assert err.startswith("kb: ")
    assert "config.toml" in err

    running.clear()
    assert run(["watch", "--stop"], Session()) == 2
    assert run(["watch", "--once"], Session()) == 2
    assert "config.toml" in capfd.readouterr()[1]


def test_a_daemon_that_ends_amid_the_request_to_stop(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is stopped twice at once: it is told, and no fault of kb."""
    command.settings = settings(str(tmp_path))
    with tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        listening = listen(command.settings.store_path(), os.environ)

        def answer() -> None:
            for content in (b'{"pid": 1}', b'{"stopp'):
                with listening.socket.accept()[0] as client:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + content)

        ending = threading.Thread(target=answer)
        ending.start()
        code, out, err = command("watch", "--stop")
        ending.join()
        listening.remove()
        listening.socket.close()

    assert (code, out) == (2, "")
    assert err.startswith("kb: the daemon did not answer: the daemon stopped before it finished")


def test_once_is_an_index_run(command: CommandLine, tmp_path: Path) -> None:
    """Of the folders named, where some are."""
    assert command("watch", "--once", "--poll", str(tmp_path))[0] == 0

    assert [name for name, _ in command.kb.asked] == ["index"]
    assert command.loaded[-1][1] == {"folders.paths": json.dumps([str(tmp_path)]), "watch.polling": "true"}
    assert command("watch", "--once", "/no/such/folder")[0] == 2
    assert command("watch", "/")[2].endswith("\n    Name a folder inside it\n")


def test_once_is_done_by_a_running_daemon(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the store, so this process could only wait for it in vain."""
    forwarded: list[list[str]] = []
    monkeypatch.setattr("kb.service.client.ask", lambda *_: {"pid": 7})

    def forward(args: list[str]) -> int:
        forwarded.append(args)
        return 0

    monkeypatch.setattr("kb.service.client.forward", forward)

    assert command("-s", "search.limit=3", "watch", "--once", "--json")[0] == 0

    assert forwarded == [["--config", "/notes/config.toml", "-s", "search.limit=3", "index", "--json"]]
    assert command.kb.asked == []


@pytest.mark.parametrize(("pending", "code"), [(0, 0), (2, 3)])
def test_a_stale_answer_is_three_where_a_fresh_one_is_required(command: CommandLine, pending: int, code: int) -> None:
    """The hits are written all the same."""
    command.kb.given = answer(hit(), pending=pending)

    assert command("search", "--require-fresh", "x")[:2] == (code, "/notes/db.md:5:Use ChromaDB.\n")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have other services")
def test_a_service_is_shown_or_written(command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the configuration by its absolute path and the settings in effect, and what to run next."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("KB_EMBED__DEVICE", "cpu")
    monkeypatch.setenv("KB_MODELS", "/models")
    monkeypatch.setenv("A_SECRET", "1")

    code, shown, _ = command("-s", "search.limit=3", "watch", "--install-service", "--print")
    assert code == 0
    assert '"--config" "/notes/config.toml" "-s" "search.limit=3" "watch"\n' in shown
    assert 'Environment="KB_EMBED__DEVICE=cpu"\nEnvironment="KB_MODELS=/models"\n' in shown
    assert "A_SECRET" not in shown
    assert list(tmp_path.iterdir()) == []

    _, told, _ = command("-s", "search.limit=3", "watch", "--install-service")
    written = next((tmp_path / "systemd" / "user").iterdir())
    assert (written.read_text(), told) == (
        shown,
        f"Wrote {written}\nNext: systemctl --user enable --now {written.name}\n",
    )


@pytest.mark.slow
def test_a_daemon_started_behind_has_the_folders_that_were_typed(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No other command names them, and none is refused for that."""
    given: list[bool] = []

    class Owning:
        def __init__(self, *_: object, folders_given: bool, **_more: object) -> None:
            given.append(folders_given)

        def serve(self, _ready: object) -> None: ...

    class Ended:
        def __init__(self, args: list[str], **_: object) -> None:
            self.pid = 0
            command(*args[args.index("kb") + 1 :])

        def poll(self) -> int:
            return 0

    monkeypatch.setattr("kb.cli.daemon.Daemon", Owning)
    monkeypatch.setattr(subprocess, "Popen", Ended)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    command("watch", "--background", str(tmp_path))
    command("watch", "--background")

    assert given == [True, False]


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 1), (60.0, 0)])
def test_a_slow_start_behind_says_once_that_the_model_is_loaded(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: float, lines: int
) -> None:
    """Nobody looks at half a minute of nothing; a quick start has no such line."""
    command.settings = settings(str(tmp_path))
    answers: list[dict[str, int] | None] = [{"pid": os.getpid()}, None, None, None]
    process = SimpleNamespace(pid=os.getpid(), poll=lambda: None)
    started = BackgroundDaemon(process, tmp_path / "log", 0)  # type: ignore[arg-type]
    monkeypatch.setattr("kb.service.background.start_daemon", lambda *_: started)
    monkeypatch.setattr("kb.cli.commands.watch._status_of_daemon", lambda _: answers.pop())
    monkeypatch.setattr("kb.cli.commands.watch._MODEL_SECONDS", seconds)

    code, out, err = command("watch", "--background")

    assert (code, out.partition(":")[0], answers) == (0, "running in the background", [])
    assert err.count("it does not answer yet: loading the model, ") == lines


@pytest.mark.parametrize("name", ["notes 🗒", "caf\udce9", 'a "b" \\c'])
def test_a_folder_of_any_name_is_watched(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It reaches the configuration as it was typed."""
    # The current folder may have a configuration, and somebody may be using its store.
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    folder.mkdir()

    assert run(["watch", "--status", str(folder)]) == 1
    assert capfd.readouterr() == ("not running\n", "")


@pytest.fixture
def kb(
    notes: Path, tmp_path: Path, onnx_minilm: Located, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str]]:
    """Runs kb in processes of its own over a folder of notes; whatever daemon is left is ended."""
    runtime = tempfile.mkdtemp(prefix="kb-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.chdir(tmp_path)
    values = f'[folders]\npaths = ["{notes.name}"]\n[embed]\nmodel = "{onnx_minilm.name}"\noffline = true\n'
    (tmp_path / "config.toml").write_text(values)

    def run(*args: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "kb", *args], capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    yield run
    subprocess.run([sys.executable, "-P", "-m", "kb", "watch", "--stop"], capture_output=True, check=False)
    shutil.rmtree(runtime)


def test_a_daemon_from_its_start_to_its_end(kb: Callable[..., str], notes: Path, tmp_path: Path) -> None:
    """It starts behind, answers, follows the folder, keeps a second one out, takes an edit over, and ends in order."""
    assert "running in the background: process " in kb("watch", "--background")
    daemon = json.loads(kb("watch", "--status", "--json"))["owner"]
    assert kb("watch", "--status").splitlines()[1] == f"log: {daemon['log']}"
    assert Path(daemon["log"]).is_file()
    assert f"process {daemon['pid']}" in kb("watch", code=2)

    # It answers before its first run ends, whose files the log only counts.
    _until(lambda: f", watching {notes.resolve()}" in _log())
    (notes / "cheese.md").write_text("Gouda is a cheese from the Netherlands.\n")
    assert "cheese.md:1:" in kb("search", "--wait", "--require-fresh", "-n", "1", "Dutch cheese")
    assert json.loads(kb("search", "--json", "--weak", "cheese"))["index"]["watching"]
    assert "chunk.max_tokens" in kb("-s", "chunk.max_tokens=64", "search", "x", code=2)
    assert "watching, process" in kb("status")
    note = Path(kb("note", "Feta is a cheese from Greece.").split()[0]).name

    # As a system does with its runtime folders when the user logs out.
    shutil.rmtree(Path(os.environ["XDG_RUNTIME_DIR"]) / "kb")
    _until(lambda: "listening on a new one" in _log())
    assert "watching, process" in kb("status")

    config = tmp_path / "config.toml"
    config.write_text(
        config.read_text().replace("paths", 'exclude = ["openai.md"]\npaths') + "[chunk]\nmax_tokens = 64\n"
    )
    _until(lambda: "config.toml reloaded" in _log())
    kb("sync")
    assert "openai.md" not in kb("list")
    assert "cheese.md" in kb("search", "-n", "1", "Dutch cheese")

    os.kill(daemon["pid"], signal.SIGTERM)
    _until(lambda: _log().endswith("stopped\n"))
    assert "not running" in kb("watch", "--status", code=1)
    lines = [line.split(" ", 2)[2] for line in _log().splitlines()]
    assert any(line.startswith(f"added {notes.resolve()}/cheese.md (1 passage, 0 reused, ") for line in lines)
    # Whoever had it indexed, the log tells of it.
    assert sum(line.startswith(f"added {notes.resolve()}/{note} (1 passage") for line in lines) == 1
    assert lines[-1] == "stopped"
    assert not (tmp_path / ".kb" / "unclean").exists()


def _until(condition: Callable[[], bool]) -> None:
    """Wait until something holds, for some seconds; what follows tells where it does not."""
    until = time.monotonic() + 120
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)


def _log() -> str:
    """What the daemon wrote."""
    return next(Path(os.environ["XDG_STATE_HOME"]).rglob("watch-*.log")).read_text()
