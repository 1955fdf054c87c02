"""The debouncer: nothing is lost, taken too early or kept too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from kb.watching.scheduler import FULL_SCAN, Debouncer, FullScan

if TYPE_CHECKING:
    from kb.records import Subtree

QUIET, PATIENCE = 0.5, 1.0

directories = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3).map("/".join)
places = st.tuples(st.sampled_from(["/one", "/two"]), directories)
marks = st.one_of(places, places, places, st.just(FULL_SCAN))
steps = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.4, 0.7]), st.one_of(marks, st.none())), max_size=40)


def covers(taken: frozenset[Subtree] | FullScan, place: Subtree | FullScan) -> bool:
    """Whether the taken places include a place."""
    if taken is FULL_SCAN:
        return True
    return place is not FULL_SCAN and any(
        folder == place[0] and (not directory or place[1] == directory or place[1].startswith(directory + "/"))
        for folder, directory in taken
    )


@given(steps, st.sampled_from([1, 3, 200]))
def test_every_mark_is_taken_after_quiet_and_within_patience(
    script: list[tuple[float, Subtree | FullScan | None]], most: int
) -> None:
    """Each mark is taken once its directory is quiet, and within its patience."""
    debouncer = Debouncer(QUIET, PATIENCE, most)
    now = 0.0
    waiting: list[tuple[Subtree | FullScan, float]] = []
    for pause, place in [*script, (2 * PATIENCE, None)]:
        until = now + pause
        while (due := debouncer.due_in(now)) is not None and now + due <= until:
            # A hair more, since sums of floats are not exact.
            now += due + 1e-9
            taken = debouncer.take(now)
            assert taken is not None
            out = [(one, at) for one, at in waiting if covers(taken, one)]
            waiting = [pair for pair in waiting if pair not in out]
            assert out, "something was taken that nobody marked"
            oldest, latest = min(at for _, at in out), max(at for _, at in out)
            assert now - latest >= QUIET - 1e-6 or now - oldest >= PATIENCE - 1e-6
            assert now - oldest <= PATIENCE + 1e-6
        now = max(now, until)
        assert all(now - at <= PATIENCE + 1e-6 for _, at in waiting)
        if place is not None:
            debouncer.mark(place, now)
            waiting.append((place, now))
    assert waiting == []
    assert len(debouncer) == 0


@given(st.lists(marks, min_size=1, max_size=30))
def test_marks_are_merged_into_parent_directories(marked: list[Subtree | FullScan]) -> None:
    """In any order, the result includes every mark, and no place includes another."""
    debouncer = Debouncer(QUIET, PATIENCE)
    for place in marked:
        debouncer.mark(place, 0.0)
    count = len(debouncer)
    taken = debouncer.take(PATIENCE)
    assert taken is not None
    assert all(covers(taken, place) for place in marked)
    if taken is FULL_SCAN:
        assert FULL_SCAN in marked
        assert count == 1
    else:
        assert count == len(taken)
        assert not any(covers(taken - {place}, place) for place in taken)


def test_too_many_places_become_full_scan() -> None:
    """Up to two hundred places are tracked separately; above those in the folder itself there is only everything."""
    debouncer = Debouncer(QUIET, PATIENCE)
    for number in range(200):
        debouncer.mark(("/one", str(number)), 0.0)
    assert len(debouncer) == 200
    debouncer.mark(("/one", "200"), 0.0)
    assert len(debouncer) == 1
    assert debouncer.take(QUIET) is FULL_SCAN


def test_the_deepest_of_too_many_places_are_merged_first() -> None:
    """A build that writes many files, for instance, costs the others nothing."""
    debouncer = Debouncer(QUIET, PATIENCE)
    debouncer.mark(("/one", "note.md"), 0.0)
    debouncer.mark(("/one", "build"), 0.0)
    for number in range(300):
        debouncer.mark(("/one", f"work/out/{number}"), 0.0)
        debouncer.mark(("/one", f"work/other/{number % 3}/{number}"), 0.0)
    assert len(debouncer) <= 200
    taken = debouncer.take(QUIET)
    assert taken is not FULL_SCAN
    assert taken is not None
    assert {("/one", "note.md"), ("/one", "build")} <= taken
    assert all(path.startswith(("note", "build", "work/")) for _, path in taken)


def test_busy_place_does_not_delay_others() -> None:
    """A place is due once it is quiet, while another is written without a pause."""
    debouncer = Debouncer(QUIET, PATIENCE)
    debouncer.mark(("/one", "note"), 0.0)
    for tenth in range(6):
        debouncer.mark(("/one", "log"), tenth / 10)
    assert debouncer.take(QUIET) == frozenset({("/one", "note")})
    assert debouncer.take(QUIET) is None
    assert debouncer.waiting() == frozenset({("/one", "log")})


def test_name_with_common_prefix_is_not_a_subdirectory() -> None:
    """``ab`` is not in ``a``, and equal directories of two folders are two places."""
    debouncer = Debouncer(QUIET, PATIENCE)
    for place in [("/one", "a"), ("/one", "ab"), ("/two", "a")]:
        debouncer.mark(place, 0.0)
    assert debouncer.take(QUIET) == frozenset({("/one", "a"), ("/one", "ab"), ("/two", "a")})


def test_patience_counts_from_first_mark() -> None:
    """Even if the first mark was a subdirectory of the busy place."""
    debouncer = Debouncer(QUIET, PATIENCE)
    debouncer.mark(("/one", "a/b"), 0.0)
    for now in (0.4, 0.8):
        debouncer.mark(("/one", "a"), now)
    assert debouncer.take(0.99) is None
    assert debouncer.take(PATIENCE) == frozenset({("/one", "a")})


def test_clear_removes_all_places_and_counts_them() -> None:
    """After a full scan nothing is due."""
    debouncer = Debouncer(QUIET, PATIENCE)
    debouncer.mark(("/one", "a"), 0.0)
    debouncer.mark(("/two", ""), 0.0)
    assert debouncer.clear() == 2
    assert debouncer.due_in(9.0) is None
    assert debouncer.take(9.0) is None
