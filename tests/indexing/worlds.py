"""A complete knowledge base in memory, with fakes around the real indexer, splitter and catalog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from memory_catalog import memory_catalog

from kb.chunking.split import Chunker
from kb.formats.reader import DocumentReader
from kb.indexing.check import Checker
from kb.indexing.sync import Indexer
from kb.testing import FakeEmbedder, FakeTokens, MemoryFiles, MemoryVectorCache, MemoryVectorIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kb.records import IndexReport

FOLDER = "/notes"
_STEPS = ("begin", "finish", "embedded", "refresh", "remove", "mark_pending", "completed", "set_meta")


class World:
    """Everything an index run needs; ``before`` and ``after`` are called with each step that changes a store."""

    def __init__(self, files: MemoryFiles | None = None) -> None:
        self.files = files or MemoryFiles()
        self.embedder = FakeEmbedder(dimension=32)
        self.cache = MemoryVectorCache()
        self.catalog = memory_catalog()
        self.vectors = MemoryVectorIndex()
        self.opened = 0
        self.reader = DocumentReader(Chunker(FakeTokens(), 32))
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        self.indexer = self._indexer("reading 1")

    def _indexer(self, reading: str, **formats: str) -> Indexer:
        return Indexer(
            files=self.files,
            reader=self.reader,
            embedder=_Watched(self.embedder, self, ("embed_documents",)),
            cache=_Watched(self.cache, self, ("put",)),
            catalog=_Watched(self.catalog, self, _STEPS),
            index=self.index,
            reading=Rules(reading, **formats),
        )

    def index(self) -> MemoryVectorIndex:
        """Open the vector index."""
        self.opened += 1
        return _Watched(self.vectors, self, ("upsert", "relabel", "delete"))  # type: ignore[return-value]  # stands for it

    def write(self, path: str, text: str) -> None:
        """Write a file into the folder."""
        self.files.write(FOLDER, path, text.encode())

    def run(self, *, embed: bool = True, **options: Any) -> IndexReport:
        """Index, with the options of the indexer; with ``embed=False`` only the words."""
        report, embedding = self.indexer.run(**options)
        if not embed or report.interrupted or not report.unembedded:
            return report
        embedding.turn(options.get("should_stop", lambda: False))
        return embedding.report(report)

    def read_anew(self) -> None:
        """Behave as a kb whose splitter is another one."""
        self.indexer = self._indexer("reading 2")

    def checker(self) -> Checker:
        """The check over all of it."""
        return Checker(
            files=self.files,
            reader=self.reader,
            embedder=self.embedder,
            cache=self.cache,
            catalog=self.catalog,
            index=self.index,
            indexer=self.indexer,
        )

    def held(self) -> list[tuple[str, int, int, str, tuple[str, ...], str]]:
        """The content of the store, passage by passage, without ids, which depend on history."""
        return sorted(
            (one.file.path, one.first_line, one.last_line, one.text, one.heading, str(self._labels(one.id)["path"]))
            for one in self.catalog.all_passages()
        )

    def _labels(self, id_: str) -> Mapping[str, str | int]:
        return self.vectors.records[id_].labels

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()


class Rules:
    """A version of the rules of reading that is the same for every format, but for those told otherwise."""

    def __init__(self, version: str, **formats: str) -> None:
        self.version = f"{version} {formats}"
        self._formats = {"": version, **formats}

    def formats(self) -> str:
        """The versions to store."""
        return json.dumps(self._formats)

    def changed(self, before: str | None) -> Callable[[str], bool]:
        """Whether the version of a file's suffix, or of everything, differs."""
        old, new = json.loads(before or "{}"), self._formats

        def of(path: str, versions: dict[str, str]) -> str | None:
            return versions.get(path.rpartition(".")[2], versions.get(""))

        return lambda path: of(path, old) != of(path, new)

    def common(self, before: str | None) -> str:
        """The versions that are equal."""
        old = json.loads(before or "{}")
        return json.dumps({key: one if old.get(key) == one else "" for key, one in self._formats.items()})


class _Watched:
    """Forwards all calls, and reports those that change something to the world."""

    def __init__(self, part: object, world: World, steps: tuple[str, ...]) -> None:
        self._part = part
        self._world = world
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._part, name)
        if name not in self._steps:
            return call

        def step(*arguments: Any, **named: Any) -> Any:
            self._world.before(name)
            result = call(*arguments, **named)
            self._world.after(name)
            return result

        return step


def fresh(files: MemoryFiles) -> World:
    """A new index over the same files."""
    world = World(files)
    world.run()
    return world
