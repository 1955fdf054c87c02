"""The shared state of benchmarks: a temporary folder, collections and stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import call, progress
from benchmarks.corpora import Collection, read_collection, write_documents, write_small_notes

if TYPE_CHECKING:
    from pathlib import Path

NOTES: Final = 10_000
DOCUMENTS: Final = 300
MINUTES: Final = 10.0


@dataclass
class Bench:
    """A run of benchmarks.

    Attributes:
        folder: A temporary folder that is removed at the end.
        data: The directory of the collections, or None.
        scale: Sizes are divided by this.
        threads: CPU threads of the model, for kb and the baseline; 0 for torch's default.
        stores: The stores of collections that were indexed already.
        minutes: How long the HTTP port is fuzzed; 0 for not at all.
        stores_folder: Where large stores are kept, to be asked again by later runs; None: in ``folder``.
    """

    folder: Path
    data: Path | None = None
    scale: int = 1
    threads: int = 0
    stores: dict[str, Path] = field(default_factory=dict)
    minutes: float = MINUTES
    stores_folder: Path | None = None

    def scaled(self, size: int) -> int:
        """A size, divided by the scale."""
        return max(1, size // self.scale)

    def collection(self, name: str) -> Collection | None:
        """A collection in the data folder, or None."""
        found = self.data / name if self.data else None
        return read_collection(found) if found and (found / "qrels.tsv").is_file() else None

    @cached_property
    def documents(self) -> Path:
        """Realistic documents: a collection, or generated ones."""
        if (collection := self.collection("til-simonw")) and self.scale == 1:
            return collection.docs
        folder = self.folder / "documents"
        if collection:
            folder.mkdir()
            for document in sorted(collection.docs.iterdir())[:: self.scale]:
                (folder / document.name).write_bytes(document.read_bytes())
        else:
            write_documents(folder, self.scaled(DOCUMENTS))
        return folder

    @cached_property
    def notes(self) -> Path:
        """Many small notes."""
        folder = self.folder / "notes"
        write_small_notes(folder, self.scaled(NOTES))
        return folder

    @property
    def notes_store(self) -> Path:
        """The store of the small notes, filled by ``first_run``."""
        return self.folder / "notes-store"

    @cached_property
    def first_run(self) -> dict[str, Any]:
        """The measurements of the first index run over the small notes, in a separate process."""
        progress(f"indexing {self.scaled(NOTES)} small notes")
        found: dict[str, Any] = call(
            "indexing:first_run", docs=str(self.notes), store=str(self.notes_store), threads=self.threads
        )
        return found
