"""Records of runs: progress, events, reports, status."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kb.records.answers import Freshness
from kb.records.files import Failure


@dataclass(frozen=True, slots=True)
class FileEvent:
    """What happened to one file in an index run.

    Attributes:
        kind: What happened.
        folder: Its watched folder.
        path: Its path in that folder.
        before: Its previous path, where it moved.
        passages: How many passages it has.
        reused: How many of these needed no embedding.
        reason: Why it failed.
    """

    kind: Literal["added", "changed", "moved", "removed", "failed"]
    folder: str
    path: str
    before: str = ""
    passages: int = 0
    reused: int = 0
    reason: str = ""


Doing = Literal["reading", "loading the model", "embedding", "finishing"]


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """The progress of an index run, which first makes all files found by their words, then embeds their passages.

    Attributes:
        files: How many files are found by their words.
        files_total: How many files have to be read.
        size: The bytes of files that are.
        size_total: The bytes of files that have to be read.
        embedded: How many passages were embedded.
        reused: How many passages had a cached vector.
        seconds: How long the run has taken.
        doing: The current step: "reading" until all files are found by their words, "finishing" once all passages
            have vectors.
        read: How many files were read.
        to_embed: How many passages had no vector when the run began to embed, from earlier runs too.
        embedded_of: How many of those have one now.
        tokens: How many tokens these have together.
        tokens_total: How many tokens those to embed have together.
        words_seconds: After how long all files were found by their words; None until then.
    """

    files: int
    files_total: int
    size: int
    size_total: int
    embedded: int
    reused: int
    seconds: float
    doing: Doing = "embedding"
    read: int = 0
    to_embed: int = 0
    embedded_of: int = 0
    tokens: int = 0
    tokens_total: int = 0
    words_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The result of an index run.

    Attributes:
        added: How many files were added.
        changed: How many were changed.
        moved: How many were moved.
        removed: How many were removed.
        unchanged: How many did not change.
        embedded: How many passages were embedded.
        reused: How many passages had a cached vector.
        dropped: How many passages were removed.
        total: How many passages the index has.
        seconds: How long the run took.
        held: How many missing files were kept, since too many of their folder went missing at once.
        failures: The files that could not be indexed.
        standing: Those of the failures that were known before, of files that did not change since.
        interrupted: Whether the run was interrupted.
        waiting: How many files an interrupted run left to the next one.
        dry_run: Whether nothing was written.
        unembedded: How many passages are left to embed; they are found by their words.
        words_only: How many files these are in.
        unsent: How many passages could not be sent to the Chroma server; the next run sends them.
        reread: How many of the unchanged files were read and written again, as after an update of kb that reads their
            format in another way.
    """

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    embedded: int = 0
    reused: int = 0
    dropped: int = 0
    total: int = 0
    seconds: float = 0.0
    held: int = 0
    failures: tuple[Failure, ...] = field(default=())
    standing: tuple[Failure, ...] = field(default=())
    interrupted: bool = False
    waiting: int = 0
    dry_run: bool = False
    unembedded: int = 0
    words_only: int = 0
    unsent: int = 0
    reread: int = 0


