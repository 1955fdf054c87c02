"""Decides what an index run has to do, with functions of values only."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from kb.records import FoundFile, KnownFile, VectorRecord, is_racy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.records import Passage, Scan, ScanBasis, StoredPassage

# Reasons from earlier versions of kb, which did not distinguish a parser that crashed from one killed from outside.
_MAYBE_KILLED: Final = (
    "made its reader give up, most likely for more memory than",
    "could not be read: its process ends",
)

# Up to this many missing files are an ordinary clean-up, whatever their share of the folder.
FEW: Final = 20

Key = tuple[str, str]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between the disk and the catalog.

    Attributes:
        new: Files that are not in the catalog.
        suspect: Files that may have changed, with their entry in the catalog.
        certain: The number of suspect files with another stat, or that are unfinished or read by other rules now. The
            others were written too shortly before they were read.
        gone: Known files that no longer exist.
        held: Known files in a folder that is missing or cannot be listed, so that it is unknown whether they exist.
        unchanged: Known files with the same stat.
        failed: Known files that could not be indexed and have not changed since.
        shrunk: Folders with less than half of their former files.
        empty: Folders without any entry.
        excluded: Ids of files in ``gone`` that exist, but that the rules exclude now.
        mounts: Directories, as (folder, path), where another file system is mounted.
        lost: Directories where one was mounted when their files were indexed, and is not mounted now.
        elsewhere: The number of indexed files that were not looked at, because nothing changed where they are.
        basis: What a comparison of some places may rely on after this one; None if only a whole one is sure.
    """

    new: tuple[FoundFile, ...] = ()
    suspect: tuple[tuple[FoundFile, KnownFile], ...] = ()
    certain: int = 0
    gone: tuple[KnownFile, ...] = ()
    held: tuple[KnownFile, ...] = ()
    unchanged: tuple[KnownFile, ...] = ()
    failed: tuple[KnownFile, ...] = ()
    shrunk: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    excluded: frozenset[int] = frozenset()
    mounts: frozenset[Key] = frozenset()
    lost: frozenset[Key] = frozenset()
    elsewhere: int = 0
    basis: ScanBasis | None = None

    @property
    def pending(self) -> int:
        """The number of files that wait to be indexed, judged by their stat."""
        return len(self.new) + self.certain + len(self.gone) - len(withheld(self.gone, self))


def compare(
    scan: Scan,
    known: Iterable[KnownFile],
    *,
    everything: bool = False,
    reread: Callable[[str], bool] = lambda _: False,
    mounted_before: Collection[Key] = (),
) -> Comparison:
    """Compare a scan with the catalog.

    Args:
        scan: The files on the disk.
        known: The files in the catalog.
        everything: Treat every file as changed.
        reread: Whether the file at a path has to be read again, because the code for its format changed.
        mounted_before: The mount points, as (folder, path), when the known files were indexed.
    """
    left = {file.key: file for file in known}
    before = Counter(folder for folder, _ in left)
    new: list[FoundFile] = []
    suspect: list[tuple[FoundFile, KnownFile]] = []
    unchanged: list[KnownFile] = []
    failed: list[KnownFile] = []
    certain = 0
    for found in scan.files:
        old = left.pop(found.key, None)
        if old is None:
            new.append(found)
        elif everything or old.state == "pending" or old.stat != found.stat or reread(found.path):
            suspect.append((found, old))
            certain += 1
        elif is_racy(old.stat, old.read_ns) or wrongly_failed(old):
            suspect.append((found, old))
        elif old.state == "failed":
            failed.append(old)
        else:
            unchanged.append(old)
    blind = _Blind(scan)
    gone = tuple(file for file in left.values() if not blind.covers(file))
    held = tuple(file for file in left.values() if blind.covers(file))
    now = Counter(found.folder for found in scan.files)
    shrunk = frozenset(folder for folder in scan.folders if 2 * now[folder] < before[folder])
    return Comparison(
        tuple(new),
        tuple(suspect),
        certain,
        gone,
        held,
        tuple(unchanged),
        tuple(failed),
        shrunk,
        frozenset(scan.empty),
        mounts=frozenset(scan.mounts),
        lost=frozenset(mounted_before) - frozenset(scan.mounts),
        basis=scan.basis,
    )


def wrongly_failed(file: KnownFile) -> bool:
    """Whether a file may have failed for an outside reason, so that it has to be tried again."""
    return file.state == "failed" and file.reason.startswith(_MAYBE_KILLED)


