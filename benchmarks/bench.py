"""What the benchmarks share: a temporary folder, the collections, and stores that more than one of them needs."""

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


@dataclass
class Bench:
    """One run of the benchmarks.

    Attributes:
        folder: A temporary folder that is removed at the end.
        data: Where the collections are, or None.
        scale: Sizes are divided by this.
        threads: CPU threads of the model, for kb and for what it is compared with; 0: as many as torch finds right.
        stores: Stores of whole collections that have been made already.
    """

    folder: Path
    data: Path | None = None
    scale: int = 1
    threads: int = 0
    stores: dict[str, Path] = field(default_factory=dict)

    def scaled(self, size: int) -> int:
        """A size, divided by the scale."""
        return max(1, size // self.scale)

    def collection(self, name: str) -> Collection | None:
        """A collection of the data folder, or None where it is not there."""
        found = self.data / name if self.data else None
        return read_collection(found) if found and (found / "qrels.tsv").is_file() else None

    @cached_property
    def documents(self) -> Path:
        """Documents as people write them: a collection where there is one, else made up."""
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
        """What the first index run over the small notes took, in a process of its own."""
        progress(f"indexing {self.scaled(NOTES)} small notes")
        found: dict[str, Any] = call(
            "indexing:first_run", docs=str(self.notes), store=str(self.notes_store), threads=self.threads
        )
        return found
