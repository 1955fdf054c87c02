"""Which file show, links, similar and open mean, over real files and a real catalog."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from made_up import answer, hit, known_file

from kb.cli.last_results import save_results
from kb.errors import NotIndexed
from kb.records import SearchRequest, Shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


@pytest.fixture
def strict(command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    """A command line whose knowledge base knows only the files it was given."""
    monkeypatch.chdir(tmp_path)
    command.kb.files = [known_file(path) for path in ("a.md", "2024", "caf\udce9.md", "tab\there.md", "x:7.md")]

    def only_known(ask: Callable[..., object]) -> Callable[..., object]:
        def asked(file: str | SearchRequest, *args: object, **kwargs: object) -> object:
            named = file.like if isinstance(file, SearchRequest) else file
            if named not in {f"{one.folder}/{one.path}" for one in command.kb.files}:
                raise NotIndexed(f"{named} is not in the index")
            return ask(file, *args, **kwargs)

        return asked

    for name in ("show", "links", "search"):
        monkeypatch.setattr(command.kb, name, only_known(getattr(command.kb, name)))
    return command


@pytest.mark.parametrize("name", ["show", "links", "similar"])
@pytest.mark.parametrize(
    ("typed", "file"),
    [
        ("/notes/a.md", "/notes/a.md"),
        ("a.md", "/notes/a.md"),
        ("a.md:5-9", "/notes/a.md"),
        ("2024", "/notes/2024"),
        ("2", "/elsewhere/two.md"),
        ("/notes/caf?.md", "/notes/caf\udce9.md"),
        ("/notes/caf\ufffd.md", "/notes/caf\udce9.md"),
        ("/notes/caf\\udce9.md", "/notes/caf\udce9.md"),
        ("/notes/tab\u2409here.md", "/notes/tab\there.md"),
    ],
)
def test_what_is_typed_means_a_file(strict: CommandLine, name: str, typed: str, file: str) -> None:
    """A path, a name, a place as hits show it, a path as a terminal shows it, the number of a hit where no file is."""
    strict.kb.files.append(known_file("two.md", folder="/elsewhere"))
    save_results(str(os.getsid(0)), answer(hit(), hit(file=known_file("two.md", folder="/elsewhere"))))

    assert strict(name, typed)[0] == 0
    asked = strict.kb.asked[-1][1]
    assert (asked["request"].like if "request" in asked else asked["file"]) == file


def test_a_hit_is_shown_at_its_place(strict: CommandLine) -> None:
    """As kb open would open it; a file that is called by a number goes first."""
    strict.kb.files.append(known_file("two.md", folder="/elsewhere"))
    save_results(str(os.getsid(0)), answer(hit(file=known_file("two.md", folder="/elsewhere"), first_line=9)))

    strict("show", "1")
    assert strict.kb.asked[-1] == ("show", {"file": "/elsewhere/two.md", "line": 9})
    code, _, err = strict("show", "7")
    assert (code, err) == (2, "kb: 7 is not in the index\n")


def test_a_file_that_is_there_and_not_indexed_is_not_another_one(strict: CommandLine, tmp_path: Path) -> None:
    """Its own name is meant, not that of a hit or of a note elsewhere."""
    (tmp_path / "a.md").touch()

    code, _, err = strict("show", "a.md")
    assert (code, err) == (2, f"kb: {tmp_path}/a.md is not in the index\n")


def test_open_takes_names_and_numbers(strict: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file at its line, and a note that is called by a number where there are not so many hits."""
    monkeypatch.setenv("EDITOR", "nano")
    monkeypatch.delenv("VISUAL", raising=False)
    (tmp_path / "2024").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b c.md").touch()
    strict.kb.files = [known_file("sub/b c.md", folder=str(tmp_path)), known_file("2024", folder=str(tmp_path))]
    strict.kb.shown = Shown(known_file(kind="markdown"), ())

    assert strict("open", "sub/b c.md:12", "--print")[1] == f"nano +12 '{tmp_path}/sub/b c.md'\n"
    monkeypatch.chdir(tmp_path / "sub")
    assert strict("open", "2024", "--print")[1] == f"nano +1 {tmp_path}/2024\n"
    assert strict("open", "gone")[0] == 2
