"""The debouncer: nothing is lost, nothing is taken too early, nothing waits too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kb.watching.scheduler import EVERYTHING, Debouncer, Everything, Place

QUIET, PATIENCE = 0.5, 1.0

directories = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3).map("/".join)
places = st.tuples(st.sampled_from(["/one", "/two"]), directories)
marks = st.one_of(places, places, places, st.just(EVERYTHING))
steps = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.4, 0.7]), st.one_of(marks, st.none())), max_size=40)


def covers(taken: frozenset[Place] | Everything, place: Place | Everything) -> bool:
    """Whether what was taken stands for a place."""
    if taken is EVERYTHING:
        return True
    return place is not EVERYTHING and any(
        folder == place[0] and (not directory or place[1] == directory or place[1].startswith(directory + "/"))
        for folder, directory in taken
    )


@given(steps, st.sampled_from([1, 3, 200]))
def test_every_mark_is_taken_after_quiet_and_within_patience(
    script: list[tuple[float, Place | Everything | None]], most: int
) -> None:
    """Taken at every due time, each mark comes out after its quiet or a neighbour's patience, never later."""
    debouncer = Debouncer(QUIET, PATIENCE, most)
    now = 0.0
    waiting: list[tuple[Place | Everything, float]] = []
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
def test_marks_are_folded_into_what_stands_around_them(marked: list[Place | Everything]) -> None:
    """Whatever the order, what comes out covers every mark and no part of it another."""
    debouncer = Debouncer(QUIET, PATIENCE)
    for place in marked:
        debouncer.mark(place, 0.0)
    count = len(debouncer)
    taken = debouncer.take(PATIENCE)
    assert taken is not None
    assert all(covers(taken, place) for place in marked)
    if taken is EVERYTHING:
        assert EVERYTHING in marked
        assert count == 1
    else:
        assert count == len(taken)
        assert not any(covers(taken - {place}, place) for place in taken)


def test_too_many_places_become_everything() -> None:
    """Two hundred places are kept apart, one more makes them all one."""
    debouncer = Debouncer(QUIET, PATIENCE)
    for number in range(200):
        debouncer.mark(("/one", str(number)), 0.0)
    assert len(debouncer) == 200
    debouncer.mark(("/one", "200"), 0.0)
    assert len(debouncer) == 1
    assert debouncer.take(QUIET) is EVERYTHING


def test_a_restless_place_holds_up_no_other() -> None:
    """A place is due after its own quiet, while another is written without a pause."""
    debouncer = Debouncer(QUIET, PATIENCE)
    debouncer.mark(("/one", "note"), 0.0)
    for tenth in range(6):
        debouncer.mark(("/one", "log"), tenth / 10)
    assert debouncer.take(QUIET) == frozenset({("/one", "note")})
    assert debouncer.take(QUIET) is None


def test_a_name_that_begins_like_another_is_not_below_it() -> None:
    """``ab`` does not lie in ``a``, and the same directory of two folders is two places."""
    debouncer = Debouncer(QUIET, PATIENCE)
    for place in [("/one", "a"), ("/one", "ab"), ("/two", "a")]:
        debouncer.mark(place, 0.0)
    assert debouncer.take(QUIET) == frozenset({("/one", "a"), ("/one", "ab"), ("/two", "a")})


def test_patience_is_counted_from_the_first_mark() -> None:
    """Also where the first mark was of a place inside the one that is restless now."""
    debouncer = Debouncer(QUIET, PATIENCE)
    debouncer.mark(("/one", "a/b"), 0.0)
    for now in (0.4, 0.8):
        debouncer.mark(("/one", "a"), now)
    assert debouncer.take(0.99) is None
    assert debouncer.take(PATIENCE) == frozenset({("/one", "a")})


def test_clearing_forgets_all_and_counts() -> None:
    """After a full look nothing is due any more."""
    debouncer = Debouncer(QUIET, PATIENCE)
    debouncer.mark(("/one", "a"), 0.0)
    debouncer.mark(("/two", ""), 0.0)
    assert debouncer.clear() == 2
    assert debouncer.due_in(9.0) is None
    assert debouncer.take(9.0) is None
