"""The benchmark of ``kb bench``: a sample of the user's notes is indexed, searched, and watched by a daemon."""

from __future__ import annotations

import gc
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from kb.app import LocalKnowledgeBase
from kb.container import Container
from kb.errors import DocumentError, KbError
from kb.search.rank import cosines
from kb.service.background import own_command
from kb.service.client import ask
from kb.system.memory import cpu_seconds, resident_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kb.config import Settings
    from kb.ports import Files, Reader
    from kb.records import Document, Passage, Source

# Whole commands, timed from start to end, and a daemon in a process of its own.

_STARTING: Final = 600.0
_ENDING: Final = 90.0
_POLL: Final = 0.02


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of one command: its exit code, its output, and the seconds from its start to its end."""

    code: int
    out: str
    err: str
    seconds: float


class Program:
    """The command ``kb`` with the same global options every time.

    Args:
        options: The global options of each command: the configuration, and overrides.
        store: The real path of the store that these options select.
        environ: The environment of every command; None for that of this process.
        cwd: The folder every command runs in; None for that of this process.
    """

    def __init__(
        self,
        options: Sequence[str],
        store: str,
        environ: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        self.store = store
        self._command = (*own_command(), *options)
        self._environ = environ
        self._cwd = cwd or None

    def __call__(self, *args: str) -> CommandResult:
        """Run one command."""
        return self._timed((*self._command, *args))

    def python(self) -> CommandResult:
        """Start and exit the Python interpreter that runs kb, which is the least that any command costs."""
        return self._timed((sys.executable, "-c", "pass"))

    @contextmanager
    def daemon(self, log: Path, *args: str) -> Iterator[DaemonProcess]:
        """Run a daemon, entered once it has scanned all folders, and terminate it on exit.

        Args:
            log: The file for its log.
            args: The arguments of ``kb watch``.

        Raises:
            KbError: It exited before it was ready.
        """
        with log.open("wb") as stream:
            child = subprocess.Popen(
                [*self._command, "watch", *args],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=self._environ,
                cwd=self._cwd,
            )
        try:
            self._wait_for(child, log)
            yield DaemonProcess(child.pid)
        finally:
            child.terminate()
            try:
                child.wait(_ENDING)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _wait_for(self, child: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + _STARTING
        while child.poll() is None and time.monotonic() < until:
            state = ask(self.store, "/status")
            if state is not None and state["pid"] == child.pid and state["state"] != "starting":
                return
            time.sleep(_POLL)
        output = log.read_text("utf-8", "replace").strip()
        raise KbError(f"kb watch did not begin to answer:\n{output}")

    def _timed(self, command: Sequence[str]) -> CommandResult:
        began = time.perf_counter()
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=self._environ, cwd=self._cwd
        )
        seconds = time.perf_counter() - began
        out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
        return CommandResult(done.returncode, out, err, seconds)


@dataclass(frozen=True, slots=True)
class DaemonProcess:
    """A running daemon, seen from outside."""

    pid: int

    def memory(self) -> int:
        """Return its resident memory in bytes."""
        return resident_memory(self.pid)

    def cpu_seconds(self) -> float:
        """Return the seconds of processor time it has used so far, on Linux and Windows.

        Raises:
            OSError: The system does not provide it.
        """
        return cpu_seconds(self.pid)


# The sample: copies of some files, the texts that are embedded, and questions taken from them.

# The same sample of the same files every time, so that runs are comparable.
_SEED: Final = 1
_WORDS: Final = 2
_QUESTION_LENGTH: Final = 200
_QUESTIONS: Final = 100


@dataclass(slots=True)
class Sample:
    """The files read so far.

    Attributes:
        total: How many files there are.
        files: How many were read.
        texts: Each embedded text once, with its length in tokens.
        questions: Each title and heading once.
    """

    total: int = 0
    files: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    questions: dict[str, None] = field(default_factory=dict)

    def add(self, document: Document, passages: Sequence[Passage]) -> None:
        """Add a file."""
        self.files += 1
        self.texts.update((one.embedded, one.tokens) for one in passages)
        self.questions.update(dict.fromkeys(_questions(document, passages)))

    def pick_questions(self, most: int = _QUESTIONS) -> list[str]:
        """Return at most that many of the questions, the same ones every time."""
        questions = list(self.questions)
        if len(questions) <= most:
            return questions
        return random.Random(_SEED).sample(questions, most)  # noqa: S311 - no secret


def draw_sample(
    files: Files, reader: Reader, keep: Callable[[Source], object], enough: Callable[[Sample], bool]
) -> Sample:
    """Read files in random order until there are enough, or none is left.

    Files that cannot be read are skipped, as in an index run.

    Args:
        files: The folders.
        reader: The reader of files.
        keep: Called with each file of the sample, as it was read.
        enough: Called before each file; returns whether the sample is large enough.
    """
    found = list(files.scan().files)
    sample = Sample(total=len(found))
    random.Random(_SEED).shuffle(found)  # noqa: S311 - no secret
    for file in found:
        if enough(sample):
            break
        try:
            source = files.load(file)
            document, passages = reader.read(source)
        except DocumentError:
            continue
        keep(source)
        sample.add(document, passages)
    return sample


def copy_file(source: Source, folder: Path) -> None:
    """Write a file as it was read to the same path below another folder, with its modification time."""
    target = folder / source.file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.data)
    os.utime(target, ns=(source.file.stat.mtime_ns, source.file.stat.mtime_ns))


def _questions(document: Document, passages: Sequence[Passage]) -> list[str]:
    """Return possible questions: the title and headings of several words, else the beginning of the text."""
    named = [document.own_title, *(heading.text for heading in document.headings)]
    found = [" ".join(text.split()) for text in named if len(text.split()) >= _WORDS]
    if not found and passages:
        found = [" ".join(passages[0].text.split())]
    return [text[:_QUESTION_LENGTH] for text in found if text]


# The results.


@dataclass(frozen=True, slots=True)
class Times:
    """The durations of a repeated operation in seconds, in order."""

    seconds: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.seconds)

    @property
    def p50(self) -> float:
        """The median, by nearest rank: half of the durations are at most this long."""
        return quantile(self.seconds, 0.5)

    @property
    def p95(self) -> float:
        """The 95th percentile, by nearest rank; of fewer than twenty the maximum."""
        return quantile(self.seconds, 0.95)


@dataclass(frozen=True, slots=True)
class Speed:
    """How many passages were indexed, how many per second, and how many per second by the loaded model alone."""

    passages: int
    kb: float
    bare: float


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the ``depth`` nearest passages that the vector index returns, over that many questions."""

    share: float
    depth: int
    questions: int


