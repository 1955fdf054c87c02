"""Makes the map in the background and keeps it up: new files are put beside their neighbours."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from kb.errors import KbError
from kb.web.map.kept import Map, PlacedFile, is_kept, keep_map, read_map
from kb.web.map.layout import beside, centres_of, landmarks_of, nearest_clusters
from kb.web.map.process import LayoutFailed, LayoutProcess, Portion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from kb.overview import FileOverview
    from kb.records import KnownFile
    from kb.web.viewed import Viewed

Work = Literal["", "making", "placing"]
_PORTION: Final = 1_000
# The map is made anew once this share of its files came or changed after it was made, and this many.
_SHARE: Final = 0.25
_SOME: Final = 20
# After a failure, the next attempt waits.
_AGAIN_SECONDS: Final = 60.0
_CONTENT: Final = 12


@dataclass(frozen=True, slots=True)
class MapState:
    """The map as it is now.

    Attributes:
        map: The map; None while there is none.
        work: What is done to it now.
        problem: Why it could not be made; empty if it could.
    """

    map: Map | None
    work: Work
    problem: str


class MapMaker:
    """Keeps the map of a knowledge base.

    Args:
        using: Opens the knowledge base for a moment.
        say: Receives a sentence about each unexpected error.
    """

    def __init__(
        self,
        using: Callable[[], AbstractContextManager[Viewed]],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._using = using
        self._say = say
        self._lock = threading.Lock()
        self._map: Map | None = None
        self._kept = False
        self._thread: threading.Thread | None = None
        self._process: LayoutProcess | None = None
        self._work: Work = ""
        self._problem = ""
        self._failed_at = -_AGAIN_SECONDS
        self._closing = threading.Event()
        # Files that have no vector yet, by what they were when that was found.
        self._without: set[tuple[int, str]] = set()

    def state(self, kb: Viewed, files: Sequence[KnownFile]) -> MapState:
        """Return the map, and begin to make it, or to place files on it, where that is due. Waits for nothing.

        Args:
            kb: The knowledge base.
            files: All indexed files.
        """
        with self._lock:
            model = kb.overview.model
            store = kb.overview.store
            # kb rebuild removes it, with the words of deleted notes.
            removed = self._kept and not is_kept(store)
            if self._map is None or self._map.model != model or removed:
                self._map = read_map(store, model)
                self._kept = self._map is not None
            due = self._due(files)
            waited = time.monotonic() - self._failed_at >= _AGAIN_SECONDS
            if due and self._thread is None and waited and not self._closing.is_set():
                self._work = due
                self._thread = threading.Thread(target=self._run, args=[due, list(files)], name="kb-map", daemon=True)
                self._thread.start()
            return MapState(self._map, self._work, self._problem)

    @property
    def made(self) -> bool:
        """Whether there is a map."""
        return self._map is not None

    def stop(self) -> None:
        """Give up what is being made, without waiting for it."""
        self._closing.set()
        if (process := self._process) is not None:
            process.end()

    def close(self) -> None:
        """Give up what is being made."""
        self.stop()
        if (thread := self._thread) is not None:
            thread.join()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is being made; returns whether that is so."""
        if (thread := self._thread) is not None:
            thread.join(seconds)
        return self._thread is None

    def _due(self, files: Sequence[KnownFile]) -> Work:
        """Return what has to be done for the map to show these files."""
        if not files:
            return ""
        if self._map is None:
            return "making" if any((one.id, _content(one)) not in self._without for one in files) else ""
        known = self._map.files
        new = [one for one in files if _is_new(self._map, one) and (one.id, _content(one)) not in self._without]
        changed = len(new) + sum(one.beside for one in known.values())
        gone = len(known.keys() - {one.id for one in files})
        if changed + gone > max(_SOME, _SHARE * len(files)):
            return "making"
        return "placing" if new else ""

    def _run(self, work: Work, files: list[KnownFile]) -> None:
        try:
            (self._make if work == "making" else self._place)(files)
            self._problem = ""
        except LayoutFailed as error:
            self._fail(str(error))
        except KbError as error:
            self._fail(f"{error.message}. {error.remedy}")
        except Exception as error:  # noqa: BLE001 - the page says so; the daemon goes on
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._thread, self._work = None, ""

    def _fail(self, problem: str) -> None:
        if not self._closing.is_set():
            self._problem, self._failed_at = problem, time.monotonic()
            self._say(f"the map could not be made ({problem})")

    def _make(self, files: list[KnownFile]) -> None:
        """Make the whole map."""
        chosen = landmarks_of([file.id for file in files])
        together = [files[at] for at in chosen]
        kept = frozenset(chosen)
        others = [file for at, file in enumerate(files) if at not in kept]
        seen = self._read(together)
        if not seen:
            return
        process = self._process = LayoutProcess()
        if self._closing.is_set():
            process.end()
        try:
            layout = process.lay_out(self._portions(seen, others))
        finally:
            self._process = None
        contents = {file.id: _content(file) for file in files}
        placed = {
            id_: PlacedFile(x, y, cluster, contents[id_])
            for id_, (x, y), cluster in zip(layout.ids, layout.places, layout.clusters, strict=True)
        }
        with self._using() as kb:
            self._keep(kb, Map(kb.overview.model, time.time(), tuple(layout.words), placed))

    def _portions(self, seen: dict[int, FileOverview], others: Sequence[KnownFile]) -> Iterator[Portion]:
        yield _portion(seen)
        for start in range(0, len(others), _PORTION):
            if more := self._read(others[start : start + _PORTION]):
                yield _portion(more)

    def _place(self, files: list[KnownFile]) -> None:
        """Put new and changed files beside their neighbours, and forget those that are gone."""
        old = self._map
        assert old is not None  # noqa: S101 - else it is made
        staying = [file for file in files if not _is_new(old, file)]
        seen = self._read([file for file in files if _is_new(old, file)])
        kept = {file.id: old.files[file.id] for file in staying}
        if seen:
            around = self._read(staying)
            if not around:
                # Of a few files all may have changed: nothing is left to put them beside.
                self._make(files)
                return
            kept |= _beside(old, around, seen, {file.id: _content(file) for file in files})
        with self._using() as kb:
            self._keep(kb, Map(old.model, old.made, old.clusters, kept))

    def _read(self, files: Sequence[KnownFile]) -> dict[int, FileOverview]:
        """Read vectors and first words, letting go of the knowledge base between portions; notes who has none."""
        found: dict[int, FileOverview] = {}
        for start in range(0, len(files), _PORTION):
            if self._closing.is_set():
                raise LayoutFailed("the page is closed")
            page = files[start : start + _PORTION]
            with self._using() as kb:
                found |= kb.overview.of_files(page)
        self._without.difference_update((file.id, _content(file)) for file in files if file.id in found)
        self._without.update((file.id, _content(file)) for file in files if file.id not in found)
        return found

    def _keep(self, kb: Viewed, made: Map) -> None:
        kept = keep_map(kb.overview.store, made)
        with self._lock:
            self._map, self._kept = made, kept


