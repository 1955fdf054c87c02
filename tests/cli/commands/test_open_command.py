"""kb open: the hits of the last answer, by number."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from made_up import answer, hit, known_file, settings

from kb.cli.last_results import Location, folder, load_results, save_results
from kb.errors import NotIndexed
from kb.service.client import forward

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

    from kb.records import Answer, KnownFile

pytest_plugins = ["command_line"]


def file_at(folder: Path, name: str, kind: str = "markdown") -> KnownFile:
    """A file that is there."""
    (folder / name).write_text("text")
    return known_file(name, folder=str(folder), kind=kind)


def test_a_hit_is_opened_by_its_number(command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a search ``kb open N`` knows file and line; ``--print`` shows the command; without a number all are."""
    monkeypatch.setenv("EDITOR", "nano")
    monkeypatch.delenv("VISUAL", raising=False)
    notes = file_at(tmp_path, "a b.md")
    command.kb.given = answer(hit("one", file=notes), hit("two", file=notes, first_line=9, last_line=12))
    command("search", "anything")

    assert command("open", "2", "--print") == (0, f"nano +9 '{tmp_path}/a b.md'\n", "")
    assert command("open")[1] == f"  1  {tmp_path}/a b.md:5-5\n  2  {tmp_path}/a b.md:9-12\n"
    assert command("open", "3") == (2, "", "kb: the last search has 2 hits\n    kb open lists them\n")


def test_the_editor_runs_at_the_line(command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is really started, and its exit code is kb's."""
    script = tmp_path / "gvim"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\nexit 7\n')
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script))
    command.kb.given = answer(hit("one", file=file_at(tmp_path, "a.md")))
    command("ask", "anything")

    assert command("open", "1")[0] == 7
    assert (tmp_path / "told").read_text() == f"+5 {tmp_path}/a.md\n"


