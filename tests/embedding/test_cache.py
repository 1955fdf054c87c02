"""What ``EmbeddingCache`` guarantees beyond the contract of its port: bounded size, durability, no wrong vector."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from hashlib import sha256
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb import sqlite
from kb.embedding import cache as cache_module
from kb.embedding.cache import EmbeddingCache
from kb.errors import ForeignStore, StoreBusy, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MODEL = "model revision pooling dimension=4"


def key(number: int) -> bytes:
    """The digest of a text with this number."""
    return sha256(str(number).encode()).digest()


def vector(number: int, dimension: int = 4) -> NDArray[np.float32]:
    """A vector that depends on its number."""
    return np.full(dimension, number, np.float32)


def batch(*numbers: int) -> dict[bytes, NDArray[np.float32]]:
    """Arguments for ``put``."""
    return {key(number): vector(number) for number in numbers}


def known(cache: EmbeddingCache, numbers: Sequence[int]) -> list[int]:
    """The numbers whose right vector is stored; counts as a use."""
    found = cache.get(MODEL, [key(number) for number in numbers])
    assert all((found[key(number)] == number).all() for number in numbers if key(number) in found)
    return [number for number in numbers if key(number) in found]


def refuse_warning(message: str) -> None:
    """A callback for caches that must not warn."""
    raise AssertionError(message)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a test's cache."""
    return str(tmp_path / "embeddings.db")


@pytest.fixture
def cache(path: str) -> Iterator[EmbeddingCache]:
    """A new cache with enough room."""
    with closing(EmbeddingCache(path, 100_000, refuse_warning)) as opened:
        yield opened


def test_vectors_outlive_the_process(path: str) -> None:
    """Vectors are stored exactly, as float32."""
    odd = np.array([1 / 3, -0.0, 1e-40, 3e38], np.float32)
    with closing(EmbeddingCache(path, 10, refuse_warning)) as cache:
        cache.put(MODEL, {key(1): odd})

    with closing(EmbeddingCache(path, 10, refuse_warning)) as cache:
        found = cache.get(MODEL, [key(1)])[key(1)]

    assert found.tobytes() == odd.tobytes()
    assert found.dtype == np.float32


def test_more_digests_than_a_statement_takes(cache: EmbeddingCache) -> None:
    """Thousands of digests, known and unknown, can be looked up and stored at once."""
    cache.put(MODEL, batch(*range(0, 6000, 2)))

    assert known(cache, range(6000)) == list(range(0, 6000, 2))
    cache.put(MODEL, batch(*range(6000)))
    assert cache.count() == 6000
    assert known(cache, range(6000)) == list(range(6000))


def test_least_recently_used_vectors_are_evicted_first(path: str) -> None:
    """A get is a use, even before the cache was closed; the limit holds after each put."""
    with closing(EmbeddingCache(path, 4, refuse_warning)) as cache:
        for number in range(4):
            cache.put(MODEL, batch(number))
        assert known(cache, [0]) == [0]

    with closing(EmbeddingCache(path, 4, refuse_warning)) as cache:
        cache.put(MODEL, batch(4, 5))
        assert cache.count() == 4
        assert known(cache, range(6)) == [0, 3, 4, 5]


def test_more_vectors_at_once_than_the_limit(path: str) -> None:
    """The limit holds, and vectors of another model are evicted by age only."""
    with closing(EmbeddingCache(path, 3, refuse_warning)) as cache:
        cache.put("other", batch(1, 2))
        cache.put(MODEL, batch(*range(10)))

        assert cache.count() == 3
        assert len(known(cache, range(10))) == 3
        assert cache.get("other", [key(1), key(2)]) == {}


@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 12), min_size=1, max_size=5, unique=True)), max_size=25)
)
def test_the_bound_and_the_order_of_uses_hold_for_any_history(history: list[tuple[bool, list[int]]]) -> None:
    """Compared with a model of the uses: no evicted vector was used later than a stored one."""
    last_use: dict[int, int] = {}
    with TemporaryDirectory() as directory, closing(EmbeddingCache(f"{directory}/c.db", 6, refuse_warning)) as cache:
        for moment, (is_put, numbers) in enumerate(history):
            if is_put:
                cache.put(MODEL, batch(*numbers))
                last_use.update(dict.fromkeys(numbers, moment))
            else:
                for number in known(cache, numbers):
                    last_use[number] = moment
            kept = stored_numbers(cache)
            assert len(kept) == min(6, len(last_use))
            assert kept <= set(last_use)
            dropped = set(last_use) - kept
            # Uses between two puts are one moment to the cache, so only whole puts are told apart.
            if dropped:
                assert is_put
                puts = [place for place, (is_put_, _) in enumerate(history) if is_put_ and place < moment]
                oldest = min(last_use[number] for number in kept)
                newest = max(last_use[number] for number in dropped)
                assert newest <= oldest or not any(oldest < place <= newest for place in puts)
            last_use = {number: last_use[number] for number in kept}


