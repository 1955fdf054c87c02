"""One process at a time holds a lease on the collections of a real Chroma server."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from kb.errors import StoreBusy, StoreError
from kb.store.lease import Lease
from kb.store.server import ChromaServer, FoundCollection, NameTaken, ServerAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chroma_server import RunningChroma

# What runs out is waited for. Others last so long that no busy machine keeps them from being renewed.
SECONDS = 1.2
RENEWED = 4.0
LONG = 120.0


@pytest.fixture
def lease(chroma: RunningChroma) -> Iterator[Callable[..., Lease]]:
    """Makes leases on the same collections, each of another machine."""
    prefix, made, servers = f"lease-{uuid.uuid4().hex}-", [], []

    def make(place: str = "", seconds: float = SECONDS) -> Lease:
        servers.append(ChromaServer(ServerAddress(chroma.url, "default_tenant", "default_database", "", 60.0)))
        made.append(Lease(servers[-1], prefix, place or uuid.uuid4().hex, seconds=seconds))
        return made[-1]

    yield make
    for one in made:
        one.release()
    for server in servers:
        server.close()


def dies(lease: Lease) -> None:
    """Let the process of a lease end without giving it back."""
    lease._ended.set()
    lease._own, lease._until = None, 0.0


def test_second_holder_is_refused_while_the_first_renews(lease: Callable[..., Lease]) -> None:
    """It sees the lease change, and names the host."""
    first, second = lease(seconds=RENEWED), lease(seconds=RENEWED)
    first.acquire()

    with pytest.raises(StoreBusy, match="writes to the collections"):
        second.acquire()

    first.require()
    assert second.holder()
    assert first.holder() == ""


def test_a_lease_that_was_given_back_is_free_at_once(lease: Callable[..., Lease]) -> None:
    """As after a command."""
    first, second = lease(seconds=LONG), lease(seconds=LONG)
    first.acquire()
    first.release()
    began = time.monotonic()

    second.acquire()

    assert time.monotonic() - began < LONG / 2
    with pytest.raises(StoreBusy, match="lost"):
        first.require()


def test_a_lease_that_is_not_renewed_runs_out(lease: Callable[..., Lease]) -> None:
    """After it was seen unchanged for its length; whoever had it may not write any more."""
    first, second = lease(), lease()
    first.acquire()
    first._ended.set()
    began = time.monotonic()

    second.acquire()

    assert time.monotonic() - began >= SECONDS
    with pytest.raises(StoreBusy, match="lost to kb on"):
        first.require()
    second.require()


def test_a_lost_lease_ends_at_once(lease: Callable[..., Lease], chroma: RunningChroma) -> None:
    """Also where it was renewed a moment before."""
    first = lease()
    first.acquire()
    own = first._own
    assert own is not None
    with chroma.client() as client:
        client.delete_collection(own.name)

    with pytest.raises(StoreBusy, match="lost"):
        first._renew()
    with pytest.raises(StoreBusy, match="lost"):
        first.require()


def test_a_dead_process_of_the_same_store_is_followed_at_once(lease: Callable[..., Lease]) -> None:
    """The lock on the store's folder says that it is dead."""
    first, second = lease("here", LONG), lease("here", LONG)
    first.acquire()
    dies(first)
    began = time.monotonic()

    second.acquire()

    assert time.monotonic() - began < LONG / 2


def test_leases_of_dead_processes_are_deleted(lease: Callable[..., Lease]) -> None:
    """Otherwise the server would have a collection more for each of them."""
    leases = [lease("here", LONG) for _ in range(3)]
    for one in leases:
        one.acquire()
        if one is not leases[-1]:
            dies(one)

    assert leases[-1]._server.found(leases[-1]._prefix) == [leases[-1]._own]


def test_one_of_many_takes_a_lease(lease: Callable[..., Lease]) -> None:
    """When it is free, and when one has run out."""
    for _ in range(2):
        leases = [lease(seconds=RENEWED) for _ in range(5)]
        got: list[Lease] = []
        barrier = threading.Barrier(len(leases))

        def take(one: Lease, got: list[Lease], barrier: threading.Barrier) -> None:
            barrier.wait()
            try:
                one.acquire()
                one.require()
            except StoreError:
                return
            got.append(one)

        threads = [threading.Thread(target=take, args=(one, got, barrier)) for one in leases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(got) == 1
        dies(got[0])


def test_waiting_outlasts_a_holder_that_gives_it_back(lease: Callable[..., Lease]) -> None:
    """As a command waits for another one."""
    first, second = lease(), lease()
    first.acquire()
    threading.Timer(SECONDS, first.release).start()

    second.acquire(wait_seconds=100 * SECONDS)

    second.require()


class SlowToList:
    """A server that refuses a name before it lists the collection that has it.

    Args:
        refusals: How often it refuses.
    """

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.made: list[FoundCollection] = []

    def found(self, _prefix: str) -> list[FoundCollection]:
        """What was made."""
        return list(self.made)

    def make_empty(self, name: str, marks: Mapping[str, str | int]) -> None:
        """Make one.

        Raises:
            NameTaken: As often as it refuses.
        """
        self.refusals -= 1
        if self.refusals >= 0:
            raise NameTaken("taken", "Try again")
        self.made.append(FoundCollection(name, name, marks))

    def mark(self, _one: FoundCollection, _marks: Mapping[str, str | int]) -> bool:
        """It is there."""
        return True

    def delete(self, _name: str) -> None:
        """Nothing is kept."""
        self.made.clear()


def test_a_name_that_is_refused_is_tried_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is not asked without end for what it has just refused."""
    pauses: list[float] = []
    monkeypatch.setattr("kb.store.lease.time.sleep", pauses.append)
    lease = Lease(SlowToList(3), "lease-", "here", seconds=20.0)

    lease.acquire()
    lease.release()

    assert pauses == [1.0, 1.0, 1.0]


def test_a_lease_that_was_made_beside_a_higher_one_does_not_hold() -> None:
    """Another process made it at the same time, having seen more of them."""

    class Overtaken(SlowToList):
        def make_empty(self, name: str, marks: Mapping[str, str | int]) -> None:
            super().make_empty(name, marks)
            self.made.append(FoundCollection("lease-000009", "lease-000009", {}))

        def delete(self, name: str) -> None:
            self.made = [one for one in self.made if one.name != name]

    server = Overtaken(0)
    lease = Lease(server, "lease-", "here", seconds=20.0)

    assert not lease._made(None)
    assert not lease.held
    assert [one.name for one in server.made] == ["lease-000009"]
