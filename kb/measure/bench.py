"""The measurement itself: a sample is indexed beside the bare model, asked, and followed by an owner of its own."""

from __future__ import annotations

import gc
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from kb.app import KnowledgeBase
from kb.container import Container
from kb.errors import KbError
from kb.measure.program import Program, Ran
from kb.measure.report import BenchReport, Recall, Speed, Times
from kb.measure.sample import Sample, copied, drawn
from kb.search.rank import cosines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kb.config import Settings

_Item = TypeVar("_Item")
DEPTH: Final = 10
# Two vectors whose cosines with a question differ by less are equally near: float32 tells them apart no better.
_TIE: Final = 1e-6
_FIRST: Final = 48
# What each part of the work may take of the whole time.
_EMBEDDING, _DRAWING, _ASKING, _SAVING, _ALONE = 0.2, 0.15, 0.15, 0.25, 0.15
_QUESTIONS: Final = 100
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
