"""The indexing thread of a daemon stands behind everybody else, and alone does."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref

import pytest

from kb.cli.process_priority import freeze_memory, run_at_low_priority, unfreeze_memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads a priority")


@linux
def test_a_thread_stands_back_with_those_that_it_starts() -> None:
    """Its own priority is lower, and that of the thread that started it is as it was."""
    found: list[int] = []

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work() -> None:
        found.append(priority())
        child = threading.Thread(target=lambda: found.append(priority()))
        child.start()
        child.join()

    before = priority()
    worker = threading.Thread(target=run_at_low_priority, args=[work])
    worker.start()
    worker.join()

    assert found == [min(19, before + 5)] * 2
    assert priority() == before


def test_what_is_settled_is_garbage_again_once_it_is_unsettled() -> None:
    """A model that is given up must not stay in memory for ever."""

    class Loaded:
        """Something in a circle, as models are."""

    one = Loaded()
    one.itself = one  # type: ignore[attr-defined]  # only a circle is left to the collector
    there = weakref.ref(one)
    freeze_memory()
    try:
        del one
        gc.collect()
        assert there() is not None
    finally:
        unfreeze_memory()
    gc.collect()

    assert there() is None


@linux
def test_a_prepared_process_keeps_little_in_reserve() -> None:
    """Many threads that took and gave back memory leave less than with an arena for each."""
    code = (
        "import sys, threading\n"
        "from kb.cli.process_priority import prepare_process\n"
        "if sys.argv[1] == 'prepared': prepare_process()\n"
        "ready = threading.Barrier(16)\n"
        "def work():\n"
        "    ready.wait()\n"
        "    kept = [bytes(1000) for _ in range(3000)]\n"
        "    ready.wait()\n"
        "threads = [threading.Thread(target=work) for _ in range(16)]\n"
        "[one.start() for one in threads]\n"
        "[one.join() for one in threads]\n"
        "print(sum('rw-p' in line and ' 0 ' in line for line in open('/proc/self/maps')), sys.getswitchinterval())\n"
    )

    plain, prepared = (
        subprocess.run([sys.executable, "-c", code, how], check=True, capture_output=True, text=True).stdout.split()
        for how in ("plain", "prepared")
    )

    if int(plain[0]) < 20:
        pytest.skip("this C library has no arenas for its threads")
    assert int(prepared[0]) < int(plain[0])
    assert float(prepared[1]) < float(plain[1])
