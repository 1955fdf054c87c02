"""Decides whether a configuration found in the current folder or above may be used, and records which are trusted.

Any folder that is copied, unpacked or cloned may contain a ``config.toml``. One that nobody named is used only if it
belongs to the user, nobody else can change it, and all its paths and models stay inside its own folder. Otherwise the
user has to trust it. A record of trust holds for the path and the content of the file and for the places it leads to,
so that neither an edit nor a symbolic link that now leads elsewhere is covered.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb import location
from kb.config.find import read_config
from kb.config.schema import BY_NAME_ALONE, Config
from kb.errors import ConfigError
from kb.system import WINDOWS, shell
from kb.system.files import write_whole
from kb.system.paths import real_path
from kb.system.users import ROOT, is_group_of_one, user_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kb.config.find import ConfigFile
    from kb.config.settings import Settings

# --- What a configuration uses outside its own folder -------------------------------------------------------------
# A test has each key of the schema in one of two sets: those that are looked at here, and those that cannot lead out.


@dataclass(frozen=True, slots=True)
class Reach:
    """Something that a configuration uses outside its own folder.

    Attributes:
        key: The dotted key; ``file`` for the configuration itself.
        value: The value as written.
        place: Where it leads.
    """

    key: str
    value: str
    place: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.key} = {json.dumps(self.value, ensure_ascii=False)}: {self.place}"


def reaches(settings: Settings, place: ConfigFile) -> tuple[Reach, ...]:
    """Return everything that a configuration uses outside its own folder.

    Values from the command line or the environment are the user's own and left out.
    """
    base = str(settings.base)
    return tuple(
        dict.fromkeys(
            [
                *_of_file(settings, place),
                *_of_folders(settings, base),
                *_of_store(settings, base),
                *_of_notes(settings),
                *_of_model(settings, base),
                *_of_reranker(settings, base),
                *_of_server(settings),
                *_of_chroma(settings, base),
                *_of_answers(settings),
            ]
        )
    )


def _of_file(settings: Settings, place: ConfigFile) -> Iterator[Reach]:
    """Yield the file itself if it is a symbolic link to a configuration in another folder."""
    if not _inside(str(settings.base), real_path(str(place.at.parent))):
        yield Reach("file", str(place.at), f"a link to {place.file}")


def _of_folders(settings: Settings, base: str) -> Iterator[Reach]:
    if settings.typed("folders.paths"):
        return
    for path in settings.config.folders.paths:
        real = _resolved(settings, path)
        if not _inside(real, base):
            yield Reach("folders.paths", path, real)
        elif is_too_broad(real):
            yield Reach("folders.paths", path, f"{real}, which is more than a folder of notes")


def _of_store(settings: Settings, base: str) -> Iterator[Reach]:
    if settings.typed("store.path"):
        return
    path = settings.config.store.path
    real = _resolved(settings, path)
    if not _inside(real, base):
        yield Reach("store.path", path, real)
    elif os.path.isdir(real):  # noqa: PTH112 - plain strings, undecodable bytes included
        for link in _links(real):
            target = real_path(link)
            if not _inside(target, base):
                yield Reach("store.path", path, f"{link} is a link to {target}")


def _links(folder: str) -> Iterator[str]:
    """Yield the symbolic links in a store; kb creates none."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # Opening the store reports the error.
        return
    for entry in found:
        if entry.is_symlink():
            yield entry.path
        elif entry.is_dir(follow_symlinks=False):
            yield from _links(entry.path)


def _of_notes(settings: Settings) -> Iterator[Reach]:
    """Yield where ``kb note`` would write today; the schema rejects ``..``, but a link may lead out."""
    below, paths = settings.config.note.folder, settings.config.folders.paths
    if not below or not paths or settings.typed("note.folder"):
        return
    first = _resolved(settings, paths[0])
    try:
        real = real_path(os.path.join(first, time.strftime(below)))  # noqa: PTH118 - plain strings
    except ValueError as error:
        yield Reach("note.folder", below, f"no path at all ({error})")
        return
    if not _inside(real, first):
        yield Reach("note.folder", below, real)


