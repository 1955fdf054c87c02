"""Records in the catalog which configuration a store belongs to, so that another one does not empty it.

A run drops the files of folders that are no longer configured. That is intended after an edit of the configuration,
but not when another configuration names the same store by accident.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from kb.errors import StoreBusy, StoreError
from kb.service.client import connect
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from kb.config import Settings
    from kb.records import KnownFile


def refuse_while_served(settings: Settings) -> None:
    """Raise instead of waiting for a store that a daemon holds as long as it runs.

    Raises:
        StoreBusy: A daemon (``kb watch``) holds the store.
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


class ClaimCatalog(Protocol):
    """The part of a catalog that says which configuration fills it."""

    def meta(self, key: str) -> str | None:
        """A stored value."""

    def files(self) -> list[KnownFile]:
        """All files in the catalog."""

    def close(self) -> None:
        """Close it."""


class WritableCatalog(ClaimCatalog, Protocol):
    """The same, where that can be recorded too."""

    def set_meta(self, key: str, value: str) -> None:
        """Store a value."""


_T = TypeVar("_T", bound=ClaimCatalog)


@dataclass(frozen=True, slots=True)
class Claim:
    """The configuration that a store belongs to.

    Attributes:
        file: The real path of the configuration file; empty without one.
        sha256: The hex digest of the file's content.
        store: The path of the store at that time.
        folders: The watched folders.
        rules: The other settings that select files, by key.
    """

    file: str
    sha256: str
    store: str
    folders: tuple[str, ...]
    rules: Mapping[str, object]

    def __str__(self) -> str:
        """The file and its folders, for messages."""
        return f"{self.file or 'a command without a configuration file'} ({', '.join(self.folders) or 'no folder'})"


def require_claim(catalog: _T, settings: Settings, *, takes_over: bool = False) -> _T:
    """Return an opened catalog if it belongs to this configuration; otherwise close it and raise.

    Raises:
        StoreError: The store belongs to another configuration, and ``takes_over`` is False.
    """
    try:
        if not takes_over:
            require_own_claim(catalog, settings)
    except BaseException:
        catalog.close()
        raise
    return catalog


def require_own_claim(catalog: ClaimCatalog, settings: Settings) -> None:
    """Check that a store belongs to this configuration, or to none yet.

    A configuration stays the same if its file is edited, overridden on the command line, moved with the store, renamed,
    or moved without changes. Another file that selects the same files is accepted too.

    Raises:
        StoreError: The store belongs to another configuration; the message names both.
    """
    now, before = _claim_of(settings), _stored_claim(catalog)
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


def claim(catalog: WritableCatalog, settings: Settings) -> None:
    """Record that the store belongs to this configuration."""
    now = _claim_of(settings)
    if _stored_claim(catalog) != now:
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
        # Copied or moved with its store.
        return True
    if os.path.lexists(before.file):
        return False
    # Renamed or removed if its folder exists; otherwise moved with its folder, or on a missing drive.
    return os.path.isdir(os.path.dirname(before.file)) or before.sha256 == now.sha256  # noqa: PTH112, PTH120 - plain strings


def _between(one: Claim) -> str:
    """The path of the file relative to the store."""
    return os.path.relpath(one.file, one.store)


def _drops(known: Collection[str], now: Claim) -> bool:
    """Whether a run would drop all files of an unclaimed store although their folders exist."""
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
        # It was removed in the meantime; its path still identifies it.
        digest = ""
    file = str(settings.file) if settings.file else ""
    return Claim(file, digest, settings.store_path(), settings.folder_paths(), rules)


def _stored_claim(catalog: ClaimCatalog) -> Claim | None:
    stored = catalog.meta(_KEY)
    if stored is None:
        return None
    try:
        values = json.loads(stored)
        return Claim(**{**values, "folders": tuple(values["folders"]), "rules": dict(values["rules"])})
    except (ValueError, TypeError, KeyError):
        # Written by a newer kb or another program: treated as no claim.
        return None


def _command(settings: Settings) -> str:
    """The kb command line for these settings."""
    if not settings.typed("folders.paths"):
        return settings.command()
    paths = json.dumps(list(settings.folder_paths()), ensure_ascii=False)
    return f"{settings.command()} -s {shell.quote(f'folders.paths={paths}')}"
