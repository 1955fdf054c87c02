"""A store with a backup of it, made once, and what a restored one has to be like."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from seed_example import SEED

from kb.app import LocalKnowledgeBase
from kb.config import load
from kb.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.config import Settings
    from kb.embedding.spec import Located
    from kb.records import RestoreReport

QUESTION = "Which tool stores vectors on this machine?"
MORE = "# Gardens\n\nTomatoes want sun.\n\n## Water\n\nEvery second evening, in the morning when it is hot.\n"


@dataclass(frozen=True)
class Place:
    """A folder of notes with a store, on one machine.

    Attributes:
        notes: The notes.
        store: The store.
        model: The name of the model.
    """

    notes: Path
    store: Path
    model: str

    def settings(self, **overrides: str) -> Settings:
        """The configuration of this place."""
        given = {"embed.model": self.model, "embed.offline": "true", "store.wait_seconds": "0"}
        folders = {"folders.paths": f'["{self.notes}"]', "store.path": str(self.store)}
        more = {key.replace("__", "."): value for key, value in overrides.items()}
        return load(overrides={**given, **folders, **more})

    def open(self, **overrides: str) -> LocalKnowledgeBase:
        """The knowledge base of this place."""
        return LocalKnowledgeBase.open(self.settings(**overrides))

    def restore(
        self,
        backup: Path,
        *,
        force: bool = False,
        step: Callable[[str], None] = lambda _: None,
        folders: dict[str, str] | None = None,
        **overrides: str,
    ) -> RestoreReport:
        """Restore a backup here."""
        settings = self.settings(**overrides)
        return restore(settings, backup, folders=folders, force=force, warn=_fail, step=step)

    def hits(self) -> list[tuple[str, int, float | None]]:
        """The answer to a question, which opens the vector index."""
        with self.open() as kb:
            kb._container.index()
            return [
                (one.passage.file.path, one.passage.first_line, None if one.score is None else round(one.score, 6))
                for one in kb.search(QUESTION).hits
            ]

    def embedded(self) -> int:
        """How many passages an index run embeds, which leaves everything in order."""
        with self.open() as kb:
            report = kb.index()
            checked = kb.check()
            assert not report.failures
            assert not checked.differences
            assert checked.files == len(list(self.notes.iterdir()))
            return report.embedded


def _fail(text: str) -> None:
    raise AssertionError(text)


@dataclass(frozen=True)
class Saved:
    """A place and a backup of its store."""

    here: Place
    backup: Path
    vectors: Path


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, minilm: Located, forms: Path) -> Saved:
    """Five notes with their store, its backup and its vectors. Not to be written to."""
    root = tmp_path_factory.mktemp("saved")
    here = Place(root / "notes", root / "store", minilm.name)
    here.notes.mkdir()
    for name, text in {**SEED, "gardens.md": MORE}.items():
        (here.notes / name).write_text(f"{text}\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KB_MODELS", str(forms))
        with here.open() as kb:
            kb.index()
            kb.backup(root / "b.kb")
            kb.export_vectors(root / "v.kb")
    return Saved(here, root / "b.kb", root / "v.kb")


@pytest.fixture
def elsewhere(tmp_path: Path, saved: Saved, onnx_minilm: Located) -> Place:
    """A clone of the notes, of which nothing but the content is the same, and no store."""
    notes = tmp_path / "clone"
    shutil.copytree(saved.here.notes, notes, copy_function=shutil.copy)
    for number, file in enumerate(sorted(notes.iterdir())):
        os.utime(file, (1_500_000_000 + number, 1_500_000_000 + number))
    return Place(notes, tmp_path / "store", onnx_minilm.name)