def stored_numbers(cache: EmbeddingCache) -> set[int]:
    """The stored numbers, without using them."""
    rows = cache._database.connection.execute("SELECT vector FROM vectors").fetchall()
    return {int(np.frombuffer(row[0], "<f4")[0]) for row in rows}


def test_reading_writes_nothing_until_the_next_writing(cache: EmbeddingCache, path: str) -> None:
    """A get needs no write transaction, so another process may hold the write lock."""
    cache.put(MODEL, batch(1, 2))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        assert known(cache, [1, 2, 3]) == [1, 2]

        other.execute("ROLLBACK")


def test_many_uses_are_written_before_they_fill_the_memory(
    cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long run that only reads keeps a bounded list of uses."""
    cache.put(MODEL, batch(*range(40)))
    cache.put(MODEL, batch(40))
    monkeypatch.setattr(cache_module, "_USES_KEPT", 15)

    known(cache, range(10))
    assert len(cache._used) == 10
    known(cache, range(10, 20))

    assert cache._used == set()


def test_peek_is_not_a_use(cache: EmbeddingCache) -> None:
    """A search that reads all vectors once does not change their age."""
    cache.put(MODEL, batch(*range(40)))
    cache.put(MODEL, batch(40))

    assert len(cache.peek(MODEL, list(batch(*range(40))))) == 40

    assert cache._used == set()


@pytest.mark.parametrize(
    "blob",
    [b"", b"\0" * 12, b"\0" * 20, np.array([0, np.nan, 0, 0], "<f4").tobytes(), np.full(4, np.inf, "<f4").tobytes()],
    ids=["empty", "short", "long", "nan", "inf"],
)
def test_a_broken_vector_counts_as_absent_and_is_replaced(cache: EmbeddingCache, blob: bytes) -> None:
    """A wrong vector would stay wrong, while a missing one is computed again."""
    cache.put(MODEL, batch(1, 2, 3))
    cache._database.connection.execute("UPDATE vectors SET vector = ? WHERE id = 2", (blob,))

    assert known(cache, [1, 2, 3]) == [1, 3]
    assert cache.count() == 2
    cache.put(MODEL, batch(2))
    assert known(cache, [1, 2, 3]) == [1, 2, 3]


def test_an_entry_without_a_vector_counts_as_absent_and_is_replaced(cache: EmbeddingCache) -> None:
    """An incomplete entry does not prevent storing a complete one."""
    cache.put(MODEL, batch(1, 2))
    cache._database.connection.execute("DELETE FROM vectors WHERE id = 1")

    assert known(cache, [1, 2]) == [2]
    cache.put(MODEL, batch(1))
    assert known(cache, [1, 2]) == [1, 2]


@pytest.mark.parametrize("wrong", [vector(1, 5), np.array([1, np.nan, 1, 1], np.float32)], ids=["length", "nan"])
def test_an_invalid_vector_is_refused(cache: EmbeddingCache, wrong: NDArray[np.float32]) -> None:
    """It is a bug in the caller, and no vector of the call is stored."""
    cache.put(MODEL, batch(1))

    with pytest.raises(ValueError, match="numbers"):
        cache.put(MODEL, {key(2): wrong})

    assert known(cache, [1, 2]) == [1]


def test_a_damaged_cache_is_set_aside_with_a_warning(tmp_path: Path, path: str) -> None:
    """The work continues with a new cache, and the old file is kept."""
    (tmp_path / "embeddings.db").write_bytes(b"no database at all" * 500)
    told: list[str] = []

    with closing(EmbeddingCache(path, 10, told.append)) as cache:
        assert known(cache, [1]) == []
        cache.put(MODEL, batch(1))
        assert known(cache, [1]) == [1]

    assert len(told) == 1
    assert "embeddings.db.damaged" in told[0]
    assert (tmp_path / "embeddings.db.damaged").read_bytes().startswith(b"no database at all")


def test_overwritten_bytes_never_give_an_error_or_a_non_finite_vector(tmp_path: Path) -> None:
    """Whatever bytes are overwritten, reads and writes work, in the old file or in a new one."""
    sound = str(tmp_path / "sound.db")
    with closing(EmbeddingCache(sound, 1000, refuse_warning)) as cache:
        cache.put(MODEL, batch(*range(1500)))
    randomness = random.Random(5)
    told: list[str] = []
    for number in range(60):
        broken = tmp_path / f"broken{number}.db"
        data = bytearray((tmp_path / "sound.db").read_bytes())
        for _ in range(randomness.choice((1, 20, 400))):
            data[randomness.randrange(len(data))] = randomness.randrange(256)
        broken.write_bytes(data[: randomness.choice((len(data), len(data) // 2))])

        try:
            with closing(EmbeddingCache(str(broken), 1000, told.append)) as cache:
                found = cache.get(MODEL, [key(one) for one in range(1500)])
                cache.put(MODEL, batch(*range(2000, 2100)))
                assert known(cache, [2050]) == [2050]
                cache.count()
        except StoreError as error:
            assert "newer kb" in str(error) or isinstance(error, ForeignStore)  # noqa: PT017  (one of many files)
            continue
        assert all(np.isfinite(one).all() and one.shape == (4,) for one in found.values())
    assert len(told) > 15


def test_a_full_disk_is_reported_and_leaves_the_cache_unchanged(cache: EmbeddingCache) -> None:
    """The transaction is rolled back, and the cache works again once there is space."""
    cache.put(MODEL, batch(1))
    pages = cache._database.connection.execute("PRAGMA page_count").fetchone()[0]
    cache._database.connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreError, match="disk is full"):
        cache.put(MODEL, batch(*range(2, 5000)))

    assert known(cache, range(10)) == [1]
    cache._database.connection.execute("PRAGMA max_page_count = 100000")
    cache.put(MODEL, batch(2))
    assert known(cache, range(10)) == [1, 2]


def test_a_cache_that_cannot_be_opened_is_reported_with_a_remedy(tmp_path: Path) -> None:
    """A missing folder, a database of another program, a cache of a newer kb."""
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    EmbeddingCache(str(tmp_path / "newer.db"), 10, refuse_warning).close()
    with closing(sqlite3.connect(tmp_path / "newer.db")) as connection:
        connection.execute("PRAGMA user_version = 99")

    for name, message in {
        "absent/c.db": "cannot be used.*Check",
        "theirs.db": "another program.*Choose another",
        "newer.db": "newer kb.*Update",
    }.items():
        with pytest.raises(StoreError, match=message):
            EmbeddingCache(str(tmp_path / name), 10, refuse_warning)


def test_a_cache_that_another_process_writes_is_reported_as_busy(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not damaged, and setting it aside would lose its vectors."""
    EmbeddingCache(path, 10, refuse_warning).close()
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.01)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(EmbeddingCache(path, 10, refuse_warning)) as cache,
    ):
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreBusy, match="another process"):
            cache.put(MODEL, batch(1))

        other.execute("ROLLBACK")
        cache.put(MODEL, batch(1))