def withheld(gone: Sequence[KnownFile], comparison: Comparison) -> list[KnownFile]:
    """The missing files that stay in the index until the user confirms their deletion.

    A folder that is empty, or that lost more than half of its files and more than ``FEW``, may be a disk that is not
    mounted or a failed sync. Files on a file system that is no longer mounted are kept, however few they are. Files of
    folders that are no longer watched, and excluded files, are dropped, since the user removed them on purpose.

    Args:
        gone: Files that no longer exist and were not moved.
        comparison: The comparison of disk and catalog.
    """
    lost = Counter(file.folder for file in gone if file.id not in comparison.excluded)
    suspicious = {
        folder
        for folder, count in lost.items()
        if folder in comparison.empty or (folder in comparison.shrunk and count > FEW)
    }
    return [
        file
        for file in gone
        if (file.folder in suspicious or lies_below(file, comparison.lost)) and file.id not in comparison.excluded
    ]


def lies_below(file: KnownFile, places: Collection[Key]) -> bool:
    """Whether a file is below one of some directories, given as (folder, path)."""
    return any(file.folder == folder and file.path.startswith(f"{path}/") for folder, path in places)


class _Blind:
    """The directories that a scan could not read."""

    def __init__(self, scan: Scan) -> None:
        self._missing = frozenset(scan.missing)
        self._unread: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for folder, path in scan.unread:
            self._unread[folder] += (path,)

    def covers(self, file: KnownFile) -> bool:
        """Whether a file is in a directory that could not be read, so that it may still exist."""
        return file.folder in self._missing or any(
            path in {"", "."} or file.path == path or file.path.startswith(f"{path}/")
            for path in self._unread.get(file.folder, ())
        )


@dataclass(slots=True)
class RemovedFiles:
    """Files that no longer exist, for detecting moves by content."""

    files: Sequence[KnownFile]
    _by_hash: dict[bytes, list[KnownFile]] = field(init=False, default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for file in self.files:
            if file.state == "done":
                self._by_hash[file.content_hash].append(file)

    def claim(self, found: FoundFile, content_hash: bytes) -> KnownFile | None:
        """The removed file with this content, from which the found one was moved; each is returned once.

        Of several files with the content, one with the same inode is preferred, then one with the same name.
        """
        twins = self._by_hash.get(content_hash)
        if not twins:
            return None
        name = found.path.rpartition("/")[2]
        best = min(
            twins,
            key=lambda file: (
                (file.stat.inode, file.stat.device) != (found.stat.inode, found.stat.device),
                file.path.rpartition("/")[2] != name,
                file.path,
            ),
        )
        twins.remove(best)
        return best

    def remaining(self) -> tuple[KnownFile, ...]:
        """The files that were not claimed, including failed and unfinished ones."""
        unclaimed = {file.id for twins in self._by_hash.values() for file in twins}
        return tuple(file for file in self.files if file.state != "done" or file.id in unclaimed)


def identify(file_id: int, passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """Give each passage an id from its file, its digest, and the number of equal digests before it in the file."""
    before: Counter[bytes] = Counter()
    identified = []
    for passage in passages:
        digest = passage.digest
        identified.append(replace(passage, id=f"{file_id:x}-{digest.hex()[:32]}-{before[digest]}"))
        before[digest] += 1
    return tuple(identified)


@dataclass(frozen=True, slots=True)
class VectorSteps:
    """The ids of a file's vectors to write, to keep and to delete."""

    write: tuple[str, ...]
    keep: tuple[str, ...]
    delete: tuple[str, ...]


def vector_steps(target: Sequence[Passage], present: Mapping[str, bool]) -> VectorSteps:
    """Decide which vectors of a file to write, keep and delete.

    Args:
        target: The new passages of the file.
        present: The ids of its passages in the catalog, with whether their vector certainly exists.
    """
    wanted = {passage.id for passage in target}
    return VectorSteps(
        write=tuple(passage.id for passage in target if not present.get(passage.id)),
        keep=tuple(passage.id for passage in target if present.get(passage.id)),
        delete=tuple(id_ for id_ in present if id_ not in wanted),
    )


def labels(file_id: int, path: str, heading: Sequence[str]) -> dict[str, str | int]:
    """The labels of a vector, for searches in some files only, and for other programs to show its source."""
    return {"file": file_id, "path": path, "heading": " > ".join(heading)}


def vector_record(passage: StoredPassage, vector: NDArray[np.float32]) -> VectorRecord:
    """What the vector index stores for a passage of the catalog."""
    return VectorRecord(passage.id, vector, passage.text, labels(passage.file.id, passage.file.path, passage.heading))


def pages(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Divide an iterable into lists of at most ``size`` items."""
    walk = iter(items)
    while page := list(islice(walk, size)):
        yield page
