"""Whether questions about nothing in the notes are refused, in several languages.

Half of a collection is indexed, by article; the questions of the other half have the same language and style, but no
answer.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import call, progress
from benchmarks.corpora import read_collection
from benchmarks.indexing import settings
from benchmarks.table import Row, at_least, at_most, skipped
from kb.app import LocalKnowledgeBase
from kb.records import MODE_NAMES

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "refusals"
LANGUAGES: Final = ("es", "zh", "th", "en")
MODES: Final = MODE_NAMES
OWN: Final = 3.0
FOREIGN: Final = 90.0
# Of each half, so many questions spread over all of them.
ASKED: Final = 300


def rows(work: Bench) -> list[Row]:
    """For each language and half of the articles, the refused questions of both halves."""
    found: list[Row] = []
    for language in LANGUAGES:
        collection = work.collection(f"xquad/{language}")
        if collection is None:
            where = f"in {work.data}" if work.data else "(name a folder with --data)"
            found.append(skipped(NAME, f"refusals, {language}", f"there is no xquad/{language} {where}", ""))
            continue
        halves = [_half(work, language, collection.docs.parent, number) for number in (0, 1)]
        for mode in MODES:
            own = 100 * fmean(half[mode]["own"] for half in halves)
            foreign = 100 * fmean(half[mode]["foreign"] for half in halves)
            unfamiliar = halves[0][mode]["unfamiliar"]
            what = f"{language}, {mode}"
            if unfamiliar:
                told = f"the model does not know it: told with {100 * unfamiliar:.0f} % of the answers"
                found.append(Row(NAME, f"refused, {what}", told))
                continue
            found.append(at_most(NAME, f"own questions refused, {what}", own, OWN, "%", digits=1))
            found.append(
                at_least(NAME, f"questions of the other half refused, {what}", foreign, FOREIGN, "%", digits=1)
            )
    return found


def article(name: str) -> int:
    """The article number of a paragraph id such as ``a17-p3``."""
    return int(name.split("-", maxsplit=1)[0].removeprefix("a"))


def _half(work: Bench, language: str, folder: Path, number: int) -> dict[str, dict[str, float]]:
    docs = work.folder / f"{NAME}-{language}-{number}"
    docs.mkdir()
    for file in sorted((folder / "docs").iterdir()):
        if article(file.stem) % 2 == number:
            shutil.copy(file, docs / file.name)
    progress(f"{NAME}: {language}, half {number + 1}")
    found: dict[str, dict[str, float]] = call(
        "refusals:measure", folder=str(folder), docs=str(docs), store=f"{docs}-store", threads=work.threads
    )
    return found


def measure(folder: str, docs: str, store: str, threads: int, asked: int = ASKED) -> dict[str, dict[str, float]]:
    """The share of refused questions of each half, in each mode, with an index of some documents."""
    collection = read_collection(Path(folder))
    held = {file.stem for file in Path(docs).iterdir()}
    own = [text for id_, text in collection.questions.items() if held & collection.relevant[id_].keys()]
    foreign = [text for id_, text in collection.questions.items() if not held & collection.relevant[id_].keys()]
    with LocalKnowledgeBase.open(settings(docs, store, threads)) as knowledge:
        knowledge.index()
        return {mode: _refused(knowledge, mode, _some(own, asked), _some(foreign, asked)) for mode in MODES}


def _some(questions: list[str], asked: int) -> list[str]:
    return questions[:: max(1, len(questions) // asked)]


def _refused(knowledge: LocalKnowledgeBase, mode: Any, own: list[str], foreign: list[str]) -> dict[str, float]:  # noqa: ANN401 - a mode
    answers = {
        name: [knowledge.search(question, mode=mode, literal=True, weak=False) for question in questions]
        for name, questions in (("own", own), ("foreign", foreign))
    }
    shares = {name: fmean(not answer.hits for answer in found) for name, found in answers.items()}
    return {**shares, "unfamiliar": fmean(bool(answer.unfamiliar) for answer in answers["own"])}
