"""The measurement itself: a sample is indexed beside the bare model, asked, and followed by an owner of its own."""

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

from kb.app import KnowledgeBase
from kb.container import Container
from kb.errors import DocumentError, KbError
from kb.search.rank import cosines
from kb.service.client import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kb.config import Settings
    from kb.ports import Files, Reader
    from kb.records import Document, Passage, Source

# kb as it is typed: whole commands timed from start to end, and an owner in a process of its own.

_STARTING: Final = 600.0
_ENDING: Final = 90.0
_LOOK: Final = 0.02
_KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Ran:
    """One command: its exit code, what it wrote, and the seconds from its start to its end."""

    code: int
    out: str
    err: str
    seconds: float


class Program:
    """The command ``kb`` with the same global options every time.

    Args:
        options: What stands before each command: the configuration, and values over it.
        store: The real path of the store that these options mean.
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
        self._command = (*_executable(), *options)
        self._environ = environ
        self._cwd = cwd or None

    def __call__(self, *args: str) -> Ran:
        """Run one command."""
        return self._timed((*self._command, *args))

    def python(self) -> Ran:
        """Start the Python that kb runs on, and end it: the least that any command of it costs."""
        return self._timed((sys.executable, "-c", "pass"))

    @contextmanager
    def owner(self, log: Path, *args: str) -> Iterator[Watching]:
        """An owner, from when it has looked at everything once; it is ended on the way out.

        Args:
            log: The file for the lines of its log.
            args: What ``kb watch`` is given.

        Raises:
            KbError: It ended before it answered.
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
            yield Watching(child.pid)
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
            time.sleep(_LOOK)
        told = log.read_text("utf-8", "replace").strip()
        raise KbError(f"kb watch did not begin to answer:\n{told}")

    def _timed(self, command: Sequence[str]) -> Ran:
        began = time.perf_counter()
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=self._environ, cwd=self._cwd
        )
        seconds = time.perf_counter() - began
        return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode(), seconds)


@dataclass(frozen=True, slots=True)
class Watching:
    """A running owner, seen from outside."""

    pid: int

    def memory(self) -> int:
        """The bytes of main memory it has now."""
        status = Path(f"/proc/{self.pid}/status")
        if status.is_file():
            line = next(line for line in status.read_text("ascii", "replace").splitlines() if line.startswith("VmRSS:"))
            return int(line.split()[1]) * _KIB
        told = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.pid)],  # noqa: S607 - ps as the system has it
            capture_output=True,
            check=True,
        )
        return int(told.stdout) * _KIB

    def processor(self) -> float:
        """The seconds of processor time it has taken so far, on Linux.

        Raises:
            OSError: The system does not tell.
        """
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _executable() -> tuple[str, ...]:
    """The script ``kb`` beside this Python, which is what people type; else the module."""
    script = Path(sys.executable).with_name("kb")
    # Without -P a folder called kb in the current one would be taken for the program.
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-P", "-m", "kb")


# A sample of somebody's notes: copies of some files, the texts a model would see, and questions taken from them.

# The same sample of the same files every time, so that two runs can be compared.
_SEED: Final = 1
_WORDS: Final = 2
_QUESTION_LENGTH: Final = 200
_QUESTIONS: Final = 100


@dataclass(slots=True)
class Sample:
    """Files read so far, of how many there are.

    ``texts`` holds each text once, with its length in tokens; ``questions`` each title and heading once.
    """

    total: int = 0
    files: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    questions: dict[str, None] = field(default_factory=dict)

    def add(self, document: Document, passages: Sequence[Passage]) -> None:
        """Take a file in."""
        self.files += 1
        self.texts.update((one.embedded, one.tokens) for one in passages)
        self.questions.update(dict.fromkeys(_questions(document, passages)))

    def asked(self, most: int = _QUESTIONS) -> list[str]:
        """So many of the questions, the same ones every time."""
        questions = list(self.questions)
        if len(questions) <= most:
            return questions
        return random.Random(_SEED).sample(questions, most)  # noqa: S311 - no secret


