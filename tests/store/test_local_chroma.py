"""The vector index over real local ChromaDB stores."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from plain_user import bound_by_rights
from vector_stores import (
    COLLECTION,
    DIMENSION,
    FINGERPRINT,
    function,
    make_records,
    make_store,
    open_index,
    unit_vectors,
)

from kb.chroma_import import import_chromadb, safe_settings
from kb.embedding.bge_m3 import BgeM3EmbeddingFunction
from kb.errors import ForeignStore, ModelMismatch, StoreBusy, StoreDamaged, StoreError
from kb.records import Candidates, VectorRecord
from kb.store import chroma, collection, local_chroma
from kb.store.chroma import ChromaIndex, Pace, best, least_visited, visible
from kb.store.local_chroma import translate, translated_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray


@pytest.fixture
def index(tmp_path: Path) -> Iterator[ChromaIndex]:
    """An empty index."""
    made = open_index(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def registry() -> Iterator[dict[str, Any]]:
    """ChromaDB's registry of embedding functions, restored afterwards."""
    import_chromadb()
    from chromadb.utils.embedding_functions import known_embedding_functions

    before = dict(known_embedding_functions)
    yield known_embedding_functions
    known_embedding_functions.clear()
    known_embedding_functions.update(before)


def raw(directory: Path) -> Any:
    """A client of a store, as another program would open it."""
    return import_chromadb().PersistentClient(path=str(directory), settings=safe_settings())


def raw_records(directory: Path) -> dict[str, tuple[str, dict[str, str | int]]]:
    """The documents and labels of a store, as another client reads them."""
    with raw(directory) as client:
        found = client.get_collection(COLLECTION, embedding_function=None).get()
    return {
        id_: (text, labels)
        for id_, text, labels in zip(found["ids"], found["documents"], found["metadatas"], strict=True)
    }


def rewrite(directory: Path, change: Callable[[str], str]) -> None:
    """Change the persisted schema of a closed store's collection, as an attacker would."""
    with sqlite3.connect(directory / "chroma.sqlite3") as database:
        (schema,) = database.execute("SELECT schema_str FROM collections").fetchone()
        changed = change(schema)
        assert changed != schema
        database.execute("UPDATE collections SET schema_str = ?", (changed,))
    database.close()


def test_written_records_can_be_read(index: ChromaIndex) -> None:
    """Count, ids in the order of writing, and vectors are those that were written."""
    records = make_records(unit_vectors(300))

    index.upsert(records)

    stored = index.vectors([record.id for record in records])
    assert index.count() == 300
    assert list(index.ids()) == [record.id for record in records]
    for record in records:
        np.testing.assert_allclose(stored[record.id], record.vector, atol=1e-6)
        assert stored[record.id].dtype == np.float32


def test_an_empty_index_finds_nothing(index: ChromaIndex) -> None:
    """Without an error."""
    found = index.query(unit_vectors(1)[0], 10)

    assert found.ids == ()
    assert found.vectors.shape == (0, DIMENSION)
    assert list(index.ids()) == []
    assert index.vectors(["unknown"]) == {}
    assert index.count() == 0
    index.upsert([])
    index.delete([])
    index.relabel([], [])


def test_the_nearest_come_first_with_their_vectors(index: ChromaIndex) -> None:
    """A query returns the requested number, in the order of exact cosine."""
    vectors = unit_vectors(400)
    records = make_records(vectors)
    question = unit_vectors(1, seed=5)[0]
    index.upsert(records)

    found = index.query(question, 25)

    exact = np.argsort(-(vectors @ question), kind="stable")[:25]
    assert list(found.ids) == [records[position].id for position in exact]
    np.testing.assert_allclose(found.vectors, vectors[exact], atol=1e-6)


def test_more_is_visited_in_a_larger_graph() -> None:
    """With ten times the records a hundred times as much, up to a bound; a small graph needs no more than is asked."""
    assert [least_visited(size) for size in (0, 10_000, 100_000, 1_000_000, 3_000_000)] == [0, 0, 80, 8_000, 8_000]


