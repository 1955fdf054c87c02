"""How an index run shows how far it is, and how it is stopped."""

from __future__ import annotations

import io
import itertools
import os
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.cli.output.progress import Pace, ProgressLines, counts_text, duration, pace_text, shown_progress, stoppable
from kb.records import IndexProgress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return True


def sight(seconds: float, *, size: int = 0, passages: int = 0, files: int = 0) -> IndexProgress:
    """A sight of a run over 10 files of 1,000 bytes in all."""
    return IndexProgress(files, 10, size, 1000, passages, 0, seconds)


def pace_of(*sights: IndexProgress) -> Pace:
    """The pace after some sights."""
    pace = Pace()
    for one in sights:
        pace.add(one)
    return pace


def test_rate_and_remaining_time_come_from_what_was_done() -> None:
    """Passages a second from their number, the time left from the bytes left."""
    pace = pace_of(sight(0), sight(10, size=250, passages=50))

    assert (pace.rate(), pace.remaining()) == (5, 30)
    assert pace_text(pace) == "5 passages/s, 0:30 left"


def test_it_is_too_early_to_say_at_first() -> None:
    """In the first seconds, or while nothing was read, no time is promised."""
    assert pace_text(pace_of()) == ""
    assert pace_text(pace_of(sight(0), sight(1, size=10, passages=1))) == ""
    assert pace_text(pace_of(sight(0), sight(9))) == "0 passages/s"


def test_the_end_is_foretold_once_it_is_measured_and_does_not_jump() -> None:
    """A stretch that is eight times as slow makes the remaining time longer bit by bit."""
    pace, shown = Pace(), []
    for second in range(120):
        pace.add(sight(second, size=8 * second if second < 60 else 480 + (second - 60), passages=second))
        shown.append(pace.remaining())

    assert shown[:8] == [None] * 8
    assert shown[10] == pytest.approx(115, abs=1)
    steps = [after - before for before, after in itertools.pairwise(shown[8:]) if before is not None and after]
    assert max(map(abs, steps)) < 15
    assert shown[-1] is not None
    assert shown[-1] > 200


def test_what_comes_before_the_first_passage_does_not_count() -> None:
    """Reading and loading the model took a minute, and say nothing of how long the rest takes."""
    early = [
        IndexProgress(0, 10, 0, 1000, 0, 0, 1.0, "reading", 3),
        IndexProgress(0, 10, 0, 1000, 0, 0, 60.0, "loading the model", 10),
    ]

    pace = pace_of(*early, sight(61, size=10, passages=1), sight(71, size=110, passages=11))

    assert (pace.rate(), pace.remaining()) == (1, 89)
    assert [counts_text(one) for one in early] == [
        "reading documents: 3 of 10 files",
        "loading the model; 10 of 10 files read",
    ]


def test_a_pipe_is_told_that_the_model_is_loaded() -> None:
    """At once, since nothing more comes while it is; a daemon has it already."""
    loading = IndexProgress(0, 10, 0, 1000, 0, 0, 1.0, "loading the model", 10)
    said: list[str] = []
    ProgressLines(said.append)(loading)
    assert said == []

    ProgressLines(said.append, announce=True)(loading)
    assert said == ["loading the model; 10 of 10 files read"]


def test_a_slow_start_is_forgotten() -> None:
    """After half a minute the time that the model took to load no longer counts."""
    late = [sight(60 + 10 * step, size=100 * step, passages=10 * step) for step in range(6)]

    assert pace_of(sight(0), sight(60), *late).rate() == 1


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(0, 50), st.integers(0, 9)), max_size=20))
def test_rate_and_remaining_time_are_never_negative(steps: list[tuple[float, int, int]]) -> None:
    """However a run goes, its numbers make sense."""
    pace, seconds, size, passages = Pace(), 0.0, 0, 0
    for wait, read, found in steps:
        seconds, size, passages = seconds + wait, min(1000, size + read), passages + found
        pace.add(sight(seconds, size=size, passages=passages))

    assert (pace.rate() or 0) >= 0
    assert (pace.remaining() or 0) >= 0


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (7, "0:07"), (80, "1:20"), (3723, "1:02:03")])
def test_durations_are_read_as_on_a_clock(seconds: float, shown: str) -> None:
    """Minutes and seconds, hours where there are any."""
    assert duration(seconds) == shown


def test_lines_come_now_and_then() -> None:
    """A log gets a line every few seconds of the run, however often the run tells."""
    said: list[str] = []
    lines = ProgressLines(said.append)

    for tenth in range(120):
        lines(sight(tenth / 10, size=tenth, passages=tenth, files=tenth // 12))

    assert said == [
        "5 % of 10 files, 50 passages, 10 passages/s",
        "10 % of 10 files, 100 passages, 10 passages/s, 1:30 left",
    ]


def test_lines_of_a_long_run_come_once_a_minute() -> None:
    """A run of hours fills no log."""
    said: list[str] = []
    lines = ProgressLines(said.append)

    for second in range(3600):
        lines(sight(second))

    assert 60 <= len(said) <= 75


def test_a_pipe_gets_plain_lines_and_quiet_nothing() -> None:
    """No escape ever reaches a log; quiet asks for no progress at all."""
    stream = io.StringIO()

    with shown_progress(quiet=False, stream=stream, bar=False, color=False) as on_progress:
        assert on_progress is not None
        on_progress(sight(6, size=300))
    with shown_progress(quiet=True, stream=stream, bar=True, color=True) as on_progress:
        assert on_progress is None

    assert stream.getvalue() == "kb: 30 % of 10 files, 0 passages\n"


def test_a_terminal_gets_a_bar() -> None:
    """The bar tells the counts, and leaves nothing behind."""
    stream = Terminal()

    with shown_progress(quiet=False, stream=stream, bar=True, color=False) as on_progress:
        assert on_progress is not None
        on_progress(sight(0))
        on_progress(sight(10, size=250, passages=50, files=3))

    assert "looking through the folders" in stream.getvalue()
    assert "25 % of 10 files, 50 passages" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")


def test_counts_are_grouped() -> None:
    """Large numbers can be read."""
    assert counts_text(IndexProgress(1200, 34000, 0, 0, 1000, 500, 0)) == "3 % of 34,000 files, 1,500 passages"


def test_the_first_interrupt_asks_and_the_second_stops(capfd: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C lets a file be finished; once more ends at once; afterwards it is as it was before."""
    before = signal.getsignal(signal.SIGINT)

    with stoppable() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) is before
    assert "press Ctrl-C again" in capfd.readouterr().err


def test_a_run_that_ignores_interrupts_goes_on_ignoring_them() -> None:
    """In the background of a script Ctrl-C is for somebody else."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable() as should_stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not should_stop()
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_takes_no_signals() -> None:
    """A program that indexes in a thread of its own gets no error for it."""
    seen: list[bool] = []

    def work() -> None:
        with stoppable() as should_stop:
            seen.append(should_stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [False]
