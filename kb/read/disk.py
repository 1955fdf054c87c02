"""Finds and reads the files of the watched folders, and never hangs, leaves a folder or reads half a change.

A folder is read down to its last directory. A folder listed inside another one is part of the outer one; it is read
for itself only where the outer one's rules leave it out. Links to directories are never entered, so there are no
loops. A link to a file counts only where its target lies in the same folder and the scan does not find the target
itself (it is hidden, say): then the link stands for it. Every other link is left out, so nothing is indexed twice
and nothing outside the folders is read.
"""

from __future__ import annotations

import os
import stat as modes
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import DocumentBusy, DocumentError
from kb.read.regular import explained, inside, join, not_a_file, open_file, read_steadily, stat_of
from kb.read.scope import GIT_IGNORE, KB_IGNORE, Scope
from kb.read.walk import Walk, ignore_text
from kb.records import FileStat, FoundFile, Scan, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from kb.read.scope import Rules


class Disk:
    """The watched folders as they stand on the disk; implements ``kb.ports.Files``.

    Args:
        folders: Absolute paths of the folders, links resolved.
        rules: Which files belong.
        never: Absolute real paths that are never read, whatever the rules say: the store.
        mounted: Tells where file systems are mounted, as absolute real paths; those of another device are known anyway.

    Raises:
        ConfigError: A pattern of the rules cannot be used.
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
        self._never = frozenset(never) | {os.path.realpath(path) for path in never}
        self._scope = Scope.of(rules)

    def scan(self) -> Scan:
        """List every file that belongs, in order of (folder, path)."""
        # Outer folders first, so that an inner one is known to be part of them; the sort keeps the order of the rest.
        order = sorted(((os.path.realpath(folder), folder) for folder in self._folders), key=lambda pair: len(pair[0]))
        roots = frozenset(root for root, _ in order)
        walks: list[Walk] = []
        missing = []
        reached: set[str] = set()
        for root, folder in order:
            walk = Walk(folder, root, self._rules, self._never, roots)
            if not walk.present():
                missing.append(folder)
            elif root not in reached:
                walk.run(self._scope_of(root))
                walks.append(walk)
            reached |= walk.reached
        return Scan(
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
            mounts=self._mounts(walks),
        )

    def _mounts(self, walks: Sequence[Walk]) -> tuple[tuple[str, str], ...]:
        """Where file systems are mounted inside the folders: by the system's table, and by the devices that were met.

        A bind mount may be on the same device, and not every system has a table.
        """
        found = {(walk.folder, path) for walk in walks for path in walk.mounts}
        for walk in walks:
            root = join(os.path.realpath(walk.folder), "")
            found.update((walk.folder, point[len(root) :]) for point in self._mounted() if point.startswith(root))
        return tuple(sorted(one for one in found if one[1]))

    def stat(self, folder: str, path: str) -> FileStat | None:
        """The stat of one file now, or None where no regular file is there."""
        try:
            return stat_of(os.lstat(self._locate(folder, path)))
        except (OSError, ValueError, DocumentError):
            return None

    def load(self, file: FoundFile) -> Source:
        """Read one file whole, with the stat it has now.

        Raises:
            DocumentError: It cannot be read.
            DocumentBusy: It changed while it was read, twice.
        """
        try:
            return self._load(file) or self._load(file) or _refuse_changing()
        except (OSError, ValueError) as error:
            raise explained(error) from error

    def _load(self, file: FoundFile) -> Source | None:
        """Read one file, or None where it changed meanwhile."""
        read_ns = time.time_ns()
        with open_file(self._locate(file.folder, file.path)) as stream:
            taken = read_steadily(stream, *self._rules.limit(file.path))
        if taken is None:
            return None
        data, stat = taken
        return Source(replace(file, stat=stat), data, sha256(data).digest(), read_ns)

    def _locate(self, folder: str, path: str) -> str:
        """The real path of a regular file of a folder.

        Raises:
            DocumentError: Something else is there, or the way to it leads through a link or out of the folder.
            OSError: Nothing can be found there.
        """
        # A catalog may have come along with a folder, and name any other.
        if folder not in self._folders:
            raise DocumentError("is in no folder that is read", "Add its folder to folders.paths")
        root = os.path.realpath(folder)
        place = join(root, path)
        parent = str(Path(place).parent)
        if os.path.realpath(parent) != parent or not inside(parent, {root}):
            raise DocumentError("lies behind a symbolic link", "Put the file itself into the folder")
        found = os.lstat(place)
        if modes.S_ISLNK(found.st_mode) and self._rules.follow_symlinks:
            place = os.path.realpath(place)
            found = os.lstat(place)
            if not inside(place, {root}):
                raise DocumentError("is a symbolic link that leads out of the folder", "Put the file itself there")
        if not modes.S_ISREG(found.st_mode):
            raise not_a_file(found.st_mode)
        if inside(place, self._never):
            raise DocumentError("belongs to the store", "Move it out of the store's folder")
        return place

    def _scope_of(self, root: str) -> Scope:
        """The scope of a folder with what ignore files above it say, up to its git repository's top."""
        above = [root]
        while not os.path.lexists(join(above[-1], ".git")):
            parent = str(Path(above[-1]).parent)
            if parent == above[-1]:
                return self._scope
            above.append(parent)
        scope = self._scope
        for directory, inner in zip(above[:0:-1], above[-2::-1], strict=True):
            scope = scope.with_ignores(
                kbignore=ignore_text(directory, KB_IGNORE),
                gitignore=ignore_text(directory, GIT_IGNORE),
                repository=directory == above[-1],
                repository_exclude=ignore_text(directory, ".git/info/exclude") if directory == above[-1] else "",
            ).below(Path(inner).name)
        return scope.rooted()


def _refuse_changing() -> Source:
    raise DocumentBusy("is being written: it changed while it was read", "It is tried again at the next run")