def test_a_share_of_the_records_is_visited_in_every_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph search for a few records misses clusters that a longer one comes to, however the store was made.

    A graph is built at random, so even the longer one may miss a record or two.
    """
    monkeypatch.setattr(collection, "HNSW", {**collection.HNSW, "max_neighbors": 3, "ef_search": 1})
    vectors = unit_vectors(2_000)
    records = make_records(vectors)
    questions = unit_vectors(60, seed=5)
    nearest = [records[int(np.argmax(vectors @ question))].id for question in questions]
    by_id = {record.id: vector for record, vector in zip(records, vectors, strict=True)}

    def found(index: ChromaIndex) -> int:
        return sum(index.query(one, 1).ids == (id_,) for one, id_ in zip(questions, nearest, strict=True))

    index = open_index(tmp_path / "store")
    index.upsert(records)
    few = found(index)
    index.close()
    monkeypatch.setattr(local_chroma, "least_visited", lambda size: size // 5)
    index = open_index(tmp_path / "store")
    many = found(index)

    assert few < 40
    assert many > 55
    answer = index.query(questions[0], 3)
    visited = index._collection.query(query_embeddings=[questions[0]], n_results=400)["ids"][0]
    assert answer.ids == tuple(visited[:3])
    np.testing.assert_allclose(answer.vectors, [by_id[id_] for id_ in answer.ids], atol=1e-6)
    index.close()


def test_what_is_visited_follows_the_number_of_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted once, and followed as records are written, so that a question does not count them."""
    monkeypatch.setattr(local_chroma, "least_visited", lambda size: size // 100)
    index = open_index(tmp_path / "store")
    index.upsert(make_records(unit_vectors(300)))
    asked: list[int] = []
    counts: list[int] = []
    query, count = index._collection.query, index._collection.count

    def noted(**arguments: Any) -> Any:
        asked.append(arguments["n_results"])
        return query(**arguments)

    def counted() -> Any:
        counts.append(count())
        return counts[-1]

    monkeypatch.setattr(index._collection, "query", noted)
    monkeypatch.setattr(index._collection, "count", counted)
    question = unit_vectors(1)[0]

    index.query(question, 1)
    index.query(question, 5)
    index.upsert(make_records(unit_vectors(100, seed=2)))
    index.query(question, 1)

    assert asked == [3, 5, 4]
    assert counts == [300]
    index.close()


def test_more_may_be_requested_than_there_are(index: ChromaIndex) -> None:
    """Then all records are returned; a request for none returns none."""
    index.upsert(make_records(unit_vectors(5)))

    assert len(index.query(unit_vectors(1)[0], 400).ids) == 5
    assert index.query(unit_vectors(1)[0], 0).ids == ()


def test_only_the_given_files_are_searched(index: ChromaIndex) -> None:
    """The filter applies before the nearest records are chosen."""
    vectors = unit_vectors(300)
    records = make_records(vectors)
    index.upsert(records)
    question = vectors[0]

    found = index.query(question, 5, files=[40, 41, 42, 41, 9999])

    among = list(range(120, 129))
    exact = sorted(among, key=lambda position: -float(vectors[position] @ question))[:5]
    assert list(found.ids) == [records[position].id for position in exact]
    assert index.query(question, 5, files=[]).ids == ()
    assert index.query(question, 5, files=[9999]).ids == ()


def test_writing_again_changes_nothing(index: ChromaIndex) -> None:
    """Records that are written twice exist once."""
    records = make_records(unit_vectors(50))

    index.upsert(records)
    index.upsert(records)

    assert list(index.ids()) == [record.id for record in records]


def test_labels_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    """The filter uses the new labels; text and vector stay, and unknown ids are ignored."""
    records = make_store(tmp_path, 30)
    index = open_index(tmp_path, create=False)

    index.relabel([records[0].id, "unknown"], [{"file": 77, "path": "moved.md", "heading": "New"}] * 2)

    moved = index.query(records[0].vector, 5, files=[77])
    assert moved.ids == (records[0].id,)
    np.testing.assert_allclose(moved.vectors[0], records[0].vector, atol=1e-6)
    assert index.count() == 30
    index.close()
    stored = raw_records(tmp_path)
    assert stored[records[0].id] == ("passage 0", {"file": 77, "path": "moved.md", "heading": "New"})
    assert stored[records[1].id] == ("passage 1", dict(records[1].labels))


def test_every_record_has_the_same_labels(index: ChromaIndex) -> None:
    """Other labels are refused, because an upsert would keep old ones."""
    vector = unit_vectors(1)[0]

    with pytest.raises(ValueError, match="labels are"):
        index.upsert([VectorRecord("a", vector, "text", {"file": 1, "path": "a.md"})])
    with pytest.raises(ValueError, match="labels are"):
        index.relabel(["a"], [{"file": 1, "path": "a.md", "heading": "", "more": 1}])

    assert index.count() == 0


def test_deleted_records_are_gone(index: ChromaIndex) -> None:
    """Deleted records are neither listed nor found, and unknown ids are no error."""
    vectors = unit_vectors(60)
    records = make_records(vectors)
    index.upsert(records)

    index.delete([records[7].id, "unknown", records[7].id])

    assert index.count() == 59
    assert records[7].id not in set(index.ids())
    assert records[7].id not in index.query(vectors[7], 59).ids
    assert index.vectors([records[7].id]) == {}


def test_everything_is_done_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More records and files than a call carries can be written, listed, read, filtered and deleted.

    Of files more than ChromaDB accepts in one call.
    """
    for page, size in (("ID_PAGE", 100), ("VECTOR_PAGE", 25), ("DELETE_PAGE", 25)):
        monkeypatch.setattr(chroma, page, size)
    vectors = unit_vectors(110, dimension=4)
    records = make_records(vectors)
    ids = [record.id for record in records]
    index = open_index(tmp_path, dimension=4, pace=Pace(13))

    index.upsert(records)
    listed = list(index.ids())
    stored = index.vectors(ids)
    found = index.query(vectors[10], 3, files=range(50_000))
    index.delete(ids[:105])

    assert listed == ids
    assert len(stored) == 110
    assert found.ids[0] == ids[10]
    assert list(index.ids()) == ids[105:]
    index.close()


def test_lone_surrogates_in_names_are_replaced(tmp_path: Path) -> None:
    """By U+FFFD; everything else stays, including NUL and emoji."""
    index = open_index(tmp_path)
    labels: dict[str, str | int] = {"file": 1, "path": "caf\udce9.md", "heading": "a\x00b"}

    index.upsert([VectorRecord("a", unit_vectors(1)[0], "x\ud83dy \N{GRINNING FACE}\n\x1b", labels)])
    index.close()

    assert raw_records(tmp_path) == {
        "a": ("x\ufffdy \N{GRINNING FACE}\n\x1b", {"file": 1, "path": "caf\ufffd.md", "heading": "a\x00b"})
    }


@given(st.text(st.characters(), max_size=50))
def test_visible_text_can_always_be_written(text: str) -> None:
    """Any text becomes writable, with the same length, and unchanged if there is nothing to replace."""
    shown = visible(text)

    shown.encode("utf-8")
    assert len(shown) == len(text)
    assert all(
        new == old or (new == "\ufffd" and 0xD800 <= ord(old) <= 0xDFFF) for new, old in zip(shown, text, strict=True)
    )


@given(
    nps.arrays(np.float32, st.tuples(st.integers(0, 12), st.just(3)), elements=st.floats(-1, 1, width=16)),
    st.lists(st.integers(0, 12), max_size=3),
    st.integers(1, 14),
)
def test_answers_are_merged_by_cosine(vectors: NDArray[np.float32], cuts: list[int], count: int) -> None:
    """The best candidates of several results, best first."""
    question = np.array([1, 0, 0], np.float32)
    edges = [0, *sorted(min(cut, len(vectors)) for cut in cuts), len(vectors)]
    parts = [
        Candidates(tuple(str(position) for position in range(start, end)), vectors[start:end])
        for start, end in itertools.pairwise(edges)
    ]

    found = best(parts, question, count)

    scores = [float(vectors[int(id_)] @ question) for id_ in found.ids]
    assert scores == sorted((float(vector @ question) for vector in vectors), reverse=True)[:count]
    assert [int(id_) for id_ in found.ids] == sorted(
        range(len(vectors)), key=lambda position: -float(vectors[position] @ question)
    )[:count]
    assert all(np.array_equal(vectors[int(id_)], vector) for id_, vector in zip(found.ids, found.vectors, strict=True))


def test_a_closed_index_frees_its_directory(tmp_path: Path) -> None:
    """The directory can be moved and opened elsewhere, and the old object reports that it is closed."""
    records = make_records(unit_vectors(40))
    index = open_index(tmp_path / "old")
    index.upsert(records)

    index.close()
    index.close()
    (tmp_path / "old").rename(tmp_path / "new")
    moved = open_index(tmp_path / "new", create=False)

    assert list(moved.ids()) == [record.id for record in records]
    moved.close()
    assert not (tmp_path / "old").exists()
    # Other tests of this process may have stores of their own open.
    open_systems = import_chromadb().api.shared_system_client.SharedSystemClient._identifier_to_system
    assert [one for one in open_systems if one.startswith(str(tmp_path))] == []
    with pytest.raises(StoreError, match="closed"):
        index.count()


def test_opening_a_missing_store_does_not_create_it(tmp_path: Path) -> None:
    """Without ``create``, it is reported as damaged and the directory stays as it is."""
    (tmp_path / "empty").mkdir()

    for place in ("empty", "missing"):
        with pytest.raises(StoreDamaged, match="is missing"):
            open_index(tmp_path / place, create=False)

    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "missing").exists()


def test_a_store_without_its_collection_is_damaged(tmp_path: Path) -> None:
    """A store that was interrupted before its collection was created is rebuilt."""
    raw(tmp_path).close()

    with pytest.raises(StoreDamaged, match="collection is missing"):
        open_index(tmp_path, create=False)


@pytest.mark.parametrize(("fingerprint", "dimension"), [("another model", DIMENSION), (FINGERPRINT, 384)])
def test_another_model_is_refused(tmp_path: Path, fingerprint: str, dimension: int) -> None:
    """A store does not open with another model; the remedy is the command that embeds again."""
    make_store(tmp_path, 10)

    with pytest.raises(ModelMismatch, match="kb index --full"):
        local_chroma.open_index(str(tmp_path), COLLECTION, fingerprint, dimension, None, create=False)
    with pytest.raises(ModelMismatch):
        local_chroma.open_index(str(tmp_path), COLLECTION, fingerprint, dimension, function(), create=True)

    index = open_index(tmp_path, create=False)
    assert index.count() == 10
    index.close()


def test_a_collection_of_another_name_is_reported(tmp_path: Path) -> None:
    """If the configured name changed, the error says how to go back."""
    make_store(tmp_path, 3)

    with pytest.raises(StoreError, match=r"store\.collection") as refused:
        local_chroma.open_index(str(tmp_path), "other-name", FINGERPRINT, DIMENSION, function(), create=True)

    assert not isinstance(refused.value, ForeignStore)


@pytest.mark.parametrize("name", [COLLECTION, "something-else"])
def test_a_store_that_kb_did_not_make_is_refused(tmp_path: Path, name: str) -> None:
    """A store of another program is not changed, whatever its collection is called."""
    with raw(tmp_path) as client:
        client.create_collection(name, embedding_function=None).upsert(ids=["a"], embeddings=[[1.0, 0.0]])

    for create in (False, True):
        with pytest.raises(ForeignStore, match="kb "):
            open_index(tmp_path, create=create)

    with raw(tmp_path) as client:
        assert [collection.name for collection in client.list_collections()] == [name]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"space":"cosine"', '"space":"l2"'),
        ('"name":"kb-bge-m3"', '"name":"default"'),
        ('"type":"known","name":"kb-bge-m3"', '"type":"legacy","was":"kb-bge-m3"'),
    ],
)
def test_a_collection_with_other_settings_is_foreign(tmp_path: Path, old: str, new: str) -> None:
    """Space and embedding function are checked on each open, even if kb's marks are there."""
    make_store(tmp_path, 3)
    rewrite(tmp_path, lambda schema: schema.replace(old, new))

    with pytest.raises(ForeignStore):
        open_index(tmp_path, create=False)


def poisoned(schema: str, where: str) -> str:
    """The schema with an embedding function that would run a model's code, in one of its places."""
    tree = json.loads(schema)
    evil = {"type": "known", "name": "sentence_transformer", "config": {"kwargs": {"trust_remote_code": True}}}
    if where == "sparse":
        tree["defaults"]["sparse_vector"]["sparse_vector_index"]["config"]["embedding_function"] = evil
    elif where == "defaults":
        tree["defaults"]["float_list"]["vector_index"]["config"]["embedding_function"] = evil
    else:
        tree["keys"]["#embedding"]["float_list"]["vector_index"]["config"]["embedding_function"] = evil
    return json.dumps(tree)


@pytest.mark.parametrize("where", ["#embedding", "defaults", "sparse"])
def test_a_poisoned_store_instantiates_nothing(tmp_path: Path, registry: dict[str, Any], where: str) -> None:
    """A store whose schema names a model with code is refused before anything is instantiated."""
    built = []

    class Trap(BgeM3EmbeddingFunction):
        @staticmethod
        def build_from_config(config: dict[str, Any]) -> BgeM3EmbeddingFunction:
            built.append(config)
            return function()

    make_store(tmp_path, 3)
    rewrite(tmp_path, lambda schema: poisoned(schema, where))
    registry["sentence_transformer"] = registry["kb-bge-m3"] = Trap

    with pytest.raises(ForeignStore):
        open_index(tmp_path, create=False)
    with pytest.raises(ForeignStore):
        local_chroma.inspect_index(str(tmp_path), COLLECTION)

    assert built == []


def test_no_call_instantiates_the_embedding_function(tmp_path: Path, registry: dict[str, Any]) -> None:
    """Neither writing, reading nor querying does, though ChromaDB would on each upsert."""
    make_store(tmp_path, 3)
    built = []

    class Trap(BgeM3EmbeddingFunction):
        @staticmethod
        def build_from_config(config: dict[str, Any]) -> BgeM3EmbeddingFunction:
            built.append(config)
            return function()

    registry["kb-bge-m3"] = Trap
    records = make_records(unit_vectors(5, seed=3))
    index = open_index(tmp_path, create=False)

    index.upsert(records)
    index.relabel([records[0].id], [records[0].labels])
    index.query(records[0].vector, 3, files=[0])
    index.vectors([records[0].id])
    index.delete([records[0].id])
    index.close()

    assert built == []


def test_other_clients_find_the_embedding_function(tmp_path: Path) -> None:
    """The collection names kb's function with its arguments, so that other clients can query it by text."""
    make_store(tmp_path, 3)

    with raw(tmp_path) as client:
        named = client.get_collection(COLLECTION, embedding_function=function()).configuration_json

    assert named["embedding_function"]["name"] == "kb-bge-m3"
    assert named["embedding_function"]["config"] == function().get_config()
    assert named["hnsw"]["space"] == "cosine"


def test_a_collection_is_made_with_its_embedding_function(tmp_path: Path) -> None:
    """Without one, a collection could never be opened again."""
    with pytest.raises(ValueError, match="embedding function"):
        local_chroma.open_index(str(tmp_path), COLLECTION, FINGERPRINT, DIMENSION, None, create=True)


def test_one_directory_is_open_once_however_it_is_called(tmp_path: Path) -> None:
    """Through a link, the same store is opened: one object sees what another one wrote."""
    (tmp_path / "alias").symlink_to(tmp_path / "store")
    first = open_index(tmp_path / "store")
    second = open_index(tmp_path / "alias", create=False)

    first.upsert(make_records(unit_vectors(5)))

    assert second.query(unit_vectors(5)[0], 5).ids == first.query(unit_vectors(5)[0], 5).ids
    second.close()
    assert first.count() == 5
    first.close()


def test_a_store_deleted_while_open_is_reported(tmp_path: Path) -> None:
    """Writing into a store without files is an error."""
    index = open_index(tmp_path / "store")
    index.upsert(make_records(unit_vectors(5)))
    shutil.rmtree(tmp_path / "store")

    with pytest.raises(StoreDamaged, match="is missing"):
        index.upsert(make_records(unit_vectors(5), first=5))

    index.close()


@bound_by_rights
def test_a_store_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """A read-only directory is a StoreError with a remedy."""
    tmp_path.chmod(0o500)

    with pytest.raises(StoreError, match="cannot be written"):
        open_index(tmp_path / "store")


def all_errors(kind: type[Exception]) -> list[type[Exception]]:
    """A class of errors and all its subclasses."""
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in all_errors(below))]


