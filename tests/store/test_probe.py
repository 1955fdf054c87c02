"""The probe of a vector index in a child process, and the state of a store after a kill."""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from vector_stores import COLLECTION, make_records, make_store, open_index, unit_vectors

from kb.chroma_import import import_chromadb, safe_settings
from kb.errors import ForeignStore, StoreError
from kb.records import Candidates, VectorRecord
from kb.store.probe import EVERY_ONE, _verdict, examine, longest, main, probe, wrong_links
from kb.testing import MemoryVectorIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
TIMEOUT = 60.0


def memory_index(number: int = 200) -> MemoryVectorIndex:
    """A sound index without ChromaDB."""
    index = MemoryVectorIndex()
    index.upsert(make_records(unit_vectors(number)))
    return index


class Repeating(MemoryVectorIndex):
    """Lists one id twice."""

    def ids(self) -> Iterator[str]:
        """Every id, and the first one again."""
        listed = [*super().ids()]
        return iter([*listed, listed[0]])


class Miscounting(MemoryVectorIndex):
    """Counts one more than it lists."""

    def count(self) -> int:
        """One too many."""
        return super().count() + 1


class Forgetting(MemoryVectorIndex):
    """Has no vector for its newest record."""

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """All but the newest."""
        newest = [*super().ids()][-1]
        return {id_: vector for id_, vector in super().vectors(ids).items() if id_ != newest}


class Confused(MemoryVectorIndex):
    """Answers every question with the wrong records."""

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """What is far from what was asked for."""
        return super().query(-vector, count, files)


@pytest.mark.parametrize(("vectors", "seconds"), [(0, 120), (100_000, 120), (1_000_000, 1200)])
def test_a_large_index_is_looked_at_for_longer(vectors: int, seconds: float) -> None:
    """Else a store that only takes long to read would be made anew, which takes an hour."""
    assert longest(vectors) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Repeating, "lists an id twice"),
        (Miscounting, "counts 201 records and lists 200"),
        (Forgetting, "1 of 200 records have no vector"),
        (Confused, "do not find themselves"),
    ],
)
def test_each_inconsistency_is_a_reason(kind: type[MemoryVectorIndex], words: str) -> None:
    """An index that lists, counts, returns or finds anything other than its records is damaged."""
    index = kind()
    index.upsert(make_records(unit_vectors(200)))

    assert words in (examine(index) or "")


@pytest.mark.parametrize("value", [0.0, 2.0, float("nan"), float("inf")])
def test_a_vector_that_is_not_of_length_one_is_a_reason(value: float) -> None:
    """Vectors of another length or with non-finite numbers were not written by kb."""
    index = memory_index()
    (record,) = make_records(unit_vectors(1), first=500)
    index.records[record.id] = VectorRecord(record.id, record.vector * np.float32(value), record.text, record.labels)

    assert examine(index) == "1 of 201 vectors are not of length 1"


@pytest.mark.parametrize("number", [0, 1, 2, 200])
def test_a_sound_index_has_no_reason(number: int) -> None:
    """A consistent index of any size is sound."""
    assert examine(memory_index(number)) is None


def test_equal_texts_are_no_damage() -> None:
    """A hundred records with the same vector find each other instead of themselves, which is right."""
    index = MemoryVectorIndex()
    index.upsert(make_records(np.repeat(unit_vectors(1), 100, axis=0)))

    assert examine(index) is None


def test_the_newest_records_of_a_large_index_are_in_the_sample() -> None:
    """If an index is too large to check as a whole."""
    index = Forgetting()
    index.upsert(make_records(unit_vectors(EVERY_ONE + 1, dimension=4)))

    assert examine(index) == "1 of 500 records have no vector"


@pytest.fixture
def without_a_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """This process does what the child would, which takes a second to import ChromaDB."""

    def started(directory: str, collection: str, timeout: float) -> AbstractContextManager[SimpleNamespace]:
        status = main([directory, collection, str(timeout)])
        output = BytesIO(capsys.readouterr().out.encode())
        return nullcontext(SimpleNamespace(wait=lambda _timeout: status, stdout=output))

    monkeypatch.setattr("kb.store.probe._started", started)
    # These would end this process with the child.
    monkeypatch.setattr("kb.store.probe.end_with_parent", lambda: None)
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: None)


