"""What every ``kb.ports.VectorIndex`` keeps to: the index in ChromaDB, local and on a server, and the fake."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kb.embedding.bge_m3 import BgeM3EmbeddingFunction
from kb.embedding.locate import BUNDLED
from kb.records import VectorRecord
from kb.store.chroma import Limits, Pace
from kb.store.local_chroma import open_index
from kb.store.server import SERVER_LIMITS, ChromaServer, ServerAddress
from kb.testing import MemoryVectorIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chroma_server import RunningChroma
    from numpy.typing import NDArray

    from kb.ports import VectorIndex

DIMENSION = 8


def angled(degrees: float) -> NDArray[np.float32]:
    """A unit vector at this angle from the first axis."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[0], vector[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def labels(file: int) -> dict[str, str | int]:
    """The fixed labels of a record."""
    return {"file": file, "path": f"{file}.md", "heading": "Title"}


def record(id_: str, degrees: float, file: int = 1) -> VectorRecord:
    """A record at an angle."""
    return VectorRecord(id_, angled(degrees), f"text of {id_}", labels(file))


@pytest.fixture(params=["memory", "chroma", "server", "cloud"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorIndex]:
    """An empty index of each kind; that of the cloud is a server with small quotas."""
    if request.param == "memory":
        yield MemoryVectorIndex()
        return
    function = BgeM3EmbeddingFunction(model=BUNDLED, offline=True)
    if request.param in {"server", "cloud"}:
        limits = Limits(results=20, label_bytes=4096, texts=False) if request.param == "cloud" else SERVER_LIMITS
        yield from on_server(request.getfixturevalue("chroma"), function, limits)
        return
    real = open_index(str(tmp_path / "chroma"), "contract", "model", DIMENSION, function, create=True)
    yield real
    real.close()


def on_server(chroma: RunningChroma, function: BgeM3EmbeddingFunction, limits: Limits) -> Iterator[VectorIndex]:
    """An index in a collection of its own."""
    server = ChromaServer(ServerAddress(chroma.url, "default_tenant", "default_database", "", 30.0))
    name = f"contract-{uuid.uuid4().hex}"
    written: dict[str, NDArray[np.float32]] = {}
    made = server.make(
        name,
        {},
        fingerprint="model",
        dimension=DIMENSION,
        function=function,
        pace=Pace(100),
        # Some are at hand and some are not.
        known=lambda ids: {id_: written[id_] for id_ in ids if id_ in written},
    )
    upsert = made.upsert

    def write(records: Sequence[VectorRecord]) -> None:
        written.update({one.id: one.vector for one in records[::2]})
        for one in records[1::2]:
            written.pop(one.id, None)
        upsert(records)

    made.upsert = write  # type: ignore[method-assign]  # as an embedding cache is filled beside it
    made._limits = limits
    yield made
    server.delete(name)
    server.close()


class TestVectorIndex:
    """The contract."""

    def test_an_empty_index_finds_nothing(self, index: VectorIndex) -> None:
        """Every question has an answer, with vectors of the right shape."""
        found = index.query(angled(0), 5)

        assert found.ids == ()
        assert found.vectors.shape == (0, DIMENSION)
        assert index.count() == 0
        assert list(index.ids()) == []
        assert index.vectors(["a"]) == {}

    def test_the_nearest_come_first_with_their_vectors(self, index: VectorIndex) -> None:
        """By cosine, at most as many as asked for, each beside its own vector."""
        index.upsert([record("far", 90), record("near", 10), record("middle", -40), record("opposite", 180)])

        found = index.query(angled(0), 3)

        assert found.ids == ("near", "middle", "far")
        assert found.vectors.dtype == np.float32
        np.testing.assert_allclose(found.vectors, [angled(10), angled(-40), angled(90)], atol=1e-6)

    def test_more_may_be_asked_for_than_there_are(self, index: VectorIndex) -> None:
        """All of them come."""
        index.upsert([record("a", 10), record("b", 20)])

        assert index.query(angled(0), 100).ids == ("a", "b")
        assert index.query(angled(0), 0).ids == ()

    def test_only_the_given_files_are_asked(self, index: VectorIndex) -> None:
        """The filter applies before the top is taken."""
        index.upsert([record(f"near{n}", n, file=1) for n in range(30)])
        index.upsert([record("far", 80, file=2), record("farther", 90, file=3)])

        assert index.query(angled(0), 2, files=[2, 3]).ids == ("far", "farther")
        assert index.query(angled(0), 2, files=[3, 99]).ids == ("farther",)
        assert index.query(angled(0), 2, files=[]).ids == ()
        assert index.query(angled(0), 2, files=None).ids == ("near0", "near1")

    def test_writing_a_record_again_changes_nothing(self, index: VectorIndex) -> None:
        """Steps are repeated after an interruption."""
        for _ in range(2):
            index.upsert([record("a", 10), record("b", 20)])

        assert index.count() == 2
        assert sorted(index.ids()) == ["a", "b"]
        assert index.query(angled(0), 5).ids == ("a", "b")

    def test_writing_a_record_anew_replaces_it(self, index: VectorIndex) -> None:
        """Its vector and its file."""
        index.upsert([record("a", 10, file=1), record("b", 20, file=1)])

        index.upsert([record("a", 60, file=2)])

        assert index.query(angled(0), 5).ids == ("b", "a")
        assert index.query(angled(0), 5, files=[2]).ids == ("a",)
        np.testing.assert_allclose(index.vectors(["a"])["a"], angled(60), atol=1e-6)

    def test_relabelling_changes_labels_only(self, index: VectorIndex) -> None:
        """A moved file's passages keep their vectors; ids that are not there do not come to be."""
        index.upsert([record("a", 10, file=1), record("b", 20, file=1)])

        index.relabel(["a", "unknown"], [labels(2), labels(3)])

        assert index.query(angled(0), 5, files=[2]).ids == ("a",)
        assert index.query(angled(0), 5, files=[1]).ids == ("b",)
        assert sorted(index.ids()) == ["a", "b"]
        np.testing.assert_allclose(index.vectors(["a"])["a"], angled(10), atol=1e-6)

    def test_deleted_records_are_found_no_more(self, index: VectorIndex) -> None:
        """Ids that are not there are no error, so that a deletion can be repeated."""
        index.upsert([record("a", 10), record("b", 20), record("c", 30)])

        for _ in range(2):
            index.delete(["a", "unknown", "c"])

        assert index.count() == 1
        assert index.query(angled(0), 5).ids == ("b",)
        assert list(index.vectors(["a", "b"])) == ["b"]

    def test_a_deleted_record_can_come_back(self, index: VectorIndex) -> None:
        """With another vector, which is the one that counts."""
        index.upsert([record("a", 10), record("b", 20)])
        index.delete(["a"])

        index.upsert([record("a", 40)])

        assert index.query(angled(0), 5).ids == ("b", "a")
        assert index.count() == 2

    def test_doing_nothing_is_allowed(self, index: VectorIndex) -> None:
        """Empty lists of work are no error."""
        index.upsert([])
        index.relabel([], [])
        index.delete([])

        assert index.vectors([]) == {}
        assert index.count() == 0

    def test_more_records_than_one_page(self, index: VectorIndex) -> None:
        """Writing, listing, reading and deleting page behind the scenes; vectors stay with their ids."""
        vectors = np.random.default_rng(0).standard_normal((700, DIMENSION)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ids = [f"id{n:04}" for n in range(700)]
        index.upsert([VectorRecord(id_, vectors[n], id_, labels(n % 7)) for n, id_ in enumerate(ids)])

        known = index.vectors([*ids, "unknown"])

        assert sorted(index.ids()) == ids
        assert sorted(known) == ids
        np.testing.assert_allclose(np.array([known[id_] for id_ in ids]), vectors, atol=1e-6)
        index.delete(ids[:650])
        assert sorted(index.ids()) == ids[650:]

    def test_as_many_are_found_as_there_are(self, index: VectorIndex) -> None:
        """However few of them one call may return."""
        vectors = np.random.default_rng(1).standard_normal((300, DIMENSION)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ids = [f"id{n:04}" for n in range(300)]
        index.upsert([VectorRecord(id_, vectors[n], id_, labels(n // 7)) for n, id_ in enumerate(ids)])
        question = angled(30)

        found = index.query(question, 70)
        some = index.query(question, 50, files=range(20))

        order = np.argsort(-(vectors @ question), kind="stable")
        assert found.ids == tuple(ids[at] for at in order[:70])
        assert some.ids == tuple(ids[at] for at in order if at < 140)[:50]

    def test_any_text_can_stand_beside_a_vector(self, index: VectorIndex) -> None:
        """Half characters, line ends, control characters and nothing at all, in text and labels."""
        awkward = ["", "a\nb\0c\x1b[31m", "half \udcff", "😀 e\u0301"]
        index.upsert(
            [
                VectorRecord(f"id{n}", angled(n), text, {"file": n, "path": f"{text}.md", "heading": text})
                for n, text in enumerate(awkward)
            ]
        )

        assert index.query(angled(0), 10).ids == ("id0", "id1", "id2", "id3")