def _of_model(settings: Settings, base: str) -> Iterator[Reach]:
    wanted, usual = settings.config.embed, Config().embed
    if settings.typed("embed.model") and settings.typed("embed.revision"):
        return
    if not settings.typed("embed.model") and wanted.model not in BY_NAME_ALONE:
        place = _directory(settings, wanted.model)
        if place is not None:
            if not _inside(place, base):
                yield Reach("embed.model", wanted.model, place)
            return
    if (wanted.model in BY_NAME_ALONE or settings.typed("embed.model")) and wanted.revision == usual.revision:
        return
    from kb.embedding.locate import is_here, pinned

    by_name = wanted.model in BY_NAME_ALONE and pinned(wanted.model, wanted.revision) == pinned(wanted.model, "")
    if not by_name and not is_here(wanted.model, wanted.revision):
        key, value = ("embed.revision", wanted.revision) if wanted.revision else ("embed.model", wanted.model)
        yield Reach(key, value, _on_the_hub(wanted.model, wanted.revision))


def _of_reranker(settings: Settings, base: str) -> Iterator[Reach]:
    wanted, usual = settings.config.search, Config().search
    typed = settings.typed("search.rerank_model")
    if typed and settings.typed("search.rerank_revision"):
        return
    if not typed and wanted.rerank_model != usual.rerank_model:
        place = _directory(settings, wanted.rerank_model)
        if place is not None:
            if not _inside(place, base):
                yield Reach("search.rerank_model", wanted.rerank_model, place)
            return
    known = typed or wanted.rerank_model == usual.rerank_model
    if known and wanted.rerank_revision == usual.rerank_revision:
        return
    from kb.embedding.cross_encoder import is_here

    if not is_here(wanted.rerank_model, wanted.rerank_revision):
        named = "search.rerank_model", wanted.rerank_model
        key, value = ("search.rerank_revision", wanted.rerank_revision) if wanted.rerank_revision else named
        yield Reach(key, value, _on_the_hub(wanted.rerank_model, wanted.rerank_revision))


def _of_server(settings: Settings) -> Iterator[Reach]:
    if settings.config.serve.http and not settings.typed("serve.http"):
        yield Reach("serve.http", settings.config.serve.http, "a port of this machine")


def _of_chroma(settings: Settings, base: str) -> Iterator[Reach]:
    """Yield the Chroma server, and a file outside whose content would be sent to it."""
    url, file = settings.config.store.chroma, settings.config.store.headers_file
    if url and not settings.typed("store.chroma"):
        yield Reach("store.chroma", url, "vectors, paths and headings of your files are sent to it")
    if url and file and not settings.typed("store.headers_file"):
        real = _resolved(settings, file)
        if not _inside(real, base):
            yield Reach("store.headers_file", file, f"{real} is sent to {url}")


def _of_answers(settings: Settings) -> Iterator[Reach]:
    """Yield the language model, which is sent passages of files."""
    answer = settings.config.answer
    for key, value in (("answer.model", answer.model), ("answer.endpoint", answer.endpoint)):
        if value and not settings.typed(key):
            yield Reach(key, value, "passages of your files are sent to it")


def _on_the_hub(name: str, revision: str) -> str:
    return f"{name}{f' at {revision}' if revision else ''} is not on this machine and would be fetched"


def _directory(settings: Settings, name: str) -> str | None:
    """Return the directory that a model name means, whether it exists or not; None for a name on the hub."""
    real = _resolved(settings, name)
    if os.path.isdir(real) or name.startswith((".", "~", os.sep)) or name.count("/") != 1:  # noqa: PTH112 - plain strings
        return real
    return None


def _resolved(settings: Settings, path: str) -> str:
    """Resolve a path of the configuration; an invalid path is returned as it is, and fails where it is used."""
    try:
        return settings.resolve(path)
    except (RuntimeError, ValueError):
        return path