@dataclass(frozen=True, slots=True)
class Confinement:
    """How a process that parses documents is confined on this system.

    Attributes:
        landlock: The version of the kernel's Landlock interface; 0 if it has none.
        in_force: The restrictions in force, by their names in ``kb.sandbox.syscalls``.
        missing: The restrictions that this system does not support, by the same names.
    """

    landlock: int
    in_force: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VectorServer:
    """The Chroma server that keeps the vectors, as far as it is known without asking it.

    Attributes:
        url: Its address.
        collection: The name of the collection in service; empty if there is none yet.
        problem: Why it cannot be used at the moment, in one sentence; empty if nothing is known.
        unsent: How many passages have changed and were not sent yet.
    """

    url: str
    collection: str
    problem: str = ""
    unsent: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the index, as shown by ``kb status``.

    Attributes:
        folders: The watched folders.
        store: The folder of the store.
        model: The name of the model.
        fingerprint: The fingerprint of the model that filled the store.
        generation: The generation of the vector index.
        files: How many files are indexed.
        passages: How many passages there are.
        failed: How many files could not be indexed, without ``unread``.
        unread: How many files are of kinds that kb does not read, such as images and archives.
        replaced: How many files have characters that could not be decoded.
        size: The size of the store in bytes.
        cache_size: The size of the embedding cache in bytes.
        index: How up to date the index is.
        problems: The files that could not be indexed, with ``unread`` ones.
        held: Folders from which many files went missing at once and are kept, with their number.
        runtime: How the model runs, or would run.
        set_aside: Damaged parts of the store that were kept, by name, with their size in bytes.
        confinement: How processes that parse documents are confined.
        partly: Files that were read only in part, with what was not read.
        unembedded: How many passages wait to be embedded, and are found by their words until then.
        server: The Chroma server that keeps the vectors; None if the store does.
    """

    folders: tuple[str, ...]
    store: str
    model: str
    fingerprint: str
    generation: str
    files: int
    passages: int
    failed: int
    unread: int
    replaced: int
    size: int
    cache_size: int
    index: Freshness
    problems: tuple[Failure, ...] = ()
    held: tuple[tuple[str, int], ...] = ()
    runtime: str = ""
    set_aside: tuple[tuple[str, int], ...] = ()
    confinement: Confinement | None = None
    partly: tuple[Failure, ...] = ()
    unembedded: int = 0
    server: VectorServer | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between disk, catalog and vectors."""

    kind: Literal[
        "file not indexed",
        "file changed",
        "file unreadable",
        "file gone",
        "vector missing",
        "vector unknown",
        "vector wrong",
        "passage wrong",
        "interrupted",
    ]
    where: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of ``kb check``.

    Attributes:
        files: How many files were compared.
        passages: How many passages.
        vectors: How many vectors.
        differences: The differences; after a repair, those that are left.
        repaired: How many were repaired.
        unembedded: How many passages wait to be embedded, which is no difference.
    """

    files: int
    passages: int
    vectors: int
    differences: tuple[Difference, ...] = ()
    repaired: int = 0
    unembedded: int = 0


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """The result of a rebuild of the vector index.

    Attributes:
        generation: The name of the new generation.
        reused: How many vectors came from the cache or the index before.
        embedded: How many were computed by the model.
        seconds: How long it took.
    """

    generation: str
    reused: int
    embedded: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was written or checked.

    Attributes:
        path: The file, or the snapshot in a folder.
        files: How many files are in it.
        passages: How many passages.
        vectors: How many vectors.
        without_vector: How many texts have none, so that the next index run after a restore embeds them.
        model: The name of the model.
        fingerprint: The fingerprint of the model.
        folders: The watched folders.
        created: When it was written, in ISO 8601.
        size: The number of bytes of the whole backup.
        written: The number of bytes that were written for it; 0 if it was only checked.
        seconds: How long it took.
    """

    path: str
    files: int
    passages: int
    vectors: int
    without_vector: int
    model: str
    fingerprint: str
    folders: tuple[str, ...]
    created: str
    size: int
    written: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """A store that was restored.

    Attributes:
        store: The folder of the store.
        files: How many files are in it.
        passages: How many passages.
        vectors: How many vectors.
        without_vector: How many passages have none; the next index run embeds them.
        index: Whether the vector index was made; else its first use makes it.
        seconds: How long it took.
    """

    store: str
    files: int
    passages: int
    vectors: int
    without_vector: int
    index: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class ExportReport:
    """An export for other programs.

    Attributes:
        path: The file.
        passages: How many passages are in it.
        without_vector: How many of them have no vector.
        size: The number of bytes.
        seconds: How long it took.
    """

    path: str
    passages: int
    without_vector: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Vectors that were brought into the embedding cache.

    Attributes:
        vectors: How many the file has.
        new: How many of them the cache did not have.
        seconds: How long it took.
    """

    vectors: int
    new: int
    seconds: float
