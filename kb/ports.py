"""What the use cases need from disk, model and store: the only abstractions of kb.

``index`` and ``search`` are written against these Protocols; ``app`` passes the real classes, and ``kb.testing`` holds
fakes that pass the same contract tests.
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
    """The watched folders as they stand on the disk."""

    def scan(self) -> Scan:
        """List every file that belongs, in order of (folder, path)."""

    def stat(self, folder: str, path: str) -> FileStat | None:
        """The stat of one file now, or None where no regular file is there."""

    def load(self, file: FoundFile) -> Source:
        """Read one file whole.

        Raises:
            DocumentError: It cannot be read, or changed while it was read.
        """


class Reader(Protocol):
    """Turns the bytes of a file into a document and its passages."""

    def read(self, source: Source) -> tuple[Document, tuple[Passage, ...]]:
        """The document and its passages, in the order of the text.

        Raises:
            DocumentError: The file holds nothing kb can read as text.
        """


class ReadingRules(Protocol):
    """The version of the rules by which files are read, so that files are read again where it is another one."""

    @property
    def version(self) -> str:
        """The version as a whole; where it is the same nothing has changed for any format."""

    def formats(self) -> str:
        """The version of each format, to be kept."""

    def changed(self, before: str | None) -> Callable[[str], bool]:
        """Which files have to be read again, as a function of their path.

        Args:
            before: What ``formats`` gave when they were read; None where that is not known.
        """

    def common(self, before: str | None) -> str:
        """What of ``before`` still holds."""


class Edit(Protocol):
    """Changes a document before it is split, as an evaluation does that takes headings away."""

    def __call__(self, file: FoundFile, document: Document, /) -> Document:
        """The document to split in place of this one; its lines stay where they are."""


class TokenCounter(Protocol):
    """Measures texts in the tokens of the embedding model, without its weights."""

    @property
    def limit(self) -> int:
        """The most tokens the model reads, special tokens included; what is longer would be cut off in silence."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each text in tokens, special tokens included, never cut."""


class Embedder(Protocol):
    """A model that turns texts into unit vectors. Its weights are loaded when first needed."""

    @property
    def fingerprint(self) -> str:
        """Whatever changes a vector, as one line; known without loading the weights."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def embed_documents(
        self, texts: Sequence[str], tokens: Sequence[int], on_batch: Callable[[Sequence[int]], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors of documents, shape (len(texts), dimension), in the order given.

        ``tokens`` are the lengths of the texts in the model's own tokens, by which batches are formed. ``on_batch``
        is called after each batch with the positions of its texts.
        """

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question, shape (dimension,); of one longer than the model reads, that of its parts."""

    def question_parts(self, text: str) -> int:
        """In how many parts a question is read: 1, unless it is longer than the model reads. Loads no weights."""

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of a few short texts of documents, in one batch, ahead of documents; None: it is not loaded."""


class Reranker(Protocol):
    """A model that reads question and passage together and says how well one answers the other."""

    @property
    def name(self) -> str:
        """What it is called in answers."""

    def load(self) -> None:
        """Load its weights, unless that was done."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question; higher is better, comparable within one question."""


