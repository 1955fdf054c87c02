"""A copy of a vector index, for a store that cannot be written: ChromaDB writes wherever it is opened."""

from __future__ import annotations

import os
import shutil
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kb.errors import StoreDamaged

if TYPE_CHECKING:
    from kb.store.pairing import Pairing
    from kb.store.vectors import ClosableIndex, OpenIndex

_REMEDY = "Make the store writable and run kb rebuild"


class CopiedIndex:
    """The index of a generation, opened in a temporary folder, which goes with it.

    Args:
        generation: The directory of the generation.
        open_index: Opens the index in a directory.
        pairing: Tells an index that is not that of the catalog.

    Raises:
        StoreDamaged: It cannot be read, or is not that of the catalog.
    """

    def __init__(self, generation: str, open_index: OpenIndex, pairing: Pairing) -> None:
        self._folder = TemporaryDirectory(prefix="kb-")
        copy = os.path.join(self._folder.name, "index")  # noqa: PTH118  # plain strings throughout the stores
        try:
            shutil.copytree(generation, copy)
        except (OSError, shutil.Error) as error:
            raise StoreDamaged(f"the vector index {generation} cannot be read: {error}", _REMEDY) from error
        self.index: ClosableIndex = open_index(copy, create=False)
        difference = "another catalog's" if pairing.tied(copy) is False else None
        difference = difference or pairing.difference(self.index, thoroughly=True)
        if difference is not None:
            self.close()
            raise StoreDamaged(f"the vector index {generation} is not that of the catalog ({difference})", _REMEDY)

    def close(self) -> None:
        """Close the index and remove the copy."""
        self.index.close()
        self._folder.cleanup()
