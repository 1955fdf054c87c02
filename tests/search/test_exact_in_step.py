"""A daemon's vectors in memory stay in step with ChromaDB, through failures at any step and beside questions."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kb.errors import StoreDamaged, StoreError
from kb.search.exact import ExactIndex
from kb.store.chroma import ChromaIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.app import LocalKnowledgeBase

SUBJECTS = (
    "Sourdough bread rises slowly overnight.",
    "The bicycle chain needs oil every month.",
    "Vector databases keep embeddings of texts.",
    "Tomatoes ripen in August on the balcony.",
    "The committee meets on the first Monday.",
    "A violin is tuned in fifths from G to E.",
)


class Failures:
    """Lets writes to ChromaDB fail: at the call that comes next, before or after a part of it was done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.next: tuple[str, bool, type[StoreError]] | None = None
        self.happened = 0
        for name in ("upsert", "delete"):
            monkeypatch.setattr(ChromaIndex, name, self._failing(name, getattr(ChromaIndex, name)))

    def _failing(self, name: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(index: ChromaIndex, items: list[object]) -> None:
            if self.next is None or self.next[0] != name:
                real(index, items)
                return
            _, partly, error = self.next
            self.next = None
            self.happened += 1
            if partly:
                real(index, items[: len(items) // 2 + 1])
            raise error("the disk failed", "Free some space")

        return call


class Notes:
    """A folder of notes of a few sections, changed at random."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self.random = random.Random(seed)
        # What is in each note now; changed with the disk.
        self.there: dict[str, str] = {}

    def change(self) -> None:
        """Write, rewrite, copy, move or delete a note."""
        name = f"{self.random.randrange(8)}.md"
        choice = self.random.random()
        if self.there and choice < 0.25:
            self._remove(self.random.choice(sorted(self.there)))
        elif self.there and choice < 0.4:
            other = self.random.choice(sorted(self.there))
            text = self.there[other]
            if choice < 0.32:
                self._remove(other)
            self._write(name, text)
        else:
            subjects = self.random.sample(SUBJECTS, self.random.randrange(1, 4))
            number = self.random.randrange(100)
            self._write(name, "".join(f"# Part {at}\n\n{one} {number}\n\n" for at, one in enumerate(subjects)))

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, "utf-8")
        self.there[name] = text

    def _remove(self, name: str) -> None:
        (self._folder / name).unlink()
        del self.there[name]


def require_in_step(kb: LocalKnowledgeBase, notes: Notes) -> None:
    """Memory, ChromaDB, the catalog and the disk agree; answers come from memory, of what is there and nothing else."""
    assert kb.check().differences == ()
    store = kb._container.store
    with store.query_index() as index:
        assert isinstance(index, ExactIndex)
        held = sorted(index.ids())
    assert held == sorted(store.vectors.get().index().ids())
    assert len(held) == sum(text.count("# Part") for text in notes.there.values())
    for subject in SUBJECTS:
        holding = {name for name, text in notes.there.items() if subject in text}
        hits = kb.search(subject, limit=50, weak=True, fold=False, per_file=0).hits
        assert len(hits) == len(held)
        assert {hit.passage.file.path for hit in hits if subject in hit.passage.text} == holding


def soak(kb: LocalKnowledgeBase, notes: Notes, failures: Failures, rounds: int) -> None:
    """Change notes and index them; writes fail, the index is rebuilt, repaired and found damaged in between."""
    for _ in range(rounds):
        for _ in range(notes.random.randrange(1, 4)):
            notes.change()
        choice = notes.random.random()
        if choice < 0.5:
            step = notes.random.choice(["upsert", "delete"])
            failures.next = (step, notes.random.random() < 0.5, notes.random.choice([StoreError, StoreDamaged]))
            with suppress(StoreError):
                kb.index(accept_deletions=True)
            failures.next = None
            # An answer from between the failure and the next run reads the vectors anew.
            kb.search("bread")
        elif choice < 0.6:
            kb.rebuild()
        elif choice < 0.7:
            kb._container.vectors.mark_suspect()
        elif choice < 0.8:
            kb.check(repair=True)
        kb.index(accept_deletions=True)
        require_in_step(kb, notes)


@pytest.mark.parametrize(
    ("seed", "rounds"), [(1, 8), *(pytest.param(seed, 30, marks=pytest.mark.slow) for seed in range(2, 7))]
)
def test_in_step_through_failures(
    tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase], monkeypatch: pytest.MonkeyPatch, seed: int, rounds: int
) -> None:
    """No write that failed, wholly or in part, leaves anything in memory that the record does not have."""
    (folder := tmp_path / "notes").mkdir()
    failures, notes = Failures(monkeypatch), Notes(folder, seed)
    with open_kb(folder) as kb:
        kb.own(lambda: (True, 0), write_batch=2)
        soak(kb, notes, failures, rounds)

    assert failures.happened


@pytest.mark.parametrize(("seed", "rounds"), [(11, 6), pytest.param(12, 80, marks=pytest.mark.slow)])
def test_no_answer_beside_changes_is_from_a_note_that_is_gone(
    tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase], seed: int, rounds: int
) -> None:
    """Two threads ask while notes are written, moved and deleted: each hit was there, and none was gone."""
    (folder := tmp_path / "notes").mkdir()
    notes = Notes(folder, seed)
    stop = threading.Event()
    wrong: list[str] = []
    answers = 0
    # All that ever stood in each note, and the notes as they were before and after the change that is being indexed.
    ever: set[tuple[str, str]] = set()
    now: list[dict[str, str]] = [{}]

    def ask(kb: LocalKnowledgeBase, subject: str) -> None:
        nonlocal answers
        while not stop.is_set():
            before = list(now)
            hits = kb.search(subject, limit=50, weak=True, fold=False, per_file=0).hits
            after = list(now)
            answers += 1
            for hit in hits:
                path = hit.passage.file.path
                wrong.extend(f"{path} never held it" for _ in range((path, hit.passage.text.strip()) not in ever))
                if before == after and len(before) == 1 and path not in before[0]:
                    wrong.append(f"{path} is gone")

    with open_kb(folder) as kb:
        kb.own(lambda: (True, 0), write_batch=2)
        threads = [threading.Thread(target=ask, args=(kb, subject)) for subject in SUBJECTS[:2]]
        for thread in threads:
            thread.start()
        try:
            for _ in range(rounds):
                former = dict(notes.there)
                now[:] = [former, {}]
                for _ in range(3):
                    notes.change()
                    ever |= {
                        (name, part.strip())
                        for name, text in notes.there.items()
                        for part in (f"# Part {one}" for one in text.split("# Part ")[1:])
                    }
                kb.index(accept_deletions=True)
                now[:] = [dict(notes.there)]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        require_in_step(kb, notes)

    assert answers > rounds
    assert not wrong


def test_a_change_of_model_leaves_no_vector_of_the_former_one_in_memory(
    tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase]
) -> None:
    """After the switch a question meets the new vectors alone."""
    (folder := tmp_path / "notes").mkdir()
    notes = Notes(folder, 21)
    for _ in range(5):
        notes.change()
    with open_kb(folder) as kb:
        kb.own(lambda: (True, 0), write_batch=2)
        kb.index()
        catalog = kb._container.catalog
        before = kb._container.store.exact.get()
        catalog.set_meta("fingerprint", "another model")
        kb.index(full=True)

        after = kb._container.store.exact.get()

        assert after is not before
        assert after is not None
        assert before is not None
        np.testing.assert_array_equal(sorted(after.ids()), sorted(before.ids()))
        require_in_step(kb, notes)


def test_damage_to_chromadb_under_a_daemon_is_found_by_the_next_write(
    tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase]
) -> None:
    """Answers go on from memory, and are those of the index that is made again."""
    (folder := tmp_path / "notes").mkdir()
    notes, warnings = Notes(folder, 31), list[str]()
    for _ in range(6):
        notes.change()
    with open_kb(folder, warn=warnings.append) as kb:
        kb.own(lambda: (True, 0), write_batch=2)
        kb.index()
        (database,) = (tmp_path / "store").glob("generation-*/chroma.sqlite3")
        for one in database.parent.glob("chroma.sqlite3-*"):
            one.unlink()
        database.write_bytes(b"\0" * database.stat().st_size)
        before = [hit.passage.id for hit in kb.search("bread", weak=True).hits]
        assert before
        assert not warnings

        notes.change()
        kb.index(accept_deletions=True)

        assert "set aside and rebuilt" in " ".join(warnings)
        require_in_step(kb, notes)