class VectorCache(Protocol):
    """Vectors by (model fingerprint, digest of the embedded text), kept across files, stores and rebuilds."""

    def get(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors known, by digest. Marks them as used."""

    def peek(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors known, by digest, of which none counts as used."""

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep vectors durably; a digest that is known already is left as it is."""


class Nearest(Protocol):
    """The vectors of the passages, as a question needs them."""

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """The ``count`` records nearest to a vector by cosine, best first, of the given files only."""

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The stored vectors of the ids that are there."""


class VectorIndex(Nearest, Protocol):
    """The vectors of the passages, searchable: an index that can always be made again."""

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; writing one again changes nothing."""

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        """Replace the labels of records, and nothing else."""

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records; ids that are not there are no error."""

    def ids(self) -> Iterator[str]:
        """Every id, in pages behind the scenes."""

    def count(self) -> int:
        """How many records there are."""


class Catalog(Protocol):
    """The record of what is indexed: files, passages with their full text, failures."""

    def meta(self, key: str) -> str | None:
        """A remembered value."""

    def set_meta(self, key: str, value: str) -> None:
        """Remember a value durably."""

    def files(self) -> list[KnownFile]:
        """All known files in order of (folder, path), failed and pending ones included."""

    def begin(self, changes: Sequence[FileChange]) -> None:
        """Write down, in one transaction, what is about to happen to files before the vectors change.

        Each file becomes ``pending`` with its new stat, path, hash and description. Passages it had and keeps take
        their new lines and order at once; those it no longer has become *leaving*, those it did not have *coming*.
        Leaving and coming passages are never part of an answer. Doing it again with other passages is allowed.
        """

    def finish(self, file_ids: Sequence[int], middles: Mapping[int, NDArray[np.float32]] | None = None) -> None:
        """The vectors of these files are in place: leaving passages are forgotten, coming ones become live.

        A file becomes ``done``, or ``failed`` where its change carried a reason. ``middles`` are the unit vectors in
        the middle of those files' passages.
        """

    def middles(self, file_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """The unit vector in the middle of each of these files' passages, where it is known."""

    def keep_middles(self, middles: Mapping[int, NDArray[np.float32]]) -> None:
        """Keep the unit vectors in the middle of files' passages; a file that changes afterwards loses its own."""

    def without_middle(self, file_ids: Sequence[int] | None = None) -> list[int]:
        """Those of some files, or of all, that have several live passages and no known middle."""

    def refresh(self, files: Iterable[tuple[int, FoundFile, int]]) -> None:
        """Take over new stats, as (file id, file with its stat, read_ns), where only those changed."""

    def remove(self, file_ids: Sequence[int]) -> None:
        """Forget files and their passages; call it after their vectors are gone."""

    def unsettle(self, file_ids: Sequence[int] | None = None) -> None:
        """The vectors of these files (None: of all) cannot be relied on: passages are coming again, files pending.

        A failed file stays failed: it has no vectors to lose.
        """

    def new_id(self) -> int:
        """A file id that was never used before."""

    def passage_ids(self, file_ids: Sequence[int]) -> dict[int, dict[str, bool]]:
        """For each file, its passage ids of every state; True where the passage is live (vector surely there)."""

    def passages(self, ids: Sequence[str]) -> dict[str, StoredPassage]:
        """The live passages among the ids, with their files."""

    def passages_of(self, file_id: int) -> list[StoredPassage]:
        """The live passages of one file, in order."""

    def all_passages(self) -> Iterator[StoredPassage]:
        """Every live passage, by file and order, without loading all at once."""

    def live(self) -> list[tuple[str, int, bytes]]:
        """Every live passage as (id, file id, digest), by file id and order."""

    def links_from(self, file_id: int | None = None) -> list[tuple[int, Link]]:
        """The links of one file, or of all, in order, each with the id of its file."""

    def links_to(self, keys: Sequence[str]) -> list[tuple[int, Link]]:
        """The links with one of these keys (``Link.key``), each with the id of its file."""

    def names_of(self, file_id: int) -> list[Name]:
        """What links can call a file and its parts: other names, blocks, headings."""

    def named(self, keys: Sequence[str]) -> list[tuple[int, Name]]:
        """The other names and blocks with one of these keys, each with the id of its file."""

    def keyword_matches(
        self,
        question: str,
        count: int,
        files: Sequence[int] | None = None,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        also: Sequence[str] = (),
        beside: float = 0.0,
    ) -> KeywordMatches:
        """The ``count`` best live passages for a question by BM25, and the scores of those in ``also``.

        Passages of other ``files``, those that are not in ``only`` and those in ``without`` are left out before the
        best are taken; more than ``count`` come back where the last ones are equal, though not
        more than four times as many. With ``beside`` the best are those of which the words say most where the score of
        the whole file has this share, 0..1, and that of the passage the rest.
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
        """The best live passages that hold this share of a question by the weight of its words, and its rarest word."""

    def containing(self, phrase: str) -> set[str]:
        """The ids of the passages with a phrase in their text or headings, as whole words, whatever its case."""

    def sample(self, count: int) -> list[str]:
        """The ids of about so many passages from all over the index, the same ones each time; for statistics only."""

    def count(self) -> int:
        """How many live passages there are."""

    def completed(self, when: datetime) -> None:
        """A run that covered everything ended at this time."""

    def as_of(self) -> datetime | None:
        """When the last complete run ended."""

    def problems(self) -> list[Failure]:
        """Every file that could not be indexed, with its reason."""
