"""Checks of the store's folder: whether it can be used, the space there, what was left in it, and who may read it."""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.backup.staging import STAGING, abandoned_copies
from kb.doctor.finding import Fix, Plain, Remedy, Skipped, advice, failed, ok, warning, worst
from kb.doctor.rights import closed, let_in
from kb.errors import ConfigError
from kb.integrity import is_there
from kb.location import joined
from kb.open_store import CATALOG_FILE
from kb.store.damage import set_aside_in
from kb.store.generations import GENERATION, Generations
from kb.store.lock import is_locked
from kb.system import WINDOWS, shell
from kb.system.users import is_own, is_root, rights_of_others

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

_MEGABYTE: Final = 1_000_000
# Below this an index run fails soon; below the other it may.
_LEAST_FREE: Final = 50 * _MEGABYTE
_LITTLE_FREE: Final = 500 * _MEGABYTE
_ANYONE_ELSE: Final = 0o077
_DRAFT: Final = re.compile(r"(owner\.json|current|unclean|left|catalog\.left|kb\.id)\.new")
# A draft is renamed within an instant; one that is older was left by a process that died.
_DRAFT_SECONDS: Final = 60.0


def store(case: Case) -> Finding:
    """Whether the store is a folder of its own that can be read and written."""
    path = Path(case.store)
    if not os.path.lexists(path):
        return _absent(case, path)
    if unusable := _unusable(path):
        return unusable
    mounted_read_only = _is_mounted_read_only(path)
    if mounted_read_only or not os.access(path, os.W_OK):
        return warning(
            "{store} can be read and not written: questions are answered as it stands, and nothing is indexed",
            _mounted_for_writing(path) if mounted_read_only else let_in([str(path)]),
            store=str(path),
        )
    if places := list(_closed(path)):
        return failed("{file} may not be read and written by you", let_in(places, str(path)), file=places[0])
    return ok("{store}", store=str(path)).with_details(*_filling(path))


def _unusable(path: Path) -> Finding | None:
    """Why something is no store, or none that this user may read; None if it may be one."""
    if not path.is_dir():
        return failed("{store} is not a folder", shell.move(str(path), f"{path}.old"), store=str(path))
    if not os.access(path, os.R_OK | os.X_OK):
        return failed("{store} may not be read by you", let_in([str(path)]), store=str(path))
    if (path / "chroma.sqlite3").exists():
        return failed(
            "{store} holds a ChromaDB store that kb did not make",
            advice("Set store.path to a folder of its own in the configuration"),
            store=str(path),
        )
    return None


def _closed(path: Path) -> Iterator[str]:
    """The files and folders in a store that this user may not read and write."""
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            if place := closed(folder, os.path.join(folder, name), os.R_OK | os.W_OK):  # noqa: PTH118 - strings, as os.walk gives
                yield place


def _absent(case: Case, path: Path) -> Finding:
    if link := _link_to(case):
        return failed(
            "{link} leads to {store}, which does not exist",
            Remedy(shell.make_folder(str(path)), "Mount its drive, or create it: "),
            link=link, store=str(path),
        )  # fmt: skip
    parent = next((one for one in path.parents if one.is_dir()), Path("/"))
    mounted_read_only = _is_mounted_read_only(parent)
    if mounted_read_only or not os.access(parent, os.W_OK | os.X_OK):
        command = _mounted_for_writing(parent) if mounted_read_only else shell.let_into_folder(str(parent), "u+rwx")
        return failed(
            "{store} does not exist, and {parent} cannot be written",
            Remedy(command, after=", or set store.path to another folder"),
            store=str(path), parent=str(parent),
        )  # fmt: skip
    return warning("nothing is indexed yet: {store} does not exist", case.command("index"), store=str(path))


def _link_to(case: Case) -> str:
    """The symbolic link that is configured for the store; empty if it is none, or the configuration is invalid."""
    with suppress(ConfigError):
        written = joined(str(case.settings.base), case.settings.config.store.path)
        return written if os.path.islink(written) else ""  # noqa: PTH114 - a string
    return ""


def _is_mounted_read_only(path: Path) -> bool:
    """Whether a folder is on a file system that is mounted read-only."""
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & getattr(os, "ST_RDONLY", 1))


def _mounted_for_writing(path: Path) -> str:
    """The command that mounts the file system of a folder for writing."""
    point = next(one for one in (path, *path.parents) if os.path.ismount(one))
    return shell.join(["sudo", "mount", "-o", "remount,rw", str(point)])


def _filling(path: Path) -> Iterator[tuple[str, object]]:
    sizes = [size for _, size in _sizes(path)]
    yield "bytes", sum(sizes)
    yield "files", len(sizes)


def _sizes(path: Path) -> Iterator[tuple[Path, int]]:
    """The regular files below a folder with their sizes; files may vanish meanwhile."""
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            try:
                about = file.lstat()
            except OSError:
                continue
            if stat.S_ISREG(about.st_mode):
                yield file, about.st_size


