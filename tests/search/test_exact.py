"""The vectors of all live passages, compared one by one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.errors import StoreError
from kb.records import Candidates, VectorRecord
from kb.search.exact import ExactIndex, FollowedIndex, exact_index
from kb.search.rank import cosines
from kb.store.local_vectors import LocalVectors
from kb.testing import MemoryVectorCache, MemoryVectorIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.app import LocalKnowledgeBase
    from kb.embedding.spec import Located

UNITS = np.eye(4, dtype=np.float32)


class Catalog:
    """Knows which passages have a vector, and nothing else."""

    def __init__(self, *live: tuple[str, int, bytes]) -> None:
        self._live = list(live)

    def with_vectors(self) -> list[tuple[str, int, bytes]]:
        """All of them."""
        return self._live

    def count_embedded(self) -> int:
        """How many they are."""
        return len(self._live)


def index_of(*live: tuple[str, int, bytes], known: dict[bytes, int], most_bytes: int = 1000) -> ExactIndex | None:
    """An index over passages whose digests have these unit vectors."""
    cache = MemoryVectorCache()
    cache.put("model", {digest: UNITS[axis] for digest, axis in known.items()})
    return exact_index(Catalog(*live), cache, "model", 4, most_bytes)  # type: ignore[arg-type] # all that it asks for


def opened(kb: LocalKnowledgeBase) -> bool:
    """Whether ChromaDB's files are open."""
    vectors = kb._container.vectors
    assert isinstance(vectors, LocalVectors)
    return vectors._open is not None


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 10**6)), min_size=1, max_size=30),
    st.integers(0, 40),
    st.none() | st.sets(st.integers(1, 6)),
)
def test_the_nearest_are_those_of_a_full_comparison(
    rows: list[tuple[int, int]], count: int, files: set[int] | None
) -> None:
    """All records of the files that are asked for, best first, as many as wanted, each with its own vector."""
    vectors = np.stack([np.random.default_rng(seed).standard_normal(8) for _, seed in rows]).astype(np.float32)
    index = ExactIndex([str(place) for place in range(len(rows))], [file for file, _ in rows], vectors)
    question = np.ones(8, dtype=np.float32)

    found = index.query(question, count, None if files is None else sorted(files))

    among = [place for place, (file, _) in enumerate(rows) if files is None or file in files]
    scores = np.sort([vectors[place] @ question for place in among])[::-1][:count]
    # Near zero the rounding of the sum is large beside it: numbers of this size keep six decimals.
    np.testing.assert_allclose(found.vectors @ question, scores, rtol=1e-5, atol=1e-6)
    assert len(found.ids) == min(count, len(among))
    for id_, vector in zip(found.ids, found.vectors, strict=True):
        assert rows[int(id_)][0] in (files or range(9))
        np.testing.assert_array_equal(vector, vectors[int(id_)])


def test_equal_texts_share_a_vector_and_are_two_passages() -> None:
    """A digest that stands in two files is found in both."""
    index = index_of(("1-a", 1, b"a"), ("2-a", 2, b"a"), ("2-b", 2, b"b"), known={b"a": 0, b"b": 1})

    assert index is not None
    assert set(index.query(UNITS[0], 2).ids) == {"1-a", "2-a"}
    assert list(index.vectors(["2-b", "nothing"])) == ["2-b"]


def test_a_vector_that_is_gone_leaves_it_to_chromadb() -> None:
    """The cache may have let go of some; an answer must not miss them."""
    assert index_of(("1-a", 1, b"a"), ("1-b", 1, b"b"), known={b"a": 0}) is None


def test_too_many_leave_it_to_chromadb() -> None:
    """Beyond so many bytes reading them takes longer than opening the store."""
    assert index_of(("1-a", 1, b"a"), known={b"a": 0}, most_bytes=16) is not None
    assert index_of(("1-a", 1, b"a"), known={b"a": 0}, most_bytes=15) is None


