"""Whether a configuration that was found by looking around may hold, and the memory of those that the user trusts.

A ``config.toml`` comes along with any folder that is copied, unpacked or cloned. One that nobody named holds without a
question only where it belongs to the user, nobody else can change it, and everything it asks for is inside its own
folder. What else it asks for has to be trusted: by the file's path and content, and for the places it reaches, so that
neither an edit nor a symbolic link that leads elsewhere now is covered.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb import location
from kb.config.find import is_mine, read_config
from kb.config.schema import BY_NAME_ALONE, Config
from kb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kb.config.find import Place
    from kb.config.settings import Settings

# What a configuration asks for outside its own folder: every key that can lead out of it, and where each one leads.

# Every key that can lead out of the configuration's own folder; a test holds this and the next against the schema.
REACHING: Final = frozenset(
    {
        "folders.paths",
        "store.path",
        "note.folder",
        "embed.model",
        "embed.revision",
        "search.rerank_model",
        "search.rerank_revision",
    }
)
# What the others decide is how files inside those folders are read, how much of the machine that may take, how
# questions are answered and how changes are noticed.
STAYING: Final = frozenset(
    {
        *(f"folders.{name}" for name in ("include", "exclude", "gitignore", "hidden")),
        *(f"folders.{name}" for name in ("follow_symlinks", "max_file_mb")),
        "chunk.max_tokens",
        *(f"documents.{name}" for name in ("max_file_mb", "seconds", "memory_mb", "text_mb")),
        *(f"documents.{name}" for name in ("ocr", "ocr_languages", "ocr_seconds")),
        *(f"embed.{name}" for name in ("runtime", "device", "precision", "batch_tokens", "threads")),
        # Left at its default it allows what having no configuration allows: to fetch the models that kb itself names.
        *(f"embed.{name}" for name in ("offline", "cache_vectors")),
        *(f"store.{name}" for name in ("collection", "wait_seconds")),
        *(f"search.{name}" for name in ("limit", "mode", "weak", "fold", "min_score", "per_file", "candidates")),
        *(f"search.{name}" for name in ("best_seconds", "rerank", "rerank_hits", "rerank_seconds")),
        *(f"watch.{name}" for name in ("polling", "poll_seconds", "quiet_ms", "patience_seconds", "sweep_minutes")),
    }
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Something a configuration asks for outside its own folder.

    Attributes:
        key: The dotted key; ``file`` for the configuration itself.
        value: The value as it is written.
        place: Where that leads.
    """

    key: str
    value: str
    place: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.key} = {json.dumps(self.value, ensure_ascii=False)}: {self.place}"


def reaches(settings: Settings, place: Place) -> tuple[Reach, ...]:
    """Everything a configuration asks for outside its own folder.

    What was typed, or stands in the environment, is the user's own word and left out.
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
            ]
        )
    )


def _of_file(settings: Settings, place: Place) -> Iterator[Reach]:
    """A symbolic link to a configuration elsewhere: that one's folder is not the one it was found in."""
    if not _inside(str(settings.base), os.path.realpath(place.at.parent)):
        yield Reach("file", str(place.at), f"a link to {place.file}")


def _of_folders(settings: Settings, base: str) -> Iterator[Reach]:
    if settings.typed("folders.paths"):
        return
    for path in settings.config.folders.paths:
        real = _resolved(settings, path)
        if not _inside(real, base):
            yield Reach("folders.paths", path, real)
        elif more_than_notes(real):
            yield Reach("folders.paths", path, f"{real}, more than a folder of notes")


def _of_store(settings: Settings, base: str) -> Iterator[Reach]:
    if settings.typed("store.path"):
        return
    path = settings.config.store.path
    real = _resolved(settings, path)
    if not _inside(real, base):
        yield Reach("store.path", path, real)
    elif os.path.isdir(real):  # noqa: PTH112 - plain strings, undecodable bytes included
        for link in _links(real):
            target = os.path.realpath(link)
            if not _inside(target, base):
                yield Reach("store.path", path, f"{link} is a link to {target}")


def _links(folder: str) -> Iterator[str]:
    """The symbolic links in a store; kb makes none."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # Whoever opens the store tells why.
        return
    for entry in found:
        if entry.is_symlink():
            yield entry.path
        elif entry.is_dir(follow_symlinks=False):
            yield from _links(entry.path)


def _of_notes(settings: Settings) -> Iterator[Reach]:
    """Where ``kb note`` would write today; the schema refuses ``..``, and a link may lead out all the same."""
    below, paths = settings.config.note.folder, settings.config.folders.paths
    if not below or not paths or settings.typed("note.folder"):
        return
    first = _resolved(settings, paths[0])
    try:
        real = os.path.realpath(os.path.join(first, time.strftime(below)))  # noqa: PTH118 - plain strings
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


def _on_the_hub(name: str, revision: str) -> str:
    return f"{name}{f' at {revision}' if revision else ''} is not on this machine and would be fetched"


def _directory(settings: Settings, name: str) -> str | None:
    """The directory that the name of a model means, there or not; None where it is a name on the hub."""
    real = _resolved(settings, name)
    if os.path.isdir(real) or name.startswith((".", "~", os.sep)) or name.count("/") != 1:  # noqa: PTH112 - plain strings
        return real
    return None


def _resolved(settings: Settings, path: str) -> str:
    """A path of the configuration; as it stands where the system knows no such path: whoever uses it tells that."""
    try:
        return settings.resolve(path)
    except (RuntimeError, ValueError):
        return path


def _inside(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def more_than_notes(folder: str, home: str | None = None) -> bool:
    """Whether a folder is the root, a home folder, or what home folders are in."""
    home = os.path.realpath(Path.home()) if home is None else home
    return folder == "/" or f"{home}/".startswith(f"{folder}/")


_ANYBODY: Final = stat.S_IWOTH
_GROUP: Final = stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class Trusted:
    """A configuration that the user trusts.

    Attributes:
        file: Its path, with links resolved.
        sha256: The digest of its content.
        since: When it was trusted, in seconds since 1970.
        reaches: What it asks for outside its own folder.
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


