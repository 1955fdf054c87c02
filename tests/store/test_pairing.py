"""A vector index that does not belong to its catalog is never searched, but reported, set aside and rebuilt."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from damaged_stores import Store

from kb.store.catalog import SqliteCatalog
from kb.store.local_vectors import LocalVectors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.app import LocalKnowledgeBase

NOTES = {"boiler.md": "# Boiler\n\nDieter services the boiler in May.\n", "tax.md": "# Tax\n\nThe papers are due.\n"}
OTHER = {"tomato.md": "# Tomato\n\nThe plants stand by the wall.\n", "piano.md": "# Piano\n\nIt is tuned in June.\n"}


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], tuple[LocalKnowledgeBase, list[str]]]:
    """Opens the store of a name over the folder of that name, with its messages."""

    def open_(name: str) -> tuple[LocalKnowledgeBase, list[str]]:
        store = Store(tmp_path / name, tmp_path / f"{name}-store")
        return store.open(), store.told

    return open_


@pytest.fixture
def stores(tmp_path: Path, opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]]) -> Path:
    """Two indexed stores, ``own-store`` and ``other-store``."""
    for name, notes in (("own", NOTES), ("other", OTHER)):
        (tmp_path / name).mkdir()
        for file, text in notes.items():
            (tmp_path / name / file).write_text(text, "utf-8")
        kb, _ = opened(name)
        with kb:
            kb.index()
    return tmp_path


def answer(opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]]) -> tuple[list[str], list[str]]:
    """The answer of a daemon from ``own-store``, and its messages before."""
    kb, told = opened("own")
    with kb:
        kb.own()
        hits = kb.search("Dieter services the boiler in May", mode="cosine", weak=True).hits
    return [hit.passage.file.path for hit in hits], told


RIGHT = ["boiler.md", "tax.md"]


def test_index_of_another_store_is_set_aside(
    stores: Path, opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]]
) -> None:
    """All files of another store's index, with their marks, are not used; the index is rebuilt."""
    shutil.rmtree(stores / "own-store" / "generation-0001")
    shutil.copytree(stores / "other-store" / "generation-0001", stores / "own-store" / "generation-0001")
    shutil.copy2(stores / "other-store" / "left", stores / "own-store" / "left")

    hits, told = answer(opened)

    assert hits == RIGHT
    assert "another catalog" in " ".join(told)
    assert answer(opened) == (RIGHT, [])


@pytest.mark.usefixtures("stores")
def test_opening_reads_the_passages_once(
    opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million of them take seconds; the vectors in memory are read from them again where they fit."""
    reads: list[int] = []
    with_vectors = SqliteCatalog.with_vectors

    def counted(self: SqliteCatalog) -> list[tuple[str, int, bytes]]:
        found = with_vectors(self)
        reads.append(len(found))
        return found

    kb, told = opened("own")
    monkeypatch.setattr("kb.search.exact.fits", lambda *_: False)
    monkeypatch.setattr(SqliteCatalog, "with_vectors", counted)
    with kb:
        kb.own()
        assert reads == [2]
    assert told == []


def test_chroma_files_of_another_store_are_set_aside(
    stores: Path, opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ChromaDB's files of another store are recognised by their content, though the id is right."""
    # It finds nothing wrong with them, in a process that takes a second to start.
    monkeypatch.setattr("kb.store.probe.probe", lambda *_: None)
    own, other = (stores / f"{name}-store" / "generation-0001" for name in ("own", "other"))
    (other / "kb.id").write_text((own / "kb.id").read_text("utf-8"), "utf-8")
    shutil.rmtree(own)
    shutil.copytree(other, own)

    hits, told = answer(opened)

    assert hits == RIGHT
    assert "was changed by another program" in " ".join(told)
    assert answer(opened) == (RIGHT, [])


def test_catalog_restored_without_its_index_is_noticed(
    stores: Path, opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]]
) -> None:
    """A catalog from a backup with a newer index of the same store, whose id and marks are right."""
    catalog = stores / "own-store" / "catalog.sqlite3"
    before = catalog.read_bytes()
    (stores / "own" / "tax.md").write_text("# Tax\n\nThe return was posted.\n", "utf-8")
    kb, _ = opened("own")
    with kb:
        kb.index()
    catalog.write_bytes(before)

    _, told = answer(opened)

    assert "not in the catalog" in " ".join(told)


@pytest.mark.slow
def test_vectors_that_are_not_those_of_their_texts_are_noticed(
    stores: Path, opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]]
) -> None:
    """A number in a stored vector with another sign does not change its length."""
    (database,) = (stores / "own-store").glob("generation-*/chroma.sqlite3")
    with closing(sqlite3.connect(database)) as connection, connection:
        (sequence, vector), *_ = connection.execute("SELECT seq_id, vector FROM embeddings_queue").fetchall()
        changed = bytearray(vector)
        changed[3::4] = bytes(byte ^ 0x80 for byte in changed[3::4])
        connection.execute("UPDATE embeddings_queue SET vector = ? WHERE seq_id = ?", (bytes(changed), sequence))

    hits, told = answer(opened)

    assert hits == RIGHT
    assert "not those of their texts" in " ".join(told)


@pytest.mark.slow
def test_store_of_an_earlier_kb_gets_an_id_and_embeds_nothing(
    stores: Path, opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]]
) -> None:
    """A store without ids is compared once, kept, and gets an id."""
    store = stores / "own-store"
    (store / "generation-0001" / "kb.id").unlink()
    with closing(sqlite3.connect(store / "catalog.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM meta WHERE key = 'generation id'")

    kb, told = opened("own")
    with kb:
        report = kb.index()

    assert (report.embedded, report.reused, told) == (0, 0, [])
    assert (store / "generation-0001" / "kb.id").is_file()
    assert not list(store.glob("damaged-*"))


def test_files_that_the_probe_writes_are_not_another_program_s(
    stores: Path, opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ChromaDB may write the graph again when it is opened, with other bytes where there is no vector."""
    generation = stores / "own-store" / "generation-0001"
    (generation / "kb.id").unlink()
    (graph,) = generation.glob("*/length.bin")

    def probed(_self: LocalVectors, _name: str) -> str:
        graph.write_bytes(graph.read_bytes() + b"\0")
        return ""

    monkeypatch.setattr(LocalVectors, "_probe_failure", probed)
    kb, told = opened("own")
    with kb:
        kb.own()

    assert "another program" not in " ".join(told)


@pytest.mark.slow
def test_unclean_end_with_the_right_index_is_no_damage(
    stores: Path, opened: Callable[[str], tuple[LocalKnowledgeBase, list[str]]]
) -> None:
    """After a kill everything is compared, and kept if it is right."""
    (stores / "own-store" / "unclean").touch()

    assert answer(opened) == (RIGHT, [])
