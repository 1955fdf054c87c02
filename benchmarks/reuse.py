"""The number of texts embedded again after a rename, a move, and switching to a branch and back."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.child import call, progress
from benchmarks.indexing import settings
from benchmarks.table import Row
from kb.app import LocalKnowledgeBase

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "reuse"
# The most passages allowed to be embedded after each change.
MOST: Final = {"line on top": 1, "rename": 0, "move": 0, "copy": 0, "touch": 0, "branch and back": 0}
SECTIONS: Final = 100


def rows(work: Bench) -> list[Row]:
    """One row for all changes, in order."""
    progress(f"{NAME}: changing files")
    embedded: dict[str, int] = call("reuse:measure", folder=str(work.folder), threads=work.threads)
    return [judged(embedded)]


def judged(embedded: dict[str, int]) -> Row:
    """The row for the passages embedded after each change."""
    names, most = tuple(MOST), tuple(MOST.values())
    found = tuple(embedded[name] for name in names)
    met = all(one <= limit for one, limit in zip(found, most, strict=True))
    return Row(
        NAME, f"embedded after: {' / '.join(names)}", " / ".join(map(str, found)), " / ".join(map(str, most)), met
    )


def measure(folder: str, threads: int) -> dict[str, int]:
    """The passages embedded after each of several changes in a git repository."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        notes = Path(place, "notes")
        notes.mkdir()
        _write_notes(notes)
        _git(notes, "init", "--quiet", "--initial-branch=main")
        _commit(notes, "all")
        with LocalKnowledgeBase.open(settings(str(notes), f"{place}/store", threads)) as knowledge:
            if knowledge.index().embedded < SECTIONS:
                raise RuntimeError("the sections did not become passages of their own")
            return {name: _change(name, notes, knowledge) for name in MOST}


def _change(name: str, notes: Path, knowledge: LocalKnowledgeBase) -> int:
    """Make a change and index; returns the number of passages embedded."""
    match name:
        case "line on top":
            long = notes / "long.md"
            long.write_text("A line on top.\n" + long.read_text("utf-8"), "utf-8")
        case "rename":
            (notes / "long.md").rename(notes / "renamed.md")
        case "move":
            (notes / "below").mkdir()
            (notes / "renamed.md").rename(notes / "below" / "renamed.md")
        case "copy":
            shutil.copy(notes / "below" / "renamed.md", notes / "copy.md")
        case "touch":
            os.utime(notes / "copy.md")
        case "branch and back":
            return _branch_and_back(notes, knowledge)
    return knowledge.index().embedded


def _branch_and_back(notes: Path, knowledge: LocalKnowledgeBase) -> int:
    """The passages embedded on return from a branch with other texts that were indexed."""
    _commit(notes, "before the branch")
    _git(notes, "switch", "--quiet", "--create", "other")
    for file in notes.glob("short-*.md"):
        file.write_text(f"# Otherwise\n\n{file.stem} says something else on this branch.\n", "utf-8")
    (notes / "copy.md").unlink()
    _commit(notes, "other texts")
    away = knowledge.index()
    if not away.embedded or not away.removed:
        raise RuntimeError("the branch did not change what is indexed")
    _git(notes, "switch", "--quiet", "main")
    return knowledge.index().embedded


def _write_notes(notes: Path) -> None:
    sections = [f"## Section {number}\n\nThis is what section {number} has to say.\n" for number in range(SECTIONS)]
    (notes / "long.md").write_text("\n".join(["# A long note\n\nIt has many sections.\n", *sections]), "utf-8")
    for number in range(5):
        (notes / f"short-{number}.md").write_text(f"# Short {number}\n\nA short note, number {number}.\n", "utf-8")


def _commit(notes: Path, message: str) -> None:
    _git(notes, "add", "--all")
    _git(notes, "-c", "user.name=kb", "-c", "user.email=kb@localhost", "commit", "--quiet", "--message", message)


def _git(notes: Path, *arguments: str) -> None:
    # Ignore the user's settings, such as hooks and signing.
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], cwd=notes, env=environment, check=True)  # noqa: S607 - git as the user has it