@dataclass(frozen=True, slots=True)
class BenchReport:
    """The results of ``kb bench``.

    Attributes:
        model: The model.
        files: How many files were measured.
        files_total: How many files there are.
        speed: Indexing, compared with the bare model.
        recall: The vector index, compared with exact search.
        saved: The time from the end of a save until ``kb search`` finds the note.
        with_daemon: ``kb search`` as a whole command, run by a daemon.
        without_daemon: The same without a daemon.
        python: The start of Python alone, in the same run.
        memory: The resident memory of the daemon at the end, in bytes.
        size: The size of the temporary store in bytes.
        seconds: The duration of the whole benchmark.
    """

    model: str
    files: int
    files_total: int
    speed: Speed
    recall: Recall
    saved: Times
    with_daemon: Times
    without_daemon: Times
    python: Times
    memory: int
    size: int
    seconds: float


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least value that at least this share of the values does not exceed (nearest rank).

    Raises:
        ValueError: There are no values, or the share is not in 0..1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no quantile {share} of {len(values)} values")
    return sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]


_Item = TypeVar("_Item")
DEPTH: Final = 10
# Cosines that differ by less count as equal: float32 is not more precise.
_TIE: Final = 1e-6
_FIRST: Final = 48
# The share of the whole time that each part may take.
_EMBEDDING, _DRAWING, _ASKING, _SAVING, _ALONE = 0.2, 0.15, 0.15, 0.25, 0.15

