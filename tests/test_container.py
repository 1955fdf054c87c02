"""The parts of a knowledge base over time: a model that is changed, a store that appears."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from kb.app import LocalKnowledgeBase
from kb.config import load, render_own
from kb.container import Container
from kb.errors import ModelMismatch, StoreError
from kb.store.catalog import SqliteCatalog
from kb.store.chroma import Pace
from kb.store.generations import Generations
from kb.store.local_vectors import LocalVectors
from kb.testing import FakeEmbedder, FakeTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Fake(FakeEmbedder):
    """A fake model that measures texts too."""

    def __init__(self, name: str) -> None:
        super().__init__(dimension=32, name=name)
        self.tokens = FakeTokens()


class Death(BaseException):
    """The process dies here."""


def opened(notes: Path, store: Path, model: str = "one") -> LocalKnowledgeBase:
    """A knowledge base with a fake model."""
    settings = load(environ={}, overrides={"folders.paths": str([str(notes)]), "store.path": str(store)})
    return LocalKnowledgeBase(Container(settings, lambda _: None, embedder=Fake(model)))  # type: ignore[arg-type]  # a fake


def test_its_own_configuration_is_no_document(notes: Path) -> None:
    """As kb init --here writes it into the folder that is read; another file of that name is one."""
    file = notes / "config.toml"
    file.write_text(render_own({"folders.paths": ["."], "store.path": ".kb"}), "utf-8")
    (notes / "sub").mkdir()
    (notes / "sub" / "config.toml").write_text("colour = 'blue'\n", "utf-8")
    settings = load(str(file), {})

    with LocalKnowledgeBase(Container(settings, lambda _: None, embedder=Fake("one"))) as kb:  # type: ignore[arg-type]  # a fake
        kb.index()
        paths = [one.path for one in kb.documents()]

    assert "sub/config.toml" in paths
    assert "config.toml" not in paths


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
        (SqliteCatalog, "mark_pending"),
        (LocalVectors, "restart"),
        (Generations, "switch"),
    ):
        monkeypatch.setattr(owner, name, before(getattr(owner, name)))


@pytest.mark.parametrize("steps", [pytest.param(range(11), marks=pytest.mark.faults), [4]], ids=["each", "restart"])
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
        kb._container.own()
        died = False
        with pytest.MonkeyPatch.context() as patched:
            dying(step, patched)
            try:
                kb._container.store.switch_model()
            except Death:
                died = True
        kb._container.catalog.close()
        kb._container.lock.release()

        with opened(notes, store, "two") as kb:
            kb.index(full=True)
            assert kb.check().differences == (), f"step {step}"
            assert kb._container.catalog.meta("fingerprint") == Fake("two").fingerprint
        assert died == (step < 10)


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


class Shared(Fake):
    """A fake model that an owner can load and share."""

    given: Callable[[], None] | None = None

    def load(self) -> str:
        """Nothing has to be loaded."""
        return "nowhere"

    def share(self, give_way: Callable[[], None]) -> None:
        """Keep what lets questions go first."""
        self.given = give_way


def container(notes: Path, store: Path, embedder: Fake, told: list[str] | None = None) -> Container:
    """The parts of a knowledge base with a fake model."""
    settings = load(environ={}, overrides={"folders.paths": str([str(notes)]), "store.path": str(store)})
    return Container(settings, (told if told is not None else []).append, embedder=embedder)  # type: ignore[arg-type]  # a fake


def test_a_store_that_is_made_takes_the_place_of_the_one_in_memory(notes: Path, tmp_path: Path) -> None:
    """Nothing that was built on the empty catalog is used any more, and what outlasts a store is."""
    parts = container(notes, tmp_path / "store", Fake("one"))
    before, reader = parts.store, parts.reader
    built = (parts.catalog, parts.cache, parts.indexer, parts.store.checker.get(), parts.searcher)
    assert before.state == "absent"

    with LocalKnowledgeBase(parts) as kb:
        kb.index()
        after = (parts.catalog, parts.cache, parts.indexer, parts.store.checker.get(), parts.searcher)

        assert parts.store.state == "there"
        assert not {id(one) for one in built} & {id(one) for one in after}
        assert parts.reader is reader
        with pytest.raises(sqlite3.ProgrammingError):
            before.catalog.get().count()


def test_catalog_begun_anew_has_a_vector_index_of_its_own(notes: Path, tmp_path: Path) -> None:
    """The open index holds passages that the new catalog does not know, so it is not filled on."""
    told: list[str] = []
    parts = container(notes, tmp_path / "store", Shared("one"), told)
    with LocalKnowledgeBase(parts) as kb:
        kb.own()
        kb.index()
        before, held = parts.store, parts.index().count()
        parts.catalog._database.damaged("a row makes no sense")

        report = kb.index()

        assert parts.store is not before
        assert (report.added, report.embedded) == (report.total, 0) == (held, 0)
        assert parts.index().count() == held
        assert kb.check().differences == ()
    assert [path.name for path in (tmp_path / "store").glob("generation-*")] == ["generation-0002"]
    assert any("every file is read again" in sentence for sentence in told)


def test_owner_writes_little_at_once_and_lets_questions_go_first(notes: Path, tmp_path: Path) -> None:
    """Vector index and model both wait for questions; without an owner neither does."""
    embedder = Shared("one")
    parts = container(notes, tmp_path / "store", embedder)
    with LocalKnowledgeBase(parts) as kb:
        kb.index()
        alone: Any = parts.index()
        assert alone._pace == Pace()
        assert embedder.given is None

        kb.own(lambda: (True, 3), write_batch=7)
        serving: Any = parts.vectors.index()

        assert serving._pace == Pace(7, parts.query_priority.wait)
        assert embedder.given == parts.query_priority.wait
        assert (parts.store.freshness().watching, parts.store.freshness().pending) == (True, 3)


def test_everything_is_let_go_of_though_one_part_cannot_be_closed(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is told, and the next process gets the store all the same."""
    parts = container(notes, tmp_path / "store", Fake("one"))
    kb = LocalKnowledgeBase(parts)
    kb.index()
    catalog = parts.catalog
    monkeypatch.setattr(LocalVectors, "close", lambda _: (_ for _ in ()).throw(StoreError("the disk is gone")))

    with pytest.raises(StoreError, match="the disk is gone"):
        kb.close()

    assert not parts.lock.held
    with pytest.raises(sqlite3.ProgrammingError):
        catalog.count()


