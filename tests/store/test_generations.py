"""Tests of the generations of the vector index, whole and cut off at every step."""

from __future__ import annotations

import contextlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.errors import ForeignStore, StoreError
from kb.store.generations import Generations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = "index.bin"


class CutOffError(Exception):
    """The process ended here."""


class CutOff:
    """Ends the work before its n-th change on the disk.

    Args:
        after: How many changes are still made.
    """

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, _step: str) -> None:
        """Count one change, or end before it."""
        if self.left == 0:
            raise CutOffError
        self.left -= 1


def fill(generations: Generations, name: str) -> None:
    """Put something into a generation, so that a whole one can be told from an empty one."""
    with open(f"{generations.path(name)}/{CONTENT}", "w", encoding="utf-8") as file:  # noqa: PTH123 - path is a str
        file.write(name)


def content(generations: Generations, name: str) -> str:
    """What was put into a generation."""
    with open(f"{generations.path(name)}/{CONTENT}", encoding="utf-8") as file:  # noqa: PTH123 - path is a str
        return file.read()


def renew(generations: Generations) -> str:
    """Make a generation, fill it, serve it, and drop the one before."""
    before = generations.current()
    name = generations.begin()
    fill(generations, name)
    generations.switch(name)
    if before is not None:
        generations.discard(before)
    return name


def replace_damaged(generations: Generations) -> None:
    """Set the served generation aside and make another one."""
    name = generations.current()
    if name is not None:
        generations.set_aside(name)
    renew(generations)


def session(generations: Generations) -> None:
    """Open and close the index in order."""
    generations.mark_unclean()
    generations.mark_clean()


def test_a_new_store_serves_nothing(tmp_path: Path) -> None:
    """Without a first generation there is no current one, and the store is clean."""
    generations = Generations(str(tmp_path / "store"))

    assert generations.current() is None
    assert not generations.is_unclean()
    assert generations.damaged() is None


def test_a_generation_is_served_once_it_is_switched_to(tmp_path: Path) -> None:
    """A generation that began is not served; after the switch it is, for every later reader of the store."""
    generations = Generations(str(tmp_path))

    name = generations.begin()
    while_begun = generations.current()
    generations.switch(name)

    assert name == "generation-0001"
    assert while_begun is None
    assert Generations(str(tmp_path)).current() == name


def test_a_beginning_that_was_cut_off_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """What was begun and never served does not stay, and never counts as the one that is served."""
    generations = Generations(str(tmp_path))
    served = renew(generations)
    fill(generations, generations.begin())

    begun = generations.begin()

    assert sorted(path.name for path in tmp_path.glob("generation-*")) == [served, begun]
    assert list((tmp_path / begun).iterdir()) == []


def test_a_generation_is_on_the_disk_before_it_is_named(tmp_path: Path) -> None:
    """Else a power cut leaves a name of files that were never written."""
    steps: list[str] = []
    generations = Generations(str(tmp_path), on_step=steps.append)
    name = generations.begin()
    steps.clear()

    generations.switch(name)

    assert steps.index("flush a generation") < steps.index("write the name")
    assert steps[-1] == "flush a directory"