def drawn(files: Files, reader: Reader, keep: Callable[[Source], object], enough: Callable[[Sample], bool]) -> Sample:
    """Read files in an order of chance until there are enough, or none is left.

    Files that cannot be read are passed over, as an index run does.

    Args:
        files: The folders.
        reader: Turns bytes into passages.
        keep: Given each file of the sample, as it was read.
        enough: Asked before each file.
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


def copied(source: Source, folder: Path) -> None:
    """Write a file as it was read to the same place below another folder, with its time."""
    target = folder / source.file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.data)
    os.utime(target, ns=(source.file.stat.mtime_ns, source.file.stat.mtime_ns))


def _questions(document: Document, passages: Sequence[Passage]) -> list[str]:
    """What a reader might ask for: title and headings of several words, else how the text begins."""
    named = [document.own_title, *(heading.text for heading in document.headings)]
    told = [" ".join(text.split()) for text in named if len(text.split()) >= _WORDS]
    if not told and passages:
        told = [" ".join(passages[0].text.split())]
    return [text[:_QUESTION_LENGTH] for text in told if text]


# What a measurement on one's own notes found, as values.


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of something done several times, in the order in which it was done."""

    seconds: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many times it was done."""
        return len(self.seconds)

    @property
    def p50(self) -> float:
        """The median, as the nearest rank: half of the times were at most this long."""
        return quantile(self.seconds, 0.5)

    @property
    def p95(self) -> float:
        """Nineteen of twenty were at most this long; of fewer than twenty, all."""
        return quantile(self.seconds, 0.95)


@dataclass(frozen=True, slots=True)
class Speed:
    """How many passages were indexed, how many a second kb did, and how many the bare model, loaded before."""

    passages: int
    kb: float
    bare: float


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the ``depth`` exactly nearest passages that the store gives, over so many questions."""

    share: float
    depth: int
    questions: int


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What ``kb bench`` found.

    Attributes:
        model: The model.
        files: The files measured with.
        files_total: The files there are; more than ``files`` where a sample was taken.
        speed: Indexing beside the bare model.
        recall: The store beside exact search.
        saved: From the end of a save until ``kb search`` shows the note.
        asked: ``kb search`` as a whole command, through an owner.
        asked_alone: The same without an owner.
        python: The start of Python alone, in the same run.
        memory: The bytes of main memory that the owner took at the end.
        size: The bytes of the temporary store on the disk.
        seconds: How long all of it took.
    """

    model: str
    files: int
    files_total: int
    speed: Speed
    recall: Recall
    saved: Times
    asked: Times
    asked_alone: Times
    python: Times
    memory: int
    size: int
    seconds: float


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of the values does not exceed (nearest rank).

    Raises:
        ValueError: There are no values, or the share is not in 0..1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no quantile {share} of {len(values)} values")
    return sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]


_Item = TypeVar("_Item")
DEPTH: Final = 10
# Two vectors whose cosines with a question differ by less are equally near: float32 tells them apart no better.
_TIE: Final = 1e-6
_FIRST: Final = 48
# What each part of the work may take of the whole time.
_EMBEDDING, _DRAWING, _ASKING, _SAVING, _ALONE = 0.2, 0.15, 0.15, 0.25, 0.15

_SAVES: Final = 20
_ALONE_MOST: Final = 5
_ALONE_LEAST: Final = 2
_FOUND_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """How to measure.

    Args:
        settings: Whose folders and model.
        options: What stands before a command of kb to mean these settings, in a process of its own.
        load: The settings with other values over them, by dotted key.
        seconds: About how long all of it may take; loading the model comes on top.
        tell: Takes a sentence about what is done now.
        environ: The environment of the commands; None for that of this process.
        cwd: The folder of the commands; empty for that of this process.
    """

    settings: Settings
    options: Sequence[str]
    load: Callable[[Mapping[str, str]], Settings]
    seconds: float
    tell: Callable[[str], None]
    environ: Mapping[str, str] | None = None
    cwd: str = ""


def bench(asked: Asked) -> BenchReport:
    """Measure kb on a sample of somebody's notes. Notes and store are only read, and nothing is left behind.

    Raises:
        KbError: There is no text to measure with, or the model or an owner does not start.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kb-bench-") as name:
        place = Path(name).resolve()
        folders = {folder: place / "notes" / str(at) for at, folder in enumerate(asked.settings.folder_paths())}
        for folder in folders.values():
            folder.mkdir(parents=True)
        values = {"folders.paths": json.dumps([str(one) for one in folders.values()]), "store.path": f"{place}/store"}
        asked.tell(f"reading a sample of the files into {place}; your notes and your store stay as they are")
        model, sample, speed, recall = _indexed(asked, asked.load(values), folders)
        # The model of this process would stand in the way of the owner's.
        gc.collect()
        options = [*asked.options, *(word for key, value in values.items() for word in ("-s", f"{key}={value}"))]
        program = Program(options, f"{place}/store", asked.environ, asked.cwd)
        answered, python, saved, memory = _owned(asked, program, sample, next(iter(folders.values())), place)
        asked.tell("asking without kb watch")
        alone = _alone(program, sample, asked.seconds * _ALONE)
        return BenchReport(
            model=model,
            files=sample.files,
            files_total=sample.total,
            speed=speed,
            recall=recall,
            saved=saved,
            asked=answered,
            asked_alone=alone,
            python=python,
            memory=memory,
            size=sum(path.stat().st_size for path in (place / "store").rglob("*") if path.is_file()),
            seconds=time.monotonic() - began,
        )