def test_every_error_of_chromadb_becomes_one_of_kb(tmp_path: Path) -> None:
    """Whatever ChromaDB raises, the user gets a sentence with a remedy."""
    (tmp_path / "chroma.sqlite3").touch()
    kinds = all_errors(import_chromadb().errors.ChromaError)
    assert len(kinds) >= 15

    for kind in kinds:
        error = kind("something\n  went wrong.")
        with pytest.raises(StoreError) as told, translated_errors(str(tmp_path)):
            raise error
        assert told.value.__cause__ is error
        assert told.value.message
        assert told.value.remedy


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("error returned from database: (code: 13) database or disk is full", StoreError, "the disk is full"),
        ("error returned from database: (code: 11) database disk image is malformed", StoreDamaged, "malformed"),
        ("error returned from database: (code: 5) database is locked", StoreBusy, "another program"),
        ("(code: 1032) attempt to write a readonly database", StoreError, "cannot be written"),
        ("(code: 14) unable to open database file", StoreError, "cannot be written"),
        ("Unapplied migrations found", StoreError, "another version"),
        ("Error executing plan: Internal error: Error finding id", StoreDamaged, "Error finding id"),
        ("Error creating hnsw segment reader: Nothing found on disk", StoreDamaged, "Nothing found on disk"),
    ],
)
def test_internal_errors_are_distinguished(tmp_path: Path, text: str, kind: type[StoreError], words: str) -> None:
    """By the messages of ChromaDB's internal errors."""
    (tmp_path / "chroma.sqlite3").touch()

    error = translate(import_chromadb().errors.InternalError(text), str(tmp_path))

    assert type(error) is kind
    assert words in error.message


