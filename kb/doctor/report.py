"""What can be attached to a bug report: versions, states, counts and timings, without a word of the notes.

Nothing is cut out of what kb says. Only what is known to be kb's own is put in: sentences without their values,
numbers, and names that kb or its libraries gave. Whatever else there is becomes a placeholder.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sqlite3
import sys
from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb import __version__
from kb.config.schema import BY_NAME_ALONE, fields
from kb.doctor.catalog_view import opened_catalog
from kb.doctor.finding import Skipped, reportable
from kb.doctor.programs import DISTRIBUTION
from kb.errors import KbError
from kb.formats.registry import REGISTRY
from kb.service.background import log_file
from kb.watching.mounts import mounts, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.config.settings import Setting
    from kb.doctor.case import Case
    from kb.doctor.check import Result

_PACKAGE: Final = Path(__file__).parents[1]
_LIBRARIES: Final = (
    "chromadb", "numpy", "onnxruntime", "sentence-transformers", "torch", "tokenizers", "watchdog", "filelock", "mcp",
    "llm", "xberg", "pypdfium2", "python-calamine",
)  # fmt: skip
_LOG_LINES: Final = 60
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (.*)")
_FRAME: Final = re.compile(r'\s*File "[^"]*/kb/([^"]+\.py)", line (\d+), in \w+')
# The sentences of the daemon's log that name nothing.
_WHOLE: Final = frozenset(
    {
        "stopped",
        "stopped during startup",
        "config.toml reloaded",
        "the watcher died; restarted",
        "the page is closed",
        "exporting the model to ONNX in the background, which runs faster on a CPU",
        "the lock file of the store was deleted; it is restored",
        "the socket was deleted; listening on a new one",
        "store.path changed; restart kb watch to apply it",
        "Changes are reported again: watching",
        "Changes may have been missed: the event queue overflowed. All folders are scanned",
        "The machine slept or its clock was set. All folders are scanned",
        "Traceback (most recent call last):",
    }
)
# The others; what is not captured is left out.
_SENTENCES: Final = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"loading .+", "loading <model>"),
        (r"process (\d+) opened the store at .+", r"process \1 opened the store at <path>"),
        (
            r"([\d,]+ files?, [\d,]+ passages?(?:, [\d,]+ to embed)?, [\d.]+ s), watching .*",
            r"\1, watching <folders>",
        ),
        (r"([\d,]+ passages? embedded): all files are found by meaning", r"\1: all files are found by meaning"),
        (r".+; rebuilding it from the folders", "<the store is lost>; rebuilding it from the folders"),
        (r".+; it will be rebuilt when the running commands have finished", "<the store is lost>; it will be rebuilt"),
        (r"programs are no longer answered at .+", "programs are no longer answered at <address>"),
        (r"answering programs at .+", "answering programs at <address>"),
        (r"other machines can reach .+", "other machines can reach <address>"),
        (r"showing the page at .+ to browsers .+", "showing the page at <address>"),
        (r"the model was not exported to ONNX: .+; it stays in torch", "the model was not exported to ONNX: <reason>"),
        (r"the model is not exported to ONNX: .+", "the model is not exported to ONNX: <reason>"),
        (
            r"the model runs in torch and is not exported to ONNX: .+",
            "the model runs in torch and is not exported to ONNX: <reason>",
        ),
        (r"the model runs in ONNX Runtime now: .+", "the model runs in ONNX Runtime now"),
        (r"the model stays in torch, since .+", "the model stays in torch: <reason>"),
        (
            r"(added|changed) .+ \(([\d,]+ passages?, [\d,]+ reused, [\d.]+ s)\)",
            r"\1 <file> (\2)",
        ),
        (r"moved .+ -> .+", "moved <file> -> <file>"),
        (r"deleted .+", "deleted <file>"),
        (r"failed .+: .+", "failed <file>: <reason>"),
        (r"config\.toml not reloaded: .+", "config.toml not reloaded: <reason>"),
        (r"serve\.http not changed: .+", "serve.http not changed: <reason>"),
        (r"Scanning the folders every ([\d.]+) s: .+", r"Scanning the folders every \1 s: <reason>"),
        (r".+ does not exist; it is watched once it does", "<folder> does not exist; it is watched once it does"),
        (r".+ is watched now; it is scanned as a whole", "<folder> is watched now"),
        (r".+ no longer exists; it is watched again once it is back", "<folder> no longer exists"),
        (r".+ was replaced by another folder of that name; .+", "<folder> was replaced by another folder"),
        (r"The watch of .+ had stopped and was restarted; .+", "The watch of <folder> had stopped and was restarted"),
        (r"A file system was mounted or unmounted at .+; .+", "A file system was mounted or unmounted at <places>"),
        (
            r"the vector index .+; it is set aside and rebuilt .+",
            "the vector index <reason>; it is set aside and rebuilt",
        ),
        (r"(the vector index still held \d+ deleted passages: it is made anew)", r"\1"),
        (r"commands cannot reach this process: .+", "commands cannot reach this process: <reason>"),
        (r".+ cannot be watched: .+", "<folder> cannot be watched: <reason>"),
        (r"([\d,]+ missing files?) kept .+", r"\1 kept"),
    )
)


def report(case: Case, results: Sequence[Result]) -> str:
    """The report of an examination, as plain text."""
    parts = (
        ("kb", _program()),
        ("machine", _machine(case)),
        ("configuration", _configuration(case)),
        ("checks", _checks(results)),
        ("index", _index(case)),
        ("log of kb watch", _log(case)),
    )
    lines = [line for title, listed in parts for line in (f"[{title}]", *listed, "")]
    return "\n".join(lines)


def _program() -> Iterator[str]:
    yield f"kb {__version__}, {DISTRIBUTION} {_version(DISTRIBUTION)}"
    yield f"Python {sys.version.split()[0]} ({platform.python_implementation()}), SQLite {sqlite3.sqlite_version}"
    yield ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _machine(case: Case) -> Iterator[str]:
    yield f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"
    yield f"time {datetime.fromtimestamp(case.now(), UTC):%Y-%m-%d %H:%M} UTC"
    yield f"file system encoding {sys.getfilesystemencoding()}, output {getattr(sys.stdout, 'encoding', None)}"
    try:
        yield f"file systems: store {_kind(case.store)}, folders " + ", ".join(map(_kind, case.settings.folder_paths()))
    except (KbError, OSError, Skipped):
        yield "file systems: not known"


def _kind(path: str) -> str:
    """The kind of the file system that a path is on."""
    around = [one for one in parse(mounts()) if path == one.point or path.startswith(one.point.rstrip("/") + "/")]
    return max(reversed(around), key=lambda one: len(one.point)).kind if around else "unknown"


def _configuration(case: Case) -> Iterator[str]:
    """The values that differ from their defaults; texts and lists only by that."""
    try:
        settings = case.settings
        given = [one for one in settings.listing() if one.key in settings.origins]
    except (KbError, OSError):
        yield "invalid, or not trusted"
        return
    where = "found here" if settings.found else "the user's own, or named"
    yield f"file: {where if settings.file else 'none'}"
    for one in given:
        yield f"{one.key} = {_value(one)}, from {_origin(settings.origins[one.key])}"


def _value(setting: Setting) -> str:
    """A value that names nothing of the user's, else what kind of value it is."""
    field = next(one for one in fields() if one.key == setting.key)
    if isinstance(setting.value, (bool, int, float)) or setting.value in {*field.values, *BY_NAME_ALONE}:
        return str(setting.value)
    if isinstance(setting.value, (list, tuple)):
        return f"<{len(setting.value)} entries>"
    return "<text>" if setting.value else "empty"