def _indexed(asked: Asked, settings: Settings, folders: Mapping[str, Path]) -> tuple[str, Sample, Speed, Recall]:
    """Copy a sample, embed it with the bare model, index it, and ask it; the model and what came of it."""
    work = Container(settings, asked.tell)
    where = work.embedder.load()
    enough = _Enough(work, asked.seconds)
    sample = drawn(
        Container(asked.settings, asked.tell).files,
        work.reader,
        lambda source: copied(source, folders[source.file.folder]),
        enough,
    )
    if not sample.texts:
        raise KbError("there is no text in the folders to measure with", "Put a few notes there, and try again")
    texts = f"{len(sample.texts):,} texts of {sample.files:,} of {sample.total:,} files"
    asked.tell(f"{texts}: embedding them with the bare model, then indexing them")
    began = time.perf_counter()
    work.embedder.embed_documents(list(sample.texts), list(sample.texts.values()))
    bare = len(sample.texts) / (time.perf_counter() - began)
    with KnowledgeBase(work) as knowledge:
        work.warm()
        began = time.perf_counter()
        report = knowledge.index()
        speed = Speed(report.embedded, report.embedded / (time.perf_counter() - began), bare)
        recall = _recall(work, sample.asked(_QUESTIONS))
    return f"{settings.model()}, {where}", sample, speed, recall


class _Enough:
    """Whether a sample is as large as the time allows, by how fast the model embeds the first of its texts."""

    def __init__(self, work: Container, seconds: float) -> None:
        self._work = work
        self._embedding = seconds * _EMBEDDING
        self._until = time.monotonic() + seconds * _DRAWING
        self._most = 0.0

    def __call__(self, sample: Sample) -> bool:
        """Look at the sample so far."""
        if not self._most and len(sample.texts) >= _FIRST:
            self._most = self._measured(sample)
        enough = bool(self._most) and len(sample.texts) >= self._most
        return enough or time.monotonic() > self._until

    def _measured(self, sample: Sample) -> float:
        """How many texts may be embedded."""
        began = time.monotonic()
        self._work.embedder.embed_documents(list(sample.texts), list(sample.texts.values()))
        spent = time.monotonic() - began
        self._until += spent
        return len(sample.texts) * self._embedding / max(spent, 1e-6)


def _recall(work: Container, questions: Sequence[str]) -> Recall:
    """How much of what comparing with every vector finds the store gives, with the configured candidates."""
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


def _owned(
    asked: Asked, program: Program, sample: Sample, folder: Path, place: Path
) -> tuple[Times, Times, Times, int]:
    """What an owner of the sample does: answers, beside bare Python; new notes until found; its memory."""
    asked.tell("starting kb watch over the sample")
    with program.owner(place / "watch.log") as owner:
        asked.tell("asking kb watch")
        answers, python = [], []
        for question in _while(asked.seconds * _ASKING, never_asked(sample.asked(_QUESTIONS), 0)):
            python.append(program.python().seconds)
            answers.append(_answered(program, question).seconds)
        asked.tell("saving notes until they are found")
        saved = [
            until_found(program, folder / f"kb-bench-{number}.md", f"Scratch note {number} that kb bench saved.")
            for number in _while(asked.seconds * _SAVING, range(_SAVES))
        ]
        return Times(tuple(answers)), Times(tuple(python)), Times(tuple(saved)), owner.memory()


def until_found(program: Program, file: Path, text: str, within: float = _FOUND_WITHIN) -> float:
    """Write a note and search for its text over and over; the seconds from the end of the write until it is found.

    Args:
        program: The command.
        file: The note, new or not.
        text: What it says from now on; no other note does.
        within: After how many seconds to give up.

    Raises:
        KbError: It was not found in that time.
    """
    file.write_text(f"{text}\n", "utf-8")
    began = time.perf_counter()
    seconds = 0.0
    while seconds < within:
        ran = _answered(program, text, "--json")
        seconds = time.perf_counter() - began
        if any(text in hit["text"] for hit in json.loads(ran.out)["hits"]):
            return seconds
    raise KbError(f"a note was not found {seconds:.0f} s after it was saved", "kb watch --status says how the owner is")


def _alone(program: Program, sample: Sample, seconds: float) -> Times:
    """Commands that have to load the model themselves."""
    questions = never_asked(sample.asked(_ALONE_MOST), _QUESTIONS)
    few = _while(seconds, questions, least=min(_ALONE_LEAST, len(questions)))
    return Times(tuple(_answered(program, question).seconds for question in few))


def never_asked(questions: Sequence[str], first: int) -> list[str]:
    """The questions, each with a number: the vector of one that was asked before is remembered, and needs no model."""
    return [f"{question} {number}" for number, question in enumerate(questions, first)]


def _answered(program: Program, question: str, *options: str) -> Ran:
    """Search as it is typed.

    Raises:
        KbError: That failed; finding nothing is no failure.
    """
    ran = program("search", *options, "--", question)
    if ran.code not in {0, 1}:
        raise KbError(f"kb search failed: {ran.err.strip()}")
    return ran


def _while(seconds: float, items: Sequence[_Item], least: int = 1) -> Iterator[_Item]:
    """Items for so many seconds, but no fewer than the least number of them."""
    until = time.monotonic() + seconds
    for number, item in enumerate(items):
        if number >= least and time.monotonic() > until:
            return
        yield item
