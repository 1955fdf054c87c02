"""The generations of the vector index, complete and interrupted at every step."""

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
        """Count a change, or end before it."""
        if self.left == 0:
            raise CutOffError
        self.left -= 1


def fill(generations: Generations, name: str) -> None:
    """Write something into a generation, so that a complete one can be recognised."""
    with open(f"{generations.path(name)}/{CONTENT}", "w", encoding="utf-8") as file:  # noqa: PTH123 - path is a str
        file.write(name)


def content(generations: Generations, name: str) -> str:
    """The content of a generation."""
    with open(f"{generations.path(name)}/{CONTENT}", encoding="utf-8") as file:  # noqa: PTH123 - path is a str
        return file.read()


def renew(generations: Generations) -> str:
    """Create and fill a generation, switch to it, and discard the previous one."""
    before = generations.current()
    name = generations.begin()
    fill(generations, name)
    generations.switch(name)
    if before is not None:
        generations.discard(before)
    return name


def replace_damaged(generations: Generations) -> None:
    """Set the generation in use aside and create another one."""
    name = generations.current()
    if name is not None:
        generations.set_aside(name)
    renew(generations)


def session(generations: Generations) -> None:
    """Open and close the index properly."""
    generations.mark_unclean()
    generations.mark_clean()


def test_a_new_store_has_no_generation(tmp_path: Path) -> None:
    """There is no current generation, and the store is clean."""
    generations = Generations(str(tmp_path / "store"))

    assert generations.current() is None
    assert not generations.is_unclean()
    assert list(tmp_path.glob("store/damaged-*")) == []


def test_a_generation_is_in_use_after_the_switch(tmp_path: Path) -> None:
    """Not before; and afterwards for every later reader of the store."""
    generations = Generations(str(tmp_path))

    name = generations.begin()
    while_begun = generations.current()
    generations.switch(name)

    assert name == "generation-0001"
    assert while_begun is None
    assert Generations(str(tmp_path)).current() == name


def test_an_interrupted_beginning_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """A generation that was begun but never switched to is deleted, and never counts as current."""
    generations = Generations(str(tmp_path))
    served = renew(generations)
    fill(generations, generations.begin())

    begun = generations.begin()

    assert sorted(path.name for path in tmp_path.glob("generation-*")) == [served, begun]
    assert list((tmp_path / begun).iterdir()) == []


def test_a_generation_is_on_the_disk_before_it_is_named(tmp_path: Path) -> None:
    """Otherwise, a power cut could leave the name of files that were never written."""
    steps: list[str] = []
    generations = Generations(str(tmp_path), on_step=steps.append)
    name = generations.begin()
    steps.clear()

    generations.switch(name)

    assert steps.index("flush a generation") < steps.index("write the name")
    assert steps[-1] == "flush a directory"


