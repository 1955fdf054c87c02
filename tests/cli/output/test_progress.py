"""How an index run shows how far it is, and how it is stopped."""

from __future__ import annotations

import io
import itertools
import os
import re
import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.cli.output.progress import Pace, ProgressLines, counts_text, duration, pace_text, shown_progress, stoppable
from kb.cli.session import ClientContext, Session
from kb.indexing.stopwatch import Stopwatch
from kb.records import IndexProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = list[IndexProgress]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return True


def sight(seconds: float, *, size: int = 0, passages: int = 0, files: int = 0) -> IndexProgress:
    """A sight of a run over 10 files whose texts have 1,000 tokens in all, ``size`` of them embedded."""
    return IndexProgress(
        files, 10, 0, 0, passages, 0, seconds, tokens=size, tokens_total=1000, to_embed=100, embedded_of=passages
    )


def pace_of(*sights: IndexProgress) -> Pace:
    """The pace after some sights."""
    pace = Pace()
    for one in sights:
        pace.add(one)
    return pace


def made(speed: Callable[[float], float], total: int = 100_000, gap: Callable[[float], float] | None = None) -> Run:
    """A run of a speed in tokens a second at each time, with a sight each half second or as ``gap`` says."""
    run, seconds, done = [], 0.0, 0.0
    while done < total:
        passed = gap(seconds) if gap else 0.5
        seconds, done = seconds + passed, min(total, done + speed(seconds) * passed)
        run.append(IndexProgress(0, 10, 0, 0, int(done) // 10, 0, seconds, tokens=int(done), tokens_total=total))
    return run


def drawn(run: Run, every: float = 1.0) -> list[tuple[float, float | None]]:
    """When the remaining time was drawn, and what it was."""
    pace = Pace()
    shown: list[tuple[float, float | None]] = []
    for one in run:
        pace.add(one)
        if not shown or one.seconds - shown[-1][0] >= every:
            shown.append((one.seconds, pace.remaining()))
    return shown


def jumps(shown: list[tuple[float, float | None]]) -> list[float]:
    """By which part of itself the time moved from one draw to the next, beside what the clock took off."""
    return [
        abs(after - max(0.0, before - (then - at))) / (before + 20)
        for (at, before), (then, after) in itertools.pairwise(shown)
        if before is not None and after is not None
    ]


def test_rate_and_remaining_time_come_from_what_was_done() -> None:
    """Passages a second from their number, the time left from the bytes left."""
    pace = pace_of(*(sight(second, size=25 * second, passages=5 * second) for second in range(21)))

    assert (pace.rate(), pace.remaining()) == (5, 20)
    assert pace_text(pace) == "5 passages/s, 0:20 left"


def test_it_is_too_early_to_say_at_first() -> None:
    """In the first seconds, while nothing was read, or after a single step, no time is promised."""
    assert pace_text(pace_of()) == ""
    assert pace_text(pace_of(sight(0), sight(1, size=10, passages=1))) == ""
    assert pace_text(pace_of(sight(0), sight(9))) == ""
    assert pace_text(pace_of(sight(0), sight(9, size=100, passages=9), sight(20, size=200, passages=20))) == (
        "1 passage/s"
    )


def test_no_time_is_shown_before_measurements_agree() -> None:
    """Files from the cache go by at once, and say nothing of those that have to be embedded."""
    shown = drawn(made(lambda seconds: 20_000 if seconds < 3 else 200))

    first = next(left for _, left in shown if left is not None)
    assert first > 30
    assert all(left is None for at, left in shown if at < 13)


RUNS = {
    "steady": made(lambda _: 500),
    "spikes": made(lambda seconds: 3000 if int(seconds) % 37 == 0 else 300),
    "slow start": made(lambda seconds: 20 if seconds < 30 else 800),
    "slower by eight": made(lambda seconds: 800 if seconds < 60 else 100),
    "faster by eight": made(lambda seconds: 100 if seconds < 60 else 800),
    "waves of load": made(lambda seconds: 800 if seconds // 40 % 2 else 120),
    "stalls": made(lambda _: 500, gap=lambda seconds: 15 if int(seconds * 2) % 60 == 0 else 0.5),
    "one huge file": made(lambda seconds: 400 if seconds < 40 or seconds > 100 else 0.01),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_remaining_time_does_not_jump(name: str) -> None:
    """From one draw to the next it moves by a small part of itself, whatever the run does."""
    moves = jumps(drawn(RUNS[name]))

    assert moves
    assert max(moves) <= 0.15


@pytest.mark.parametrize("name", RUNS)
def test_the_remaining_time_is_right_before_the_end(name: str) -> None:
    """However the run went before: in its last third the time is about what was left."""
    run = RUNS[name]
    end = run[-1].seconds

    late = [(left, end - at) for at, left in drawn(run) if left is not None and end * 2 / 3 < at < end * 0.9]

    assert late
    assert all(true / 2 - 20 <= left <= 2 * true + 20 for left, true in late)


def test_a_run_that_was_suspended_goes_on_as_it_was() -> None:
    """The time of a run that was stopped for an hour is not in what it tells, and does not slow the estimate."""
    clock, used = [0.0], [0.0]
    watch = Stopwatch(lambda: clock[0], lambda: used[0])
    run = []
    for second in range(100):
        clock[0] += 3600 if second == 50 else 1
        used[0] += 0.9 if second != 50 else 0.0
        run.append(sight(watch.seconds(), size=5 * second, passages=second))

    shown = [left for _, left in drawn(run) if left is not None]

    assert max(shown) < 200
    assert max(jumps(drawn(run))) <= 0.05


def test_a_log_does_not_contradict_itself() -> None:
    """Of two lines that follow each other the second never gives quite another time than the first leads to expect."""
    for run in RUNS.values():
        said: list[str] = []
        lines = ProgressLines(said.append)
        times = []
        for one in run:
            lines(one)
            times += [(one.seconds, _seconds(line)) for line in said]
            said.clear()
        assert any(left is not None for _, left in times)
        for (at, before), (then, after) in itertools.pairwise(times):
            if before is not None and after is not None:
                expected = max(0, before - (then - at))
                assert expected / 2 - 11 <= after <= 2 * expected + 11


def _seconds(line: str) -> int | None:
    """The remaining time in a line, in seconds."""
    found = re.search(r"([\d:]+) left", line)
    return sum(int(part) * 60**at for at, part in enumerate(reversed(found[1].split(":")))) if found else None


def test_what_comes_before_the_first_passage_does_not_count() -> None:
    """Reading and loading the model took a minute, and say nothing of how long the rest takes."""
    early = [
        IndexProgress(0, 10, 0, 1000, 0, 0, 1.0, "reading", 3),
        IndexProgress(10, 10, 0, 1000, 0, 0, 60.0, "loading the model", 10, to_embed=200, words_seconds=2.34),
    ]

    pace = pace_of(*early, *(sight(60 + second, size=10 * second, passages=second) for second in range(1, 21)))

    assert (pace.rate(), pace.remaining()) == (1, 80)
    assert [counts_text(one) for one in early] == [
        "reading documents: 3 of 10 files",
        "words of 10 files in 2.3 s, loading the model to embed 200 passages",
    ]


def test_a_pipe_is_told_that_the_model_is_loaded() -> None:
    """At once, since nothing more comes while it is; a daemon has it already."""
    loading = IndexProgress(10, 10, 0, 1000, 0, 0, 1.0, "loading the model", 10, to_embed=20)
    said: list[str] = []
    ProgressLines(said.append)(loading)
    assert said == []

    ProgressLines(said.append, announce=True)(loading)
    assert said == ["loading the model to embed 20 passages"]


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


def test_a_slow_rate_is_told_by_the_minute() -> None:
    """A large model on a busy machine makes less than a passage a second."""
    assert pace_text(pace_of(sight(0), sight(20, size=10, passages=5))) == "15 passages/min"


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
        "embedding 50 of 100 passages, 10 passages/s",
        "embedding 100 of 100 passages, 10 passages/s",
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

    assert stream.getvalue() == "kb: embedding 0 of 100 passages\n"


def test_a_terminal_gets_a_bar() -> None:
    """The bar tells the counts, and leaves nothing behind."""
    stream = Terminal()

    with shown_progress(quiet=False, stream=stream, bar=True, color=False) as on_progress:
        assert on_progress is not None
        on_progress(sight(0))
        on_progress(sight(10, size=250, passages=50, files=3))

    assert "looking through the folders" in stream.getvalue()
    assert "embedding 50 of 100 passages" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")


def test_messages_stand_above_the_bar() -> None:
    """On lines of their own, not behind what the bar says; once it is gone they come as ever."""
    stream = Terminal()
    session = Session(
        client=replace(ClientContext.of_this_process(), err=stream, stderr_tty=True, columns=80, error_columns=80)
    )

    with shown_progress(quiet=False, stream=stream, bar=True, color=False, above=session.put_above) as on_progress:
        assert on_progress is not None
        session.notice("waiting for process 7 (kb index), at most 30 s")
    session.notice("done")

    before, _, after = stream.getvalue().partition("kb: waiting for process 7 (kb index), at most 30 s\n")
    assert re.search(r"\r\x1b\[2K$", before)
    assert "looking through the folders" in after
    assert after.endswith("\x1b[2Kkb: done\n")


def test_the_end_of_a_run_says_what_it_does() -> None:
    """Everything is indexed by then, and what is measured takes a while with a large model."""
    last = IndexProgress(8, 8, 1000, 1000, 43, 0, 60.0, "finishing", 8)

    assert counts_text(last) == "43 passages indexed; measuring the cutoff for weak hits"


def test_counts_are_grouped() -> None:
    """Large numbers can be read."""
    run = IndexProgress(34_000, 34_000, 0, 0, 0, 0, 0, to_embed=48_000, embedded_of=1_200, words_seconds=12.3)

    assert counts_text(run) == "words of 34,000 files in 12 s, embedding 1,200 of 48,000 passages"
    assert counts_text(replace(run, files=0, files_total=0)) == "embedding 1,200 of 48,000 passages"


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
