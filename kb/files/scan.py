"""Lists and reads the files of the watched folders.

A folder inside another one is part of the outer one; it is scanned by itself only if the rules of the outer one exclude
it. Links to directories are not followed, so there are no loops. A link to a file is followed only if its target is in
the same folder and is not found otherwise, such as a hidden file. So nothing is indexed twice, and nothing outside the
folders is read.

Reading never blocks and never mixes two versions of a file: links and FIFOs are not opened, and a file that changes
while it is read is read again.
"""

from __future__ import annotations

import errno
import os
import stat as modes
import time
from bisect import bisect_left
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from kb.errors import DocumentBusy, DocumentError
from kb.files.rules import GIT_IGNORE, KB_IGNORE, Scope
from kb.records import Failure, FileStat, FoundFile, Scan, ScanBasis, Source, subtrees_above
from kb.system.files import is_junction, reading, stat_of_entry
from kb.system.paths import real_path, to_the_system, with_slashes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from kb.files.rules import Rules
    from kb.records import Subtree

# --- Reading files ------------------------------------------------------------------------------------------------

MEGABYTE: Final = 1_000_000
MAX_FILE: Final = "folders.max_file_mb"

_CHUNK: Final = 1 << 20
_FLAGS: Final = reading()
_KINDS: Final = (
    (modes.S_ISDIR, "a folder"),
    (modes.S_ISLNK, "a symbolic link"),
    (modes.S_ISFIFO, "a FIFO"),
    (modes.S_ISSOCK, "a socket"),
    (modes.S_ISCHR, "a device"),
    (modes.S_ISBLK, "a device"),
)


def open_file(place: str) -> BinaryIO:
    """Open a file for reading, unbuffered. A link is not followed, and a FIFO does not block.

    Raises:
        OSError: It cannot be opened.
    """
    return os.fdopen(os.open(to_the_system(place), _FLAGS), "rb", buffering=0)


def read_stable(stream: BinaryIO, max_bytes: int, key: str = MAX_FILE) -> tuple[bytes, FileStat] | None:
    """Read all bytes of an open file, with its stat; None if it changed meanwhile.

    Args:
        stream: The file, opened without a buffer.
        max_bytes: The most bytes to read.
        key: The configuration key of that limit.

    Raises:
        DocumentError: It is not a regular file, or too large.
        OSError: It cannot be read.
    """
    before = os.fstat(stream.fileno())
    if not modes.S_ISREG(before.st_mode):
        raise not_a_file(before.st_mode)
    if before.st_size > max_bytes:
        raise too_large(before.st_size, max_bytes, key)
    # Virtual files, such as those in /proc, have size 0.
    expected = before.st_size or max_bytes
    chunks = []
    size = 0
    # Reading one byte past the expected end detects a file that grew.
    while size <= expected and (chunk := stream.read(min(expected + 1 - size, _CHUNK))):
        chunks.append(chunk)
        size += len(chunk)
    if size > max_bytes:
        raise too_large(size, max_bytes, key)
    stat = stat_of(os.fstat(stream.fileno()))
    steady = stat == stat_of(before) and stat.size in {0, size}
    return (b"".join(chunks), stat) if steady else None


def stat_of(found: os.stat_result) -> FileStat:
    """Convert a stat of the operating system."""
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def too_large(size: int, max_bytes: int, key: str = MAX_FILE) -> DocumentError:
    """Make the error for a file over the size limit, with enough digits to show the difference."""
    actual = limit = ""
    for digits in range(7):
        actual, limit = (f"{number / MEGABYTE:,.{digits}f}" for number in (size, max_bytes))
        if actual != limit and round(float(limit.replace(",", "")) * MEGABYTE) == max_bytes:
            break
    return DocumentError(
        f"is {actual} MB, over the limit of {limit} MB ({key})", "Raise the limit, or exclude the file"
    )


def not_a_file(mode: int) -> DocumentError:
    """Make the error for something that is not a regular file."""
    kind = next((kind for test, kind in _KINDS if test(mode)), "something special")
    return DocumentError(f"is {kind}, not a file", "Move it out of the folder, or exclude it")


