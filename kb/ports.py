"""The interfaces of disk, model and store.

``indexing`` and ``search`` depend only on these Protocols. ``container`` and ``open_store`` provide the real classes,
and ``kb.testing`` has fakes that pass the same contract tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from kb.records import (
        Answer,
        BackupReport,
        Candidates,
        CheckReport,
        Claim,
        Document,
        ExportReport,
        Failure,
        FileChange,
        FileEvent,
        FileStat,
        FileText,
        Filters,
        FoundFile,
        Holding,
        ImportReport,
        IndexProgress,
        IndexReport,
        KeywordMatches,
        KnownFile,
        Link,
        Links,
        Name,
        Passage,
        Prompt,
        Queued,
        QueuedPassage,
        RebuildReport,
        Reply,
        ResolvedLink,
        Scan,
        ScanBasis,
        SearchRequest,
        Shown,
        Source,
        Status,
        Step,
        StoredPassage,
        Subtree,
        Unembedded,
        Unmatched,
        VectorRecord,
    )

    KnownVectors: TypeAlias = Callable[[Sequence[str]], Mapping[str, NDArray[np.float32]]]
    """Returns the vectors of some ids, of those that it has."""


class Files(Protocol):
    """The watched folders on disk."""

    def scan(self) -> Scan:
        """List all files to index, in order of (folder, path)."""

    def scan_places(self, places: Collection[Subtree], basis: ScanBasis) -> Scan | None:
        """List the files to index in some places only, which may be widened, as ``scan`` would.

        Args:
            places: The places in which something changed since the scan of the basis.
            basis: The basis of the last whole scan.

        Returns:
            The scan, or None where it may depend on other places, so that only a whole one is sure.
        """

    def stat(self, folder: str, path: str) -> FileStat | None:
        """The current stat of a file; None if there is no regular file."""

    def belongs(self, folder: str, path: str) -> bool:
        """Whether the rules include the file at a path now; whether it is there is another question."""

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
            DocumentError: kb cannot read the file as text.
        """


class ReadingRules(Protocol):
    """The version of the code that reads files, so that files are read again after a change."""

    @property
    def version(self) -> str:
        """The version of all formats together."""

    def formats(self) -> str:
        """The version of each format, as text to store."""

    def changed(self, before: str | None) -> Callable[[str], bool]:
        """A function that tells whether the file at a path has to be read again.

        Args:
            before: The result of ``formats`` when files were read; None if unknown.
        """

    def common(self, before: str | None) -> str:
        """The versions in ``before`` that are still current."""


class Edit(Protocol):
    """Changes a document before it is split; used by evaluations, for example to remove headings."""

    def __call__(self, file: FoundFile, document: Document, /) -> Document:
        """The document to split instead; lines keep their numbers."""


class TokenCounter(Protocol):
    """Counts tokens of the embedding model without its weights."""

    @property
    def limit(self) -> int:
        """The model's token limit, including special tokens; longer texts would be silently truncated."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each text in tokens, including special tokens, without truncation."""


class Embedder(Protocol):
    """A model that turns texts into unit vectors. Its weights are loaded on first use."""

    @property
    def fingerprint(self) -> str:
        """Everything that affects vectors, as one line; does not load the weights."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def embed_documents(self, texts: Sequence[str], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Unit vectors of documents, shape (len(texts), dimension), in the given order.

        Args:
            texts: The documents.
            tokens: Their lengths in the model's tokens.
        """

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question, shape (dimension,); long questions are embedded in parts."""

    def question_parts(self, text: str) -> int:
        """The number of parts of a question: 1 unless it exceeds the limit. Does not load the weights."""

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of a few short texts, before waiting documents; None if the model is not loaded."""


class Reranker(Protocol):
    """A model that scores how well a passage answers a question."""

    @property
    def name(self) -> str:
        """Its name in answers."""

    def load(self) -> None:
        """Load its weights if necessary."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Score how well each text answers the question; comparable for one question, higher is better."""