def test_a_damaged_log_of_writes_is_damage(tmp_path: Path) -> None:
    """ChromaDB takes it for an invalid argument."""
    (tmp_path / "chroma.sqlite3").touch()
    text = "Error executing plan: Error sending backfill request to compactor: Failed to pull logs from the log store"

    error = translate(import_chromadb().errors.InvalidArgumentError(text), str(tmp_path))

    assert isinstance(error, StoreDamaged)


@pytest.mark.parametrize(
    "text", ["Error getting collection: Failed to get segments", "(code: 1032) attempt to write a readonly database"]
)
def test_errors_without_a_database_name_the_missing_database(tmp_path: Path, text: str) -> None:
    """If the database was removed, whatever message ChromaDB gives."""
    error = translate(import_chromadb().errors.InternalError(text), str(tmp_path))

    assert type(error) is StoreDamaged
    assert "its database is missing" in error.message


def test_a_panic_of_the_core_is_damage(tmp_path: Path) -> None:
    """A Rust panic, which is a BaseException, is damage; a keyboard interrupt stays what it is."""
    panic = type("PanicException", (BaseException,), {})

    with pytest.raises(StoreDamaged, match="called `Option::unwrap"), translated_errors(str(tmp_path)):
        raise panic("called `Option::unwrap()` on a `None` value")
    with pytest.raises(KeyboardInterrupt), translated_errors(str(tmp_path)):
        raise KeyboardInterrupt


def test_a_refused_request_is_a_store_error(index: ChromaIndex) -> None:
    """Vectors of another length or with non-finite numbers are refused, and nothing is stored."""
    index.upsert(make_records(unit_vectors(2)))
    labels: dict[str, str | int] = {"file": 1, "path": "a", "heading": ""}

    for vector in (np.ones(3, np.float32), np.full(DIMENSION, np.nan, np.float32)):
        with pytest.raises(StoreError, match="ChromaDB refused"):
            index.upsert([VectorRecord("new", vector, "text", labels)])

    assert index.count() == 2
