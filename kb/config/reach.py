"""What a configuration asks for outside its own folder: every key that can lead out of it, and where each one leads."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.config.schema import BY_NAME_ALONE, Config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.config.find import Place
    from kb.config.settings import Settings

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
    from kb.embed.locate import is_here, pinned

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
    from kb.embed.cross_encoder import is_here

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
