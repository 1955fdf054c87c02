"""What has to be done so that the store follows the disk: decisions over values, nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from kb.records import FoundFile, KnownFile, is_racy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from kb.records import Passage, Scan

# What kb said of files whose parser was killed, by whomever, before it told the two apart. None is said any more.
_MAYBE_KILLED: Final = (
    "made its reader give up, most likely for more memory than",
    "could not be read: its process ends",
)

# Fewer vanished files than this are an ordinary clearing up, however small the folder.
FEW: Final = 20

Key = tuple[str, str]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The disk beside the catalog.

    Attributes:
        new: Files the catalog does not know.
        suspect: Known files whose content has to be looked at, with what is known of them. ``certain`` of them have
            another stat or were left unfinished; the others were merely written too shortly before they were read.
        gone: Known files that are not there any more.
        held: Known files of which nothing can be said, since their folder is missing or could not be listed.
        unchanged: Known files that are as they were.
        failed: Known files that could not be indexed and have not changed since.
        shrunk: Folders that have less than half the files they had.
        empty: Folders that have no entry at all.
        excluded: Ids of files among the gone that stand on the disk all the same: the rules leave them out now.
        mounts: Directories, as (folder, path), where another file system is mounted.
        lost: Directories where one was mounted when their files were indexed, and is not now.
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

    @property
    def pending(self) -> int:
        """How many files wait to be indexed, as far as their stat tells."""
        return len(self.new) + self.certain + len(self.gone) - len(withheld(self.gone, self))


def compare(
    scan: Scan,
    known: Iterable[KnownFile],
    *,
    everything: bool = False,
    reread: Callable[[str], bool] = lambda _: False,
    mounted_before: Collection[Key] = (),
) -> Comparison:
    """Lay a scan beside what is known.

    Args:
        scan: What is on the disk.
        known: What the catalog knows.
        everything: Take every file as one to look at.
        reread: Whether the file at a path has to be read again, since its format is read by other rules now.
        mounted_before: Where file systems were mounted when the known files were indexed.
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
    )


def wrongly_failed(file: KnownFile) -> bool:
    """Whether a file may have failed for no reason of its own, so that it has to be read once more."""
    return file.state == "failed" and file.reason.startswith(_MAYBE_KILLED)


def withheld(gone: Sequence[KnownFile], comparison: Comparison) -> list[KnownFile]:
    """Of files that are gone and were not found elsewhere, those that are kept until somebody confirms.

    A folder that is empty, or that lost more than half of its files and more than a few, looks like a disk that is not
    mounted or a sync that went wrong. A folder that is no longer watched is let go, and so is a file that was excluded:
    nothing was lost, and whoever excludes notes wants no more answers from them. What lay on a file system that is not
    mounted any more is kept however little it is.
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
    """Whether a file lies in one of some directories, given as (folder, path)."""
    return any(file.folder == folder and file.path.startswith(f"{path}/") for folder, path in places)


class _Blind:
    """The places a scan could not look into."""

    def __init__(self, scan: Scan) -> None:
        self._missing = frozenset(scan.missing)
        self._unread: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for folder, path in scan.unread:
            self._unread[folder] += (path,)

    def covers(self, file: KnownFile) -> bool:
        """Whether a file lies where the scan could not look, so that its absence means nothing."""
        return file.folder in self._missing or any(
            path in {"", "."} or file.path == path or file.path.startswith(f"{path}/")
            for path in self._unread.get(file.folder, ())
        )


@dataclass(slots=True)
class RemovedFiles:
    """Files that are gone, waiting to be recognised in a new place by their content."""

    files: Iterable[KnownFile]
    _by_hash: dict[bytes, list[KnownFile]] = field(init=False, default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for file in self.files:
            if file.state == "done":
                self._by_hash[file.content_hash].append(file)

    def claim(self, found: FoundFile, content_hash: bytes) -> KnownFile | None:
        """The gone file that now stands here, if its content was the same; each is given out once.

        Of several twins the one with the same inode is taken, else the one with the same name, else the first.
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
        """The files nobody claimed, failed and unfinished ones among them."""
        unclaimed = {file.id for twins in self._by_hash.values() for file in twins}
        return tuple(file for file in self.files if file.state != "done" or file.id in unclaimed)


def identify(file_id: int, passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """Give each passage its identity: (file, digest, how many times that digest came before in the file)."""
    before: Counter[bytes] = Counter()
    identified = []
    for passage in passages:
        digest = passage.digest
        identified.append(replace(passage, id=f"{file_id:x}-{digest.hex()[:32]}-{before[digest]}"))
        before[digest] += 1
    return tuple(identified)


@dataclass(frozen=True, slots=True)
class VectorSteps:
    """What has to happen to a file's vectors: ids to write, ids to keep, ids to delete."""

    write: tuple[str, ...]
    keep: tuple[str, ...]
    delete: tuple[str, ...]


def vector_steps(target: Sequence[Passage], present: Mapping[str, bool]) -> VectorSteps:
    """The steps from the passages a file had to those it is to have.

    Args:
        target: The passages it is to have.
        present: The passages the catalog knows of, and whether their vector is surely there.
    """
    wanted = {passage.id for passage in target}
    return VectorSteps(
        write=tuple(passage.id for passage in target if not present.get(passage.id)),
        keep=tuple(passage.id for passage in target if present.get(passage.id)),
        delete=tuple(id_ for id_ in present if id_ not in wanted),
    )


def labels(file_id: int, path: str, heading: Sequence[str]) -> dict[str, str | int]:
    """What stands beside a vector: enough to ask some files alone, and for other programs to say where it is from."""
    return {"file": file_id, "path": path, "heading": " > ".join(heading)}


def pages(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Cut anything that can be walked through into lists of at most ``size``."""
    walk = iter(items)
    while page := list(islice(walk, size)):
        yield page
