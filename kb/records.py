"""The nouns of kb: frozen values that the rooms pass to one another.

Paths of files are ``str`` as Python decodes them from the file system (``os.fsdecode``, so undecodable bytes are
lone surrogates), relative to their folder and written with ``/``. Folders are absolute real paths. Lines count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    import numpy as np
    from numpy.typing import NDArray


FileState = Literal["pending", "done", "failed"]


def digest_of(embedded: str) -> bytes:
    """The SHA-256 of an embedded text, 32 bytes: the key under which its vector can be used again."""
    return sha256(embedded.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class FileStat:
    """What ``stat`` says of a file, as far as it tells whether the file changed."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that a scan found and that belongs to the index."""

    folder: str
    path: str
    stat: FileStat

    @property
    def key(self) -> tuple[str, str]:
        """What tells this file from every other one: (folder, path)."""
        return (self.folder, self.path)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file (or folder) that could not be indexed, and why in one sentence."""

    folder: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan of all folders found.

    ``problems`` are files that belong but cannot be taken (too large, unreadable, special files). ``missing`` are
    folders that are not there at all and ``unread`` the directories, as (folder, path), that could not be listed:
    nothing may be concluded about what is below either. ``excluded`` counts what the rules left out. ``folders`` are
    those that were asked for, and ``empty`` those that have no entry at all, as where a disk is not mounted.
    """

    files: tuple[FoundFile, ...]
    problems: tuple[Failure, ...] = ()
    missing: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    excluded: int = 0
    folders: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a file with the stat they were read under and their SHA-256."""

    file: FoundFile
    data: bytes
    content_hash: bytes
    read_ns: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: its text, its level from 1, and the lines it takes up."""

    text: str
    level: int
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of lines that should stay together: a paragraph, list, table or fenced block."""

    kind: Literal["text", "code", "table"]
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Document:
    r"""One file's text and what it says about itself.

    ``text`` has ``\n`` line ends only. ``body_line`` is the first line after front matter. ``own_title`` is what the
    document calls itself (front matter, else its first heading) and is empty where it says nothing; ``title`` falls
    back on the file's stem. ``replaced`` counts characters that could not be decoded.
    """

    text: str
    kind: str
    title: str
    own_title: str = ""
    body_line: int = 1
    headings: tuple[Heading, ...] = ()
    blocks: tuple[Block, ...] = ()
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    date: date | None = None
    encoding: str = "utf-8"
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document: exactly the text that stands at its lines.

    ``embedded`` is what the model sees: title and heading trail, then the passage. ``tokens`` is its length in the
    model's own tokens, special tokens included.
    """

    text: str
    embedded: str
    tokens: int
    first_line: int
    last_line: int
    heading: tuple[str, ...] = ()
    page: int | None = None

    @property
    def digest(self) -> bytes:
        """The key of this passage's vector in the embedding cache."""
        return digest_of(self.embedded)


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file as the catalog knows it."""

    id: int
    folder: str
    path: str
    stat: FileStat
    content_hash: bytes
    read_ns: int
    state: FileState
    title: str = ""
    kind: str = ""
    tags: tuple[str, ...] = ()
    date: date | None = None
    reason: str = ""
    replaced: int = 0
    passages: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What tells this file from every other one: (folder, path)."""
        return (self.folder, self.path)


@dataclass(frozen=True, slots=True)
class IdentifiedPassage:
    """A passage with its identity: (file, digest, how many times that digest came before in the file)."""

    id: str
    passage: Passage


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a file is about to become: its description and all its passages, or the reason why it has none."""

    file_id: int
    file: FoundFile
    content_hash: bytes
    read_ns: int
    document: Document | None = None
    passages: tuple[IdentifiedPassage, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as the catalog keeps it, with its file."""

    id: str
    file: KnownFile
    text: str
    heading: tuple[str, ...]
    first_line: int
    last_line: int
    page: int | None
    digest: bytes
    ordinal: int


@dataclass(frozen=True, slots=True)
class VectorRecord:
    """What the vector index keeps for one passage. ``labels`` is the fixed set of metadata keys."""

    id: str
    vector: NDArray[np.float32]
    text: str
    labels: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Passages near a question: ids and their unit vectors, shape (len(ids), dimension)."""

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that answers, its cosine in -1..1 and its Euclidean distance (unit vectors: 0..2)."""

    rank: int
    passage: StoredPassage
    score: float
    l2: float
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the index follows the disk: the time of its last complete run, how many files wait, who watches."""

    as_of: datetime | None
    pending: int
    watching: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The ranked hits of one question, and how fresh the index was when it was asked."""

    question: str
    mode: str
    index: Freshness
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one index run did. File counts, passage counts, wall seconds, and each failure.

    ``held`` counts files that are gone and were kept all the same, since too many of their folder went at once.
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
    interrupted: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class FileEvent:
    """What became of one file in an index run, told once it is done.

    ``before`` is its path until now where it moved; ``reason`` says why it failed; ``reused`` of its ``passages``
    needed no embedding.
    """

    kind: Literal["added", "changed", "moved", "removed", "failed"]
    folder: str
    path: str
    before: str = ""
    passages: int = 0
    reused: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an index run is: what is done of the files that have to be read, and the passages so far."""

    files: int
    files_total: int
    size: int
    size_total: int
    embedded: int
    reused: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Filters:
    """Which files a question is asked of. Empty fields leave all files in.

    ``paths`` are globs as in .gitignore, any of which may match (a leading ``!`` takes out); ``tags`` must all be
    there; ``since`` and ``until`` bound the document's own date, else its day of modification, both included.
    """

    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None

    def __bool__(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(self.paths or self.tags or self.since or self.until)


@dataclass(frozen=True, slots=True)
class Status:
    """What ``kb status`` tells: counts, sizes in bytes, the model, and what could not be indexed.

    ``held`` are folders from which so many files went at once that they are kept, with how many.
    """

    folders: tuple[str, ...]
    store: str
    model: str
    fingerprint: str
    generation: str
    files: int
    passages: int
    failed: int
    replaced: int
    size: int
    cache_size: int
    index: Freshness
    problems: tuple[Failure, ...] = ()
    held: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which disk, catalog and vectors do not agree."""

    kind: Literal[
        "file not indexed",
        "file changed",
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
    """What ``kb check`` compared and found, and what ``--repair`` mended."""

    files: int
    passages: int
    vectors: int
    differences: tuple[Difference, ...] = ()
    repaired: int = 0


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """A new generation of the vector index: its name, how many vectors came from the cache and from the model."""

    generation: str
    reused: int
    embedded: int
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage of a file, or all of them, for reading: text as it stands in the catalog."""

    file: KnownFile
    passages: tuple[StoredPassage, ...]
    changed: bool = False