def disk(case: Case) -> Finding:
    """Whether there is space for writing, and for a rebuild, which needs the vector index twice."""
    place = next(one for one in (Path(case.store), *Path(case.store).parents) if one.is_dir())
    free = shutil.disk_usage(place).free
    index = sum(size for folder in place.glob("generation-*") for _, size in _sizes(folder))
    values = {"free": free / _MEGABYTE, "folder": str(place), "needed": index / _MEGABYTE}
    remedy = Remedy(
        "cleanmgr" if WINDOWS else f"du -xhd1 {shell.quote(str(place.parent))} | sort -h",
        "Free some space; to see what takes it: ",
    )
    if free < _LEAST_FREE:
        return failed("{free:,.0f} MB are free in {folder}: kb cannot write", remedy, **values)
    if free < max(_LITTLE_FREE, index):
        return warning(
            "{free:,.0f} MB are free in {folder}, and rebuilding the index takes {needed:,.0f} MB", remedy, **values
        )
    return ok("{free:,.0f} MB are free", free=free / _MEGABYTE).with_details(
        ("index in MB", round(index / _MEGABYTE, 1))
    )


def leftovers(case: Case) -> Finding:
    """Whether no damaged parts and no unfinished files lie in the store."""
    case.require_catalog()
    found = []
    aside = set_aside_in(case.store)
    if aside:
        # A cache has no text, and without one a rebuild embeds everything again.
        only_caches = all(name.startswith("embeddings.") for name, _ in aside)
        files = [case.file(name) for name, _ in aside]
        found.append(
            warning(
                "damaged parts that a repair set aside: {count}, {size:,.1f} MB",
                shell.remove(files) if only_caches else Remedy(case.command("rebuild"), after=", which removes them"),
                count=len(aside),
                size=sum(each for _, each in aside) / _MEGABYTE,
            )
        )
    left = [] if case.holder.locked else list(_left(case))
    if left:
        names = ", ".join(file.name for file in left)
        found.append(
            warning(
                "a process that died left {count} unfinished files behind",
                shell.remove(map(str, left), folders=True),
                Fix(
                    f"remove what a process that died left unfinished in the store: {names}",
                    lambda: _remove(case, left),
                ),
                count=len(left),
            )
        )
    return worst(found, ok("nothing was left behind"))


def _left(case: Case) -> Iterator[Path]:
    """What processes that died left: drafts of small files, generations that were never used, copies of the catalog."""
    current = Generations(case.store).current()
    for path in sorted(Path(case.store).iterdir()):
        about = path.lstat()
        if _DRAFT.fullmatch(path.name) and stat.S_ISREG(about.st_mode):
            if case.now() - about.st_mtime > _DRAFT_SECONDS:
                yield path
        elif stat.S_ISDIR(about.st_mode):
            unused = current and path.name != current and GENERATION.fullmatch(path.name)
            if unused or path.name == STAGING:
                yield path
    yield from sorted(abandoned_copies(Path(case.store)))


def _remove(case: Case, left: list[Path]) -> None:
    """Remove files, unless a process has taken the store meanwhile."""
    if is_locked(case.store):
        return
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def modes(case: Case) -> Finding:
    """Whether other users cannot read the store, the token and the logs."""
    if not hasattr(os, "getuid"):
        raise Skipped("this system has no modes of files")
    found = [finding for path in _private(case) if (finding := _open_to_others(path))]
    return worst(found, ok("store, token and logs are readable by you alone"))


def _private(case: Case) -> Iterator[Path]:
    """The folders that hold text of the notes, or let others ask."""
    import platformdirs

    from kb.location import trust_folder

    # Before the first run the folder may hold what other programs made.
    if is_there(case.store, CATALOG_FILE):
        yield Path(case.store)
    state = Path(trust_folder(case.environ)).parent
    yield state / "http" / "token"
    yield Path(trust_folder(case.environ))
    logs = Path(platformdirs.user_log_dir("kb", appauthor=False))
    yield from sorted(logs.glob("watch-*.log*"))


def _open_to_others(path: Path) -> Finding | None:
    """A finding for a folder or file that others can use; None if they cannot."""
    try:
        about = path.stat()
    except OSError:
        return None
    if not rights_of_others(about):
        return None
    if path.is_dir():
        inner = next((file for file, _ in _sizes(path) if rights_of_others(file.stat())), None)
        # A folder that others cannot list or enter protects what is in it.
        if not about.st_mode & 0o055 and inner is None:
            return None
    remedy = shell.join(["chmod", "-R", "go-rwx", str(path)])
    if not is_own(about) and not is_root():
        return warning("{path} belongs to another user and can be used by others", f"sudo {remedy}", path=str(path))
    what = "the store" if path.is_dir() else path.name
    return warning(
        "other users may use {path} (mode {mode})",
        remedy,
        Fix(f"take the rights of other users from {what}", lambda: _close(path)),
        path=str(path),
        mode=Plain(f"{stat.S_IMODE(about.st_mode):04o}"),
    )


def _close(path: Path) -> None:
    """Take all rights of others from a file, or from a folder and all in it."""
    for one in (path, *(path.rglob("*") if path.is_dir() else ())):
        about = one.lstat()
        if not stat.S_ISLNK(about.st_mode) and about.st_mode & _ANYONE_ELSE:
            one.chmod(stat.S_IMODE(about.st_mode) & ~_ANYONE_ELSE)
