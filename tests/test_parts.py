"""The parts of a knowledge base over time: a model that is changed, a store that appears."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from kb import KnowledgeBase
from kb.config import load
from kb.parts import Parts
from kb.search.courtesy import Courtesy
from kb.store.catalog import SqliteCatalog
from kb.store.generations import Generations
from kb.store.vectors import VectorStore
from kb.testing import FakeEmbedder, FakeTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Fake(FakeEmbedder):
    """A fake model that measures texts too."""

    def __init__(self, name: str) -> None:
        super().__init__(dimension=32, name=name)
        self.tokens = FakeTokens()


class Shared(Fake):
    """One that is loaded, and asks whoever has to be let go first before it embeds."""

    def __init__(self) -> None:
        super().__init__("one")
        self.give_way: Callable[[], None] = lambda: None

    def load(self) -> None:
        """It is always there."""

    def share(self, give_way: Callable[[], None]) -> None:
        """From now on questions come in meanwhile."""
        self.give_way = give_way


class Death(BaseException):
    """The process dies here."""


def opened(notes: Path, store: Path, model: str = "one") -> KnowledgeBase:
    """A knowledge base with a fake model."""
    settings = load(environ={}, overrides={"folders.paths": str([str(notes)]), "store.path": str(store)})
    parts = Parts(settings, lambda _: None)
    parts.__dict__["embedder"] = Fake(model)
    return KnowledgeBase(parts)


def dying(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so many steps that change the store take effect, and die before the next."""
    left = step

    def before(change: Callable[..., object]) -> Callable[..., object]:
        def changed(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Death
            return change(*arguments, **named)

        return changed

    for owner, name in (
        (SqliteCatalog, "set_meta"),
        (SqliteCatalog, "unsettle"),
        (VectorStore, "restart"),
        (Generations, "switch"),
    ):
        monkeypatch.setattr(owner, name, before(getattr(owner, name)))


@pytest.mark.parametrize("steps", [pytest.param(range(10), marks=pytest.mark.faults), [4]], ids=["each", "restart"])
def test_a_change_of_model_may_be_cut_off_anywhere(notes: Path, tmp_path: Path, steps: Sequence[int]) -> None:
    """Whatever had been done by then, kb index --full goes on, and every vector is of the new model."""
    store = tmp_path / "store"
    with opened(notes, store) as kb:
        kb.index()
    shutil.copytree(store, tmp_path / "before")
    for step in steps:
        shutil.rmtree(store)
        shutil.copytree(tmp_path / "before", store)
        kb = opened(notes, store, "two")
        kb._parts.own()
        died = False
        with pytest.MonkeyPatch.context() as patched:
            dying(step, patched)
            try:
                kb._parts.adopt()
            except Death:
                died = True
        kb._parts.catalog.close()
        kb._parts.lock.release()

        with opened(notes, store, "two") as kb:
            kb.index(full=True)
            assert kb.check().differences == (), f"step {step}"
            assert kb._parts.catalog.meta("fingerprint") == Fake("two").fingerprint
        assert died == (step < 9)


def test_a_store_that_another_process_makes_is_seen(notes: Path, tmp_path: Path) -> None:
    """Whoever asked before the first index run, of another process, gets its answers afterwards."""
    store = tmp_path / "store"
    early, late = opened(notes, store), opened(notes, store)
    assert early.search("ChromaDB").hits == ()
    assert early.documents() == []
    assert late.documents() == []
    with opened(notes, store) as other:
        other.index()
        there = [file.path for file in other.documents()]

    assert [file.path for file in late.documents()] == there
    assert early.search("ChromaDB", weak=True).hits
    assert [file.path for file in early.documents()] == there
    early.close()
    late.close()


def test_a_daemon_lets_questions_go_first(notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each batch of the model and each few records that are written, which commands alone do not."""
    let_go: list[Courtesy] = []

    def wait(courtesy: Courtesy) -> None:
        let_go.append(courtesy)

    monkeypatch.setattr(Courtesy, "wait", wait)
    model = Shared()
    with opened(notes, tmp_path / "store") as kb:
        parts = kb._parts
        parts.__dict__["embedder"] = model
        kb.index()
        alone = len(let_go)

    with opened(notes, tmp_path / "other") as kb:
        parts = kb._parts
        parts.__dict__["embedder"] = model
        kb.own(write_batch=1)
        model.give_way()
        by_model = len(let_go)
        kb.index()
        written = len(let_go) - by_model

    assert (alone, by_model) == (0, 1)
    # One record at a time: each of the four notes is one passage.
    assert written >= 4
    assert set(let_go) == {parts.courtesy}