def test_a_cold_question_opens_neither_torch_nor_chromadb(
    minilm: Located, forms: Path, notes: Path, tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase]
) -> None:
    """One command without an owner: the same answer as from ChromaDB, from catalog, cache and ONNX form alone."""
    question = "What tool should I use to store vector data locally?"
    with open_kb(notes) as kb:
        kb.index()
        assert opened(kb)
        warm = [(hit.passage.file.path, round(hit.score or 0.0, 5)) for hit in kb.search(question).hits]
    overrides = {
        "embed.model": minilm.name,
        "embed.offline": "true",
        "folders.paths": json.dumps([str(notes)]),
        "store.path": str(tmp_path / "store"),
    }
    code = (
        "import sys\n"
        "from kb.app import LocalKnowledgeBase\n"
        f"with LocalKnowledgeBase.open(overrides={overrides!r}) as kb:\n"
        f"    hits = kb.search({question!r}).hits\n"
        "print([(hit.passage.file.path, round(hit.score or 0.0, 5)) for hit in hits])\n"
        "print([name for name in ('torch', 'transformers', 'chromadb', 'huggingface_hub') if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={"KB_MODELS": str(forms), "PATH": "", "HOME": str(tmp_path)},
    )

    cold, heavy = done.stdout.splitlines()
    assert cold == str(warm)
    assert heavy == "[]"


def test_what_is_indexed_later_is_found_in_the_same_process(
    notes: Path, open_kb: Callable[..., LocalKnowledgeBase]
) -> None:
    """A question before an index run leaves nothing behind that hides what the run brought, or shows what it took."""
    with open_kb(notes) as kb:
        kb.index()
    with open_kb(notes) as kb:
        assert kb.search("sourdough bread").hits
        assert not opened(kb)
        (notes / "bread.md").write_text("Sourdough bread rises slowly with flour and salt.\n", "utf-8")
        gone = max(notes.iterdir())
        gone.unlink()
        kb.index(accept_deletions=True)

        found = [hit.passage.file.path for hit in kb.search("sourdough bread").hits]

    assert found[0] == "bread.md"
    assert gone.name not in found


@pytest.mark.parametrize("missing", [False, True])
def test_a_lost_cache_costs_time_only(
    notes: Path, tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase], *, missing: bool
) -> None:
    """Without the embedding cache the same question is answered by ChromaDB."""
    with open_kb(notes) as kb:
        kb.index()
    if missing:
        for file in (tmp_path / "store").glob("embeddings.sqlite3*"):
            file.unlink()
    with open_kb(notes) as kb:
        hits = kb.search("vector database").hits
        assert opened(kb) is missing

    first, second = (hit.score or 0.0 for hit in hits[:2])
    assert first > second > 0


def records_of(*rows: tuple[str, int, int]) -> list[VectorRecord]:
    """Records with an id, a file id and the axis of the vector each."""
    return [VectorRecord(id_, UNITS[axis], "text", {"file": file}) for id_, file, axis in rows]


CHANGES = st.lists(
    st.tuples(st.booleans(), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=200)),
    max_size=12,
)


@given(CHANGES)
def test_the_records_are_those_written_and_not_deleted(changes: list[tuple[bool, list[tuple[int, int]]]]) -> None:
    """Written again, deleted, deleted twice, over many times the room: as a dictionary would have it."""
    index = ExactIndex([], [], np.empty((0, 4), np.float32))
    expected: dict[str, int] = {}
    for write, rows in changes:
        if write:
            index.upsert(records_of(*((str(number), number, axis) for number, axis in rows)))
            expected |= {str(number): axis for number, axis in rows}
        else:
            index.delete([str(number) for number, _ in rows])
            expected = {id_: axis for id_, axis in expected.items() if id_ not in {str(number) for number, _ in rows}}

        found = index.query(UNITS[0], 100)
        assert sorted(found.ids) == sorted(expected)
        assert [int(np.argmax(vector)) for vector in found.vectors] == [expected[id_] for id_ in found.ids]
        assert {id_: int(np.argmax(one)) for id_, one in index.vectors([*expected, "nothing"]).items()} == expected
        assert set(index.query(UNITS[0], 100, [7]).ids) == ({"7"} & expected.keys())