_SAVES: Final = 20
_ALONE_MOST: Final = 5
_ALONE_LEAST: Final = 2
_FOUND_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What to measure, and for how long.

    Attributes:
        settings: The configuration, with the folders and the model.
        options: The global options with which a command in another process has these settings.
        load: Returns the settings with overrides by dotted key.
        seconds: About how long all of it may take, without loading the model.
        report: Called with a sentence about the current step.
        environ: The environment of commands; None for that of this process.
        cwd: The working directory of commands; empty for that of this process.
    """

    settings: Settings
    options: Sequence[str]
    load: Callable[[Mapping[str, str]], Settings]
    seconds: float
    report: Callable[[str], None]
    environ: Mapping[str, str] | None = None
    cwd: str = ""


def bench(request: BenchRequest) -> BenchReport:
    """Measure kb on a sample of the user's notes. Notes and store are only read, and temporary files are removed.

    Raises:
        KbError: There is no text to measure with, or the model or a daemon does not start.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kb-bench-") as name:
        place = Path(name).resolve()
        folders = {folder: place / "notes" / str(at) for at, folder in enumerate(request.settings.folder_paths())}
        for folder in folders.values():
            folder.mkdir(parents=True)
        values = {"folders.paths": json.dumps([str(one) for one in folders.values()]), "store.path": f"{place}/store"}
        request.report(f"reading a sample of the files into {place}; your notes and your store stay as they are")
        model, sample, speed, recall = _indexed(request, request.load(values), folders)
        # Free the model of this process before the daemon loads its own.
        gc.collect()
        options = [*request.options, *(word for key, value in values.items() for word in ("-s", f"{key}={value}"))]
        program = Program(options, f"{place}/store", request.environ, request.cwd)
        answered, python, saved, memory = _with_daemon(request, program, sample, next(iter(folders.values())), place)
        request.report("asking without kb watch")
        alone = _without_daemon(program, sample, request.seconds * _ALONE)
        return BenchReport(
            model=model,
            files=sample.files,
            files_total=sample.total,
            speed=speed,
            recall=recall,
            saved=saved,
            with_daemon=answered,
            without_daemon=alone,
            python=python,
            memory=memory,
            size=sum(path.stat().st_size for path in (place / "store").rglob("*") if path.is_file()),
            seconds=time.monotonic() - began,
        )


def _indexed(
    request: BenchRequest, settings: Settings, folders: Mapping[str, Path]
) -> tuple[str, Sample, Speed, Recall]:
    """Copy a sample, embed it with the bare model, index it, and search it; return the model and the results."""
    work = Container(settings, request.report)
    where = work.embedder.load()
    enough = _SampleLimit(work, request.seconds)
    sample = draw_sample(
        Container(request.settings, request.report).files,
        work.reader,
        lambda source: copy_file(source, folders[source.file.folder]),
        enough,
    )
    if not sample.texts:
        raise KbError("there is no text in the folders to measure with", "Put a few notes there, and try again")
    texts = f"{len(sample.texts):,} texts of {sample.files:,} of {sample.total:,} files"
    request.report(f"{texts}: embedding them with the bare model, then indexing them")
    began = time.perf_counter()
    work.embedder.embed_documents(list(sample.texts), list(sample.texts.values()))
    bare = len(sample.texts) / (time.perf_counter() - began)
    with LocalKnowledgeBase(work) as knowledge:
        work.warm()
        began = time.perf_counter()
        report = knowledge.index()
        speed = Speed(report.embedded, report.embedded / (time.perf_counter() - began), bare)
        recall = _recall(work, sample.pick_questions())
    return f"{settings.model()}, {where}", sample, speed, recall


class _SampleLimit:
    """Whether a sample is as large as the time allows, given the speed at which its first texts are embedded."""

    def __init__(self, work: Container, seconds: float) -> None:
        self._work = work
        self._embedding = seconds * _EMBEDDING
        self._until = time.monotonic() + seconds * _DRAWING
        self._most = 0.0

    def __call__(self, sample: Sample) -> bool:
        """Whether the sample is large enough."""
        if not self._most and len(sample.texts) >= _FIRST:
            self._most = self._measured(sample)
        enough = bool(self._most) and len(sample.texts) >= self._most
        return enough or time.monotonic() > self._until

    def _measured(self, sample: Sample) -> float:
        """Return how many texts may be embedded."""
        began = time.monotonic()
        self._work.embedder.embed_documents(list(sample.texts), list(sample.texts.values()))
        spent = time.monotonic() - began
        self._until += spent
        return len(sample.texts) * self._embedding / max(spent, 1e-6)


