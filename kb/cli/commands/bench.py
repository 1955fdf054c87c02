"""The command that measures kb on the user's own notes: bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from kb.cli.command import command
from kb.cli.options import json_option
from kb.cli.output.reports import size
from kb.cli.output.terminal import sanitize
from kb.records.wording import count

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.config import Settings
    from kb.evaluation.bench import BenchReport, Times

_SECONDS: Final = 60.0
_LEAST: Final = 5.0
_SHORT: Final = 1.0


@command(short_help="Benchmark kb on your own notes and model.", local=True)
@click.option(
    "--seconds",
    type=click.FloatRange(min=_LEAST),
    default=_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Approximate time to spend, not counting model loads. A longer run uses a larger sample.",
)
@json_option
@click.pass_obj
def bench(session: Session, *, seconds: float, as_json: bool) -> int:
    """Benchmark kb on copies of your own notes, with your model, in a temporary folder.

    Notes and store are not changed. Reports passages per second beside the bare model, the time from saving a file
    until it is found, search time with and without kb watch, recall against exact search, memory use, and size on disk.
    """
    from kb.evaluation.bench import BenchRequest
    from kb.evaluation.bench import bench as measured

    settings = session.settings_with_folders()
    session.notice(f"this takes about {seconds:g} s plus a few model loads; Ctrl-C stops it")
    if _daemon_runs(settings):
        session.notice("kb watch is running for these folders and may slow down what is measured")

    report = measured(
        BenchRequest(
            settings=settings,
            options=session.options(settings),
            load=lambda values: session.settings(**values),
            seconds=seconds,
            report=session.notice,
            environ=session.client.environ,
            cwd=session.client.cwd,
        )
    )
    if as_json:
        session.write_json(bench_object(report))
    else:
        session.write(bench_text(report))
    return 0


def _daemon_runs(settings: Settings) -> bool:
    from kb.service.client import RequestRefused, ask

    try:
        return ask(settings.store_path(), "/status") is not None
    except RequestRefused:
        return True


def bench_text(report: BenchReport) -> str:
    """The report for people, one fact a line."""
    speed, recall = report.speed, report.recall
    python = f"the start of Python alone is {_seconds(report.python.p50)}"
    facts = (
        ("model", report.model),
        ("notes", f"{report.files:,} of {count(report.files_total, 'file')}, {count(speed.passages, 'passage')}"),
        ("indexing", f"{speed.kb:.1f} passages/s, the bare model {speed.bare:.1f} ({speed.bare / speed.kb:.2f} x)"),
        ("found after", f"{_times(report.saved)} from the end of a save ({count(report.saved.count, 'save')})"),
        (
            "question",
            f"{_times(report.with_daemon)} with kb watch ({count(report.with_daemon.count, 'command')}; {python})",
        ),
        ("", f"{_times(report.without_daemon)} without kb watch ({count(report.without_daemon.count, 'command')})"),
        (f"recall@{recall.depth}", f"{recall.share:.4f} against exact search ({count(recall.questions, 'question')})"),
        ("memory", f"{size(report.memory)} (kb watch)"),
        ("disk", f"{size(report.size)}, {size(round(report.size / speed.passages))} a passage"),
        ("took", f"{report.seconds:.0f} s"),
    )
    return "".join(f"{name + ':' if name else '':<13}{sanitize(fact)}\n" for name, fact in facts)


def bench_object(report: BenchReport) -> dict[str, Any]:
    """The report for programs, in seconds, bytes and fractions of 1."""
    speed, recall = report.speed, report.recall
    return {
        "model": report.model,
        "files": {"sample": report.files, "total": report.files_total},
        "passages": speed.passages,
        "passages_per_second": {"kb": round(speed.kb, 2), "bare_model": round(speed.bare, 2)},
        "save_to_found": _times_object(report.saved),
        "question": {
            "with_owner": _times_object(report.with_daemon),
            "without_owner": _times_object(report.without_daemon),
            "python_alone": _times_object(report.python),
        },
        "recall": {"share": round(recall.share, 6), "depth": recall.depth, "questions": recall.questions},
        "memory": report.memory,
        "disk": report.size,
        "seconds": round(report.seconds, 3),
    }


def _times(times: Times) -> str:
    return f"p50 {_seconds(times.p50)}, p95 {_seconds(times.p95)}"


def _times_object(times: Times) -> dict[str, Any]:
    return {"p50": round(times.p50, 4), "p95": round(times.p95, 4), "count": times.count}


def _seconds(seconds: float) -> str:
    """Format seconds: ``84 ms``, ``1.25 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < _SHORT else f"{seconds:.2f} s"