ALIKE = np.random.default_rng(2).standard_normal((5, 8)).astype(np.float32)
ALIKE /= np.linalg.norm(ALIKE, axis=1, keepdims=True)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4)), max_size=30), max_size=8),
    st.integers(0, 40),
    st.none() | st.sets(st.integers(0, 3)),
)
def test_equally_near_records_are_chosen_by_their_ids(
    writes: list[list[tuple[int, int]]], count: int, files: set[int] | None
) -> None:
    """Copies of a text have one vector: which of them are candidates does not depend on how they were written."""
    written, expected = ExactIndex([], [], np.empty((0, 8), np.float32)), MemoryVectorIndex()
    for rows in writes:
        records = [VectorRecord(f"{id_}", ALIKE[kind], "text", {"file": id_ % 4}) for id_, kind in rows]
        for one in (written, expected):
            one.upsert(records)
            one.delete([record.id for record in records[::3]])
    records = list(expected.records.values())
    read = ExactIndex(
        [record.id for record in records],
        [int(record.labels["file"]) for record in records],
        np.array([record.vector for record in records], np.float32).reshape(-1, 8),
    )

    for question in (ALIKE[0], ALIKE.sum(axis=0)):
        wanted = set(expected.query(question, count, None if files is None else sorted(files)).ids)
        for index in (written, read):
            assert set(index.query(question, count, None if files is None else sorted(files)).ids) == wanted


def test_candidates_are_chosen_as_exactly_as_they_are_ranked() -> None:
    """Single precision does not tell these cosines apart; the nearer half is chosen all the same."""
    rng = np.random.default_rng(3)
    question = rng.standard_normal(384).astype(np.float32)
    question /= np.linalg.norm(question)
    vectors = (question + 1e-4 * rng.standard_normal((200, 384))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"{at:03}" for at in range(200)]
    exact = dict(zip(ids, cosines(question, Candidates(tuple(ids), vectors)).tolist(), strict=True))
    assert len(set(np.vecdot(vectors, question).tolist())) < 200

    found = ExactIndex(ids, [1] * 200, vectors).query(question, 100)

    assert found.ids == tuple(sorted(ids, key=lambda id_: (-exact[id_], id_))[:100])


def test_a_write_that_fails_changes_nothing() -> None:
    """A record that does not fit leaves no ids or vectors behind that the next write would be mixed up with."""
    index = ExactIndex(["a"], [1], UNITS[:1].copy())
    index.upsert(records_of(("b", 2, 1)))
    with pytest.raises(ValueError, match="shape"):
        index.upsert([*records_of(("c", 3, 2)), VectorRecord("d", np.ones(3, np.float32), "text", {"file": 4})])
    with pytest.raises(KeyError):
        index.upsert([*records_of(("c", 3, 2)), VectorRecord("d", UNITS[3], "text", {})])

    assert sorted(index.ids()) == ["a", "b"]
    assert not index.vectors(["c", "d"])
    index.upsert(records_of(("e", 5, 3)))
    assert {id_: int(np.argmax(one)) for id_, one in index.vectors(["a", "b", "e"]).items()} == {"a": 0, "b": 1, "e": 3}
    assert index.query(UNITS[3], 1).ids == ("e",)


def test_a_vector_that_is_kept_keeps_no_others() -> None:
    """Samples of vectors are kept for as long as the store is open, and the rows are made anew meanwhile."""
    index = ExactIndex([str(at) for at in range(4)], [1] * 4, np.tile(UNITS, 1000).copy())

    (vector,) = index.vectors(["2"]).values()

    assert vector.base is not None
    assert vector.base.nbytes == vector.nbytes
    vector[:] = 0
    assert index.query(np.tile(UNITS[2], 1000), 1).vectors.any()


