"""Small stores with a word-based model, which can be damaged, searched and repaired in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kb.app import LocalKnowledgeBase
from kb.config import load
from kb.container import Container
from kb.testing import FakeEmbedder, FakeTokens

if TYPE_CHECKING:
    from pathlib import Path

    from kb.records import Answer

NOTES = {
    "boiler.md": "# Boiler\n\nDieter services the boiler in May.\n\n## Parts\n\nThe pump was renewed in spring.\n",
    "tax.md": "---\ntags: [money]\n---\n# Tax\n\nThe papers for the tax are due in July.\n",
    "garden/tomato.txt": "Tomato plants stand by the wall.\n\nThey need water each evening.\n",
    "piano.md": "# Piano\n\nIt is tuned in June, by the man from the harbour.\n",
}
QUESTION = "who services the boiler in May"


class WordModel(FakeEmbedder):
    """A bag of words instead of a model, with the interface that the container needs."""

    def __init__(self) -> None:
        super().__init__(dimension=64)
        self.tokens = FakeTokens()

    def load(self) -> None:
        """Do nothing."""


def write_notes(folder: Path, notes: dict[str, str] | None = None) -> None:
    """Write the files of a folder."""
    for name, text in (NOTES if notes is None else notes).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


class Store:
    """A store over a folder, opened for each operation, as by commands.

    Attributes:
        told: What was told since the last look.
        model: The model; it counts what is embedded.
    """

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.path = store
        self.told: list[str] = []
        self.model = WordModel()

    def open(self) -> LocalKnowledgeBase:
        """The knowledge base, as a context manager."""
        values = {
            "embed.model": "all-MiniLM-L6-v2",
            "embed.offline": "true",
            "folders.paths": f'["{self.folder}"]',
            "store.path": str(self.path),
            "store.wait_seconds": "0",
        }
        settings = load(None, environ={}, cwd=str(self.folder), overrides=values)
        return LocalKnowledgeBase(Container(settings, self.told.append, embedder=self.model))  # type: ignore[arg-type]  # a fake

    def do(self, command: str) -> None:
        """Run what a remedy names: index, rebuild, check --repair."""
        with self.open() as kb:
            match command:
                case "kb index":
                    kb.index()
                case "kb rebuild":
                    kb.rebuild()
                case "kb index --full":
                    kb.index(full=True)
                case _:
                    raise AssertionError(command)

    def ask(self, mode: str = "hybrid", question: str = QUESTION) -> list[Any]:
        """The hits of a question as a command without a daemon gets them."""
        with self.open() as kb:
            return said(kb.search(question, mode=mode, weak=True))

    def ask_daemon(self, question: str = QUESTION) -> list[Any]:
        """The hits of a question as a daemon gets them, from ChromaDB."""
        with self.open() as kb:
            kb.index()
            kb._container.index()
            return said(kb.search(question, mode="cosine", weak=True))

    def waits(self) -> int:
        """The number of files that wait to be indexed."""
        with self.open() as kb:
            return kb._container.store.freshness().pending


def said(answer: Answer) -> list[Any]:
    """What a user sees of each hit."""
    return [
        (
            hit.passage.file.path,
            hit.passage.first_line,
            hit.passage.last_line,
            hit.passage.text,
            hit.passage.heading,
            hit.passage.file.title,
            hit.passage.file.tags,
            hit.changed,
            round(float(np.float64(hit.score)), 4),
        )
        for hit in answer.hits
    ]