@pytest.mark.parametrize(
    "where",
    [pytest.param("without_a_process", id="here"), pytest.param("tmp_path", id="child", marks=pytest.mark.slow)],
)
def test_a_store_that_was_closed_is_sound(tmp_path: Path, where: str, request: pytest.FixtureRequest) -> None:
    """The probe finds nothing wrong with a real store, and leaves it unchanged."""
    request.getfixturevalue(where)
    records = make_store(tmp_path, 300, sync_threshold=100)

    reason = probe(str(tmp_path), COLLECTION, TIMEOUT)

    assert reason is None
    index = open_index(tmp_path, create=False)
    assert list(index.ids()) == [record.id for record in records]
    index.close()


@pytest.mark.usefixtures("without_a_process")
def test_missing_parts_are_a_reason(tmp_path: Path) -> None:
    """A missing directory, database or collection is damage, not an error."""
    (tmp_path / "empty").mkdir()
    make_store(tmp_path / "store", 3)

    assert probe(str(tmp_path / "missing"), COLLECTION, TIMEOUT) == "its directory is missing"
    assert "its database is missing" in (probe(str(tmp_path / "empty"), COLLECTION, TIMEOUT) or "")


@pytest.mark.usefixtures("without_a_process")
def test_a_foreign_store_is_an_error_and_no_damage(tmp_path: Path) -> None:
    """A store that kb did not make must not be reported as damaged, since it would be set aside."""
    with import_chromadb().PersistentClient(path=str(tmp_path), settings=safe_settings()) as client:
        client.create_collection(COLLECTION, embedding_function=None).upsert(ids=["a"], embeddings=[[1.0, 0.0]])

    with pytest.raises(ForeignStore, match="kb did not make"):
        probe(str(tmp_path), COLLECTION, TIMEOUT)


@pytest.mark.slow
def test_a_child_that_takes_too_long_is_a_reason(tmp_path: Path) -> None:
    """ChromaDB hangs on a store that another program locks; the child is killed after the timeout."""
    make_store(tmp_path, 3)
    database = sqlite3.connect(tmp_path / "chroma.sqlite3", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")

    reason = probe(str(tmp_path), COLLECTION, 0.5)

    database.close()
    assert reason == "the probe did not finish within 0.5 seconds"


@pytest.mark.parametrize(("status", "ending"), [(-11, "SIGSEGV"), (0xC0000005, "0xc0000005")])
def test_a_child_that_crashes_is_a_reason(status: int, ending: str) -> None:
    """By a signal, and on Windows by an exit code; another one is an error and no damage."""
    assert _verdict(status, b"") == f"the probe crashed ({ending})"

    with pytest.raises(StoreError, match="ended with exit code 3"):
        _verdict(3, b"")


def test_nothing_is_imported_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child does not use Python files and settings in the store or in the current folder."""
    make_store(tmp_path, 3)
    for module in ("chromadb", "numpy", "kb", "json", "sitecustomize"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('imported from the store')")
    (tmp_path / ".env").write_text("CHROMA_SERVER_HTTP_PORT=abc\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")

    assert probe(str(tmp_path), COLLECTION, TIMEOUT) is None


@pytest.mark.slow
def test_kill_9_loses_nothing_silently(tmp_path: Path) -> None:
    """After kill -9 during a write, the probe finds damage, or each acknowledged record is there as written."""
    _kill_and_check(tmp_path, batches=17)


@pytest.mark.faults
@pytest.mark.parametrize("batches", range(2, 62, 3))
def test_kill_9_at_many_moments_loses_nothing_silently(tmp_path: Path, batches: int) -> None:
    """The same at many moments, some of them while the graph is persisted."""
    _kill_and_check(tmp_path, batches)


@pytest.mark.faults
def test_a_child_without_its_parent_ends(tmp_path: Path) -> None:
    """The child exits when its parent is gone, or after its timeout, even if ChromaDB hangs."""
    make_store(tmp_path, 3)
    database = sqlite3.connect(tmp_path / "chroma.sqlite3", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    command = [sys.executable, "-m", "kb.store.probe", str(tmp_path), COLLECTION, "6"]

    with subprocess.Popen(command, cwd=HERE.parents[1], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        child.stdin.close()
        status = child.wait(120)

    database.close()
    assert status == 1


def _kill_and_check(directory: Path, batches: int) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    command = [sys.executable, str(HERE / "endless_writer.py"), str(directory)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            acknowledged = int(line)
            if acknowledged >= 20 * batches:
                break
        child.send_signal(signal.SIGKILL)

    reason = probe(str(directory), COLLECTION, TIMEOUT)

    if reason is not None:
        return
    index = open_index(directory, create=False)
    for first in range(0, acknowledged, 20):
        stored = index.vectors([f"{first + position:08x}" for position in range(20)])
        written = {record.id: record.vector for record in make_records(unit_vectors(20, seed=first), first=first)}
        assert stored.keys() == written.keys()
        assert all(np.allclose(stored[id_], vector, atol=1e-6) for id_, vector in written.items())
    index.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store whose graph of several levels is on the disk."""
    directory = tmp_path_factory.mktemp("sound") / "store"
    make_store(directory, 300, sync_threshold=100)
    return directory


def damaged(sound: Path, place: Path, name: str, offset: int, data: bytes) -> Path:
    """A copy of a store, with other bytes in a file of its graph."""
    store = place / "damaged"
    shutil.copytree(sound, store)
    (file,) = store.glob(f"*/{name}.bin")
    with file.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)
    return store


