"""Whatever a parser does to its process, only one file is lost and reported, and the next one is read."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from kb.errors import DocumentBusy, DocumentError
from kb.sandbox.pipes import ThreadedPipes
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import RETIRED, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine may take seconds for what is no trouble.
LIMITS = Limits(seconds=120.0, memory=200_000_000, text=1_000_000)
HOSTILE = "hostile_extractors"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox with parsers that misbehave on demand."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(Path(__file__).parent))
    made = Sandbox(LIMITS, [HOSTILE])
    yield made
    made.close()
    patch.undo()


def refused(sandbox: Sandbox, what: str) -> str:
    """The reason why a file with this text is not read."""
    with pytest.raises(DocumentError) as caught:
        sandbox.extract(HOSTILE, "x.any", what.encode())
    return caught.value.message


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("crash", "made its reader crash (Segmentation fault)"),
        ("leave", "made its reader crash (exit code 3)"),
        ("memory", "needs more than 200 MB of memory to read (documents.memory_mb)"),
        ("text", "holds more than 1 MB of text (documents.text_mb)"),
        ("deep", "is nested too deeply to be read"),
        ("read", "cannot be read: it seems to be damaged ([Errno 1] Operation not permitted: '/etc/passwd')"),
        ("connect", "cannot be read: it seems to be damaged ([Errno 1] Operation not permitted)"),
    ],
)
def test_failed_file_does_not_affect_next(sandbox: Sandbox, what: str, reason: str) -> None:
    """Crashes, bombs, and access to files or the network give a reason; the sandbox continues."""
    assert refused(sandbox, what) == reason
    assert sandbox.extract(HOSTILE, "x.any", b"fine").text == "fine\n"


def test_failed_file_that_never_ends_does_not_affect_next(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is ended after the time that a file has."""
    sandbox.close()
    monkeypatch.setattr(sandbox, "_limits", msgspec.structs.replace(LIMITS, seconds=1.0))
    assert refused(sandbox, "loop") == "takes longer than 1 seconds to read (documents.seconds)"

    monkeypatch.setattr(sandbox, "_limits", LIMITS)
    assert sandbox.extract(HOSTILE, "x.any", b"fine").text == "fine\n"


def test_a_process_is_kept_warm(sandbox: Sandbox) -> None:
    """One process reads all files that do no harm."""
    sandbox.extract(HOSTILE, "x.any", b"one")
    first = sandbox.process
    sandbox.extract(HOSTILE, "x.any", b"two")

    assert sandbox.process == first is not None


def test_output_of_libraries_does_not_mix_with_answers(sandbox: Sandbox) -> None:
    """Standard output is only for answers."""
    assert sandbox.extract(HOSTILE, "x.any", b"print").text == "kept apart\n"


def test_dead_process_is_replaced(sandbox: Sandbox) -> None:
    """A worker that exited when idle does not count as a crash of the next file."""
    sandbox.extract(HOSTILE, "x.any", b"one")
    assert sandbox._worker is not None
    child = sandbox._worker._child
    child.kill()
    child.wait()
    child.returncode = RETIRED

    assert sandbox.extract(HOSTILE, "x.any", b"two").text == "two\n"


def test_no_thread_waits_for_a_process_that_has_ended(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pipes have threads, as on Windows, these end with each process, however it ended."""
    monkeypatch.setattr("kb.sandbox.pool.pipes", ThreadedPipes)
    sandbox.close()
    sandbox.extract(HOSTILE, "x.any", b"one")
    assert sandbox._worker is not None
    child = sandbox._worker._child
    child.kill()
    child.wait()
    sandbox.close()

    threads = [one for one in threading.enumerate() if one.name == "kb-pipe"]
    for thread in threads:
        thread.join(120)
    assert [one for one in threads if one.is_alive()] == []


def test_large_files_and_answers(sandbox: Sandbox) -> None:
    """Both may be larger than a pipe's buffer."""
    words = "word " * 150_000

    assert sandbox.extract(HOSTILE, "x.any", words.encode()).text == words + "\n"


def test_closing_ends_the_process(sandbox: Sandbox) -> None:
    """Nothing is left behind, and the sandbox can be used again."""
    sandbox.extract(HOSTILE, "x.any", b"one")
    process = sandbox.process
    assert process is not None
    sandbox.close()

    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert sandbox.extract(HOSTILE, "x.any", b"two").text == "two\n"


def test_worker_exits_with_parent(sandbox: Sandbox) -> None:
    """A worker without a parent reads the end of its input and exits."""
    sandbox.extract(HOSTILE, "x.any", b"one")
    assert sandbox._worker is not None
    child = sandbox._worker._child
    assert child.stdin is not None
    child.stdin.close()

    assert child.wait(120) == 0
    sandbox.close()


def test_a_file_is_tried_again_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where this Python was replaced meanwhile: one file fails, not the run, and no file is to blame."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    with pytest.raises(DocumentBusy, match=r"^is not read: the process that reads it cannot be started: no such file"):
        Sandbox(LIMITS, [HOSTILE]).extract(HOSTILE, "x.any", b"fine")
