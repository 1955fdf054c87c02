"""Decides which files belong to the index, by the configuration and by ignore files with git's semantics.

Nothing here reads the disk. ``kb.files.scan`` walks the folders and asks a ``Scope`` about each name.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from kb.errors import ConfigError
from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KB_IGNORE: Final = ".kbignore"
GIT_IGNORE: Final = ".gitignore"
# Directories of version control, which never belong.
VERSION_CONTROL: Final = frozenset({".git", ".hg", ".svn", ".bzr", ".jj"})

# Files that office programs, browsers, editors and desktops keep next to a file while it is open, or leave behind.
_TEMPORARY: Final = re.compile(
    r"~\$.+"  # owner files of Microsoft Office
    r"|\.~(?:lock\.)?.+#?|\.#.+|#.+#"  # LibreOffice, WPS, Emacs
    r"|.+~|.+\.(?:swp|kate-swp)|\..+\.sw[a-p]"  # Vim, Kate
    r"|.+\.(?:part|crdownload|opdownload|partial|download|filepart|aria2|!ut|!qB|ytdl|tmp|temp)"
    r"|.+\.goutputstream-\w+|\.goutputstream-\w+|.+\.sb-[0-9a-f]{8}-\w{6}"
    r"|\.nfs[0-9a-f]{8,}|\.fuse_hidden[0-9a-f]{8,}"
    r"|desktop\.ini|(?:eh)?thumbs\.db",  # Windows keeps the look of a folder, and small pictures of its files, in them
    re.IGNORECASE,
)

_POSIX_CLASSES: Final = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \t",
    "digit": "0-9",
    "lower": "a-z",
    "space": " \t\r\n\v\f",
    "upper": "A-Z",
    "xdigit": "a-fA-F0-9",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of the configuration.

    Attributes:
        include: Unless empty, only files that match one of these patterns belong.
        exclude: Files and folders that match one of these patterns never belong.
        gitignore: Whether ``.gitignore`` files count; ``.kbignore`` files always do.
        hidden: Whether names that begin with a dot belong.
        follow_symlinks: Whether a link to a file in the same folder may be read in its place.
        max_bytes: The largest file that is read, in bytes.
        max_document_bytes: The largest file in a format that is not plain text, in bytes.
    """

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    gitignore: bool
    hidden: bool
    follow_symlinks: bool
    max_bytes: int
    max_document_bytes: int = 100_000_000

    def limit(self, path: str) -> tuple[int, str]:
        """Return the size limit of a file in bytes, and the configuration key of that limit."""
        if path[path.rfind(".") :].lower() in REGISTRY.documents:
            return self.max_document_bytes, "documents.max_file_mb"
        return self.max_bytes, "folders.max_file_mb"


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line of an ignore file.

    Attributes:
        search: Matches the path of an entry, or its name if the pattern is not anchored.
        excludes: False for a pattern that begins with ``!``.
        directories_only: Whether it matches directories only.
        anchored: Whether it matches paths, not names.
    """

    search: Callable[[str], re.Match[str] | None]
    excludes: bool
    directories_only: bool
    anchored: bool


def _stripped(line: str) -> str:
    """Strip the trailing spaces that git ignores: those not escaped by a backslash."""
    line = line.rstrip("\r\n")
    while line.endswith(" ") and not line.endswith("\\ "):
        line = line[:-1]
    return line


def _compile(line: str) -> _Pattern | None:
    """Compile a line of an ignore file; None for a blank line or a comment.

    A pattern is matched against one entry at a time, from the top down, so pathspec gets it anchored and without its
    final slash. pathspec also matches entries *below* a match, which its only group shows; ``Patterns`` rejects those,
    since an excluded directory is never entered.

    Raises:
        ValueError: The pattern is invalid; git treats it as one that matches nothing.
    """
    text = _stripped(line)
    if not text or text.startswith("#"):
        return None
    excludes = not text.startswith("!")
    text = text if excludes else text[1:]
    directories_only = text.endswith("/")
    body = text[:-1] if directories_only else text
    anchored = "/" in body
    body = re.sub(r"\[:([a-z]+):\]", lambda match: _POSIX_CLASSES.get(match[1], match[0]), body.removeprefix("/"))
    if not body:
        return None
    with warnings.catch_warnings():
        # re warns that a bracket inside a bracket expression may change its meaning.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            regex = GitIgnoreSpecPattern(f"/{body}").regex
        except re.error as error:
            raise ValueError(str(error)) from error
    if regex is None:
        raise ValueError("it has a bracket that is not closed")
    return _Pattern(regex.search, excludes, directories_only, anchored)


class Patterns:
    """The patterns of one ignore file, or of one list in the configuration."""

    __slots__ = ("_directories", "_files")

    def __init__(self, patterns: Iterable[_Pattern]) -> None:
        backwards = tuple(patterns)[::-1]
        self._directories = backwards
        self._files = tuple(pattern for pattern in backwards if not pattern.directories_only)

    def __bool__(self) -> bool:
        """Whether there are any patterns."""
        return bool(self._directories)

    def verdict(self, prefix: str, name: str, *, directory: bool) -> bool | None:
        """Whether these patterns exclude an entry (True), include it again (False), or do not match (None).

        Args:
            prefix: The path from the directory of the patterns to that of the entry: empty, or ending with a slash.
            name: The name of the entry.
            directory: Whether it is a directory.
        """
        for pattern in self._directories if directory else self._files:
            match = pattern.search(prefix + name if pattern.anchored else name)
            if match is not None and match.lastindex is None:
                return pattern.excludes
        return None


@lru_cache(maxsize=4096)
def parse_ignore(text: str) -> Patterns:
    """Parse an ignore file. As in git, invalid lines are skipped."""
    patterns = []
    for line in text.removeprefix("\ufeff").split("\n"):
        try:
            pattern = _compile(line)
        except ValueError:
            continue
        if pattern is not None:
            patterns.append(pattern)
    return Patterns(patterns)


def parse_setting(key: str, lines: tuple[str, ...]) -> Patterns:
    """Parse a list of patterns in the configuration.

    Raises:
        ConfigError: A pattern is invalid.
    """
    patterns = []
    for line in lines:
        try:
            pattern = _compile(line)
        except ValueError as error:
            raise ConfigError(f"{key}: {line!r} is not a pattern ({error})", "Write it as in .gitignore") from error
        if pattern is not None:
            patterns.append(pattern)
    return Patterns(patterns)


@dataclass(frozen=True, slots=True)
class _Level:
    """The patterns of one ignore file, for a directory at or below its own.

    Attributes:
        patterns: The patterns.
        prefix: The path from the directory of the file: empty, or ending with a slash.
        git: Whether the file is one of git's.
    """

    patterns: Patterns
    prefix: str
    git: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules for the entries of one directory.

    An entry belongs unless its name, the configuration or an ignore file excludes it. Of the ignore files, the nearest
    one with a pattern that matches decides, ``.kbignore`` before ``.gitignore`` in the same directory; in a file, the
    last pattern that matches. So a deeper file can include what a higher one excludes, but not what the configuration
    excludes. Temporary files of other programs are excluded unless an ignore file includes them. The watched folder
    itself is never excluded.

    Attributes:
        hidden: Whether names that begin with a dot belong.
        gitignore: Whether git's ignore files count.
        exclude: The patterns of ``folders.exclude``.
        include: The patterns of ``folders.include``.
        included: Whether files here belong by ``folders.include`` if no pattern matches them.
        path: The path of the directory in the watched folder: empty, or ending with a slash.
        levels: The patterns of ignore files, the nearest first.
    """

    hidden: bool
    gitignore: bool
    exclude: Patterns
    include: Patterns
    included: bool
    path: str = ""
    levels: tuple[_Level, ...] = ()

    @classmethod
    def of(cls, rules: Rules) -> Scope:
        """Make the scope of a folder without ignore files.

        Raises:
            ConfigError: A pattern of the rules is invalid.
        """
        include = parse_setting("folders.include", rules.include)
        return cls(
            hidden=rules.hidden,
            gitignore=rules.gitignore,
            exclude=parse_setting("folders.exclude", rules.exclude),
            include=include,
            included=not include,
        )

    def below(self, name: str) -> Scope:
        """Return the scope of a subdirectory, without its own ignore files."""
        name = _safe(name)
        levels = tuple(_Level(level.patterns, f"{level.prefix}{name}/", level.git) for level in self.levels)
        chosen = self.include.verdict(self.path, name, directory=True)
        included = self.included if chosen is None else chosen
        return replace(self, path=f"{self.path}{name}/", levels=levels, included=included)

    def rooted(self) -> Scope:
        """Return the same scope, with the patterns of the configuration anchored at this directory."""
        return replace(self, path="", included=not self.include)

    def with_ignores(
        self, *, kbignore: str = "", gitignore: str = "", repository: bool = False, repository_exclude: str = ""
    ) -> Scope:
        """Add the ignore files of this directory.

        Args:
            kbignore: The text of ``.kbignore``.
            gitignore: The text of ``.gitignore``.
            repository: Whether this is the top of a git repository, so that ``.gitignore`` files above do not count.
            repository_exclude: The text of the repository's ``info/exclude``.
        """
        outer = tuple(level for level in self.levels if not level.git) if repository else self.levels
        texts = [(kbignore, False)]
        if self.gitignore:
            texts += [(gitignore, True), (repository_exclude, True)]
        own = tuple(_Level(patterns, "", git) for text, git in texts if text and (patterns := parse_ignore(text)))
        return replace(self, levels=own + outer)

    def excludes(self, name: str, *, directory: bool) -> bool:
        """Whether the rules exclude an entry of this directory; a directory with all that is below it."""
        if name.startswith(".") and (not self.hidden or _never(name, directory=directory)):
            return True
        if "\n" in name:
            name = _safe(name)
        if self.exclude.verdict(self.path, name, directory=directory):
            return True
        for level in self.levels:
            verdict = level.patterns.verdict(level.prefix, name, directory=directory)
            if verdict is not None:
                if verdict:
                    return True
                break
        else:
            if not directory and is_temporary(name):
                return True
        if directory or not self.include:
            return False
        chosen = self.include.verdict(self.path, name, directory=False)
        return not (self.included if chosen is None else chosen)


def is_temporary(name: str) -> bool:
    """Whether a file is a temporary file: an owner file, a backup, an unfinished download."""
    return _TEMPORARY.fullmatch(name) is not None


def _never(name: str, *, directory: bool) -> bool:
    """Whether a name is of version control or of a store of kb, which never belong."""
    return name in VERSION_CONTROL or (directory and (name == ".kb" or name.startswith(".kb-")))


def _safe(name: str) -> str:
    """Replace line ends in a name by NUL, since ``re`` treats line ends specially."""
    return name.replace("\n", "\0")