def document_error(error: OSError | ValueError) -> DocumentError:
    """Convert an error of the operating system into one with a reason to show after a path."""
    if isinstance(error, PermissionError):
        return DocumentError("cannot be read: permission denied", "Give yourself permission, or exclude it")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return DocumentError("is no longer there", "Run kb index to remove it from the index")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return DocumentError("is a symbolic link, not a file", "Put the file itself there")
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return DocumentError(f"cannot be read: {detail}", "Check the disk; kb tries again at the next run")


def join(directory: str, name: str) -> str:
    """Join a directory, which may be the root, and a name."""
    return f"{directory}{name}" if directory.endswith("/") else f"{directory}/{name}"


def inside(path: str, directories: Iterable[str]) -> bool:
    """Whether a path is one of the directories or below one."""
    return any(path == directory or path.startswith(join(directory, "")) for directory in directories)


# --- Walking a folder ---------------------------------------------------------------------------------------------

# With more files of several names, all of which are looked at each time, everything is scanned.
_MOST_SEVERAL: Final = 100
_IGNORE_FILE_LIMIT: Final = MEGABYTE


class Walk:
    """One pass over one folder. Entries are filtered by name first; only those that remain are stat'ed.

    Args:
        folder: The folder, as configured.
        root: Its real path.
        rules: Which files belong.
        never: Absolute real paths that are never read.
        roots: The real paths of all watched folders.

    Attributes:
        files: The files that belong.
        problems: What cannot be read.
        unread: Directories whose content is unknown, as (folder, path).
        excluded: The number of entries left out.
        empty: Whether the folder has no entries.
        reached: The watched folders that were read.
        mounts: Directories on another device than their parent, by their path in the folder.
        links: The symbolic links that the rules do not exclude.
        several_names: The files with several names (hard links).
    """

    def __init__(self, folder: str, root: str, rules: Rules, never: Collection[str], roots: Collection[str]) -> None:
        self.files: list[FoundFile] = []
        self.problems: list[Failure] = []
        self.unread: list[tuple[str, str]] = []
        self.excluded = 0
        self.empty = False
        self.reached: set[str] = set()
        self.mounts: list[str] = []
        self._device = 0
        self.folder = folder
        self._root = root
        self._rules = rules
        self._never = never
        self._never_named = {path.rpartition("/")[2] for path in never}
        self._roots = roots
        self.links: list[str] = []
        self.several_names: list[str] = []
        self._directories: list[tuple[str, Scope]] = []
        self._entered: dict[str, tuple[dict[str, os.DirEntry[str]], Scope] | None] = {}

    def present(self) -> bool:
        """Whether the folder exists, or may exist if that cannot be told."""
        try:
            return modes.S_ISDIR(Path(self._root).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def run(self, scope: Scope) -> None:
        """Read the folder.

        Args:
            scope: The rules that apply to it, including ignore files above it.
        """
        if inside(self._root, self._never):
            self.excluded += 1
            return
        self._device = device_of(self._root)
        self._directories.append(("", scope))
        self._read_directories()
        self._take_links()

    def run_at(self, path: str, scope: Scope) -> None:
        """Read what is at one path, file or directory, without following links.

        Names are taken from listings, never from the path itself, so that a file is called as a whole scan calls it.

        Args:
            path: The path in the folder.
            scope: The rules that apply to the folder.

        Raises:
            OSError: A directory that leads to it cannot be listed.
        """
        if inside(self._root, self._never):
            return
        self._device = device_of(self._root)
        parent, _, name = path.rpartition("/")
        prefix = f"{parent}/" if parent else ""
        entered = self._enter(prefix, scope)
        entry = entered[0].get(name) if entered else None
        if entered is None or entry is None:
            return
        try:
            if not entry.is_dir(follow_symlinks=False):
                # Of a name that the rules exclude, too: what is written through it changes the file of the other name.
                self.several_names += [path] if stat_of_entry(entry).st_nlink > 1 else []
            self._sort(entry, prefix, entered[1])
        except FileNotFoundError:
            return
        self._read_directories()

    def _enter(self, prefix: str, scope: Scope) -> tuple[dict[str, os.DirEntry[str]], Scope] | None:
        """The entries of a directory by name, and its rules; None if it does not belong or is not there.

        Args:
            prefix: Its path with a final slash, or empty.
            scope: The rules that apply to the folder.
        """
        if prefix not in self._entered:
            self._entered[prefix] = self._entered_anew(prefix, scope)
        return self._entered[prefix]

    def _entered_anew(self, prefix: str, scope: Scope) -> tuple[dict[str, os.DirEntry[str]], Scope] | None:
        if prefix:
            parent, _, name = prefix[:-1].rpartition("/")
            above = self._enter(f"{parent}/" if parent else "", scope)
            entry = above[0].get(name) if above else None
            if above is None or entry is None:
                return None
            if entry.is_symlink():
                self.links.append(prefix[:-1])
            scope, place = above[1], f"{parent}/" if parent else ""
            left_out = is_junction(entry) or scope.excludes(name, directory=True) or self._is_left_out(place, name)
            if left_out or not entry.is_dir(follow_symlinks=False):
                return None
            scope = scope.below(name)
        directory = join(self._root, prefix).rstrip("/") or "/"
        try:
            with os.scandir(to_the_system(directory)) as listing:
                entries = {entry.name: entry for entry in listing}
        except (FileNotFoundError, NotADirectoryError):
            return None
        if device_of(directory) != self._device:
            self.mounts.append(prefix[:-1])
        return entries, self._with_ignores(scope, prefix, directory, entries.keys())

    def still_mounted(self) -> Iterator[str]:
        """Yield the mounts that are there after the scan: what is not found below another one was not deleted."""
        for path in self.mounts:
            if device_of(join(self._root, path)) not in {0, self._device}:
                yield path

    def _read_directories(self) -> None:
        while self._directories:
            self._read(*self._directories.pop())

    def includes(self, path: str, scope: Scope) -> bool:
        """Whether the rules include a file, by the ignore files of the directories that lead to it.

        Args:
            path: Its path in the folder.
            scope: The rules that apply to the folder.
        """
        *directories, name = path.split("/")
        prefix = ""
        for directory in [*directories, ""]:
            place = join(self._root, prefix).rstrip("/") or "/"
            names = {one for one in (KB_IGNORE, GIT_IGNORE, ".git") if os.path.lexists(join(place, one))}
            scope = self._with_ignores(scope, prefix, place, names)
            if directory:
                if scope.excludes(directory, directory=True):
                    return False
                scope, prefix = scope.below(directory), f"{prefix}{directory}/"
        return not scope.excludes(name, directory=False)

    def _read(self, prefix: str, scope: Scope) -> None:
        """Read one directory; ``prefix`` is its path with a final slash, or empty."""
        directory = join(self._root, prefix).rstrip("/") or "/"
        if directory in self._roots:
            self.reached.add(directory)
        try:
            with os.scandir(to_the_system(directory)) as listing:
                entries = list(listing)
        except OSError as error:
            self._leave_unread(prefix.rstrip("/"), error)
            return
        if not prefix:
            self.empty = not entries
        elif device_of(directory) != self._device:
            self.mounts.append(prefix.rstrip("/"))
        scope = self._with_ignores(scope, prefix, directory, {entry.name for entry in entries})
        for entry in entries:
            try:
                self._sort(entry, prefix, scope)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._report(prefix + entry.name, document_error(error).message)

    def _sort(self, entry: os.DirEntry[str], prefix: str, scope: Scope) -> None:
        """Handle one entry of a directory."""
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            if scope.excludes(name, directory=True) or self._is_left_out(prefix, name) or is_junction(entry):
                self.excluded += 1
            else:
                self._directories.append((f"{prefix}{name}/", scope.below(name)))
        elif scope.excludes(name, directory=False) or self._is_left_out(prefix, name):
            self.excluded += 1
        elif entry.is_symlink():
            self.links.append(prefix + name)
        else:
            self._take(prefix + name, stat_of_entry(entry))

    def _is_left_out(self, prefix: str, name: str) -> bool:
        """Whether an entry is never read; its name is asked first, since there are many entries."""
        return name in self._never_named and join(self._root, prefix + name) in self._never

    def _take(self, path: str, found: os.stat_result) -> None:
        """Add a file, or report why it cannot be read."""
        if not modes.S_ISREG(found.st_mode):
            self._report(path, not_a_file(found.st_mode).message)
        elif found.st_size > self._rules.limit(path)[0]:
            self._report(path, too_large(found.st_size, *self._rules.limit(path)).message)
        else:
            self.files.append(FoundFile(self.folder, path, stat_of(found)))
            self.several_names += [path] if found.st_nlink > 1 else []

    def _take_links(self) -> None:
        """Add the links whose target is a file of this folder that was not found, each target once."""
        known = (
            {file.path for file in self.files} | {problem.path for problem in self.problems} if self.links else set()
        )
        for link in sorted(self.links):
            target = real_path(join(self._root, link))
            path = target[len(join(self._root, "")) :]
            if not self._rules.follow_symlinks or path in known or not self._owns(target):
                self.excluded += 1
                continue
            try:
                found = os.lstat(target)
            except OSError:
                self.excluded += 1
                continue
            if not modes.S_ISREG(found.st_mode):
                self.excluded += 1
                continue
            known.add(path)
            self._take(link, found)

    def _owns(self, target: str) -> bool:
        """Whether a path belongs to this folder, and not to a watched folder inside it or the store."""
        inner = {root for root in self._roots if root != self._root and inside(root, {self._root})}
        return inside(target, {self._root}) and not inside(target, inner) and not inside(target, self._never)

    def _with_ignores(self, scope: Scope, prefix: str, directory: str, names: Collection[str]) -> Scope:
        """Add the ignore files of a directory to a scope."""
        texts = {
            name: self._ignore_text(prefix, directory, name) if name in names else ""
            for name in (KB_IGNORE, GIT_IGNORE)
        }
        repository = ".git" in names
        if not repository and not any(texts.values()):
            return scope
        return scope.with_ignores(
            kbignore=texts[KB_IGNORE],
            gitignore=texts[GIT_IGNORE],
            repository=repository,
            repository_exclude=ignore_text(directory, ".git/info/exclude") if repository else "",
        )

    def _ignore_text(self, prefix: str, directory: str, name: str) -> str:
        """Read an ignore file. If it cannot be read, report that it is not applied."""
        if name == GIT_IGNORE and not self._rules.gitignore:
            return ""
        try:
            return read_ignore(join(directory, name))
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._report(prefix + name, f"is not applied: it {document_error(error).message}")
            return ""

    def _leave_unread(self, path: str, error: OSError) -> None:
        """Record that the content of a directory is unknown; report it unless it was just deleted."""
        self.unread.append((self.folder, path))
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            self._report(path, f"{document_error(error).message}, so nothing below is known")

    def _report(self, path: str, reason: str) -> None:
        self.problems.append(Failure(self.folder, path, reason))


def identity_of(directory: str) -> tuple[int, int] | None:
    """Return what tells a directory from another one at its path; None if there is none or it cannot be told."""
    try:
        found = Path(directory).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def device_of(directory: str) -> int:
    """Return the device that a directory is on; 0 if unknown."""
    try:
        return os.lstat(directory).st_dev
    except OSError:
        return 0


def read_ignore(place: str) -> str:
    """Read an ignore file, decoded like file names. As in git, a link is not an ignore file.

    Raises:
        OSError: It cannot be read.
    """
    if not modes.S_ISREG(os.lstat(to_the_system(place)).st_mode):
        return ""
    with open_file(place) as stream:
        return os.fsdecode(stream.read(_IGNORE_FILE_LIMIT))


def ignore_text(directory: str, name: str) -> str:
    """Read an ignore file outside the folder; empty if there is none that can be read."""
    try:
        return read_ignore(join(directory, name))
    except OSError:
        return ""


# --- The watched folders ------------------------------------------------------------------------------------------


class Disk:
    """The watched folders on the disk; implements ``kb.ports.Files``.

    Args:
        folders: Absolute paths of the folders, links resolved.
        rules: Which files belong.
        never: Absolute real paths that are never read, whatever the rules say: the store.
        mounted: Returns the mount points of the system, as absolute real paths.

    Raises:
        ConfigError: A pattern of the rules is invalid.
    """

    def __init__(
        self,
        folders: Sequence[str],
        rules: Rules,
        never: Sequence[str] = (),
        mounted: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._mounted = mounted
        self._folders = tuple(dict.fromkeys(folders))
        self._rules = rules
        self._never = frozenset(never) | {real_path(path) for path in never}
        self._scope = Scope.of(rules)
        # The identities of the folders that are at their real paths.
        self._roots: dict[str, tuple[int, int]] = {}

    def scan(self) -> Scan:
        """List every file that belongs, in order of (folder, path)."""
        order = self._outer_first()
        roots = frozenset(root for root, _ in order)
        # Before anything is read: what changes meanwhile is noticed by the next scan of some places.
        before = self._basis(order)
        walks: list[Walk] = []
        missing = []
        reached: set[str] = set()
        for root, folder in order:
            walk = Walk(folder, root, self._rules, self._never, roots)
            if not walk.present():
                missing.append(folder)
                continue
            if root not in reached:
                identity = identity_of(root)
                walk.run(self._scope_of(root))
                if identity_of(root) != identity:
                    # It went amid the scan, or another one came into its place: what was not found was not deleted.
                    missing.append(folder)
                    continue
                walks.append(walk)
            reached |= walk.reached
        links = tuple(link for walk in walks for link in self._links(walk)) if self._rules.follow_symlinks else ()
        mounts = self._mounts(walks)
        several = frozenset((walk.folder, path) for walk in walks for path in walk.several_names)
        unsure = missing or mounts or before is None or any(walk.unread for walk in walks)
        unsure = unsure or len(several) > _MOST_SEVERAL
        return Scan(
            basis=None if unsure or before is None else replace(before, links=links, several_names=several),
            files=tuple(sorted((file for walk in walks for file in walk.files), key=lambda file: file.key)),
            problems=tuple(
                sorted(
                    (problem for walk in walks for problem in walk.problems),
                    key=lambda problem: (problem.folder, problem.path),
                )
            ),
            missing=tuple(sorted(missing)),
            unread=tuple(sorted(place for walk in walks for place in walk.unread)),
            excluded=sum(walk.excluded for walk in walks),
            folders=self._folders,
            empty=tuple(walk.folder for walk in walks if walk.empty),
            mounts=mounts,
        )

    def scan_places(self, places: Collection[Subtree], basis: ScanBasis) -> Scan | None:
        """List the files that belong in some places only; see ``kb.ports.Files``.

        Whether a file belongs depends on what is above it, and on the links that lead to it. So an ignore file widens
        its place to its directory; and a link at, to or above a place, another file system, a file that has several
        names now, or a directory that cannot be read leave it to a whole scan. Files that had several names before are
        always among the places.
        """
        order = self._outer_first()
        now = self._basis(order)
        if now is None or now.mounts or replace(now, links=basis.links, several_names=basis.several_names) != basis:
            return None
        wanted = outermost(widened(place) for place in (*places, *basis.several_names))
        if any(folder not in self._folders for folder, _ in wanted) or self._linked(wanted, basis):
            return None
        roots = frozenset(root for root, _ in order)
        walks = []
        for root, folder in order:
            walk = Walk(folder, root, self._rules, self._never, roots)
            paths = sorted(path for of, path in wanted if of == folder)
            try:
                scope = self._scope_of(root)
                for path in paths:
                    walk.run_at(path, scope) if path else walk.run(scope)
            except OSError:
                return None
            several = {(folder, path) for path in walk.several_names} - basis.several_names
            if walk.unread or walk.mounts or several or (walk.links and self._rules.follow_symlinks):
                return None
            walks.append(walk)
        if any(identity_of(root) != identity for (root, _), (_, identity) in zip(order, now.folders, strict=True)):
            return None
        return Scan(
            files=tuple(sorted((file for walk in walks for file in walk.files), key=lambda file: file.key)),
            problems=tuple(dict.fromkeys(problem for walk in walks for problem in walk.problems)),
            folders=self._folders,
            basis=basis,
            places=wanted,
        )

    def _outer_first(self) -> list[tuple[str, str]]:
        """The real path of each folder, and the folder; outer ones first, so that inner ones are told from them."""
        return sorted(((real_path(folder), folder) for folder in self._folders), key=lambda pair: len(pair[0]))

    def _basis(self, order: Sequence[tuple[str, str]]) -> ScanBasis | None:
        """What scans of some places rely on, without the links; None where one folder is inside another, or missing.

        Args:
            order: The real path of each folder, and the folder, outer ones first.
        """
        identities = []
        for place, (root, folder) in enumerate(order):
            identity = identity_of(root)
            if identity is None or any(inside(root, {outer}) for outer, _ in order[:place]):
                return None
            identities.append((folder, identity))
        return ScanBasis(
            folders=tuple(identities),
            rules=tuple(self._texts_above(root) for root, _ in order),
            mounts=frozenset(
                point for point in self._mounted() for root, _ in order if point != root and inside(point, {root})
            ),
        )

    @staticmethod
    def _links(walk: Walk) -> Iterator[tuple[str, str]]:
        """The absolute path and the target of each link that a walk met."""
        root = real_path(walk.folder)
        return ((place, real_path(place)) for place in (join(root, link) for link in walk.links))

    @staticmethod
    def _linked(places: Collection[Subtree], basis: ScanBasis) -> bool:
        """Whether a link, or the target of one, is at one of some places or below it."""
        ends = sorted({end for link in basis.links for end in link})
        for folder, path in places if ends else ():
            place = join(real_path(folder), path).rstrip("/")
            # Between them are those with the place as a beginning, such as "notes-old" for "notes".
            among = ends[bisect_left(ends, place) : bisect_left(ends, f"{place}0")]
            if any(inside(end, {place}) for end in among):
                return True
        return False

    def _mounts(self, walks: Sequence[Walk]) -> tuple[tuple[str, str], ...]:
        """Return the mount points inside the folders, as (folder, path), by the system's table and by device numbers.

        A bind mount may have the same device number, and not every system has a table.
        """
        found = {(walk.folder, path) for walk in walks for path in walk.still_mounted()}
        for walk in walks:
            root = join(real_path(walk.folder), "")
            found.update((walk.folder, point[len(root) :]) for point in self._mounted() if point.startswith(root))
        return tuple(sorted(one for one in found if one[1]))

    def stat(self, folder: str, path: str) -> FileStat | None:
        """Return the current stat of a file, or None if there is no regular file."""
        try:
            return stat_of(os.lstat(to_the_system(self._locate(folder, path))))
        except (OSError, ValueError, DocumentError):
            return None

    def belongs(self, folder: str, path: str) -> bool:
        """Whether the rules include a file of a folder now, as far as its names tell."""
        if folder not in self._folders or ".." in path.split("/"):
            return False
        root = real_path(folder)
        return Walk(folder, root, self._rules, self._never, ()).includes(path, self._scope_of(root))

    def load(self, file: FoundFile) -> Source:
        """Read a file, with its current stat.

        Raises:
            DocumentError: It cannot be read.
            DocumentBusy: It changed while it was read, twice.
        """
        try:
            return self._load(file) or self._load(file) or _refuse_changing()
        except (OSError, ValueError) as error:
            raise document_error(error) from error

    def _load(self, file: FoundFile) -> Source | None:
        """Read a file; None if it changed meanwhile."""
        read_ns = time.time_ns()
        with open_file(self._locate(file.folder, file.path)) as stream:
            taken = read_stable(stream, *self._rules.limit(file.path))
        if taken is None:
            return None
        data, stat = taken
        return Source(replace(file, stat=stat), data, sha256(data).digest(), read_ns)

    def _locate(self, folder: str, path: str) -> str:
        """Return the real path of a regular file of a folder.

        Raises:
            DocumentError: It is not a regular file, or the path leads through a link or out of the folder.
            OSError: It does not exist or cannot be reached.
        """
        # A catalog may come with a copied folder and name any other folder.
        if folder not in self._folders:
            raise DocumentError("is not in a watched folder", "Add its folder to folders.paths")
        root = self._real_root(folder)
        above = path.rpartition("/")[0]
        parent = join(root, above).rstrip("/") or "/"
        real_parent = parent if parent == root else real_path(parent)
        if real_parent != parent:
            # A folder above the watched one may have become a link.
            root = real_path(folder)
            parent = join(root, above).rstrip("/") or "/"
        place = join(root, path)
        if parent != root and (real_parent != parent or not inside(parent, {root})):
            raise DocumentError("is behind a symbolic link", "Put the file itself into the folder")
        found = os.lstat(to_the_system(place))
        if modes.S_ISLNK(found.st_mode) and self._rules.follow_symlinks:
            place = real_path(place)
            found = os.lstat(to_the_system(place))
            if not inside(place, {real_path(folder)}):
                raise DocumentError("is a symbolic link that leads out of the folder", "Put the file itself there")
        if not modes.S_ISREG(found.st_mode):
            raise not_a_file(found.st_mode)
        if inside(place, self._never):
            raise DocumentError("belongs to the store", "Move it out of the store's folder")
        return place

    def _real_root(self, folder: str) -> str:
        """Return the real path of a watched folder, which is resolved anew only where another one is in its place.

        Each question looks at the files of its hits, and a look at the folder costs a tenth of what its path does.
        """
        found = os.stat(to_the_system(folder))  # noqa: PTH116 - plain strings, undecodable bytes included
        identity = (found.st_dev, found.st_ino)
        if self._roots.get(folder) == identity:
            return folder
        root = real_path(folder)
        if root == folder:
            self._roots[folder] = identity
        return root

    @staticmethod
    def _texts_above(root: str) -> tuple[str, ...]:
        """The texts of the ignore files above a folder, up to the top of its git repository."""
        above = _up_to_repository(root)[1:]
        names = (KB_IGNORE, GIT_IGNORE, ".git/info/exclude")
        return tuple(f"{directory}\0{ignore_text(directory, name)}" for directory in above for name in names)

    def _scope_of(self, root: str) -> Scope:
        """Return the scope of a folder, including the ignore files above it up to the top of its git repository."""
        above = _up_to_repository(root)
        scope = self._scope
        for directory, inner in zip(above[:0:-1], above[-2::-1], strict=True):
            scope = scope.with_ignores(
                kbignore=ignore_text(directory, KB_IGNORE),
                gitignore=ignore_text(directory, GIT_IGNORE),
                repository=directory == above[-1],
                repository_exclude=ignore_text(directory, ".git/info/exclude") if directory == above[-1] else "",
            ).below(Path(inner).name)
        return scope.rooted()


def _up_to_repository(root: str) -> list[str]:
    """The directories from a folder up to the top of its git repository; the folder alone if it is in none."""
    above = [root]
    while not os.path.lexists(join(above[-1], ".git")):
        parent = with_slashes(os.path.dirname(above[-1]))  # noqa: PTH120 - plain strings, undecodable bytes included
        if parent == above[-1]:
            return [root]
        above.append(parent)
    return above


def widened(place: Subtree) -> Subtree:
    """The place in which a change at a path may matter: of an ignore file, its directory."""
    folder, path = place
    *above, name = path.split("/")
    for depth, directory in enumerate(above):
        if directory == ".git" and path.split("/")[depth + 1 :] in (["info"], ["info", "exclude"]):
            return folder, "/".join(above[:depth])
    return (folder, "/".join(above)) if name in {KB_IGNORE, GIT_IGNORE, ".git"} else place


def outermost(places: Iterable[Subtree]) -> frozenset[Subtree]:
    """Some places without those that are below another one."""
    found = frozenset(places)
    return frozenset(place for place in found if not any(above in found for above in subtrees_above(place)))


def _refuse_changing() -> Source:
    raise DocumentBusy("is being written: it changed while it was read", "Wait; kb tries again at the next run")