def test_the_file_is_private_to_the_user(cache: EmbeddingCache, tmp_path: Path) -> None:
    """Vectors reveal something about the notes."""
    cache.put(MODEL, batch(*range(100)))

    files = [file.stat() for file in tmp_path.iterdir()]

    assert {stat.S_IMODE(file.st_mode) for file in files} == {0o600}


def test_storing_a_known_vector_is_a_use(path: str) -> None:
    """A vector that is stored again is as recent as a new one, so others are evicted before it."""
    with closing(EmbeddingCache(path, 4, refuse_warning)) as cache:
        for first in (0, 2, 0, 4):
            cache.put(MODEL, batch(first, first + 1))

        assert known(cache, [0, 1, 4, 5]) == [0, 1, 4, 5]
        assert known(cache, [2, 3]) == []


def test_threads_share_a_cache(cache: EmbeddingCache) -> None:
    """With concurrent readers and writers, no vector is lost or mixed up."""
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(first, first + 30):
                cache.put(MODEL, batch(number, number + 1))
                assert known(cache, [number, number + 1]) == [number, number + 1]
        except BaseException as error:  # noqa: BLE001  (told by the main thread)
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 15, 100, 115)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert cache.count() == 46 + 46


def test_an_impossible_limit_is_refused(path: str) -> None:
    """A cache without entries would embed everything each time."""
    with pytest.raises(ValueError, match="at least one"):
        EmbeddingCache(path, 0, refuse_warning)


_CRASHING = """
import sys
import numpy as np
from hashlib import sha256
from kb.embedding.cache import EmbeddingCache

cache = EmbeddingCache(sys.argv[1], 500, print)
number = int(sys.argv[2])
while True:
    new = range(number, number + 20)
    cache.put(sys.argv[3], {sha256(str(n).encode()).digest(): np.full(4, n, np.float32) for n in new})
    number += 20
    print(number, flush=True)
"""


def test_stored_vectors_survive_a_kill(path: str) -> None:
    """After kill -9, every acknowledged vector that was not evicted is there and right."""
    randomness = random.Random(3)
    number = 0
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", _CRASHING, path, str(number), MODEL],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        with child:
            assert child.stdout is not None
            acked = [child.stdout.readline() for _ in range(randomness.randrange(1, 30))]
            child.send_signal(signal.SIGKILL)
            acked += child.stdout.readlines()
        before, number = number, int(acked[-1])
        # What an earlier round put was used again when it was looked at, so only this round's go by their age.
        expected = list(range(max(before, number - 480), number))
        with closing(EmbeddingCache(path, 500, refuse_warning)) as cache:
            assert known(cache, expected) == expected
            assert cache.count() <= 500
