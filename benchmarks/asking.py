"""The time of a whole ``kb search`` with a daemon, idle and while it embeds new files."""

from __future__ import annotations

import random
import shutil
from itertools import count as numbers
from itertools import islice
from statistics import fmean
from typing import TYPE_CHECKING, Final

from benchmarks.child import progress
from benchmarks.corpora import write_paragraphs
from benchmarks.daemon import json_output, notes_program, succeeded, until_indexed, waiting
from benchmarks.table import Row, at_most
from kb.evaluation.bench import Times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bench import Bench
    from kb.evaluation.bench import Program

NAME: Final = "asking"
ASKED: Final = 200
NEW: Final = 1000
_WARM_UP: Final = 5
_LEAST: Final = 20


def rows(work: Bench) -> list[Row]:
    """Alternate questions with starts of bare Python, so that both see the same load."""
    kb = notes_program(work)
    files = sorted(work.notes.rglob("*.md"))
    questions = never_asked([file.read_text("utf-8").strip() for file in files[:: max(1, len(files) // ASKED)]])
    new = work.notes / "new"
    with kb.daemon(work.folder / "asking.log"):
        for question in islice(questions, _WARM_UP):
            _asked(kb, question)
        progress(f"{NAME}: at rest, {len(files)} files")
        idle, bare = [], []
        for question in islice(questions, max(_LEAST, work.scaled(ASKED))):
            bare.append(kb.python().seconds)
            idle.append(_asked(kb, question))
        progress(f"{NAME}: while {work.scaled(NEW)} new files are embedded")
        count = work.scaled(NEW)
        write_paragraphs(new, count)
        busy = _while_busy(kb, questions)
        until_indexed(kb, len(files) + count)
        shutil.rmtree(new)
        succeeded(kb("sync"))
    return judged(Times(tuple(idle)), Times(tuple(bare)), Times(tuple(busy)), f"{len(files)} files", f"{count} files")


def judged(idle: Times, bare: Times, busy: Times, size: str, new: str) -> list[Row]:
    """The rows for the measurements."""
    what = f"kb search with a daemon of {size} / python -c pass"
    return [
        at_most(NAME, f"{what}, p50", idle.p50 / bare.p50, 8, "x"),
        at_most(NAME, f"{what}, p95", idle.p95 / bare.p95, 15, "x"),
        at_most(NAME, f"p95 while it embeds {new} / at rest", busy.p95 / idle.p95, 3, "x"),
        *(Row(NAME, name, _summary(times)) for name, times in (("at rest", idle), ("while embedding", busy))),
        Row(NAME, "python -c pass", _summary(bare)),
    ]


def _summary(times: Times) -> str:
    milliseconds = (times.p50, times.p95, max(times.seconds), fmean(times.seconds))
    p50, p95, most, mean = (f"{seconds * 1000:.0f} ms" for seconds in milliseconds)
    return f"p50 {p50}, p95 {p95}, most {most}, mean {mean}, of {times.count}"


def never_asked(texts: Sequence[str]) -> Iterator[str]:
    """An endless series of different questions, since the vector of a repeated one is cached."""
    chance = random.Random(6)  # noqa: S311 - no secret
    for number in numbers(1):
        yield f"{chance.choice(texts)} {number}"


def _while_busy(kb: Program, questions: Iterator[str]) -> list[float]:
    """Ask questions until all new files are embedded; only questions before that count."""
    while not waiting(kb):
        pass
    times: list[float] = []
    for question in islice(questions, 100_000):
        seconds = _asked(kb, question)
        if not waiting(kb) and not json_output(kb, "status")["index"]["words_only"]:
            return times
        times.append(seconds)
    raise RuntimeError("the daemon never finished indexing")


def _asked(kb: Program, question: str) -> float:
    return succeeded(kb("search", "--weak", "--", question)).seconds
