"""kb with the Windows side of each seam in force, on this machine: its modules, the daemon and its clients."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clean_environ import clean_environ
from pretend_windows import import_path

from kb.config import render_default
from kb.service.address import addresses_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "kb"
# Where calls stand that a platform lacks, behind a question for the platform.
SEAMS = {"kb/system/", "kb/sandbox/confine.py", "kb/sandbox/limits.py", "kb/sandbox/pipes.py", "kb/sandbox/syscalls.py"}


def test_every_module_is_imported_without_what_windows_lacks(tmp_path: Path) -> None:
    """Neither fcntl, resource, pwd and grp, nor the functions of os and signal that POSIX alone has."""
    code = (
        "import importlib, os, pkgutil, kb, kb.system\n"
        "names = [one.name for one in pkgutil.walk_packages(kb.__path__, 'kb.') if not one.name.endswith('__main__')]\n"
        "for name in names: importlib.import_module(name)\n"
        "import kb.system.locks as locks\n"
        "print(len(names), kb.system.WINDOWS, hasattr(locks.os, 'getuid'), locks.sys.platform)\n"
        "try: locks.__dict__['__builtins__']['__import__']('fcntl')\n"
        "except ImportError as error: print(error.name)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": import_path(tmp_path)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    modules, *rest = done.stdout.split()

    assert int(modules) > 300
    assert rest == ["True", "False", "win32", "fcntl"]


def test_no_module_asks_for_the_platform_past_the_seams() -> None:
    """What Windows lacks is called in few places, and they are known."""
    lacking = {"fork", "getuid", "geteuid", "getsid", "sysconf", "pread", "fchmod", "killpg", "setsid", "set_blocking"}
    keywords = {"start_new_session", "preexec_fn"}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        relative = path.relative_to(PACKAGE.parent).as_posix()
        if any(relative.startswith(one) for one in SEAMS):
            continue
        text = path.read_text("utf-8")
        # Most modules have none of the words anywhere, and a syntax tree takes long.
        if not any(word in text for word in lacking | keywords):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                found |= {f"{relative}: os.{node.attr}"} if node.attr in lacking else set()
            if isinstance(node, ast.keyword) and node.arg in keywords:
                found.add(f"{relative}: {node.arg}")

    assert found == set()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a folder of notes and a configuration; its daemon is stopped at last."""
    clean_environ(monkeypatch, tmp_path / "home")
    home = tmp_path / "home"
    monkeypatch.setenv("LOCALAPPDATA", str(home / "AppData" / "Local"))
    monkeypatch.setenv("WT_SESSION", "12ab-34cd")
    notes = home / "notes"
    notes.mkdir()
    (notes / "bread.md").write_text("# Bread\n\nFlour, water, salt and time.\n")
    (notes / "page.html").write_text("<h1>Tea</h1><p>Leaves and boiling water.</p>")
    values = {"folders.paths": [str(notes)], "embed.model": "all-MiniLM-L6-v2", "embed.offline": True}
    (home / "config.toml").write_text(render_default(values))
    yield home
    kb(home, "watch", "--stop")


def kb(home: Path, *args: str, code: int | None = None) -> str:
    """What a command writes, on both streams."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "kb", *args],
        cwd=home, env=os.environ | {"PYTHONPATH": import_path(home.parent / "site")},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        encoding="utf-8", check=False, timeout=240,
    )  # fmt: skip
    assert code is None or done.returncode == code, done.stdout
    return done.stdout


@pytest.mark.slow
def test_commands_reach_the_daemon_over_a_local_port(world: Path) -> None:
    """It is named with its secret by a locked file of the user alone; there is no socket anywhere."""
    assert "running in the background" in kb(world, "watch", "--background", code=0)
    kb(world, "sync", code=0)

    places = list((world / "AppData" / "Local" / "kb" / "run").iterdir())
    assert [place.suffix for place in places] == [".json"]
    assert places[0].stat().st_mode & 0o077 == 0
    record = json.loads(places[0].read_bytes())
    assert f"process {record['pid']} " in kb(world, "watch", "--status", code=0)
    assert not any(Path(one).exists() for one in addresses_of(str(world / ".kb"), os.environ))

    # Shown as Windows shows them, and typed in either form.
    assert kb(world, "search", "how to bake", "--path", r"notes\*.md", code=0).startswith(r"notes\bread.md:3:Flour")
    assert kb(world, "show", r"notes\bread.md:3", code=0) == kb(world, "show", "notes/bread.md:3", code=0)
    found = json.loads(kb(world, "search", "tea", "--json", code=0).splitlines()[0])
    assert found["hits"][0]["path"].endswith("/notes/page.html")
    assert "page.html" in kb(world, "open", code=0)
    # The same terminal has the same hits, by the tab of Windows Terminal.
    saved = [file.name for file in (world / "state" / "kb" / "answers").iterdir()]
    assert saved == ["12ab34cd.json"]

    assert f"stopped process {record['pid']}" in kb(world, "watch", "--stop", code=0)
    assert not places[0].exists()


@pytest.mark.slow
def test_a_daemon_that_was_killed_is_asked_nothing(world: Path) -> None:
    """Its port may be another program's: the file is no longer locked, and the next daemon writes it anew."""
    kb(world, "watch", "--background", code=0)
    kb(world, "sync", code=0)
    place = next((world / "AppData" / "Local" / "kb" / "run").iterdir())
    first = json.loads(place.read_bytes())
    os.kill(first["pid"], 9)

    assert "Flour" in kb(world, "search", "how to bake", code=0)
    assert kb(world, "watch", "--status") == "not running\n"
    kb(world, "watch", "--background", code=0)

    assert json.loads(place.read_bytes())["secret"] != first["secret"]


@pytest.mark.slow
def test_documents_are_parsed_within_a_job(world: Path) -> None:
    """Status and doctor say what that restricts, and what it does not."""
    kb(world, "index", code=0)

    assert "parsed without limits on files, tcp" in kb(world, "status", code=0)
    sandbox = next(line for line in kb(world, "doctor").splitlines() if "sandbox" in line)
    assert sandbox.startswith("warning")
    assert "incomplete" in kb(world, "status", "--privacy")


@pytest.mark.slow
def test_the_task_starts_this_configuration_without_a_window(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of the environment come along as options, since a task has no environment."""
    monkeypatch.setenv("USERDOMAIN", "PC")
    monkeypatch.setenv("USERNAME", "ann")
    monkeypatch.setenv("KB_SEARCH__LIMIT", "3")

    text = kb(world, "watch", "--install-service", "--print", code=0)

    assert "<UserId>PC\\ann</UserId>" in text
    assert "pythonw.exe</Command>" in text
    assert "-s search.limit=3 watch --log " in text
