"""In-memory fakes of files, model and store, which pass the same contract tests as the real classes."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from kb.errors import DocumentError
from kb.records import Candidates, FileStat, FoundFile, Scan, ScanBasis, Source, VectorRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.records import Subtree

_WORD = re.compile(r"\w+")


class FakeTokens:
    """Counts each word as a token, plus two special tokens.

    Args:
        limit: The token limit of the model.
    """

    def __init__(self, limit: int = 512) -> None:
        self.limit = limit

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each text in tokens, including special tokens, without truncation."""
        return [len(text.split()) + 2 for text in texts]


class FakeEmbedder:
    """Embeds a text as a bag of words, reproducibly: texts with common words are close to each other.

    Args:
        dimension: The length of a vector; a small one causes collisions of words.
        name: The name of the fake model; part of the fingerprint and of every vector.

    Attributes:
        texts: All embedded documents, in order.
        questions: All embedded questions, in order.
        sentences: All embedded sentences, in order.
        calls: The number of calls of ``embed_documents``.
    """

    def __init__(self, dimension: int = 256, name: str = "bag-of-words") -> None:
        self.dimension = dimension
        self.fingerprint = f"fake {name} dimension={dimension}"
        self.texts: list[str] = []
        self.questions: list[str] = []
        self.sentences: list[str] = []
        self.calls = 0
        self._name = name

    def embed_documents(self, texts: Sequence[str], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Unit vectors of documents, shape (len(texts), dimension), in the order given."""
        if len(texts) != len(tokens):
            raise ValueError(f"{len(texts)} texts, and lengths of {len(tokens)}")
        self.calls += 1
        self.texts += texts
        return self._vectors(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question, shape (dimension,)."""
        self.questions.append(text)
        return self._vector(text)

    def question_parts(self, text: str) -> int:  # noqa: ARG002 - the signature is the port's
        """Always 1."""
        return 1

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of a few short texts, recorded in ``sentences``."""
        self.sentences += texts
        return self._vectors(texts)

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self._vector(text) for text in texts], np.float32).reshape(len(texts), self.dimension)

    def _vector(self, text: str) -> NDArray[np.float32]:
        words = _WORD.findall(text.lower())
        numbers = np.zeros(self.dimension)
        # A text without a word is a word of its own, so that it has a direction at all.
        for word in words or [text]:
            numbers[self._place(word)] += 1.0
        return (numbers / np.linalg.norm(numbers)).astype(np.float32)

    def _place(self, word: str) -> int:
        digest = sha256(f"{self._name} {word}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.dimension


class MemoryVectorCache:
    """An embedding cache in memory, without eviction."""

    def __init__(self) -> None:
        self._vectors: dict[tuple[str, bytes], NDArray[np.float32]] = {}

    def get(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors known, by digest."""
        known = {digest: self._vectors.get((fingerprint, digest)) for digest in digests}
        return {digest: vector for digest, vector in known.items() if vector is not None}

    def peek(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The same as ``get``."""
        return self.get(fingerprint, digests)

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Store vectors; known digests keep their vector."""
        for digest, vector in vectors.items():
            if not np.isfinite(vector).all():
                raise ValueError("vectors to be kept must be rows of finite numbers")
            self._vectors.setdefault((fingerprint, digest), np.array(vector, np.float32))


class MemoryVectorIndex:
    """A vector index with exact search; ``records`` contains them by id."""

    def __init__(self) -> None:
        self.records: dict[str, VectorRecord] = {}

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; idempotent."""
        for record in records:
            vector = np.array(record.vector, np.float32)
            self.records[record.id] = VectorRecord(record.id, vector, record.text, dict(record.labels))

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        """Replace only the labels of records; unknown ids are ignored."""
        for id_, new in zip(ids, labels, strict=True):
            old = self.records.get(id_)
            if old is not None:
                self.records[id_] = VectorRecord(id_, old.vector, old.text, dict(new))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete records; unknown ids are ignored."""
        for id_ in ids:
            self.records.pop(id_, None)

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """The ``count`` records nearest to a vector by cosine, best first; optionally only of some files.

        A record's file is its label ``file``. Records equally near come in the order of their ids.
        """
        wanted = None if files is None else frozenset(files)
        asked = [record for record in self.records.values() if wanted is None or record.labels.get("file") in wanted]
        near = sorted(asked, key=lambda record: (-_cosine(record.vector, vector), record.id))[:count]
        vectors = np.array([record.vector for record in near], np.float32).reshape(len(near), len(vector))
        return Candidates(tuple(record.id for record in near), vectors)

    def ids(self) -> Iterator[str]:
        """Every id."""
        return iter(tuple(self.records))

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The stored vectors of the known ids."""
        return {id_: self.records[id_].vector for id_ in ids if id_ in self.records}

    def count(self) -> int:
        """The number of records."""
        return len(self.records)


class MemoryFiles:
    """Folders of files in memory; writing a file changes its stat.

    Args:
        contents: The initial files, (folder, path) to bytes.
    """

    def __init__(self, contents: Mapping[tuple[str, str], bytes] | None = None) -> None:
        self._files: dict[tuple[str, str], tuple[FileStat, bytes]] = {}
        self._folders: set[str] = set()
        self._clock = 1_000_000_000
        self._inodes = 0
        for (folder, path), data in (contents or {}).items():
            self.write(folder, path, data)

    def write(self, folder: str, path: str, data: bytes) -> None:
        """Create a file, or replace its content."""
        self._folders.add(folder)
        old = self._files.get((folder, path))
        self._inodes += 1
        inode = old[0].inode if old else self._inodes
        now = self._tick()
        self._files[folder, path] = (FileStat(len(data), now, now, inode, 1), data)

    def move(self, folder: str, path: str, new_path: str) -> None:
        """Rename a file inside its folder, replacing an existing one."""
        stat, data = self._files.pop((folder, path))
        moved = FileStat(stat.size, stat.mtime_ns, self._tick(), stat.inode, stat.device)
        self._files[folder, new_path] = (moved, data)

    def remove(self, folder: str, path: str) -> None:
        """Delete a file."""
        del self._files[folder, path]

    def scan(self) -> Scan:
        """List every file, in order of (folder, path)."""
        files = tuple(FoundFile(*key, stat) for key, (stat, _) in sorted(self._files.items()))
        there = {file.folder for file in files}
        folders = tuple(sorted(self._folders))
        basis = ScanBasis(tuple((folder, (1, 1)) for folder in folders), (), frozenset())
        return Scan(files, folders=folders, empty=tuple(sorted(self._folders - there)), basis=basis)

    def scan_places(self, places: Collection[Subtree], basis: ScanBasis) -> Scan:
        """All files at and below some places."""
        whole = self.scan()
        below = tuple(file for file in whole.files if any(_lies_at(file, place) for place in places))
        return Scan(below, folders=whole.folders, basis=basis, places=frozenset(places))

    def stat(self, folder: str, path: str) -> FileStat | None:
        """The current stat of a file; None if it does not exist."""
        known = self._files.get((folder, path))
        return known[0] if known else None

    def belongs(self, folder: str, path: str) -> bool:
        """Whether the file is there, since there are no rules."""
        return (folder, path) in self._files

    def load(self, file: FoundFile) -> Source:
        """Read one file whole, with the stat it has now.

        Raises:
            DocumentError: It is not there.
        """
        known = self._files.get(file.key)
        if known is None:
            raise DocumentError("is no longer there", "It is taken out of the index at the next run")
        stat, data = known
        return Source(FoundFile(file.folder, file.path, stat), data, sha256(data).digest(), self._tick())

    def _tick(self) -> int:
        # Ten seconds, so that no writing counts as too near to a reading to be told apart by its time.
        self._clock += 10_000_000_000
        return self._clock


def _lies_at(file: FoundFile, place: Subtree) -> bool:
    folder, path = place
    return file.folder == folder and (path in {"", file.path} or file.path.startswith(f"{path}/"))


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norms if norms else 0.0
