"""What the views over all files need: a vector and the first words of each file, and the links around one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.records.centroid import leading_centroid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.container import Container
    from kb.records import KnownFile, LinkGraph, StoredPassage

MAP_FILE: Final = "map.json"
"""The file of the store in which the page keeps its map."""
# What is read at once, before questions may go first.
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class FileOverview:
    """A file at a glance.

    Attributes:
        vector: Its unit vector: that of its only passage, or the centroid of several.
        text: The headings and the text of its first passage.
    """

    vector: NDArray[np.float32]
    text: str


class Overview:
    """Looks at many files at once; questions go first."""

    def __init__(self, container: Container) -> None:
        self._container = container

    @property
    def store(self) -> str:
        """The folder of the store."""
        return self._container.store_path

    @property
    def model(self) -> str:
        """The fingerprint of the model, by which vectors can be compared."""
        return self._container.embedder.fingerprint

    @property
    def files(self) -> list[KnownFile]:
        """All files of the index, those among them that could not be indexed: filters of a question go by them."""
        return self._container.catalog.files()

    def links_around(self, file: KnownFile, steps: int, most: int) -> LinkGraph:
        """Return the files that are some links away from a file.

        Args:
            file: The file.
            steps: How many links away at most.
            most: The most files of each step.
        """
        return self._container.store.link_resolver.get().around(file, steps, most)

    def of_files(self, files: Sequence[KnownFile]) -> dict[int, FileOverview]:
        """Return vector and first words by file id, for files all of whose passages have vectors."""
        found: dict[int, FileOverview] = {}
        for start in range(0, len(files), _PAGE):
            self._container.query_priority.wait()
            found |= self._of_page(files[start : start + _PAGE])
        return found

    def _of_page(self, files: Sequence[KnownFile]) -> dict[int, FileOverview]:
        catalog, dimension = self._container.catalog, self._container.embedder.dimension
        ids = [file.id for file in files]
        live = {
            file_id: [id_ for id_, is_live in states.items() if is_live]
            for file_id, states in catalog.passage_ids(ids).items()
        }
        firsts = catalog.passages([own[0] for own in live.values() if own])
        first = {passage.file.id: passage for passage in firsts.values()}
        single = {passage.digest: file_id for file_id, passage in first.items() if len(live[file_id]) == 1}
        # Equal texts have equal vectors, in however many files.
        known = self._vectors([passage.digest for passage in first.values() if passage.digest in single])
        vectors = {
            file_id: known[passage.digest]
            for file_id, passage in first.items()
            if len(live[file_id]) == 1 and passage.digest in known
        }
        vectors |= catalog.centroids([file_id for file_id, own in live.items() if len(own) > 1])
        for file_id in catalog.files_without_centroid(ids):
            digests = [passage.digest for passage in catalog.passages_of(file_id)]
            own = self._vectors(digests)
            if digests and all(digest in own for digest in digests):
                vectors[file_id] = leading_centroid([own[digest] for digest in digests])
        return {
            file_id: FileOverview(vector, _words(first[file_id]))
            for file_id, vector in vectors.items()
            if len(vector) == dimension and file_id in first
        }

    def _vectors(self, digests: Sequence[bytes]) -> Mapping[bytes, NDArray[np.float32]]:
        return self._container.cache.peek(self.model, list(dict.fromkeys(digests)))


def _words(passage: StoredPassage) -> str:
    return "\n".join((passage.file.title, *passage.heading, passage.text))