def _recall(work: Container, questions: Sequence[str]) -> Recall:
    """Return the recall of the vector index against exact search, with the configured number of candidates."""
    index = work.index()
    everything = list(index.ids())
    vectors = index.vectors(everything)
    matrix = np.stack([vectors[id_] for id_ in everything])
    depth = min(DEPTH, len(everything))
    found = 0
    for question in questions:
        vector = work.embedder.embed_query(question)
        least = np.sort(matrix @ vector)[-depth] - _TIE
        scores = cosines(vector, index.query(vector, max(DEPTH, work.config.search.candidates)))
        found += min(depth, int(np.sum(scores >= least)))
    return Recall(found / (depth * len(questions)), DEPTH, len(questions))


def _with_daemon(
    request: BenchRequest, program: Program, sample: Sample, folder: Path, place: Path
) -> tuple[Times, Times, Times, int]:
    """Measure a daemon over the sample: searches and bare Python, new notes until they are found, memory."""
    request.report("starting kb watch over the sample")
    with program.daemon(place / "watch.log") as daemon:
        request.report("asking kb watch")
        answers, python = [], []
        for question in _while(request.seconds * _ASKING, unseen_questions(sample.pick_questions(), 0)):
            python.append(program.python().seconds)
            answers.append(_answered(program, question).seconds)
        request.report("saving notes until they are found")
        saved = [
            seconds_until_found(
                program, folder / f"kb-bench-{number}.md", f"Scratch note {number} that kb bench saved."
            )
            for number in _while(request.seconds * _SAVING, range(_SAVES))
        ]
        return Times(tuple(answers)), Times(tuple(python)), Times(tuple(saved)), daemon.memory()


def seconds_until_found(program: Program, file: Path, text: str) -> float:
    """Write a note, search for its text until it is found, and return the seconds since the end of the write.

    Args:
        program: The command.
        file: The note, which may exist.
        text: Its new text, which no other note has.

    Raises:
        KbError: It was not found within a minute.
    """
    file.write_text(f"{text}\n", "utf-8")
    began = time.perf_counter()
    seconds = 0.0
    while seconds < _FOUND_WITHIN:
        ran = _answered(program, text, "--json")
        seconds = time.perf_counter() - began
        if any(text in hit["text"] for hit in json.loads(ran.out)["hits"]):
            return seconds
    raise KbError(
        f"a note was not found {seconds:.0f} s after it was saved", "kb watch --status shows the state of the daemon"
    )


def _without_daemon(program: Program, sample: Sample, seconds: float) -> Times:
    """Measure searches without a daemon, which load the model themselves."""
    questions = unseen_questions(sample.pick_questions(_ALONE_MOST), _QUESTIONS)
    few = _while(seconds, questions, least=min(_ALONE_LEAST, len(questions)))
    return Times(tuple(_answered(program, question).seconds for question in few))


def unseen_questions(questions: Sequence[str], first: int) -> list[str]:
    """Return the questions, each with a number, so that none of their vectors is in the cache."""
    return [f"{question} {number}" for number, question in enumerate(questions, first)]


def _answered(program: Program, question: str, *options: str) -> CommandResult:
    """Run ``kb search``.

    Raises:
        KbError: It failed; finding nothing is not a failure.
    """
    ran = program("search", *options, "--", question)
    if ran.code not in {0, 1}:
        raise KbError(f"kb search failed: {ran.err.strip()}")
    return ran


def _while(seconds: float, items: Sequence[_Item], least: int = 1) -> Iterator[_Item]:
    """Yield items for some seconds, but at least ``least`` of them."""
    until = time.monotonic() + seconds
    for number, item in enumerate(items):
        if number >= least and time.monotonic() > until:
            return
        yield item