def _origin(origin: str) -> str:
    return (
        "the environment" if origin.startswith("$") else "the command line" if origin == "command line" else "the file"
    )


def _checks(results: Sequence[Result]) -> Iterator[str]:
    for one in results:
        yield f"{one.finding.state:<7} {one.check.name:<13} {one.seconds:6.2f} s  {one.finding.anonymous()}"
        for name, value in one.finding.details:
            if reportable(value) is not None:
                yield f"{'':<24}{name}: {value}"


def _index(case: Case) -> Iterator[str]:
    """How many files of each kind there are, and in which state."""
    try:
        with opened_catalog(case) as view:
            files, generation = view.files(), view.meta("generation") or ""
    except Skipped as error:
        yield error.reason
        return
    except (KbError, OSError) as error:
        yield f"not readable: {type(error).__name__}"
        return
    kinds = {row.kind for row in REGISTRY.rows}
    states = Counter(file.state for file in files)
    yield ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "empty"
    counted = Counter(file.kind if file.kind in kinds else "other" for file in files)
    yield ", ".join(f"{kind} {count}" for kind, count in sorted(counted.items()))
    yield f"{sum(file.passages for file in files)} passages, {len({file.folder for file in files})} folders"
    yield f"generation {generation.rpartition('-')[2] if generation.rpartition('-')[2].isdigit() else 'unknown'}"


def _log(case: Case) -> Iterator[str]:
    """The end of the daemon's log: its own sentences without what they are about."""
    try:
        with log_file(case.store).open(encoding="utf-8", errors="replace") as stream:
            lines = deque(stream, _LOG_LINES)
    except (KbError, OSError, Skipped):
        yield "none"
        return
    for line in lines:
        yield _said(line.rstrip("\n"))


def _said(line: str) -> str:
    """A line of the log as a report may show it."""
    stamped = _MOMENT.fullmatch(line)
    moment, sentence = (f"{stamped[1]} ", stamped[2]) if stamped else ("", line)
    if sentence in _WHOLE:
        return line
    for pattern, shown in _SENTENCES:
        if found := pattern.fullmatch(sentence):
            return moment + found.expand(shown)
    frame = _FRAME.fullmatch(sentence)
    if frame and (_PACKAGE / frame[1]).is_file():
        return f'{moment}  File "kb/{frame[1]}", line {frame[2]}'
    return f"{moment}<{len(sentence)} characters>"
