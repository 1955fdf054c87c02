"""The lock under which the daemon replaces what commands use."""

from __future__ import annotations

import threading
import time

from kb.cli.read_write_lock import ReadWriteLock


def test_writer_gives_up_while_somebody_reads() -> None:
    """Readers do not wait for one another; once they have left, the writer has the lock."""
    lock = ReadWriteLock()

    with lock.reading(), lock.reading(), lock.writing(0) as alone:
        assert not alone
    with lock.writing(0) as alone:
        assert alone
    with lock.reading():
        pass


def test_reader_comes_after_a_writer_that_waits() -> None:
    """Else a stream of commands would keep the daemon from ever reloading its configuration."""
    lock = ReadWriteLock()
    entered: list[str] = []

    def write() -> None:
        with lock.writing(120) as alone:
            entered.append(f"written {alone}")

    def read() -> None:
        with lock.reading():
            entered.append("read")

    writer, reader = threading.Thread(target=write), threading.Thread(target=read)
    with lock.reading():
        writer.start()
        until = time.monotonic() + 120
        while not lock._closed:
            assert time.monotonic() < until, "nobody waits to write"
            time.sleep(0.002)
        reader.start()
        reader.join(0.5)
        assert entered == []
    writer.join(120)
    reader.join(120)

    assert entered == ["written True", "read"]


def test_readers_enter_again_once_a_writer_has_given_up() -> None:
    """A writer that waited in vain keeps nobody out while it goes on."""
    lock = ReadWriteLock()
    entered = threading.Event()

    def read() -> None:
        with lock.reading():
            entered.set()

    with lock.reading(), lock.writing(0) as alone:
        assert not alone
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert entered.wait(120)
    reader.join(120)
