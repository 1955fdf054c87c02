"""The Protocols that indexing and search need from disk, model and store.

``kb.container`` passes the real classes; ``kb.testing`` has fakes that pass the same contract tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from kb.records import (
        Candidates,
        Document,
        Failure,
        FileChange,
        FileStat,
        FoundFile,
        Holding,
        KeywordMatches,
        KnownFile,
        Link,
        Name,
        Passage,
        Scan,
        Source,
        StoredPassage,
        VectorRecord,
    )


class Files(Protocol):
    """The watched folders on disk."""

    def scan(self) -> Scan:
        """List all files to index, in order of (folder, path)."""

    def stat(self, folder: str, path: str) -> FileStat | None:
        """Return the current stat of a file; None where there is no regular file."""

    def load(self, file: FoundFile) -> Source:
        """Read a whole file.

        Raises:
            DocumentError: It cannot be read, or changed while being read.
        """


class Reader(Protocol):
    """Turns the bytes of a file into a document and its passages."""

    def read(self, source: Source) -> tuple[Document, tuple[Passage, ...]]:
        """Return the document and its passages, in the order of the text.

        Raises:
            DocumentError: The file has no text that kb can read.
        """


class ReadingRules(Protocol):
    """The version of the rules for reading files; files read with another version are read again."""

    @property
    def version(self) -> str:
        """The version of all rules; if it is the same, nothing has changed for any format."""

    def formats(self) -> str:
        """Return the versions of all formats, as a string to store."""

    def changed(self, before: str | None) -> Callable[[str], bool]:
        """Return a function that decides by path which files have to be read again.

        Args:
            before: The value of ``formats`` when they were read; None where unknown.
        """

    def common(self, before: str | None) -> str:
        """Return the part of ``before`` that is still valid."""


class Edit(Protocol):
    """Changes a document before it is split, such as an evaluation that removes headings."""

    def __call__(self, file: FoundFile, document: Document, /) -> Document:
        """Return the document to split instead; line numbers stay."""


class TokenCounter(Protocol):
    """Measures texts in the tokens of the embedding model, without its weights."""

    @property
    def limit(self) -> int:
        """The most tokens the model reads, special tokens included; longer texts would be truncated silently."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the length of each text in tokens, special tokens included, without truncation."""


class Embedder(Protocol):
    """A model that embeds texts as unit vectors. Its weights are loaded when first needed."""

    @property
    def fingerprint(self) -> str:
        """Everything that affects vectors, as one line; known without loading the weights."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def embed_documents(
        self, texts: Sequence[str], tokens: Sequence[int], on_batch: Callable[[Sequence[int]], None] | None = None
    ) -> NDArray[np.float32]:
        """Return unit vectors of documents, shape (len(texts), dimension), in the order given.

        Args:
            texts: The texts.
            tokens: Their lengths in tokens of the model, by which batches are formed.
            on_batch: Called after each batch with the positions of its texts.
        """

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question, shape (dimension,); of a too long one, the mean of its parts."""

    def question_parts(self, text: str) -> int:
        """Return in how many parts a question is embedded: 1, unless it exceeds the limit. Loads no weights."""

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Return unit vectors of a few short texts in one batch, before waiting documents; None if not loaded."""


class Reranker(Protocol):
    """A model that scores how well a passage answers a question, reading both together."""

    @property
    def name(self) -> str:
        """Its name in answers."""

    def load(self) -> None:
        """Load its weights, unless they are loaded."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return a score for each text; higher is better, comparable within one question."""


