"""The map: where files lie, the words of their groups, how it is kept and kept up, and its view."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from kb.overview import MAP_FILE, FileOverview
from kb.records import FileStat, KnownFile
from kb.web.map import layout, maker
from kb.web.map.kept import Map, PlacedFile, keep_map, read_map
from kb.web.map.maker import MapMaker, MapState
from kb.web.map.process import Layout, LayoutFailed, LayoutProcess, Portion
from kb.web.map.words import distinctive_words, words_of_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from page_browser import Browser
    from page_server import Served

    from kb.web.viewed import Viewed

pytest_plugins = ["page_browser"]
SECONDS = 120.0


def groups(sizes: Sequence[int], dimension: int = 24) -> NDArray[np.float32]:
    """Unit vectors in groups that are far from one another."""
    chance = np.random.default_rng(3)
    middles = np.repeat(np.eye(len(sizes), dimension), sizes, axis=0)
    found = middles + chance.normal(scale=0.05, size=middles.shape)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


def file(number: int, content: bytes = b"a") -> KnownFile:
    """A file of the index."""
    stat = FileStat(1, 0, 0, number, 1)
    return KnownFile(number, "/notes", f"{number}.md", stat, content * 8, 0, "done", passages=1)


@dataclass
class Store:
    """Stands for a knowledge base: its files with their vectors."""

    store: str
    vectors: dict[int, NDArray[np.float32]]
    model: str = "tiny/1"
    read: int = 0
    text: str = "ducks"
    files: list[KnownFile] = field(default_factory=list)

    @property
    def overview(self) -> Store:
        """Itself."""
        return self

    def of_files(self, files: Sequence[KnownFile]) -> dict[int, FileOverview]:
        """Vectors and words of files."""
        self.read += len(files)
        return {
            one.id: FileOverview(self.vectors[one.id], f"{self.text} number {one.id}")
            for one in files
            if one.id in self.vectors
        }

    @contextmanager
    def using(self) -> Iterator[Viewed]:
        """Lend it."""
        yield self.viewed

    @property
    def viewed(self) -> Viewed:
        """As the page takes it."""
        return cast("Viewed", self)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Forty files in two groups."""
    vectors = groups([25, 15])
    made = Store(str(tmp_path), dict(enumerate(vectors, 1)))
    made.files = [file(number) for number in made.vectors]
    return made


def test_groups_lie_apart() -> None:
    """Near vectors lie near one another, on the map, whatever their number."""
    vectors = groups([20, 20])
    places = layout.laid_out(vectors)
    own = np.linalg.norm(places[:20] - places[:20].mean(axis=0), axis=1).max()
    between = np.linalg.norm(places[:20].mean(axis=0) - places[20:].mean(axis=0))

    assert own < between / 2
    assert places.min() >= 0
    assert places.max() <= layout.SIZE
    for count in (1, 2, 5):
        few = layout.laid_out(vectors[:count])
        assert few.shape == (count, 2)
        assert np.isfinite(few).all()
    assert np.isfinite(layout.laid_out(np.repeat(vectors[:1], 12, axis=0))).all(), "equal vectors"


def test_files_lie_beside_their_neighbours() -> None:
    """A new vector lies beside those that it is near to, and equal ones do not cover one another."""
    vectors = groups([20, 20])
    places = np.array([[1000.0, 1000.0]] * 20 + [[9000.0, 9000.0]] * 20)
    found = layout.beside(np.repeat(vectors[30:31], 3, axis=0), [1, 2, 3], vectors, places)

    assert np.abs(found - 9000).max() <= 30
    assert len(np.unique(found, axis=0)) == 3


