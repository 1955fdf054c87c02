"""What runs did and how things stand: progress, events, reports, status."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kb.records.answers import Freshness
    from kb.records.files import Failure


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


Doing = Literal["reading", "loading the model", "embedding", "finishing"]


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an index run is: what is done of the files that have to be read, and the passages so far.

    ``doing`` is what it does at the moment; "finishing" once all files are done. ``read`` is how
    many files were read, of which ``files`` are in the index.
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


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one index run did. File counts, passage counts, wall seconds, and each failure.

    ``held`` counts files that are gone and were kept all the same, since too many of their folder went at once.
    ``standing`` are those of the ``failures`` that were known before, of files that did not change since. ``waiting``
    counts the files that a run which was ``interrupted`` left to the next one.
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


@dataclass(frozen=True, slots=True)
class Confinement:
    """How a process that parses documents is confined on this system.

    Attributes:
        landlock: The version of the kernel's Landlock interface; 0: it has none.
        in_force: The measures that hold, by the names in ``kb.sandbox.syscalls``.
        missing: What this system does not offer, by the same names.
    """

    landlock: int
    in_force: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What ``kb status`` tells: counts, sizes in bytes, the model, and what could not be indexed.

    ``held`` are folders from which so many files went at once that they are kept, with how many.
    ``runtime`` is how the model runs, or would run. ``set_aside`` is what of the store was damaged and kept, by name.
    ``confinement`` is how documents are parsed. ``partly`` are the files of which something was not read, with what.
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
    runtime: str = ""
    set_aside: tuple[tuple[str, int], ...] = ()
    confinement: Confinement | None = None
    partly: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which disk, catalog and vectors do not agree."""

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
