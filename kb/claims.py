"""Which configuration fills a store: remembered in its catalog, so that a second one does not empty it unasked.

A run drops the files of folders that are no longer configured. That is meant where somebody edits a configuration, and
never where another one happens to name the same store.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from kb.errors import StoreBusy, StoreError
from kb.service.client import connect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from kb.config import Settings
    from kb.records import KnownFile

# Tells whoever wants a store that ``kb watch`` has it: that keeps it for as long as it runs, and can be asked.


def refuse_served(settings: Settings) -> None:
    """See that nobody waits for a store that is served.

    Raises:
        StoreBusy: ``kb watch`` has it.
    """
    store = settings.store_path()
    connection = connect(store, os.environ)
    if connection is None:
        return
    connection.socket.close()
    kb = settings.command()
    raise StoreBusy(
        f"kb watch{f' (process {connection.pid})' if connection.pid else ''} has the store at {store}",
        f"Ask it, as {kb} search QUESTION --json, or end it first: {kb} watch --stop",
    )


_KEY: Final = "configuration"


class Remembers(Protocol):
    """What is asked of a catalog."""

    def meta(self, key: str) -> str | None:
        """A remembered value."""

    def set_meta(self, key: str, value: str) -> None:
        """Remember a value."""

    def files(self) -> list[KnownFile]:
        """All known files."""

    def close(self) -> None:
        """Close it."""


_T = TypeVar("_T", bound=Remembers)


@dataclass(frozen=True, slots=True)
class Claim:
    """A configuration as the one that fills a store.

    Attributes:
        file: Its file, with links resolved; empty where everything was typed or came from the environment.
        sha256: The digest of the file's content.
        store: The store, as its path was then.
        folders: The folders that are read.
        rules: What else decides which files belong, by key.
    """

    file: str
    sha256: str
    store: str
    folders: tuple[str, ...]
    rules: Mapping[str, object]

    def __str__(self) -> str:
        """For people: the file and its folders."""
        return f"{self.file or 'a command without a configuration file'} ({', '.join(self.folders) or 'no folder'})"


def owned(catalog: _T, settings: Settings, *, takes_over: bool = False) -> _T:
    """A catalog that was opened, once it is this configuration's; else it is closed again.

    Raises:
        StoreError: Another configuration fills the store, and it is not to be taken over.
    """
    try:
        if not takes_over:
            require_own(catalog, settings)
    except BaseException:
        catalog.close()
        raise
    return catalog


def require_own(catalog: Remembers, settings: Settings) -> None:
    """See that a store is filled by this configuration, or by none yet.

    It counts as the same one where its file is: edited, or overridden by whoever typed something else, moved together
    with the store, renamed, or moved with its content. Another file that names the same files does no harm.

    Raises:
        StoreError: It is filled by another one; the message names both.
    """
    now, before = _claim_of(settings), _remembered(catalog)
    if before is None:
        known = {file.folder for file in catalog.files()}
        if settings.typed("folders.paths") or not _drops(known, now):
            return
        before = Claim("", "", now.store, tuple(sorted(known)), {})
        filled = f"has the files of {', '.join(before.folders)}"
    elif _same(before, now):
        return
    else:
        filled = f"is filled by {before}"
    what = "other folders" if set(before.folders) != set(now.folders) else "other rules for which files belong"
    raise StoreError(
        f"the store at {now.store} {filled}; {now} has {what}",
        "Give it a store of its own (store.path), or hand this one over, which drops the files of the other: "
        f"{_command(settings)} index --take-over",
    )


def claim(catalog: Remembers, settings: Settings) -> None:
    """Remember that this configuration fills the store from now on."""
    now = _claim_of(settings)
    if _remembered(catalog) != now:
        catalog.set_meta(_KEY, json.dumps(asdict(now)))


def _same(before: Claim, now: Claim) -> bool:
    if before.file == now.file:
        return True
    shared = before.rules.keys() & now.rules.keys()
    if set(before.folders) == set(now.folders) and all(before.rules[key] == now.rules[key] for key in shared):
        return True
    if not before.file:
        return set(before.folders) <= set(now.folders)
    if before.store != now.store and now.file and _between(before) == _between(now):
        # Copied or moved together with its store.
        return True
    if os.path.lexists(before.file):
        return False
    # Renamed or removed, if its folder is there; else moved with its folder, or on a drive that is absent.
    return os.path.isdir(os.path.dirname(before.file)) or before.sha256 == now.sha256  # noqa: PTH112, PTH120 - plain strings


def _between(one: Claim) -> str:
    """The way from the store to the file."""
    return os.path.relpath(one.file, one.store)


def _drops(known: Collection[str], now: Claim) -> bool:
    """Whether a run would drop all files of a store of whom nothing is known, though their folders are there."""
    return not set(known) & set(now.folders) and any(os.path.isdir(folder) for folder in known)  # noqa: PTH112 - the same


def _claim_of(settings: Settings) -> Claim:
    wanted = settings.config.folders
    rules: dict[str, object] = {
        "include": list(wanted.include),
        "exclude": list(wanted.exclude),
        "gitignore": wanted.gitignore,
        "hidden": wanted.hidden,
        "follow_symlinks": wanted.follow_symlinks,
        "max_file_mb": wanted.max_file_mb,
        "documents.max_file_mb": settings.config.documents.max_file_mb,
    }
    try:
        digest = hashlib.sha256(settings.file.read_bytes()).hexdigest() if settings.file else ""
    except OSError:
        # It went away meanwhile; its path tells it from others all the same.
        digest = ""
    file = str(settings.file) if settings.file else ""
    return Claim(file, digest, settings.store_path(), settings.folder_paths(), rules)


def _remembered(catalog: Remembers) -> Claim | None:
    told = catalog.meta(_KEY)
    if told is None:
        return None
    try:
        values = json.loads(told)
        return Claim(**{**values, "folders": tuple(values["folders"]), "rules": dict(values["rules"])})
    except (ValueError, TypeError, KeyError):
        # Written by a newer kb, or by no kb: as if nothing had been remembered.
        return None


def _command(settings: Settings) -> str:
    """The command line of kb that means these settings."""
    if not settings.typed("folders.paths"):
        return settings.command()
    paths = json.dumps(list(settings.folder_paths()), ensure_ascii=False)
    return f"{settings.command()} -s {shlex.quote(f'folders.paths={paths}')}"