def test_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a few files are laid out together; of many a sample, which does not follow their order."""
    monkeypatch.setattr(layout, "LANDMARKS", 50)

    assert layout.landmarks_of(range(50)) == list(range(50))
    sample = layout.landmarks_of(range(1000))
    assert len(sample) == 50
    assert 300 < np.mean(sample) < 700


def test_groups_of_places() -> None:
    """Groups are numbered from the largest on."""
    places = np.concatenate([np.full((5, 2), 9000.0), np.full((20, 2), 100.0)]) + np.arange(25.0)[:, None]
    found = layout.clustered(places)

    assert set(found[5:]) == {0}
    assert set(found[:5]) == {1}
    assert layout.clustered(np.full((3, 2), 5.0)).tolist() == [0, 0, 0]
    assert layout.nearest_clusters(np.array([[1.0, 1.0]]), np.array([[9.0, 9.0], [2.0, 2.0]])).tolist() == [1]


def test_markup_names_no_group() -> None:
    """Addresses, drawers and keywords of Org are none of the words."""
    text = ":PROPERTIES:\n:ID: 1f\n:END:\n#+title: Sails\n#+begin_src python\nTall https://example.org/rigging masts\n"

    assert words_of_text(text) == {"sails", "python", "tall", "masts"}


def test_distinctive_words_of_a_group() -> None:
    """The words of a group are frequent in it and rare elsewhere; no two of them are forms of one another."""
    ducks = ["The duck swims in the pond", "Ducks and a pond", "A pond, some ducks and the garden"]
    trains = ["The train leaves the station", "A station for trains", "One train in the garden station"]
    words = [words_of_text(text) for text in ducks + trains]
    told = distinctive_words(words, [0, 0, 0, 1, 1, 1], 2)

    assert told[0][:2] == ("pond", "ducks")
    assert told[1][:2] == ("station", "train")
    assert distinctive_words([frozenset({"one"}), frozenset({"two"})], [0, 0], 1) == [()]
    assert words_of_text("the and 12 x") == frozenset()


@pytest.mark.slow
def test_map_is_made_kept_and_kept_up(store: Store) -> None:
    """The map is made once; a new file is put beside its neighbours, a changed one moves, and nothing is made again."""
    made, unembedded = MapMaker(store.using), file(50)
    first = made.state(store.viewed, [*store.files, unembedded])
    assert (first.map, first.work) == (None, "making")
    assert made.wait(SECONDS)
    before = store.read
    state = made.state(store.viewed, [*store.files, unembedded])
    assert state.map is not None
    assert state.work == state.problem == ""
    assert state.map.files.keys() == set(range(1, 41)), "what has no vector is not on the map"
    assert store.read == before, "and is not read again until it changes"

    again = MapMaker(store.using)
    store.vectors |= {99: store.vectors[30], 1: store.vectors[31]}
    files = [file(1, b"b"), *store.files[1:], file(99)]
    waiting = again.state(store.viewed, files)
    assert waiting.map == state.map, "what was kept is shown at once"
    assert waiting.work == "placing"
    assert again.wait(SECONDS)
    kept = again.state(store.viewed, files)
    assert kept.map is not None
    assert kept.work == ""
    assert kept.map.made == state.map.made
    assert kept.map == read_map(store.store, "tiny/1")
    for number in (1, 99):
        moved, near = kept.map.files[number], state.map.files[30]
        assert abs(moved.x - near.x) + abs(moved.y - near.y) < layout.SIZE / 5
        assert moved.beside
    assert all(kept.map.files[number] == state.map.files[number] for number in range(2, 41))


def test_few_files_that_all_changed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left to put them beside: the map is made anew, and then nothing is left to do."""

    class Middle:
        def lay_out(self, portions: Iterable[Portion]) -> Layout:
            ids = [id_ for portion in portions for id_ in portion.ids]
            return Layout(ids, [(5000, 5000)] * len(ids), [0] * len(ids), [("ducks",)])

    monkeypatch.setattr(maker, "LayoutProcess", Middle)
    placed = {number: PlacedFile(1, 1, 0, "another") for number in (1, 2)}
    keep_map(store.store, Map("tiny/1", time.time(), (("ducks",),), placed))
    made, files = MapMaker(store.using), store.files[:2]
    made.state(store.viewed, files)
    assert made.wait(SECONDS)
    state = made.state(store.viewed, files)

    assert state.map is not None
    assert state.map.files.keys() == {1, 2}
    assert state.work == state.problem == ""