# In vectors of 64 numbers: the number of links, 32 links, the vector, and a label.
NODE = 4 + 32 * 4 + 64 * 4 + 8


@pytest.mark.parametrize(
    ("offset", "data", "told"),
    [
        (0, b"\x21\x00", "links of its graph lead nowhere"),
        (7 * NODE + 4, (300).to_bytes(4, "little"), "links of its graph lead nowhere"),
        (7 * NODE + 4, b"\xff" * 2 * NODE, "two nodes of its graph are the same record"),
        (7 * NODE + 4, (299).to_bytes(4, "little"), None),
        # A part of a vector.
        (9 * NODE - 16, bytes(4), None),
    ],
)
def test_links_that_lead_nowhere_are_found(
    sound: Path, tmp_path: Path, offset: int, data: bytes, told: str | None
) -> None:
    """No question need follow them, which would crash its process. A link to another node is as good as any."""
    assert wrong_links(sound) is None
    assert wrong_links(damaged(sound, tmp_path, "data_level0", offset, data)) == told


def test_links_of_upper_levels_are_looked_at_too(sound: Path, tmp_path: Path) -> None:
    """They stand in a file of their own, each list behind its length."""
    (file,) = sound.glob("*/link_lists.bin")
    data = file.read_bytes()
    first = next(at for at in range(0, len(data), 4) if data[at : at + 4] != bytes(4))

    nowhere = damaged(sound, tmp_path / "a", "link_lists", first + 8, b"\xff\xff\xff\x7f")
    shifted = damaged(sound, tmp_path / "b", "link_lists", first, bytes(4))

    assert wrong_links(nowhere) == "links of its graph lead nowhere"
    assert wrong_links(shifted) is not None


@pytest.mark.parametrize(
    ("name", "data"), [("header", b"\x02"), ("header", b"\x01\0\0\0" + b"\xff" * 48), ("data_level0", b"")]
)
def test_a_graph_of_another_layout_is_left_to_chromadb(sound: Path, tmp_path: Path, name: str, data: bytes) -> None:
    """What a header says that does not fit its files is none that is known; a missing file is told elsewhere."""
    store = damaged(sound, tmp_path, name, 0, data)
    if not data:
        next(store.glob("*/data_level0.bin")).unlink()

    assert wrong_links(store) is None