def _portion(seen: dict[int, FileOverview]) -> Portion:
    return Portion.of(list(seen), [one.vector for one in seen.values()], [one.text for one in seen.values()])


def _content(file: KnownFile) -> str:
    return file.content_hash.hex()[:_CONTENT]


def _is_new(made: Map, file: KnownFile) -> bool:
    """Whether a file is not on the map, or was another one when it was put there."""
    placed = made.files.get(file.id)
    return placed is None or placed.content != _content(file)


def _beside(
    old: Map, around: dict[int, FileOverview], seen: dict[int, FileOverview], contents: dict[int, str]
) -> dict[int, PlacedFile]:
    """Return new files beside their neighbours on a map.

    Args:
        old: The map.
        around: The files that stay on it.
        seen: The new files.
        contents: What each file is now.
    """
    ids = list(around)
    known = np.stack([around[id_].vector for id_ in ids])
    places = np.array([(old.files[id_].x, old.files[id_].y) for id_ in ids], np.float64)
    clusters = np.array([old.files[id_].cluster for id_ in ids])
    new = list(seen)
    found = beside(np.stack([seen[id_].vector for id_ in new]), new, known, places)
    own = nearest_clusters(found, centres_of(places, clusters, len(old.clusters)))
    return {
        id_: PlacedFile(round(x), round(y), int(cluster), contents[id_], beside=True)
        for id_, (x, y), cluster in zip(new, found.tolist(), own, strict=True)
    }
