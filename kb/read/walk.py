"""One pass over one watched folder: what is there, what belongs, and what cannot be read."""

from __future__ import annotations

import os
import stat as modes
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.read.regular import MEGABYTE, explained, inside, join, not_a_file, open_file, stat_of, too_large
from kb.read.scope import GIT_IGNORE, KB_IGNORE
from kb.records import Failure, FoundFile

if TYPE_CHECKING:
    from collections.abc import Collection

    from kb.read.scope import Rules, Scope

_IGNORE_FILE_LIMIT: Final = MEGABYTE


class Walk:
    """One pass over one folder. Entries are asked about by name first, and by stat only where they belong."""

    def __init__(self, folder: str, root: str, rules: Rules, never: Collection[str], roots: Collection[str]) -> None:
        self.files: list[FoundFile] = []
        self.problems: list[Failure] = []
        self.unread: list[tuple[str, str]] = []
        self.excluded = 0
        self.empty = False
        self.reached: set[str] = set()
        # Directories, by their path below the folder, that lie on another device than the one around them.
        self.mounts: list[str] = []
        self._device = 0
        self.folder = folder
        self._root = root
        self._rules = rules
        self._never = never
        self._roots = roots
        self._links: list[str] = []
        self._directories: list[tuple[str, Scope]] = []

    def present(self) -> bool:
        """Whether the folder is there, as far as one can tell."""
        try:
            return modes.S_ISDIR(Path(self._root).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def run(self, scope: Scope) -> None:
        """Read the folder, given what applies to it from above."""
        if inside(self._root, self._never):
            self.excluded += 1
            return
        self._device = device_of(self._root)
        self._directories.append(("", scope))
        while self._directories:
            self._read(*self._directories.pop())
        self._take_links()

    def _read(self, prefix: str, scope: Scope) -> None:
        """Read one directory; ``prefix`` is its path with a final slash, or empty."""
        directory = join(self._root, prefix).rstrip("/") or "/"
        if directory in self._roots:
            self.reached.add(directory)
        try:
            with os.scandir(directory) as listing:
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
                self._report(prefix + entry.name, explained(error).message)

    def _sort(self, entry: os.DirEntry[str], prefix: str, scope: Scope) -> None:
        """Put one entry where it belongs."""
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            if scope.excludes(name, directory=True) or entry.path in self._never:
                self.excluded += 1
            else:
                self._directories.append((f"{prefix}{name}/", scope.below(name)))
        elif scope.excludes(name, directory=False) or entry.path in self._never:
            self.excluded += 1
        elif entry.is_symlink():
            self._links.append(prefix + name)
        else:
            self._take(prefix + name, entry.stat(follow_symlinks=False))

    def _take(self, path: str, found: os.stat_result) -> None:
        """Keep a file, or say why it cannot be taken."""
        if not modes.S_ISREG(found.st_mode):
            self._report(path, not_a_file(found.st_mode).message)
        elif found.st_size > self._rules.limit(path)[0]:
            self._report(path, too_large(found.st_size, *self._rules.limit(path)).message)
        else:
            self.files.append(FoundFile(self.folder, path, stat_of(found)))

    def _take_links(self) -> None:
        """Take the links that stand for a file of this folder which was not found itself, each target once."""
        known = (
            {file.path for file in self.files} | {problem.path for problem in self.problems} if self._links else set()
        )
        for link in sorted(self._links):
            target = os.path.realpath(join(self._root, link))
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
        """Whether a path belongs to this folder, not to another listed one inside it, nor to the store."""
        inner = {root for root in self._roots if root != self._root and inside(root, {self._root})}
        return inside(target, {self._root}) and not inside(target, inner) and not inside(target, self._never)

    def _with_ignores(self, scope: Scope, prefix: str, directory: str, names: Collection[str]) -> Scope:
        """The scope with the ignore files of one directory, where it has any."""
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
        """The text of an ignore file, or nothing and a problem: what it leaves out is then not left out."""
        if name == GIT_IGNORE and not self._rules.gitignore:
            return ""
        try:
            return read_ignore(join(directory, name))
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._report(prefix + name, f"is not applied: it {explained(error).message}")
            return ""

    def _leave_unread(self, path: str, error: OSError) -> None:
        """Remember that nothing is known about a directory. One that vanished just now is no problem."""
        self.unread.append((self.folder, path))
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            self._report(path, f"{explained(error).message}, so nothing below is known")

    def _report(self, path: str, reason: str) -> None:
        self.problems.append(Failure(self.folder, path, reason))


def device_of(directory: str) -> int:
    """The device that a directory is on; 0 where that cannot be told."""
    try:
        return os.lstat(directory).st_dev
    except OSError:
        return 0


def read_ignore(place: str) -> str:
    """The text of an ignore file, its bytes decoded as file names are. A link is no ignore file, as in git.

    Raises:
        OSError: It cannot be read.
    """
    if not modes.S_ISREG(os.lstat(place).st_mode):
        return ""
    with open_file(place) as stream:
        return os.fsdecode(stream.read(_IGNORE_FILE_LIMIT))


def ignore_text(directory: str, name: str) -> str:
    """The text of an ignore file outside the folder, or nothing where there is none to read."""
    try:
        return read_ignore(join(directory, name))
    except OSError:
        return ""
