"""The duration of a run excludes suspended time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from kb.indexing.stopwatch import Stopwatch


class Clocks:
    """Clocks that advance on request."""

    def __init__(self) -> None:
        self.now = self.used = 0.0

    def watch(self) -> Stopwatch:
        """A stopwatch with these clocks."""
        return Stopwatch(lambda: self.now, lambda: self.used)

    def passes(self, seconds: float, used: float) -> None:
        """Advance the clocks, with a part of the time as CPU time."""
        self.now += seconds
        self.used += used


def test_a_gap_without_cpu_time_does_not_count() -> None:
    """Ctrl-Z for an hour, and fg."""
    clocks = Clocks()
    watch = clocks.watch()
    clocks.passes(3, 1)
    assert watch.seconds() == 3
    clocks.passes(3600, 0.2)

    assert watch.seconds() == 3
    clocks.passes(2, 1)
    assert watch.seconds() == 5


@pytest.mark.parametrize(("seconds", "used"), [(4.0, 0.0), (30.0, 25.0)])
def test_work_that_keeps_python_waiting_counts(seconds: float, used: float) -> None:
    """Short waits, and long computations outside of Python, are part of the run."""
    clocks = Clocks()
    watch = clocks.watch()
    clocks.passes(seconds, used)

    assert watch.seconds() == seconds


@pytest.mark.faults
def test_a_process_that_was_stopped_counts_its_own_time_only() -> None:
    """With SIGSTOP and SIGCONT."""
    program = (
        "import time\n"
        "from kb.indexing.stopwatch import Stopwatch\n"
        "with Stopwatch() as watch:\n"
        "    print('began', flush=True)\n"
        "    time.sleep(9)\n"
        "    print(watch.seconds())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(8)
        os.kill(child.pid, signal.SIGCONT)
        assert float(child.stdout.read()) < 4