def test_no_name_is_used_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in one process, where the directory was removed, nor in the next, where it was set aside."""
    generations = Generations(str(tmp_path))
    first = generations.begin()
    generations.discard(first)
    second = renew(generations)
    generations.set_aside(second)
    monkeypatch.setattr("kb.store.generations._BEGUN", {})

    third = Generations(str(tmp_path)).begin()

    assert [first, second, third] == ["generation-0001", "generation-0002", "generation-0003"]


def test_a_damaged_generation_is_kept_but_no_longer_served(tmp_path: Path) -> None:
    """What is set aside keeps its files under another name, and its old name is not used again."""
    generations = Generations(str(tmp_path))
    name = renew(generations)

    place = generations.set_aside(name)

    assert generations.current() is None
    assert generations.damaged() == place
    assert place.startswith(str(tmp_path / "damaged-"))
    assert generations.begin() != name


def test_only_the_newest_damaged_generation_is_kept(tmp_path: Path) -> None:
    """A second damage replaces the files of the first one."""
    ticks = itertools.count()
    generations = Generations(
        str(tmp_path), now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=next(ticks))
    )
    generations.set_aside(renew(generations))
    second = renew(generations)

    place = generations.set_aside(second)

    assert generations.damaged() == place
    assert len(list(tmp_path.glob("damaged-*"))) == 1
    assert (tmp_path / place / CONTENT).read_text() == second


def test_the_mark_stays_until_the_index_was_closed(tmp_path: Path) -> None:
    """An owner that ends between the two marks leaves an unclean store."""
    generations = Generations(str(tmp_path))
    renew(generations)

    generations.mark_unclean()
    while_open = Generations(str(tmp_path)).is_unclean()
    generations.mark_clean()
    generations.mark_clean()

    assert while_open
    assert not Generations(str(tmp_path)).is_unclean()


def test_the_served_generation_cannot_be_discarded(tmp_path: Path) -> None:
    """Discarding what is served is refused; discarding what is gone is not."""
    generations = Generations(str(tmp_path))
    name = renew(generations)

    with pytest.raises(ValueError, match="being served"):
        generations.discard(name)
    generations.discard("generation-0099")

    assert generations.current() == name


@pytest.mark.parametrize("name", ["../elsewhere", "generation-1", "damaged-x", "", "generation-0001/.."])
def test_only_names_of_generations_lead_anywhere(tmp_path: Path, name: str) -> None:
    """No other name becomes a path, so nothing outside the store is ever removed."""
    generations = Generations(str(tmp_path))

    with pytest.raises(ValueError, match="not the name of a generation"):
        generations.discard(name)


@pytest.mark.parametrize("named", ["", "\0\0\0\0", "../..", "generation-0007", "\N{SNOWMAN}" * 100])
def test_a_broken_current_file_serves_nothing(tmp_path: Path, named: str) -> None:
    """A name that leads to no generation is as good as none, and the next generation can be made."""
    generations = Generations(str(tmp_path))
    renew(generations)
    (tmp_path / "current").write_text(named, encoding="utf-8")

    served = generations.current()
    renewed = renew(generations)

    assert served is None
    assert generations.current() == renewed


def test_a_chroma_store_in_the_place_of_the_store_is_refused(tmp_path: Path) -> None:
    """A folder that ChromaDB's own files lie in is not kb's, and is not touched."""
    (tmp_path / "chroma.sqlite3").touch()

    with pytest.raises(ForeignStore):
        Generations(str(tmp_path))

    assert [path.name for path in tmp_path.iterdir()] == ["chroma.sqlite3"]


def test_a_file_in_the_place_of_the_store_is_one_clear_error(tmp_path: Path) -> None:
    """What cannot be a store is refused with a remedy."""
    (tmp_path / "store").touch()

    with pytest.raises(StoreError) as refused:
        Generations(str(tmp_path / "store"))

    assert refused.value.remedy


def test_switching_to_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """The current file never names a generation that does not exist."""
    generations = Generations(str(tmp_path))

    with pytest.raises(StoreError, match="there is no generation-0005"):
        generations.switch("generation-0005")

    assert not (tmp_path / "current").exists()


@pytest.mark.parametrize("work", [renew, replace_damaged, session])
def test_work_cut_off_at_any_step_leaves_a_store_that_works(
    tmp_path: Path, work: Callable[[Generations], None]
) -> None:
    """Whichever change on the disk was the last, what is served is whole, and the same work can be done again."""
    for after in itertools.count():
        store = tmp_path / str(after)
        served = renew(Generations(str(store)))
        generations = Generations(str(store), on_step=CutOff(after))
        finished = True
        try:
            work(generations)
        except CutOffError:
            finished = False

        reopened = Generations(str(store))
        current = reopened.current()
        assert current is None or content(reopened, current) == current
        assert current is not None or work is replace_damaged
        assert current == served or reopened.damaged() is not None or work is not replace_damaged
        work(reopened)
        last = reopened.current()
        assert last is not None
        assert content(reopened, last) == last
        assert len(list(store.glob("damaged-*"))) <= 1
        reopened.sweep()
        assert [path.name for path in store.glob("generation-*")] == [last]
        if finished:
            break


def test_a_mark_is_never_lost_to_a_cut(tmp_path: Path) -> None:
    """Once the index may be open, the store is unclean until the very last step of closing it."""
    for after in itertools.count():
        store = tmp_path / str(after)
        renew(Generations(str(store)))
        Generations(str(store)).mark_unclean()
        generations = Generations(str(store), on_step=CutOff(after))
        try:
            generations.mark_clean()
        except CutOffError:
            if generations.is_unclean():
                continue
        assert not generations.is_unclean()
        break
    assert after > 0


ACTIONS: dict[str, Callable[[Generations], object]] = {
    "renew": renew,
    "replace": replace_damaged,
    "begin": Generations.begin,
    "session": session,
    "sweep": Generations.sweep,
}


@given(script=st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 15)), max_size=8))
def test_any_row_of_cut_off_work_ends_well(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, int]]
) -> None:
    """After any row of actions, each cut off somewhere, one more renewal serves a whole generation and nothing else."""
    store = tmp_path_factory.mktemp("store")
    names = set()
    for action, after in script:
        generations = Generations(str(store), on_step=CutOff(after))
        with contextlib.suppress(CutOffError):
            ACTIONS[action](generations)
        current = generations.current()
        assert current is None or content(generations, current) == current
        names.add(current)

    last = Generations(str(store))
    before = last.current()
    name = renew(last)

    assert name not in names - {None}
    assert last.current() == name
    assert before is None or not (store / before).exists()
    assert [path.name for path in store.glob("generation-*")] == [name]