def test_the_cache_is_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each passage gets its own vector, whichever page it is on."""
    monkeypatch.setattr("kb.search.exact._PAGE", 3)
    live = [(f"{at}-x", at, bytes([at % 4])) for at in range(11)]

    index = index_of(*live, known={bytes([axis]): axis for axis in range(4)})

    assert index is not None
    found = index.vectors([id_ for id_, _, _ in live])
    assert [int(np.argmax(found[id_])) for id_, _, _ in live] == [at % 4 for at in range(11)]
    index.upsert(records_of(("11-x", 11, 3)))
    assert len(index.ids()) == 12


class During(Sequence[int]):
    """File ids, which are looked at in the middle of a query: the records change there."""

    def __init__(self, files: Sequence[int], change: Callable[[], None]) -> None:
        self._files = files
        self._change = change

    def __getitem__(self, at: int) -> int:  # type: ignore[override]  # no slices are asked for
        if at == 0:
            self._change()
        return self._files[at]

    def __len__(self) -> int:
        return len(self._files)


@pytest.mark.parametrize("rows", [4, 400])
def test_changes_in_the_middle_of_a_query_are_for_the_next(rows: int) -> None:
    """Deleted, written again, and all rows copied to a larger place."""
    index = ExactIndex([], [], np.empty((0, 4), np.float32))
    index.upsert(records_of(*((str(at), at, at % 4) for at in range(4))))

    def change() -> None:
        index.delete(["0"])
        index.upsert(records_of(*((str(at), at, 0) for at in range(1, rows))))

    found = index.query(UNITS[0], 10, During([0, 1, 2, 3], change))

    assert sorted(found.ids) == ["0", "1", "2", "3"]
    assert [int(np.argmax(vector)) for vector in found.vectors] == [int(id_) for id_ in found.ids]
    assert sorted(index.query(UNITS[0], 10, [0, 1, 2, 3]).ids) == ["1", "2", "3"]


def versions_of(ids: range, version: int) -> list[VectorRecord]:
    """Records of one version, which is the length of their vectors."""
    return [VectorRecord(str(id_), UNITS[id_ % 4] * version, "text", {"file": id_}) for id_ in ids]


def test_a_search_finds_what_was_written_before_it_and_nothing_that_was_gone() -> None:
    """Each record is written again and again, deleted, and moved to new rows while three threads search."""
    index = ExactIndex([], [], np.empty((0, 4), np.float32))
    # By id: the version whose write has ended and the one that has begun, negative for a deletion. Each is used once:
    # a search that waits while a record is written and deleted must not take it for undisturbed.
    ended, begun = [0] * 400, [0] * 400
    stop = threading.Event()
    wrong: list[str] = []

    def search() -> None:
        while not stop.is_set():
            before, all_before = list(ended), list(begun)
            found = index.query(UNITS[0], 1000)
            after = list(begun)
            versions = {int(id_): round(vector.sum()) for id_, vector in zip(found.ids, found.vectors, strict=True)}
            if len(versions) < len(found.ids):
                wrong.append("an id twice")
            for id_ in range(400):
                undisturbed = before[id_] == all_before[id_] == after[id_]
                if undisturbed and versions.get(id_, 0) != max(0, before[id_]):
                    wrong.append(f"{id_} is {versions.get(id_, 0)}, not {before[id_]}")
            wrong.extend(
                id_
                for id_, vector in zip(found.ids, found.vectors, strict=True)
                if int(np.argmax(vector)) != int(id_) % 4
            )

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in range(1, 120):
        ids = range(version * 37 % 400, min(400, version * 37 % 400 + 50))
        delete = version % 3 == 0
        begun[ids.start : ids.stop] = [-version if delete else version] * len(ids)
        if delete:
            index.delete([str(id_) for id_ in ids])
        else:
            index.upsert(versions_of(ids, version))
        ended[ids.start : ids.stop] = begun[ids.start : ids.stop]
    stop.set()
    for thread in threads:
        thread.join()

    assert not wrong


def test_a_search_sees_the_records_of_one_moment() -> None:
    """Threads that search while another one writes and deletes get whole answers, each vector with its own id."""
    index = ExactIndex([], [], np.empty((0, 4), np.float32))
    stop = threading.Event()
    wrong: list[str] = []

    def search() -> None:
        while not stop.is_set():
            found = index.query(UNITS[0], 1000)
            wrong.extend(
                id_
                for id_, vector in zip(found.ids, found.vectors, strict=True)
                if int(np.argmax(vector)) != int(id_) % 4 or vector.sum() != 1
            )

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(0, 4000, 40):
        index.upsert(records_of(*((str(one), one, one % 4) for one in range(number, number + 40))))
        index.delete([str(one) for one in range(number - 400, number, 3)])
    stop.set()
    for thread in threads:
        thread.join()

    assert not wrong


def test_more_than_may_be_kept_are_not_kept() -> None:
    """An index that misses a record says so; one that is written again counts once."""
    index = ExactIndex(["a"], [1], UNITS[:1].copy(), most_bytes=32)
    index.upsert(records_of(("a", 1, 1), ("b", 1, 2)))
    assert not index.full
    assert index.size <= 5000

    index.upsert(records_of(("c", 1, 3)))
    assert index.full


class Refusing(ExactIndex):
    """Stands for ChromaDB, and fails to write."""

    def upsert(self, records: object) -> None:  # noqa: ARG002 - as ChromaDB takes them
        """Fail."""
        raise StoreError("the disk is full", "Free some space")


def test_after_a_write_that_failed_the_vectors_are_read_again() -> None:
    """It is not known how much of it ChromaDB has."""
    lost: list[bool] = []
    exact = ExactIndex([], [], np.empty((0, 4), np.float32))
    index = FollowedIndex(Refusing([], [], UNITS[:0]), exact, lambda: lost.append(True))  # type: ignore[arg-type]  # all that is used

    with pytest.raises(StoreError, match="disk is full"):
        index.upsert(records_of(("a", 1, 1)))

    assert lost == [True]
    assert not exact.vectors(["a"])


def same_as_chromadb(kb: LocalKnowledgeBase) -> int:
    """Check that the vectors in memory are those of ChromaDB; returns how many there are."""
    store = kb._container.store
    exact = store.exact.get()
    assert exact is not None
    chromadb = store.vectors.get().index()
    ids = sorted(chromadb.ids())
    question = kb._container.store.questions.get().embed_query("what is kept in a database?")
    found = exact.query(question, len(ids) + 1)
    assert sorted(found.ids) == ids
    stored = chromadb.vectors(ids)
    for id_, vector in zip(found.ids, found.vectors, strict=True):
        np.testing.assert_allclose(vector, stored[id_], atol=1e-7)
    assert exact.query(question, 3).ids == chromadb.query(question, 3).ids
    return len(ids)


def test_a_daemon_keeps_in_memory_what_chromadb_holds(notes: Path, open_kb: Callable[..., LocalKnowledgeBase]) -> None:
    """After files are added, changed, moved and deleted, and after a rebuild; no answer is from a note that is gone."""
    with open_kb(notes) as kb:
        kb.own(lambda: (True, 0), write_batch=2)
        assert kb.search("sourdough bread").hits == ()
        kb.index()
        first = same_as_chromadb(kb)

        (notes / "bread.md").write_text("# Bread\n\nSourdough rises slowly.\n\n# Oven\n\nBake it hot.\n", "utf-8")
        kb.index()
        assert same_as_chromadb(kb) == first + 2
        assert kb.search("sourdough bread").hits[0].passage.file.path == "bread.md"

        (notes / "bread.md").write_text("# Oven\n\nBake it hot.\n\n# Rye\n\nRye bread keeps for weeks.\n", "utf-8")
        kb.index()
        assert same_as_chromadb(kb) == first + 2
        assert "slowly" not in " ".join(hit.passage.text for hit in kb.search("sourdough bread").hits)

        (notes / "bread.md").rename(notes / "loaf.md")
        kb.index()
        assert same_as_chromadb(kb) == first + 2
        assert kb.search("how long does rye bread keep?").hits[0].passage.file.path == "loaf.md"

        kb.rebuild()
        assert same_as_chromadb(kb) == first + 2

        (notes / "loaf.md").unlink()
        kb.index(accept_deletions=True)
        assert same_as_chromadb(kb) == first
        assert all(hit.passage.file.path != "loaf.md" for hit in kb.search("how long does rye bread keep?").hits)

        kb.index(full=True)
        assert same_as_chromadb(kb) == first


def test_a_daemon_with_too_many_vectors_asks_chromadb(
    notes: Path, open_kb: Callable[..., LocalKnowledgeBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once there is no room for those of another note, ChromaDB has all of them and answers."""
    with open_kb(notes) as kb:
        kb.index()
        room = kb.status().passages * 384 * 4
    monkeypatch.setattr("kb.search.exact.MOST_BYTES", room)
    with open_kb(notes) as kb:
        kb.own(lambda: (True, 0), write_batch=32)
        with kb._container.store.query_index() as index:
            assert isinstance(index, ExactIndex)

        (notes / "bread.md").write_text("Sourdough bread rises slowly with flour and salt.\n", "utf-8")
        kb.index()

        with kb._container.store.query_index() as index:
            assert not isinstance(index, ExactIndex)
        assert kb.search("sourdough bread").hits[0].passage.file.path == "bread.md"