class VectorCache(Protocol):
    """Vectors by (model fingerprint, digest of the embedded text), kept across files, stores and rebuilds."""

    def get(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the known vectors by digest, and mark them as used."""

    def peek(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the known vectors by digest, without marking them as used."""

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Store vectors durably; known digests are left unchanged."""


class Nearest(Protocol):
    """The vectors of the passages, as needed for a query."""

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """Return the ``count`` records nearest to a vector by cosine, best first, of the given files only."""

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the stored vectors of the ids that exist."""


class VectorIndex(Nearest, Protocol):
    """The vector index over the passages, which can always be rebuilt."""

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; existing ones are replaced."""

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        """Replace the labels of records, and nothing else."""

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records; unknown ids are ignored."""

    def ids(self) -> Iterator[str]:
        """Yield all ids, read in pages."""

    def count(self) -> int:
        """How many records there are."""


class Catalog(Protocol):
    """The catalog of what is indexed: files, passages with their text, failures."""

    def meta(self, key: str) -> str | None:
        """Return a stored value; None where there is none."""

    def set_meta(self, key: str, value: str) -> None:
        """Store a value durably."""

    def files(self) -> list[KnownFile]:
        """Return all files in order of (folder, path), including failed and pending ones."""

    def begin(self, changes: Sequence[FileChange]) -> None:
        """Record changes of files in one transaction, before the vectors change.

        Each file becomes ``pending`` with its new stat, path, hash and description. Passages that it keeps get their
        new lines and order at once; those it no longer has become *leaving*, new ones *coming*. Leaving and coming
        passages are never part of an answer. It may be repeated with other passages.
        """

    def finish(self, file_ids: Sequence[int], centroids: Mapping[int, NDArray[np.float32]] | None = None) -> None:
        """Complete changes whose vectors are written: leaving passages are removed, coming ones become live.

        A file becomes ``done``, or ``failed`` where its change had a reason. ``centroids`` are the
        centroids of those files.
        """

    def centroids(self, file_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return the centroids of these files, where known."""

    def save_centroids(self, centroids: Mapping[int, NDArray[np.float32]]) -> None:
        """Store the centroids of files; a file that changes afterwards loses its own."""

    def without_centroid(self, file_ids: Sequence[int] | None = None) -> list[int]:
        """Return those of these files, or of all, that have several live passages and no stored centroid."""

    def refresh(self, files: Iterable[tuple[int, FoundFile, int]]) -> None:
        """Store new stats, as (file id, file with its stat, read_ns), where only those changed."""

    def remove(self, file_ids: Sequence[int]) -> None:
        """Remove files and their passages; to be called after their vectors are deleted."""

    def unsettle(self, file_ids: Sequence[int] | None = None) -> None:
        """Mark the vectors of these files, or of all, as missing: passages become *coming*, files pending.

        Failed files stay failed, since they have no vectors.
        """

    def new_id(self) -> int:
        """Return a file id that was never used before."""

    def passage_ids(self, file_ids: Sequence[int]) -> dict[int, dict[str, bool]]:
        """Return the ids of each file's passages in all states; True where live, so that its vector exists."""

    def passages(self, ids: Sequence[str]) -> dict[str, StoredPassage]:
        """Return the live passages among the ids, with their files."""

    def passages_of(self, file_id: int) -> list[StoredPassage]:
        """Return the live passages of one file, in order."""

    def all_passages(self) -> Iterator[StoredPassage]:
        """Yield all live passages, by file and order, without loading all at once."""

    def live(self) -> list[tuple[str, int, bytes]]:
        """Return all live passages as (id, file id, digest), by file id and order."""

    def links_from(self, file_id: int | None = None) -> list[tuple[int, Link]]:
        """Return the links of one file, or of all, in order, each with the id of its file."""

    def links_to(self, keys: Sequence[str]) -> list[tuple[int, Link]]:
        """Return the links with one of these keys (``Link.key``), each with the id of its file."""

    def names_of(self, file_id: int) -> list[Name]:
        """Return the names by which links can refer to a file and its parts: aliases, blocks, headings."""

    def named(self, keys: Sequence[str]) -> list[tuple[int, Name]]:
        """Return the aliases and blocks with one of these keys, each with the id of its file."""

    def keyword_matches(
        self,
        question: str,
        count: int,
        files: Sequence[int] | None = None,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        also: Sequence[str] = (),
        file_weight: float = 0.0,
    ) -> KeywordMatches:
        """Return the ``count`` best live passages for a question by BM25, and the scores of those in ``also``.

        Passages of other ``files``, those that are not in ``only`` and those in ``without`` are left out before the
        best are taken; more than ``count`` come back where the last ones are equal, though not
        more than four times as many. ``file_weight`` is the share of the whole file in the score by which the best are
        taken, 0..1; that of the passage has the rest.
        """

    def holding(
        self,
        question: str,
        share: float,
        files: Sequence[int] | None = None,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> Holding:
        """Return the best live passages with this share of a question's words by weight, and its rarest word."""

    def containing(self, phrase: str) -> set[str]:
        """Return the ids of passages with a phrase in text or headings, as whole words, ignoring case."""

    def sample(self, count: int) -> list[str]:
        """Return about ``count`` passage ids from all over the index, the same ones each time; for statistics only."""

    def count(self) -> int:
        """Return the number of live passages."""

    def completed(self, when: datetime) -> None:
        """Record when a complete run ended."""

    def as_of(self) -> datetime | None:
        """Return when the last complete run ended; None where there was none."""

    def problems(self) -> list[Failure]:
        """Return the files that could not be indexed, with reasons."""