def test_take_over_works_for_whoever_was_refused_before(notes: Path, tmp_path: Path) -> None:
    """What was opened for the refused run is not used for the next one."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "alien.md").write_text("# Alien\n\nFrom another folder.\n")
    configured = []
    for name, folder in (("mine", notes), ("other", other)):
        file = tmp_path / f"{name}.toml"
        file.write_text(f'[folders]\npaths = ["{folder}"]\n[store]\npath = "{tmp_path / "store"}"\n')
        configured.append(load(str(file), {}))
    with LocalKnowledgeBase(Container(configured[0], print, embedder=Fake("one"))) as kb:  # type: ignore[arg-type]  # a fake
        kb.index()

    with LocalKnowledgeBase(Container(configured[1], print, embedder=Fake("one"))) as kb:  # type: ignore[arg-type]  # a fake
        with pytest.raises(StoreError, match="is filled by"):
            kb.index()
        report = kb.index(take_over=True)

        assert report.added == 1
        assert [file.path for file in kb.documents()] == ["alien.md"]


def test_an_earlier_int8_form_is_told_as_that(notes: Path, tmp_path: Path) -> None:
    """The files of the model are the same; only its rounding has changed with kb."""
    with opened(notes, tmp_path / "store", "one int8/1 32") as kb:
        kb.index()

    with opened(notes, tmp_path / "store", "one int8/2 32") as kb, pytest.raises(ModelMismatch) as caught:
        kb.search("anything")

    assert "in an earlier int8 form" in caught.value.message
    assert "kb index --full" in caught.value.remedy


def test_same_name_with_other_files_is_told_as_that(notes: Path, tmp_path: Path) -> None:
    """A directory keeps its name while its weights are replaced; no other model has to be named."""
    with opened(notes, tmp_path / "store") as kb:
        kb.index()

    with opened(notes, tmp_path / "store", "two") as kb, pytest.raises(ModelMismatch, match="other files") as caught:
        kb.search("anything")

    assert "not with" not in caught.value.message
    assert "kb index --full" in caught.value.remedy


def test_a_large_index_is_probed_for_longer(notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the passages of the catalog, so that after a kill a million of them are not all written anew."""
    given: list[float] = []
    monkeypatch.setattr("kb.store.probe.probe", lambda *asked: given.append(asked[2]))
    with opened(notes, tmp_path / "store") as kb:
        kb.index()
        store = kb._container.store
        source = store._source.get()
        assert source.probe(str(tmp_path)) is None
        monkeypatch.setattr(type(store.catalog.get()), "count", lambda _self: 1_000_000)
        assert source.probe(str(tmp_path)) is None

    assert given == [pytest.approx(120), pytest.approx(1200)]