def test_a_daemon_answers_from_memory_again_once_there_is_room(
    notes: Path, open_kb: Callable[..., LocalKnowledgeBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors that were too many are read again after so many were deleted that a few more will fit."""
    with open_kb(notes) as kb:
        kb.index()
        kept = kb.status().passages
    monkeypatch.setattr("kb.search.exact.MOST_BYTES", (kept + 2) * 384 * 4 * 4 // 3)
    with open_kb(notes) as kb:
        kb.own(lambda: (True, 0), write_batch=32)
        same_as_chromadb(kb)
        long = "".join(f"# Part {part}\n\nSourdough bread rises for {part} hours.\n\n" for part in range(kept + 20))
        (notes / "bread.md").write_text(long, "utf-8")
        kb.index()
        assert kb._container.store.exact.get() is None
        assert kb.search("sourdough bread").hits[0].passage.file.path == "bread.md"

        (notes / "bread.md").write_text("# Rye\n\nRye bread keeps for weeks.\n", "utf-8")
        kb.index()
        assert same_as_chromadb(kb) == kept + 1

        (notes / "oven.md").write_text("# Oven\n\nBake it hot.\n", "utf-8")
        kb.index()
        assert same_as_chromadb(kb) == kept + 2


def test_a_daemon_answers_from_memory_again_once_the_cache_has_all_vectors(
    notes: Path, tmp_path: Path, open_kb: Callable[..., LocalKnowledgeBase]
) -> None:
    """What a cache lacks is embedded again by a rebuild."""
    with open_kb(notes) as kb:
        kb.index()
    for file in (tmp_path / "store").glob("embeddings.sqlite3*"):
        file.unlink()
    with open_kb(notes) as kb:
        kb.own(lambda: (True, 0), write_batch=32)
        (notes / "bread.md").write_text("Sourdough bread rises slowly with flour and salt.\n", "utf-8")
        kb.index()
        assert kb._container.store.exact.get() is None

        kb.rebuild()

        assert same_as_chromadb(kb) == kb.status().passages


def drop_one(index: ExactIndex, kb: LocalKnowledgeBase) -> None:  # noqa: ARG001 - one of three
    """Lose a vector."""
    index.delete(index.ids()[:1])


def add_one(index: ExactIndex, kb: LocalKnowledgeBase) -> None:
    """Have a vector of no passage."""
    index.upsert(
        [VectorRecord("stray", kb._container.store.questions.get().embed_query("bread"), "bread", {"file": 1})]
    )


def turn_one(index: ExactIndex, kb: LocalKnowledgeBase) -> None:
    """Have a vector of another text."""
    index.upsert(
        [VectorRecord(index.ids()[0], kb._container.store.questions.get().embed_query("bread"), "bread", {"file": 1})]
    )


@pytest.mark.parametrize("spoil", [drop_one, add_one, turn_one])
def test_check_finds_and_repairs_vectors_in_memory_that_are_not_those_stored(
    notes: Path, open_kb: Callable[..., LocalKnowledgeBase], spoil: Callable[[ExactIndex, LocalKnowledgeBase], None]
) -> None:
    """What answers questions is compared with the record too."""
    with open_kb(notes) as kb:
        kb.own(lambda: (True, 0), write_batch=32)
        kb.index()
        assert not kb.check().differences
        exact = kb._container.store.exact.get()
        assert exact is not None
        spoil(exact, kb)

        assert len(kb.check().differences) == 1
        assert not kb.check(repair=True).differences

        same_as_chromadb(kb)
