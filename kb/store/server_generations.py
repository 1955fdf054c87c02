"""The generations of a vector index on a Chroma server: collections with one name and a number.

A server may have collections of other stores and of other programs, and of another catalog after a restore. So each has
marks that say whose it is, and none of another store is used, or deleted unless it is taken over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from kb.errors import ForeignStore, StoreDamaged
from kb.store.lease import PLACE_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.store.lease import Collections
    from kb.store.pairing import PairCheck
    from kb.store.server import FoundCollection, ServerAddress

STORE_KEY: Final = "kb_store"
PAIR_KEY: Final = "kb_generation"
STATE_KEY: Final = "kb_state"
FILLING: Final = "filling"
IN_SERVICE: Final = "in service"
LEASE: Final = "lease-"

_NUMBER: Final = re.compile(r"\d{4,9}")


class GenerationCatalog(Protocol):
    """The part of the catalog that says which generation is its own."""

    def generation(self) -> str | None:
        """The generation recorded in the catalog; None if there is none."""

    def store_id(self) -> str:
        """An id of the catalog, which copies and backups of it share."""


class ServerGenerations:
    """The generations of one store on a server. Only the holder of the lease may change anything.

    Args:
        server: The collections of the server.
        address: The server, for the name of the collections and for messages.
        record: Says which generation is the catalog's own.
        pairing: Compares the id of a generation with the catalog's.
        place: The id of the store's folder.
        takes_over: Whether collections of another store may be replaced.
    """

    def __init__(
        self,
        server: Collections,
        address: ServerAddress,
        record: GenerationCatalog,
        pairing: PairCheck,
        *,
        place: str,
        takes_over: bool = False,
    ) -> None:
        self._server = server
        self._url = address.url
        self._prefix = f"{address.collection}-"
        self._record = record
        self._pairing = pairing
        self._place = place
        self._takes_over = takes_over

    def found(self) -> list[FoundCollection]:
        """All collections of this name: generations, of whatever store, and leases."""
        return self._server.found(self._prefix)

    def in_service(self, found: Sequence[FoundCollection]) -> FoundCollection:
        """The collection that the catalog names.

        Raises:
            ForeignStore: It is another store's.
            StoreDamaged: There is none, or it is of another catalog.
        """
        self.refuse_foreign(found)
        name = self._record.generation()
        one = next((one for one in found if one.name == name and self._number_of(one.name)), None)
        if one is None:
            raise StoreDamaged(f"the vector index is not at {self._url} yet", "Run kb index")
        if self._pairing.is_paired(str(one.marks.get(PAIR_KEY, ""))) is not True:
            raise StoreDamaged(f"the vector index at {self._url} belongs to another catalog", "Run kb index")
        return one

    def refuse_foreign(self, found: Sequence[FoundCollection]) -> None:
        """Check that no other store has its vectors in collections of these names.

        Raises:
            ForeignStore: One has.
        """
        own = self._record.store_id()
        for one in found:
            if not self._number_of(one.name) or self._takes_over:
                continue
            if one.marks.get(STORE_KEY) != own and one.marks.get(PLACE_KEY) != self._place:
                whose = "another store of kb's" if STORE_KEY in one.marks else "another program's"
                raise ForeignStore(
                    f"the collection {one.name} at {self._url} is {whose}",
                    "Set store.collection to another name; if that store is given up, kb index --take-over replaces it",
                )

    def next_name(self, found: Sequence[FoundCollection]) -> str:
        """A name for the next generation, with a higher number than all others."""
        numbers = [self._number_of(one.name) for one in found]
        numbers.append(self._number_of(self._record.generation() or ""))
        return f"{self._prefix}{max(numbers) + 1:04d}"

    def marks(self, id_: str) -> dict[str, str | int]:
        """The marks of a new generation, which is to be filled.

        Args:
            id_: Its id, which the catalog is paired with once it is filled.
        """
        return {STORE_KEY: self._record.store_id(), PLACE_KEY: self._place, PAIR_KEY: id_, STATE_KEY: FILLING}

    def put_in_service(self, name: str) -> None:
        """Mark a generation as filled, and delete all others."""
        found = self.found()
        made = next((one for one in found if one.name == name), None)
        if made is not None:
            self._server.mark(made, {**made.marks, STATE_KEY: IN_SERVICE})
        self.delete_others(found, name)

    def delete_others(self, found: Sequence[FoundCollection], name: str) -> None:
        """Delete the generations that are not in service, such as one that was not filled to the end."""
        for one in found:
            if one.name != name and self._number_of(one.name):
                self._server.delete(one.name)

    def delete(self, name: str) -> None:
        """Delete a generation that is not in service; it need not exist."""
        self._server.delete(name)

    def _number_of(self, name: str) -> int:
        """The number of a generation; 0 for any other name."""
        digits = name.removeprefix(self._prefix)
        return int(digits) if digits != name and _NUMBER.fullmatch(digits) else 0
