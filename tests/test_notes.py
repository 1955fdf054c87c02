"""Notes typed on the command line become files of a vault."""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kb.config import load
from kb.errors import ConfigError, FolderError, KbError, RequestError
from kb.formats.text import extract
from kb.notes import keep_note, note_text, write_note
from kb.store.lock import StoreLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.app import LocalKnowledgeBase

NOW = datetime(2026, 1, 15, 12, 30, tzinfo=UTC)


def test_a_note_says_of_itself_what_it_was_told() -> None:
    """Title, tags and date are read back from the file as they were given."""
    text = note_text("Some words.", "A title", ("#work/db", 'odd "one"'), NOW)

    document = extract("2026-01-15-a-title.md", text.encode())

    assert (document.title, document.tags) == ("A title", ("work/db", 'odd "one"'))
    assert str(document.date) == "2026-01-15"


def test_a_note_never_replaces_another(tmp_path: Path) -> None:
    """The second of a name gets a number; the folder is made where it is not there."""
    places = [write_note(str(tmp_path / "journal" / "2026"), "n", text) for text in ("one", "two")]

    assert places == [str(tmp_path / "journal" / "2026" / name) for name in ("n.md", "n-2.md")]


def test_half_a_note_is_removed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves no file behind that would be taken for the note."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(FolderError, match="No space left on device"):
        write_note(str(tmp_path), "n", "text")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hinders", ["busy", "no model"])
def test_a_note_is_told_as_soon_as_it_is_written(
    open_kb: Callable[..., LocalKnowledgeBase], notes: Path, tmp_path: Path, hinders: str
) -> None:
    """What keeps it out of the index comes after, and the file stays."""
    kb = open_kb(notes, **({} if hinders == "busy" else {"embed__model": str(tmp_path / "nowhere")}))
    told: list[str] = []

    with StoreLock(str(tmp_path / "store")) if hinders == "busy" else nullcontext(), pytest.raises(KbError):
        kb.note("The spare key is under the flower pot.", on_written=told.append)

    assert [Path(path).read_text().endswith("flower pot.\n") for path in told] == [True]


def test_notes_go_where_the_configuration_says(open_kb: Callable[..., LocalKnowledgeBase], notes: Path) -> None:
    """Below the first folder, by day where that is wished, and they are found at once."""
    kb = open_kb(notes, note__folder="journal/%Y")

    path, report = kb.note("The spare key is under the flower pot.", tags=("home",))

    assert path.startswith(str(notes / "journal" / "20"))
    assert (report.added, kb.tags()) == (5, [("home", 1)])
    assert kb.search("where is the spare key?", limit=1).hits[0].passage.file.path.startswith("journal/20")


@pytest.mark.parametrize("folder", ["/tmp", "../out", "a/../../b", "~/x", "a/.."])  # noqa: S108 - never written
def test_notes_stay_below_the_folder(folder: str) -> None:
    """A note that is written elsewhere would never be found."""
    with pytest.raises(ConfigError, match=r"note\.folder"):
        load(overrides={"note.folder": folder})


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    """Before a file is made; bytes that a terminal passes on in another encoding are kept."""
    for text, title in (("a \ud83d note", ""), ("a note", "\ud83d")):
        with pytest.raises(RequestError, match=r"U\+D83D, half of a character"):
            keep_note(str(tmp_path), "", text, title=title, tags=())
    assert list(tmp_path.iterdir()) == []

    path = keep_note(str(tmp_path), "", "caf\udce9", title="", tags=())
    assert Path(path).read_bytes().endswith(b"caf\xe9\n")


def test_a_title_is_one_line(tmp_path: Path) -> None:
    """Whatever program it comes from; a heading of Markdown ends with its line."""
    path = keep_note(str(tmp_path), "", "some words", title=" Two\nlines ", tags=())

    assert "\n# Two lines\n\nsome words\n" in Path(path).read_text("utf-8")
