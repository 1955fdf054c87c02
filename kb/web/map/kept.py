"""The map as it is kept in the store: positions, clusters and their words, in one file beside the caches."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from kb.overview import MAP_FILE
from kb.own_files import write_atomically

_VERSION: Final = 1


class PlacedFile(msgspec.Struct, frozen=True, array_like=True):
    """A file on the map.

    Attributes:
        x: Its position from the left, from 0 to ``SIZE``.
        y: Its position from above.
        cluster: Its cluster.
        content: The beginning of the digest of its content, in hexadecimal.
        beside: Whether it was put beside its neighbours after the map was made.
    """

    x: int
    y: int
    cluster: int
    content: str
    beside: bool = False


class Map(msgspec.Struct, frozen=True):
    """A map.

    Attributes:
        model: The fingerprint of the model whose vectors it shows.
        made: When it was made, in seconds since the epoch.
        clusters: The distinctive words of each cluster.
        files: The files by their ids.
        version: The version of this format.
    """

    model: str
    made: float
    clusters: tuple[tuple[str, ...], ...]
    files: dict[int, PlacedFile]
    version: int = _VERSION


def read_map(store: str, model: str) -> Map | None:
    """Return the map that is kept in a store; None where there is none of this model, or it cannot be read."""
    try:
        found = msgspec.json.decode(Path(store, MAP_FILE).read_bytes(), type=Map)
    except (OSError, msgspec.DecodeError):
        return None
    sound = all(0 <= one.cluster < len(found.clusters) for one in found.files.values())
    return found if sound and found.version == _VERSION and found.model == model else None


def keep_map(store: str, made: Map) -> bool:
    """Keep a map in a store; returns whether that worked. Where it did not, it is made again the next time."""
    try:
        write_atomically(Path(store, MAP_FILE), msgspec.json.encode(made).decode())
    except OSError:
        return False
    return True


def is_kept(store: str) -> bool:
    """Whether there is a map in a store."""
    return Path(store, MAP_FILE).is_file()
