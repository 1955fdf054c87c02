"""Which files belong to the index: the rules of the configuration and of ignore files, with git's meaning.

Everything here is a function of values. ``kb.files.scan`` walks the folders and asks a ``Scope`` about each name.
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
# Never notes: the insides of version control, whatever else the rules say.
VERSION_CONTROL: Final = frozenset({".git", ".hg", ".svn", ".bzr", ".jj"})

# What office programs, browsers and editors leave beside a file while they work on it, or when they end badly.
_TEMPORARY: Final = re.compile(
    r"~\$.+"  # who has a document open in Microsoft Office
    r"|\.~(?:lock\.)?.+#?|\.#.+|#.+#"  # LibreOffice, WPS, Emacs
    r"|.+~|.+\.(?:swp|kate-swp)|\..+\.sw[a-p]"  # Vim, Kate
    r"|.+\.(?:part|crdownload|opdownload|partial|download|filepart|aria2|!ut|!qB|ytdl|tmp|temp)"
    r"|.+\.goutputstream-\w+|\.goutputstream-\w+|.+\.sb-[0-9a-f]{8}-\w{6}"
    r"|\.nfs[0-9a-f]{8,}|\.fuse_hidden[0-9a-f]{8,}",
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
    """What the configuration says about which files belong.

    Attributes:
        include: Where not empty, only files that match one of these patterns belong.
        exclude: Files and folders that match one of these patterns never belong.
        gitignore: Whether ``.gitignore`` files count; ``.kbignore`` files always do.
        hidden: Whether names that begin with a dot belong.
        follow_symlinks: Whether a link to a file inside the same folder may stand for that file.
        max_bytes: The size of the largest file that is read.
        max_document_bytes: The same for documents that are not plain text.
    """

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    gitignore: bool
    hidden: bool
    follow_symlinks: bool
    max_bytes: int
    max_document_bytes: int = 100_000_000

    def limit(self, path: str) -> tuple[int, str]:
        """How many bytes a file may have, and the key of the configuration that says so."""
        if path[path.rfind(".") :].lower() in REGISTRY.documents:
            return self.max_document_bytes, "documents.max_file_mb"
        return self.max_bytes, "folders.max_file_mb"


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line of an ignore file. ``anchored`` ones look at the path, the others at the last name alone."""

    search: Callable[[str], re.Match[str] | None]
    excludes: bool
    directories_only: bool
    anchored: bool


def _stripped(line: str) -> str:
    """The line without the trailing blanks that git ignores: those that no backslash protects."""
    line = line.rstrip("\r\n")
    while line.endswith(" ") and not line.endswith("\\ "):
        line = line[:-1]
    return line


def _compile(line: str) -> _Pattern | None:
    """One pattern, or None for a blank line and a comment.

    A pattern is matched against one entry at a time, from the top down, so pathspec gets it anchored and without
    its final slash. It would also accept what lies *below* a match; its only group tells that, and ``Patterns`` refuses
    it, because a directory that is excluded is never entered.

    Raises:
        ValueError: Git would take the line for a pattern that cannot match.
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
        # A bracket inside a bracket expression means itself here, which re only warns it may not for ever.
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
        """Whether there is any pattern at all."""
        return bool(self._directories)

    def verdict(self, prefix: str, name: str, *, directory: bool) -> bool | None:
        """Whether these patterns exclude an entry (True), take it back in (False), or say nothing (None).

        Args:
            prefix: The directory of the entry seen from that of the patterns: empty, or ending with a slash.
            name: The entry's own name.
            directory: Whether it is a directory.
        """
        for pattern in self._directories if directory else self._files:
            match = pattern.search(prefix + name if pattern.anchored else name)
            if match is not None and match.lastindex is None:
                return pattern.excludes
        return None


@lru_cache(maxsize=4096)
def parse_ignore(text: str) -> Patterns:
    """The patterns of an ignore file. Lines that git cannot use are passed over, as git does."""
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
    """The patterns of a list in the configuration.

    Raises:
        ConfigError: One of them cannot be used.
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
    """The patterns of one ignore file, seen from a directory at or below its own."""

    patterns: Patterns
    prefix: str
    git: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """What applies to the entries of one directory.

    An entry belongs when nothing excludes it: neither its name, nor the configuration, nor an ignore file. Among ignore
    files the one nearest to the entry decides, ``.kbignore`` before ``.gitignore`` in the same directory, and in
    a file the last pattern that matches. So a deeper file can take back what a shallower one excludes, but not what the
    configuration excludes. The temporary files of other programs are left out unless an ignore file takes them back.
    The watched folder itself is never excluded: whoever lists it wants it.
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
        """The scope of a folder without ignore files.

        Raises:
            ConfigError: A pattern of the rules cannot be used.
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
        """The scope of a subdirectory, before its own ignore files are known."""
        name = _safe(name)
        levels = tuple(_Level(level.patterns, f"{level.prefix}{name}/", level.git) for level in self.levels)
        chosen = self.include.verdict(self.path, name, directory=True)
        included = self.included if chosen is None else chosen
        return replace(self, path=f"{self.path}{name}/", levels=levels, included=included)

    def rooted(self) -> Scope:
        """The same ignore files for a directory that is a watched folder: the configuration's patterns start here."""
        return replace(self, path="", included=not self.include)

    def with_ignores(
        self, *, kbignore: str = "", gitignore: str = "", repository: bool = False, repository_exclude: str = ""
    ) -> Scope:
        """The scope with the texts of this directory's own ignore files.

        Args:
            kbignore: The text of ``.kbignore``.
            gitignore: The text of ``.gitignore``.
            repository: Whether a git repository begins here, so that ``.gitignore`` files further up do not count.
            repository_exclude: The text of the repository's ``info/exclude``.
        """
        outer = tuple(level for level in self.levels if not level.git) if repository else self.levels
        texts = [(kbignore, False)]
        if self.gitignore:
            texts += [(gitignore, True), (repository_exclude, True)]
        own = tuple(_Level(patterns, "", git) for text, git in texts if text and (patterns := parse_ignore(text)))
        return replace(self, levels=own + outer)

    def excludes(self, name: str, *, directory: bool) -> bool:
        """Whether the rules leave out an entry of this directory, and with a directory all that is below it."""
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
    """Whether a file is one that a program keeps while it works: an owner file, a backup, half of a download."""
    return _TEMPORARY.fullmatch(name) is not None


def _never(name: str, *, directory: bool) -> bool:
    """Whether a name is version control's or a store of kb, which no rule takes in."""
    return name in VERSION_CONTROL or (directory and (name == ".kb" or name.startswith(".kb-")))


def _safe(name: str) -> str:
    """The name with its line ends as NUL, which no name holds: to ``re`` a line end is more than a character."""
    return name.replace("\n", "\0")