def test_map_of_another_time(store: Store) -> None:
    """A map is made anew for another model, where many files came, and where the store's was removed."""
    files = store.files
    placed = {one.id: PlacedFile(1, 1, 0, one.content_hash.hex()[:12]) for one in files}
    keep_map(store.store, Map("tiny/1", time.time(), (("ducks",),), placed))
    made = MapMaker(store.using)

    assert made.state(store.viewed, files).work == ""
    Path(store.store, MAP_FILE).unlink()
    for state in (
        made.state(store.viewed, files),
        MapMaker(store.using).state(replace(store, model="tiny/2").viewed, files),
    ):
        assert state.map is None
        assert state.work == "making"
    made.close()
    keep_map(store.store, Map("tiny/1", time.time(), (("ducks",),), dict(list(placed.items())[:10])))
    many = MapMaker(store.using)
    assert many.state(store.viewed, files).work == "making"
    many.close()


def test_map_that_is_damaged(store: Store) -> None:
    """A file that is no map, or not a sound one, is as none."""
    path = Path(store.store, MAP_FILE)
    for text in ("", "{}", "[1]", "\0", '{"model":"tiny/1","made":1.0,"clusters":[],"files":{"1":[1,1,7,"aa"]}}'):
        path.write_text(text)
        assert read_map(store.store, "tiny/1") is None, text


def test_page_that_closes_ends_the_child(store: Store) -> None:
    """Closing gives up what is being made, at once."""
    made = MapMaker(store.using)
    made.state(store.viewed, store.files)
    began = time.monotonic()
    made.close()

    assert time.monotonic() - began < 20
    assert made.state(store.viewed, store.files) == MapState(None, "", "")


def test_failure_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ends is a problem that the page shows; the next attempt waits."""

    class Dying:
        def lay_out(self, _portions: object) -> None:
            raise LayoutFailed("the process that lays out the map ended")

        def end(self) -> None:
            """There is nothing to end."""

    said: list[str] = []
    monkeypatch.setattr(maker, "LayoutProcess", Dying)
    made = MapMaker(store.using, said.append)
    made.state(store.viewed, store.files)
    assert made.wait(SECONDS)

    assert made.state(store.viewed, store.files) == MapState(None, "", "the process that lays out the map ended")
    assert len(said) == 1


def test_child_that_dies() -> None:
    """A child that is ended while it is asked raises."""
    process = LayoutProcess()
    process.end()

    with pytest.raises(LayoutFailed):
        process.lay_out([Portion.of([1], [np.ones(3, np.float32)], ["a"])])


@pytest.mark.slow
def test_view(browser: Browser, running: Served) -> None:
    """The map is made on the first visit; then groups lead to their files, and a search stays within one."""
    browser.get("/map")
    assert running.page.map.wait(SECONDS)
    text = browser.get("/map").text
    drawn = json.loads(browser.get("/map/files").text)

    with running.using() as kb:
        indexed = {one.id for one in kb.documents()}
    assert set(drawn["ids"]) == indexed
    assert {len(drawn[name]) for name in ("x", "y", "group", "folder", "tag", "day", "title", "path", "root")} == {
        len(indexed)
    }
    assert "/map?group=0" in text
    group = browser.get("/map?group=0").text
    ids = group.partition('name="ids" value="')[2].partition('"')[0]
    within = browser.post("/select", {"ids": ids, "q": ""}).headers["location"]
    listed = unescape(browser.get(within).text)
    assert f"Only {ids.count(',') + 1} selected file" in listed
    assert "no such group" in browser.get("/map?group=999").text

    with running.using() as kb:
        kept = Path(kb.overview.store, MAP_FILE)
        assert kept.is_file()
        kb.rebuild()
    assert not kept.exists(), "with the words of notes that are gone"