class VectorCache(Protocol):
    """Vectors by (model fingerprint, digest of the embedded text), kept across files, stores and rebuilds."""

    def get(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The known vectors by digest. Marks them as used."""

    def peek(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The known vectors by digest, without marking them as used."""

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Store vectors durably; known digests keep their vector."""


class Nearest(Protocol):
    """The part of a vector index that searches use."""

    def query(self, vector: NDArray[np.float32], count: int, files: Sequence[int] | None = None) -> Candidates:
        """The ``count`` records nearest to a vector by cosine, best first; optionally only of some files."""

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The stored vectors of the known ids."""


class VectorIndex(Nearest, Protocol):
    """A searchable index of the passages' vectors, which can always be rebuilt."""

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records; idempotent."""

    def relabel(self, ids: Sequence[str], labels: Sequence[Mapping[str, str | int]]) -> None:
        """Replace only the labels of records."""

    def delete(self, ids: Sequence[str]) -> None:
        """Delete records; unknown ids are ignored."""

    def ids(self) -> Iterator[str]:
        """All ids, read in pages."""

    def count(self) -> int:
        """The number of records."""


class Catalog(Protocol):
    """The record of indexed files, passages with their text, and failures."""

    def meta(self, key: str) -> str | None:
        """A stored value."""

    def set_meta(self, key: str, value: str) -> None:
        """Store a value durably."""

    def mounts(self) -> list[tuple[str, str]]:
        """The mount points inside the folders at the last run, as (folder, path)."""

    def files(self) -> list[KnownFile]:
        """All files, including failed and pending ones, sorted by folder and path."""

    def files_at(self, places: Collection[Subtree]) -> list[KnownFile]:
        """The files at some places and below them, in any state, each once."""

    def files_of_size(self, sizes: Collection[int]) -> list[KnownFile]:
        """The indexed files of one of these sizes."""

    def unsettled(self) -> list[KnownFile]:
        """The files that could not be indexed, or that wait to be."""

    def has_others(self, folder: str, file_ids: Collection[int]) -> bool:
        """Whether a folder has files in the catalog beside these."""

    def count_files(self) -> int:
        """The number of indexed files."""

    def begin(self, changes: Sequence[FileChange]) -> None:
        """Record planned changes of files in one transaction, before the vectors change.

        Each file becomes ``pending`` with its new stat, path, hash and description. Passages that it keeps get their
        new lines and order at once; old ones become *leaving* and new ones *coming*, and neither is part of answers.
        May be repeated with other passages.
        """

    def finish(
        self,
        file_ids: Sequence[int],
        centroids: Mapping[int, NDArray[np.float32]] | None = None,
        unembedded: Sequence[Passage] = (),
        run: int = 1,
    ) -> None:
        """Complete changes after the vectors are written: delete leaving passages and make coming ones live.

        A file becomes ``done``, or ``failed`` if its change has a reason.

        Args:
            file_ids: The changed files.
            centroids: The centroids of those of them whose vectors are all written.
            unembedded: Their passages that have no vector yet; they are found by their words until ``embedded``.
            run: The number of the index run, from ``next_run``.
        """

    def next_run(self) -> int:
        """A number above those of all runs that left passages without a vector."""

    def queued(self, count: int, since_run: int = 0) -> list[QueuedPassage]:
        """The next passages to embed, all of one run: the latest from ``since_run`` on, of that the newest files."""

    def embedded(self, ids: Sequence[str], centroids: Mapping[int, NDArray[np.float32]] | None = None) -> None:
        """Record that the vectors of queued passages are in the vector index, and the centroids of completed files."""

    def unembedded(self, file_ids: Sequence[int]) -> dict[int, Unembedded]:
        """What waits to be embedded of these files, by file; files of which nothing waits are left out."""

    def queue_size(self) -> Queued:
        """What waits to be embedded in all."""

    def digests(self, file_ids: Sequence[int]) -> dict[int, list[bytes]]:
        """The digests of the live passages of each file, in order."""

    def centroids(self, file_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """The known centroids of these files."""

    def store_centroids(self, centroids: Mapping[int, NDArray[np.float32]]) -> None:
        """Store centroids of files; a later change of a file deletes its centroid."""

    def files_without_centroid(self, file_ids: Sequence[int] | None = None) -> list[int]:
        """Those of some files, or of all, with several live passages, a vector of each, and no centroid."""

    def refresh(self, files: Iterable[tuple[int, FoundFile, int]]) -> None:
        """Update stats of otherwise unchanged files, as (file id, file with its stat, read_ns)."""

    def remove(self, file_ids: Sequence[int]) -> None:
        """Delete files and their passages; call it after their vectors are deleted."""

    def mark_pending(self, file_ids: Sequence[int] | None = None) -> None:
        """Mark files (None for all) as pending and their passages as coming, because their vectors may be missing.

        A failed file stays failed, since it has no vectors.
        """

    def new_id(self) -> int:
        """A file id that was never used."""

    def passage_ids(self, file_ids: Sequence[int]) -> dict[int, dict[str, bool]]:
        """The passage ids of each file, with whether the passage is live and its vector exists."""

    def passages(self, ids: Sequence[str]) -> dict[str, StoredPassage]:
        """The live passages among the ids, with their files."""

    def passages_of(self, file_id: int) -> list[StoredPassage]:
        """The live passages of one file, in order."""

    def all_passages(self) -> Iterator[StoredPassage]:
        """All live passages by file and order, read in pages."""

    def with_vectors(self) -> list[tuple[str, int, bytes]]:
        """All live passages with a vector as (id, file id, digest), by file id and order."""

    def links_from(self, file_id: int | None = None) -> list[tuple[int, Link]]:
        """The links of one file, or of all, in order, each with the id of its file."""

    def links_to(self, keys: Sequence[str]) -> list[tuple[int, Link]]:
        """The links with one of these keys (``Link.key``), each with the id of its file."""

    def embedded_keys(self) -> frozenset[str]:
        """The keys of all links that embed a file, such as ``![[chart.png]]``."""

    def names_of(self, file_id: int) -> list[Name]:
        """The names by which links refer to a file and its parts: other names, blocks, headings."""

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
        file_weight: float = 0.0,
    ) -> KeywordMatches:
        """The ``count`` best live passages for a question by BM25, and the scores of those in ``also``.

        Only passages of ``files`` and in ``only``, and not in ``without``, are ranked. If the last scores are equal,
        more than ``count`` are returned, up to four times as many. ``file_weight`` is the weight, 0..1, of the score of
        the whole file; the passage's score has the rest.
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
        """The best live passages with a share of a question, by the weight of its words, and its rarest word.

        Only passages of ``files`` and in ``only``, and not in ``without``, count.
        """

    def containing(self, phrase: str) -> set[str]:
        """The ids of passages with a phrase in text or headings, as whole words, ignoring case."""

    def sample(self, count: int) -> list[str]:
        """About a number of ids of passages with a vector, spread over the index; for statistics only."""

    def count(self) -> int:
        """The number of live passages."""

    def count_embedded(self) -> int:
        """The number of live passages with a vector."""

    def completed(self, when: datetime) -> None:
        """Record the end of a complete run."""

    def as_of(self) -> datetime | None:
        """The end of the last complete run."""

    def problems(self) -> list[Failure]:
        """All files that could not be indexed, with reasons."""


class EmbeddingRun(Protocol):
    """Embeds the passages that index runs have queued, in turns, between which others may change the store."""

    @property
    def embedded(self) -> int:
        """How many passages were embedded."""

    @property
    def interrupted(self) -> bool:
        """Whether the user asked to stop."""

    @property
    def progress(self) -> IndexProgress:
        """How far it is; until the first turn, the progress of the run that queued, at its end."""

    def turn(
        self,
        should_stop: Callable[[], bool],
        should_pause: Callable[[], bool] | None = None,
        *,
        leave_earlier: bool = False,
        turn_seconds: float = ...,
    ) -> bool:
        """Embed until nothing is left or something else comes first; returns whether something is left.

        Args:
            should_stop: Called between batches; the work ends once it returns True.
            should_pause: Called after each batch: whether something else comes first.
            leave_earlier: Leave what earlier runs have queued.
            turn_seconds: About how long a batch takes.
        """

    def report(self, words: IndexReport) -> IndexReport:
        """The report of the run that queued, with what was embedded after it."""


class Stream(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> int:
        """Write all of some bytes, and return their number."""


class Knowledge(Protocol):
    """The methods of a knowledge base that commands use; ``LocalKnowledgeBase`` implements them.

    ``KnowledgeBase`` describes them, and ``LocalKnowledgeBase`` those that it does not have.
    """

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def index(
        self,
        *,
        full: bool = False,
        dry_run: bool = False,
        accept_deletions: bool = False,
        take_over: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        on_event: Callable[[FileEvent], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> IndexReport: ...
    def search(self, request: SearchRequest, /) -> Answer: ...
    def ask(
        self,
        request: SearchRequest,
        /,
        *,
        model: str | None = None,
        on_step: Callable[[Step | Claim], None] = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> Reply: ...
    def prompt(self, request: SearchRequest, /) -> Prompt: ...
    def passage(self, passage_id: str) -> StoredPassage: ...
    def read(
        self, file: str, *, first_line: int = 1, last_line: int | None = None, page: int | None = None
    ) -> FileText: ...
    def show(self, file: str, line: int | None = None) -> Shown: ...
    def resolve(self, name: str) -> str: ...
    def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]: ...
    def documents(self, filters: Filters | None = None) -> list[KnownFile]: ...
    def links(self, file: str) -> Links: ...
    def broken_links(self) -> list[ResolvedLink]: ...
    def tags(self, filters: Filters | None = None) -> list[tuple[str, int]]: ...
    def status(self) -> Status: ...
    def check(self, *, repair: bool = False) -> CheckReport: ...
    def rebuild(self) -> RebuildReport: ...
    def backup(
        self, path: Path, *, incremental: bool = ..., keep: int = ..., should_stop: Callable[[], bool] = ...
    ) -> BackupReport: ...
    def export(
        self,
        path: Path | Stream,
        kind: Literal["jsonl", "parquet"],
        *,
        vectors: bool = ...,
        replace: bool = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> ExportReport: ...
    def export_vectors(self, path: Path, *, should_stop: Callable[[], bool] = ...) -> BackupReport: ...
    def import_vectors(self, path: Path, *, should_stop: Callable[[], bool] = ...) -> ImportReport: ...
    def beside(self, store: str, *, folders: Sequence[str] = (), edit: Edit | None = None) -> Knowledge: ...
    def note(
        self, text: str, *, title: str | None = None, tags: Sequence[str] = (), on_written: Callable[[str], None] = ...
    ) -> tuple[str, IndexReport]: ...


class RunningDaemon(Protocol):
    """What a command may ask of the daemon it runs in."""

    def sync(self, timeout: float | None, gone: Callable[[], bool]) -> bool:
        """Wait until everything on disk now is indexed, or the client is gone; returns whether it is indexed."""

    def status(self) -> dict[str, Any]:
        """The state of the daemon: its process, since when it runs, whether it watches, how much waits."""

    def open_page(self, port: int = 0) -> str:
        """Open the page for browsers, at a port or at any free one, and return a link that works once."""

    def close_page(self) -> bool:
        """Close the page and end its sessions; returns whether it was open."""