def test_no_name_is_used_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in one process after the directory was removed, nor in the next after it was set aside."""
    generations = Generations(str(tmp_path))
    first = generations.begin()
    generations.discard(first)
    second = renew(generations)
    generations.set_aside(second)
    monkeypatch.setattr("kb.store.generations._BEGUN", {})

    third = Generations(str(tmp_path)).begin()

    assert [first, second, third] == ["generation-0001", "generation-0002", "generation-0003"]


def test_a_damaged_generation_is_kept_but_no_longer_used(tmp_path: Path) -> None:
    """Its files get another name, and its old name is not used again."""
    generations = Generations(str(tmp_path))
    name = renew(generations)

    place = generations.set_aside(name)

    assert generations.current() is None
    assert [str(path) for path in tmp_path.glob("damaged-*")] == [place]
    assert generations.begin() != name


def test_only_the_newest_damaged_generation_is_kept(tmp_path: Path) -> None:
    """A second damaged generation replaces the first one."""
    ticks = itertools.count()
    generations = Generations(
        str(tmp_path), now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=next(ticks))
    )
    generations.set_aside(renew(generations))
    second = renew(generations)

    place = generations.set_aside(second)

    assert [str(path) for path in tmp_path.glob("damaged-*")] == [place]
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


def test_an_index_is_on_the_disk_before_it_is_said_to_be_closed(tmp_path: Path) -> None:
    """ChromaDB does not flush its files."""
    steps: list[str] = []
    generations = Generations(str(tmp_path), on_step=steps.append)
    renew(generations)
    generations.mark_unclean()
    steps.clear()

    generations.mark_clean()

    assert steps.index("flush a generation") < steps.index("remove the mark")


def test_nothing_is_left_of_generations_that_are_all_discarded(tmp_path: Path) -> None:
    """Neither their directories nor what is said of them: an index elsewhere takes their place."""
    generations = Generations(str(tmp_path))
    renew(generations)
    generations.begin()
    generations.mark_unclean()

    generations.discard_all()

    assert list(tmp_path.iterdir()) == []
    assert (generations.current(), generations.is_unclean()) == (None, False)


def test_what_only_has_the_name_of_a_generation_is_none(tmp_path: Path) -> None:
    """A file, and a link to a directory elsewhere, whose files are left alone."""
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / CONTENT).write_text("mine")
    generations = Generations(str(store))
    (store / "generation-0001").symlink_to(elsewhere)
    (store / "generation-0002").write_text("")
    (store / "current").write_text("generation-0001\n")

    assert generations.current() is None
    generations.sweep()
    assert sorted(path.name for path in store.iterdir()) == ["current", "generation-0001", "generation-0002"]
    with pytest.raises(StoreError, match="there is no generation-0001"):
        generations.switch("generation-0001")
    assert (elsewhere / CONTENT).read_text() == "mine"


def test_the_current_generation_cannot_be_discarded(tmp_path: Path) -> None:
    """Discarding the current one is refused; discarding a missing one is not."""
    generations = Generations(str(tmp_path))
    name = renew(generations)

    with pytest.raises(ValueError, match="in use"):
        generations.discard(name)
    generations.discard("generation-0099")

    assert generations.current() == name


@pytest.mark.parametrize("name", ["../elsewhere", "generation-1", "damaged-x", "", "generation-0001/.."])
def test_only_names_of_generations_become_paths(tmp_path: Path, name: str) -> None:
    """So nothing outside the store is ever deleted."""
    generations = Generations(str(tmp_path))

    with pytest.raises(ValueError, match="not the name of a generation"):
        generations.discard(name)


@pytest.mark.parametrize("named", ["", "\0\0\0\0", "../..", "generation-0007", "\N{SNOWMAN}" * 100])
def test_a_broken_current_file_is_ignored(tmp_path: Path, named: str) -> None:
    """A name without a generation is ignored, and the next generation can be created."""
    generations = Generations(str(tmp_path))
    renew(generations)
    (tmp_path / "current").write_text(named, encoding="utf-8")

    served = generations.current()
    renewed = renew(generations)

    assert served is None
    assert generations.current() == renewed


def test_a_chroma_store_at_the_path_of_the_store_is_refused(tmp_path: Path) -> None:
    """A folder with ChromaDB's files directly in it is not kb's, and is not changed."""
    (tmp_path / "chroma.sqlite3").touch()

    with pytest.raises(ForeignStore):
        Generations(str(tmp_path))

    assert [path.name for path in tmp_path.iterdir()] == ["chroma.sqlite3"]


def test_a_file_at_the_path_of_the_store_is_reported(tmp_path: Path) -> None:
    """The error has a remedy."""
    (tmp_path / "store").touch()

    with pytest.raises(StoreError) as refused:
        Generations(str(tmp_path / "store"))

    assert refused.value.remedy


def test_switching_to_a_missing_generation_is_refused(tmp_path: Path) -> None:
    """The current file never names a missing generation."""
    generations = Generations(str(tmp_path))

    with pytest.raises(StoreError, match="there is no generation-0005"):
        generations.switch("generation-0005")

    assert not (tmp_path / "current").exists()


@pytest.mark.parametrize("work", [renew, replace_damaged, session])
def test_work_interrupted_at_any_step_leaves_a_working_store(
    tmp_path: Path, work: Callable[[Generations], None]
) -> None:
    """Whichever change was the last, the current generation is complete, and the work can be repeated."""
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
        assert current == served or list(store.glob("damaged-*")) or work is not replace_damaged
        work(reopened)
        last = reopened.current()
        assert last is not None
        assert content(reopened, last) == last
        assert len(list(store.glob("damaged-*"))) <= 1
        reopened.sweep()
        assert [path.name for path in store.glob("generation-*")] == [last]
        if finished:
            break


def test_an_interruption_never_loses_the_mark(tmp_path: Path) -> None:
    """Once the index may be open, the store is unclean until the last step of closing it."""
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
def test_any_sequence_of_interrupted_work_can_be_repaired(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, int]]
) -> None:
    """After any sequence of interrupted actions, a renewal leaves one complete generation and nothing else."""
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