def _inside(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def is_too_broad(folder: str, home: str | None = None) -> bool:
    """Whether a folder is the root, a home folder, or a parent of home folders."""
    home = real_path(str(Path.home())) if home is None else home
    top = folder.rstrip("/")
    return top.endswith(":") or f"{home}/".startswith(f"{top}/")


# --- Trust --------------------------------------------------------------------------------------------------------

_ANYBODY: Final = stat.S_IWOTH
_GROUP: Final = stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class Trusted:
    """A configuration that the user trusts.

    Attributes:
        file: Its path, with links resolved.
        sha256: The SHA-256 of its content, in hexadecimal.
        since: When it was trusted, in seconds since the epoch.
        reaches: What it uses outside its own folder.
    """

    file: str
    sha256: str
    since: float
    reaches: tuple[Reach, ...]

    def state(self) -> str:
        """Whether the file is still the one that was trusted: ``trusted``, ``changed`` or ``gone``."""
        try:
            data = read_config(Path(self.file))
        except ConfigError:
            return "changed" if os.path.lexists(self.file) else "gone"
        return "trusted" if _digest(data) == self.sha256 else "changed"


def require_owned(place: ConfigFile) -> None:
    """Check that a configuration belongs to the user.

    Raises:
        ConfigError: It does not. Its owner could change it at any time, so it cannot be trusted.
    """
    if not location.is_mine(str(place.at)):
        raise ConfigError(
            f"{place.at} was found here but belongs to another user, so it is not used",
            f"Read it, and if you agree with it, name it: kb --config {shell.quote(str(place.at))} ...",
        )


def require_trust(settings: Settings, place: ConfigFile, data: bytes, environ: Mapping[str, str]) -> None:
    """Check that a configuration stays inside its own folder, or is trusted.

    Args:
        settings: Its settings, with all overrides.
        place: Where it was found.
        data: The content of the file.
        environ: The environment, which says where records are kept.

    Raises:
        ConfigError: It is not trusted; the message lists each key with its value and where it leads.
    """
    outside = reaches(settings, place)
    writable = writable_by_others(place)
    if not outside and not writable:
        return
    known = _read_record(trust_folder(environ) / _name(place.file, data))
    if known is not None and set(outside) <= set(known.reaches):
        return
    reasons = ["asks for more than its own folder"] if outside else []
    reasons += [writable] if writable else []
    message = "\n  ".join([f"{place.at} was found here and {' and '.join(reasons)}", *map(str, outside)])
    raise ConfigError(message, f"If you agree with that, trust it: kb config --trust {shell.quote(str(place.file))}")


def writable_by_others(place: ConfigFile) -> str:
    """Say how other users can change a configuration or its folder; empty if they cannot.

    On Windows those in the user's profile are the user's alone, and what others may do elsewhere is not looked up.
    """
    if WINDOWS:
        return ""
    for path in (place.file, place.file.parent, place.at.parent):
        about = path.stat()
        if about.st_uid not in {ROOT, user_id()}:
            return f"is in {path}, which belongs to another user"
        if about.st_mode & _ANYBODY or (about.st_mode & _GROUP and not is_group_of_one(about.st_gid)):
            return f"can be changed by others ({path} has mode {stat.S_IMODE(about.st_mode):o})"
    return ""


# --- Records: one file for each configuration, named by the digest of its path and content ------------------------


def trust_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the records, in the platform's state directory."""
    return Path(location.trust_folder(environ))


def trust(settings: Settings, place: ConfigFile, environ: Mapping[str, str]) -> Trusted:
    """Record that a configuration is trusted as it is now, replacing an earlier record.

    Args:
        settings: Its settings, without overrides.
        place: Where it is.
        environ: The environment, which says where records are kept.

    Raises:
        ConfigError: It belongs to another user, or the record cannot be written.
    """
    require_owned(place)
    data = read_config(place.file)
    made = Trusted(str(place.file), _digest(data), time.time(), reaches(settings, place))
    folder = trust_folder(environ)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        distrust(place.file, environ)
        write_whole(str(folder / _name(place.file, data)), json.dumps(asdict(made), indent=2).encode(), durable=False)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", "Make that folder writable") from error
    return made


def all_trusted(environ: Mapping[str, str]) -> list[Trusted]:
    """Return all trusted configurations, by path."""
    files = sorted(trust_folder(environ).glob("*.json"))
    return sorted(filter(None, map(_read_record, files)), key=lambda one: one.file)


def distrust(file: Path, environ: Mapping[str, str]) -> bool:
    """Delete the records of a configuration; return whether there were any."""
    found = False
    for record in trust_folder(environ).glob("*.json"):
        known = _read_record(record)
        if known is not None and known.file == str(file):
            record.unlink(missing_ok=True)
            found = True
    return found


def _name(file: Path, data: bytes) -> str:
    """Return the name of the record for a file of this path and content."""
    return location.trust_record(str(file), data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read_record(record: Path) -> Trusted | None:
    """Read a record; None if it does not exist or is invalid."""
    try:
        fields: dict[str, Any] = json.loads(record.read_bytes())
        made = tuple(Reach(str(one["key"]), str(one["value"]), str(one["place"])) for one in fields["reaches"])
        return Trusted(str(fields["file"]), str(fields["sha256"]), float(fields["since"]), made)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
