"""Checks of the watched folders: whether they are there, readable and mounted, and none lies in another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.doctor.catalog_view import opened_catalog
from kb.doctor.finding import Remedy, advice, failed, ok, warning, worst
from kb.doctor.rights import closed, let_in
from kb.doctor.within import TookTooLong, within
from kb.errors import reason_of
from kb.location import joined
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

_SECONDS: Final = 3.0


def folders(case: Case) -> Finding:
    """Whether each folder is there and can be listed, within seconds even on a dead mount."""
    paths = case.settings.folder_paths()
    limit = min(_SECONDS, case.patience / (len(paths) + 1))
    found = [finding for path in paths if (finding := _unreachable(case, path, limit))]
    details = (("folder", path) for path in paths)
    return worst(found, ok("{count:,} there and readable", count=len(paths)).with_details(*details))


def _unreachable(case: Case, path: str, limit: float) -> Finding | None:
    """Why a folder cannot be listed; None if it can."""
    try:
        within(limit, lambda: _is_empty(path))
    except TookTooLong:
        return failed(
            "{folder} does not answer within {limit:g} seconds: its drive or server is away",
            Remedy(shell.unmount(path), "Bring it back, or unmount it: "),
            folder=path, limit=limit,
        )  # fmt: skip
    except NotADirectoryError:
        return failed("{folder} is not a folder", advice(f"Name a folder in {_key(case)}"), folder=path)
    except FileNotFoundError:
        remedy = Remedy(shell.make_folder(path), "Mount it, create it (", f"), or correct {_key(case)}")
        if link := _link_to(case, path):
            return failed("{link} leads to {folder}, which does not exist", remedy, link=link, folder=path)
        return failed("{folder} does not exist", remedy, folder=path)
    except OSError as error:
        return failed(
            "{folder} cannot be read: {reason}",
            shell.let_into_folder(path, "u+rx"),
            folder=path, reason=reason_of(error),
        )  # fmt: skip
    return None


def _key(case: Case) -> str:
    """The key that names the folders, and the file that it is in."""
    return f"folders.paths in {case.settings.file}" if case.settings.file else "folders.paths"


def _link_to(case: Case, path: str) -> str:
    """The symbolic link that is configured for a folder; empty if the folder itself is."""
    settings = case.settings
    written = (joined(str(settings.base), one) for one in settings.config.folders.paths)
    return next((one for one in written if settings.resolve(one) == path and os.path.islink(one)), "")  # noqa: PTH114 - a string


def apart(case: Case) -> Finding:
    """Whether no folder lies in another, in which case its files would be read twice."""
    paths = [Path(path) for path in case.settings.folder_paths()]
    inner = [(one, other) for one in paths for other in paths if one != other and one.is_relative_to(other)]
    found = [
        warning(
            "{inner} lies in {outer}, which is read with all that is below it",
            advice(f"Take one of them out of {_key(case)}"),
            inner=str(one), outer=str(other),
        )
        for one, other in inner
    ]  # fmt: skip
    return worst(found, ok("none lies in another"))


def permitted(case: Case) -> Finding:
    """Whether every indexed file may be read."""
    with opened_catalog(case) as view:
        files = [(file.folder, file.path) for file in view.files()]
    folders = set(case.settings.folder_paths())
    places = [closed(one, os.path.join(one, path)) for one, path in files if one in folders]  # noqa: PTH118 - undecodable bytes
    if not (found := [place for place in places if place]):
        return ok("all indexed files may be read")
    return failed(
        "indexed files that may not be read by you: {count:,}, because of {place}",
        let_in(sorted(set(found))),
        count=len(found), place=found[0],
    )  # fmt: skip


def mounted(case: Case) -> Finding:
    """Whether no folder or drive with indexed files is missing."""
    with opened_catalog(case) as catalog:
        known = catalog.files_by_folder()
        before = catalog.mounts()
    found = [*_emptied(case, known), *_unmounted(case, before)]
    return worst(found, ok("no folder or drive is missing"))


def _emptied(case: Case, known: dict[str, int]) -> Iterator[Finding]:
    """Folders that are empty although many of their files are indexed."""
    for path in case.settings.folder_paths():
        if known.get(path, 0) > 1 and _is_empty(path):
            yield warning(
                "{folder} is empty, and {files:,} of its files are indexed: perhaps its drive is not mounted",
                Remedy(case.command("index", "--accept-deletions"), "Mount it; if the files are meant to be gone: "),
                folder=path, files=known[path],
            )  # fmt: skip


def _is_empty(path: str) -> bool:
    """Whether a folder has no entries; an ``OSError`` says why it cannot be listed."""
    with os.scandir(path) as entries:
        return next(entries, None) is None


def _unmounted(case: Case, before: list[tuple[str, str]]) -> Iterator[Finding]:
    """Places in the folders where a file system was mounted at the last run and none is now."""
    from kb.watching.mounts import points

    now = points()
    folders_now = set(case.settings.folder_paths())
    for folder, path in before:
        place = os.path.join(folder, path)  # noqa: PTH118 - undecodable bytes included
        if now and folder in folders_now and place not in now and not os.path.ismount(place):
            yield warning(
                "{place} was a mounted file system at the last run and is none now; its files are kept",
                Remedy(case.command("index", "--accept-deletions"), "Mount it; if the files are meant to be gone: "),
                place=place,
            )