def test_an_editor_without_its_terminal_is_not_started(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe the place is written in its stead: it would write escape sequences."""
    script = tmp_path / "vim"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script))
    command.kb.given = answer(hit("one", file=file_at(tmp_path, "a.md")))
    command("search", "anything")

    code, out, err = command("open", "1")
    assert (code, out) == (2, f"{tmp_path}/a.md:5-5\n")
    assert err == (
        f"kb: {script} needs a terminal, and standard input or output is none\n"
        "    kb open 1 --print prints the command\n"
    )
    assert not (tmp_path / "started").exists()


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="a display is named in the environment on Linux")
def test_a_document_that_nothing_can_show(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a display the error says so, and its remedy prints the path; with one, what is started is said."""
    opener = tmp_path / "xdg-open"
    opener.write_text("#!/bin/sh\n")
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    command.kb.given = answer(hit("one", file=file_at(tmp_path, "sums.xlsx", kind="sheet")))
    command("search", "anything")

    code, out, err = command("open", "1")
    assert (code, out) == (2, "")
    assert err == (
        "kb: nothing can show sums.xlsx here: there is no display\n"
        "    Open it in a graphical session; kb open 1 --print prints its path\n"
    )
    assert command("open", "1", "--print") == (0, f"{tmp_path}/sums.xlsx\n", "")
    monkeypatch.setenv("DISPLAY", ":0")
    started: list[tuple[str, ...]] = []

    def start(launched: tuple[str, ...], *, here: bool) -> int:
        started.append(launched)
        return int(here)

    monkeypatch.setattr("kb.cli.commands.open.start", start)
    assert command("open", "1") == (0, "opening sums.xlsx with xdg-open\n", "")
    assert started == [("xdg-open", f"{tmp_path}/sums.xlsx")]


def test_there_has_to_be_an_answer_and_its_file(command: CommandLine, tmp_path: Path) -> None:
    """Without a search, after one that found nothing, and when the file is gone, one sentence says so."""
    assert command("open", "1")[2].startswith("kb: no search to open a hit of")
    command.kb.given = answer()
    command("search", "anything")
    for arguments in ([], ["1"]):
        assert command("open", *arguments)[2].startswith("kb: the last search has no hits\n")
    gone = file_at(tmp_path, "a.md")
    command.kb.given = answer(hit("one", file=gone))
    command("search", "anything")
    (tmp_path / "a.md").unlink()

    assert command("open", "1")[2] == f"kb: {tmp_path}/a.md no longer exists\n    Search again\n"


@pytest.mark.parametrize(
    ("typed", "program"),
    [
        ("notes/large.txt", "vim +1 {folder}/notes/large.txt"),
        ("notes/a/odd name.md:7", "vim +7 '{folder}/notes/a/odd name.md'"),
        ("{folder}/notes/Makefile", "vim +1 {folder}/notes/Makefile"),
        ("a/no suffix", "vim +1 '{folder}/notes/a/no suffix'"),
        ("notes/locked.pdf", "xdg-open {folder}/notes/locked.pdf"),
        ("notes/scan.png", "xdg-open {folder}/notes/scan.png"),
        ("notes/run.jar", ""),
        ("notes/film.mp4", ""),
        ("notes/gone.md", ""),
        ("notes/a", ""),
        ("notes-of-others/b.md", ""),
    ],
)
@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="the programs of Linux")
def test_a_file_that_could_not_be_indexed_is_opened(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, program: str
) -> None:
    """By its path, where it is in a watched folder; what kb never reads is given to no program that may run it."""
    folder = tmp_path.resolve()
    for name in ("notes/a/odd name.md", "notes/a/no suffix", "notes-of-others/b.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name in ("large.txt", "Makefile", "locked.pdf", "scan.png", "run.jar", "film.mp4"):
        (folder / "notes" / name).touch()
    opener = tmp_path / "xdg-open"
    opener.write_text("#!/bin/sh\n")
    opener.chmod(0o755)
    for name, value in (("PATH", str(tmp_path)), ("DISPLAY", ":0"), ("VISUAL", "vim")):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    command.settings = settings(str(folder / "notes"))
    command.kb.error = NotIndexed("it could not be indexed: some reason")

    code, out, err = command("open", typed.format(folder=folder), "--print")

    if program:
        assert (code, out, err) == (0, program.format(folder=folder) + "\n", "")
    else:
        assert (code, out, "index" in err) == (2, "", True)


def test_hit_of_another_machine(command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened where this machine has the file as well; else the remedy shows it from there."""
    monkeypatch.setenv("VISUAL", "vim")
    save_results("none", answer(hit(file=file_at(tmp_path, "a.md"))), "https://nas:7420")
    assert command("open", "1", "--print")[1] == f"vim +5 {tmp_path}/a.md\n"
    (tmp_path / "a.md").unlink()

    assert command("open", "1")[2].split("\n")[:2] == [
        f"kb: {tmp_path}/a.md is on https://nas:7420, not on this machine",
        f"    kb --server https://nas:7420 show {tmp_path}/a.md:5",
    ]


def test_searches_that_end_at_once_are_kept_whole() -> None:
    """Those of scripts share the place of those without a terminal; the file of one is never half of another."""
    few, many = answer(hit()), answer(*(hit(file=known_file(f"{number}.md")) for number in range(300)))
    save_results("none", few)
    ended = threading.Event()

    def search(found: Answer) -> None:
        while not ended.is_set():
            save_results("none", found)

    threads = [threading.Thread(target=search, args=[found]) for found in (few, many) * 3]
    for thread in threads:
        thread.start()
    try:
        kept = [len(load_results("none") or ()) for _ in range(100)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()

    assert set(kept) <= {1, 300}
    assert [file.suffix for file in folder().iterdir()] == [".json"]


def test_each_terminal_has_its_own_answer() -> None:
    """Another terminal's answer is taken only where this one has none; names need not be text; all is private."""
    save_results("1", answer(hit(file=known_file("one\udcff.md", kind="markdown"))))
    save_results("2", answer(hit(file=known_file("x.pdf", kind="pdf"), page=3, place="p. 3")))

    assert load_results("1") == [Location("/notes/one\udcff.md", "5-5", "markdown", 5)]
    assert load_results("2") == load_results("never") == [Location("/notes/x.pdf", "p. 3", "pdf", 5, 3)]
    assert folder().stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder().iterdir()} == {0o600}


def test_old_answers_are_forgotten() -> None:
    """The memory does not grow without end, and what is broken there counts as nothing."""
    for number in range(60):
        save_results(str(number), answer())

    assert len(list(folder().iterdir())) == 50
    for file in folder().iterdir():
        file.write_bytes(b"{")
    assert load_results("59") is None


def test_an_answer_that_cannot_be_remembered_is_given_all_the_same(
    command: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No place for the memory is no reason to fail."""
    monkeypatch.setenv("XDG_STATE_HOME", os.devnull)
    command.kb.given = answer(hit("one"))

    assert command("search", "anything")[0] == 0


def test_opening_happens_where_it_was_typed() -> None:
    """A daemon of the store is never asked to open anything: its terminal is not the user's."""
    assert forward(["open", "1"]) is None
