"""What opens a socket is caught, however it goes about it: natively, in a thread, in a child, in a daemon, unseen."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
import strace
from syscalls import ways_out, written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(strace.why_not()), reason=strace.why_not() or "it can be traced")

LIBC = "import ctypes, os; libc = ctypes.CDLL(None); "
CAUGHT = {
    "python": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "native": strace.NATIVE,
    "native, though refused": LIBC + "libc.socket(10, 77, 9)",
    "no library function": LIBC + "libc.syscall({'x86_64': 41, 'aarch64': 198}[os.uname().machine], 2, 2, 0)",
    "a thread": LIBC + "import threading; threading.Thread(target=libc.socket, args=(2, 1, 0)).start()",
    "a child": LIBC + "os.fork() or libc.socket(2, 1, 0)",
    "a daemon": LIBC + "os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); libc.socket(2, 1, 0)",
    "another program": "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', %r])" % strace.NATIVE,  # noqa: UP031 - an f-string cannot hold the braces
    "a name": "import socket\ntry: socket.getaddrinfo('telemetry.invalid', 443)\nexcept OSError: pass",
    "a ring": LIBC + "libc.syscall(425, 2, ctypes.create_string_buffer(120))",
    "the system's own bus": "from socket import *\ntry: socket(AF_UNIX).connect('/run/dbus/bus')\nexcept OSError: pass",
}  # fmt: skip


def traced(code: str, folder: Path, arguments: Sequence[str] = ()) -> strace.Traced:
    """Python code under strace."""
    return strace.trace([sys.executable, "-S", "-c", code, *arguments], {"PATH": os.environ["PATH"]}, folder, 60)


@pytest.mark.parametrize("code", CAUGHT.values(), ids=CAUGHT)
def test_a_way_out_is_caught(tmp_path: Path, code: str) -> None:
    """Nothing that a library could do natively goes unseen."""
    done = traced(code, tmp_path)

    assert done.code == 0, done.err
    assert ways_out(done.calls, [str(tmp_path)])


def test_what_stays_inside_is_not(tmp_path: Path) -> None:
    """Pairs, files, children and a Unix socket in its place are no way out."""
    code = (
        "import socket, subprocess, sys\n"
        "socket.socketpair()\n"
        "one = socket.socket(socket.AF_UNIX); one.bind('s'); one.listen()\n"
        "other = socket.socket(socket.AF_UNIX); other.connect(sys.argv[1])\n"
        "one.accept()[0].send(b'sa_family=AF_INET 3<TCP:[1]>')\n"
        "subprocess.run(['true'], check=True)\n"
        "open('written', 'w').write('x'); open('written').read()\n"
    )

    done = traced(code, tmp_path, [str(tmp_path / "s")])

    assert done.code == 0, done.err
    assert ways_out(done.calls, [str(tmp_path)]) == []
    assert written(done.calls) == {str(tmp_path / "written")}


def test_it_waits_for_those_left_behind(tmp_path: Path) -> None:
    """What a process in the background does after its parent has ended is part of it."""
    code = LIBC + "import time\nif os.fork() == 0:\n os.setsid(); time.sleep(0.5); libc.socket(2, 1, 0)"
    started = time.monotonic()

    done = traced(code, tmp_path)

    assert time.monotonic() - started > 0.5
    assert ways_out(done.calls, [])


def test_where_nothing_can_be_traced_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without strace, and with nothing to install it by, the script fails and says why."""
    monkeypatch.setenv("PATH", "/nowhere")
    strace.why_not.cache_clear()
    try:
        assert strace.main() == 1
        assert "strace is not installed" in capsys.readouterr().err
    finally:
        monkeypatch.undo()
        strace.why_not.cache_clear()


def test_a_kernel_that_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An strace that ends with an error, as it does where ptrace is forbidden, or that sees nothing, is no proof."""
    for script, told in (
        ("echo 'strace: ptrace(PTRACE_TRACEME, ...): Operation not permitted' >&2; exit 1", "Operation not permitted"),
        ("exit 0", "does not show"),
    ):
        (tmp_path / "strace").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "strace").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        strace.why_not.cache_clear()
        assert told in strace.why_not()
    monkeypatch.undo()
    strace.why_not.cache_clear()