def require_mine(place: Place) -> None:
    """See that a file which was found belongs to the user.

    Raises:
        ConfigError: It does not: its owner may change it at any time, so it is not even asked about.
    """
    if not is_mine(place.at):
        raise ConfigError(
            f"{place.at} belongs to another user, and is not obeyed for standing there",
            f"Read it; kb --config {shlex.quote(str(place.at))} ... uses it all the same",
        )


def require_trust(settings: Settings, place: Place, data: bytes, environ: Mapping[str, str]) -> None:
    """See that a configuration which was found stays inside its own folder, or is trusted.

    Args:
        settings: What it says, with everything that was put over it.
        place: Where it was found.
        data: The content of the file that was read.
        environ: The environment, for where the memory is.

    Raises:
        ConfigError: It asks for more; the message names each key with its value and its place.
    """
    wanted = reaches(settings, place)
    loose = changeable(place)
    if not wanted and not loose:
        return
    known = _remembered(trust_folder(environ) / _name(place.file, data))
    if known is not None and set(wanted) <= set(known.reaches):
        return
    reasons = " and ".join([*(["asks for more than its own folder"] if wanted else []), *([loose] if loose else [])])
    told = "\n  ".join([f"{place.at} was found here and {reasons}", *map(str, wanted)])
    raise ConfigError(told, f"If that is meant, trust it: kb config --trust {shlex.quote(str(place.file))}")


def changeable(place: Place) -> str:
    """How others can change what was found: the file, or what stands in its folder; empty where they cannot."""
    if not hasattr(os, "getuid"):
        return ""
    for path in (place.file, place.file.parent, place.at.parent):
        about = path.stat()
        if about.st_uid not in {0, os.getuid()}:
            return f"is in {path}, which belongs to another user"
        if about.st_mode & _ANYBODY or (about.st_mode & _GROUP and not _group_of_one(about.st_gid)):
            return f"can be changed by others ({path} has mode {stat.S_IMODE(about.st_mode):o})"
    return ""


def _group_of_one(number: int) -> bool:
    """Whether a group is the user's own, as many systems give each user one: then its right to write is theirs."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return number == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


# The memory: one file a configuration, called by the digest of its path and content.


def trust_folder(environ: Mapping[str, str]) -> Path:
    """Where it is remembered what the user trusts, in the platform's place for state."""
    return Path(location.trust_folder(environ))


def trust(settings: Settings, place: Place, environ: Mapping[str, str]) -> Trusted:
    """Remember that a configuration is trusted as it is now, in place of what was remembered of it before.

    Args:
        settings: What the file says, with nothing put over it.
        place: Where it stands.
        environ: The environment, for where the memory is.

    Raises:
        ConfigError: It belongs to another user, or it cannot be remembered.
    """
    require_mine(place)
    data = read_config(place.file)
    made = Trusted(str(place.file), _digest(data), time.time(), reaches(settings, place))
    folder = trust_folder(environ)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        distrust(place.file, environ)
        draft = folder / f"{_name(place.file, data)}.new"
        draft.write_text(json.dumps(asdict(made), indent=2), "utf-8")
        draft.replace(folder / _name(place.file, data))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", "Make that folder writable") from error
    return made


def all_trusted(environ: Mapping[str, str]) -> list[Trusted]:
    """Every configuration that is trusted, by path."""
    files = sorted(trust_folder(environ).glob("*.json"))
    return sorted(filter(None, map(_remembered, files)), key=lambda one: one.file)


def distrust(file: Path, environ: Mapping[str, str]) -> bool:
    """Forget that a configuration was trusted; says whether it was."""
    found = False
    for record in trust_folder(environ).glob("*.json"):
        known = _remembered(record)
        if known is not None and known.file == str(file):
            record.unlink(missing_ok=True)
            found = True
    return found


def _name(file: Path, data: bytes) -> str:
    """What a file of this path and content is remembered by."""
    return location.trust_record(str(file), data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _remembered(record: Path) -> Trusted | None:
    """What stands in a record; None where there is none, or none that can be read."""
    try:
        told: dict[str, Any] = json.loads(record.read_bytes())
        made = tuple(Reach(str(one["key"]), str(one["value"]), str(one["place"])) for one in told["reaches"])
        return Trusted(str(told["file"]), str(told["sha256"]), float(told["since"]), made)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
