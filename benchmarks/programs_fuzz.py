"""The HTTP port under random requests for minutes: no 500, no growth of memory, no file outside reached."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import call, clean_environment, progress
from benchmarks.indexing import settings
from benchmarks.opened_files import opened, outside, tracer
from benchmarks.table import Row, at_most, skipped
from kb.evaluation.bench import DaemonProcess, Program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bench import Bench

NAME: Final = "programs-fuzz"
FILES: Final = 60
_HOST: Final = "127.0.0.1"
_MEGABYTE: Final = 1_000_000
_STARTING: Final = 120.0
_SAMPLE_SECONDS: Final = 2.0
# The share of the time after which caches and pools are filled, and memory is taken as the beginning.
_WARM: Final = 0.2
_GROWTH: Final = 50


@dataclass(frozen=True, slots=True)
class Fenced:
    """A folder with files that must not be read beside those that may.

    Attributes:
        root: The folder of everything.
        docs: The documents; ``private`` below it is excluded, and ``link.md`` leads out of it.
        secrets: The files that must not be read, by their texts.
    """

    root: Path
    docs: Path
    secrets: dict[str, Path]


def rows(work: Bench) -> list[Row]:
    """Run the requests against a daemon of its own, and judge what it answered, held and opened."""
    minutes = work.minutes
    if not minutes:
        return [skipped(NAME, "random requests over HTTP", "--minutes is 0", "no 500")]
    fenced = _fenced(work)
    # Paths of sockets are short.
    with tempfile.TemporaryDirectory(prefix="kb-fuzz-") as runtime, _daemon(fenced, Path(runtime)) as daemon:
        progress(f"{NAME}: {minutes:g} minutes")
        began = time.time()
        with _memory(daemon.process) as megabytes:
            found = call(
                "fuzzing:fuzz",
                host=_HOST,
                port=daemon.port,
                token=daemon.token,
                seconds=minutes * 60,
                canaries=list(fenced.secrets),
                targets=[*map(str, fenced.secrets.values()), "/etc/passwd"],
            )
    reached: list[str] | None = None
    if daemon.trace:
        inside = [str(fenced.root), runtime, *_own_folders()]
        reached = outside(opened(daemon.trace), began, inside, [str(one) for one in fenced.secrets.values()])
    return judged(found, megabytes, reached, minutes)


def judged(
    found: dict[str, Any], megabytes: Sequence[float], reached: Sequence[str] | None, minutes: float
) -> list[Row]:
    """The rows for the responses, the memory over time, and the files that were opened outside (None: not traced)."""
    count = sum(found["statuses"].values())
    what = f"{minutes:g} minutes of random requests over HTTP"
    warm = megabytes[int(len(megabytes) * _WARM)]
    failures = f"{found['failed']} of {count} requests"
    answered = ", ".join(f"{number} x {status}" for status, number in found["statuses"].items())
    files = "not traced: there is no strace" if reached is None else ", ".join(reached[:5]) or "none"
    return [
        Row(NAME, f"{what}: 500, no response, or the text of a forbidden file", failures, "0", not found["failed"]),
        at_most(NAME, f"{what}: growth of memory", max(megabytes) - warm, _GROWTH, "MB", digits=0),
        Row(NAME, f"{what}: files opened outside", files, "none", None if reached is None else not reached),
        Row(NAME, "answered", answered),
        Row(
            NAME, "memory", f"{warm:.0f} MB after warming up, most {max(megabytes):.0f}, at the end {megabytes[-1]:.0f}"
        ),
        *(Row(NAME, "failure", one) for one in found["failures"]),
    ]


def _fenced(work: Bench) -> Fenced:
    """Copy some documents, and put secrets beside them: outside, excluded, and behind a link."""
    root = work.folder / "fuzz"
    docs = root / "docs"
    (docs / "private").mkdir(parents=True)
    (root / "outside").mkdir()
    for file in sorted(work.documents.iterdir())[:FILES]:
        shutil.copyfile(file, docs / file.name)
    (docs / ".kbignore").write_text("private/\n", "utf-8")
    places = (root / "outside" / "secret.md", docs / "private" / "secret.md")
    found = {f"canary{secrets.token_hex(8)}": place for place in places}
    for canary, place in found.items():
        place.write_text(f"# Secret\n\n{canary}\n", "utf-8")
    (docs / "link.md").symlink_to(root / "outside" / "secret.md")
    return Fenced(root, docs, found)


@dataclass(frozen=True, slots=True)
class _Daemon:
    process: DaemonProcess
    port: int
    token: str
    trace: Path | None


@contextmanager
def _daemon(fenced: Fenced, runtime: Path) -> Iterator[_Daemon]:
    """Run a daemon that serves HTTP, under strace where it is installed.

    Raises:
        RuntimeError: It does not answer in time.
    """
    store, port, trace = fenced.root / "store", _free_port(), runtime / "trace"
    settings(str(fenced.docs), str(store))
    environ = clean_environment() | {
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_STATE_HOME": str(fenced.root / "state"),
    }
    kb = Program(["--config", f"{store}.toml"], os.path.realpath(store), environ)
    prefix, http = tracer(trace), ("--http", f"{_HOST}:{port}")
    log = fenced.root / "watch.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*(prefix or ()), sys.executable, "-P", "-m", "kb", "--config", f"{store}.toml", "watch", *http],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=environ,
        )
    try:
        pid = _until_serving(kb, process, port, log)
        token = kb("token").out.strip()
        yield _Daemon(DaemonProcess(pid), port, token, trace if prefix else None)
    finally:
        kb("watch", "--stop")
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_serving(kb: Program, process: subprocess.Popen[bytes], port: int, log: Path) -> int:
    """Wait until the daemon serves HTTP and has indexed everything; returns its process id."""
    until = time.monotonic() + _STARTING
    while process.poll() is None and time.monotonic() < until:
        ran = kb("watch", "--status", "--json")
        if ran.code == 0 and kb("sync").code == 0:
            with socket.socket() as probe:
                if probe.connect_ex((_HOST, port)) == 0:
                    return int(json.loads(ran.out)["owner"]["pid"])
        time.sleep(0.2)
    raise RuntimeError(f"kb watch --http does not serve: {log.read_text('utf-8', 'replace')[-2000:]}")


@contextmanager
def _memory(process: DaemonProcess) -> Iterator[list[float]]:
    """Look at the memory of a process from time to time, in megabytes."""
    megabytes = [process.memory() / _MEGABYTE]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            megabytes.append(process.memory() / _MEGABYTE)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield megabytes
    finally:
        done.set()
        thread.join()


def _own_folders() -> list[str]:
    """Where kb keeps models and caches."""
    from platformdirs import user_cache_dir, user_data_dir

    return [os.path.realpath(one) for one in (user_data_dir("kb"), user_cache_dir("kb"))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
