"""An agent's task, scripted: find the paragraph that answers a question, with one set of tools or another.

Both policies are told what a real agent is not: when the answer is there. They stop then, or after ``MOST_STEPS``
calls. The policy for ``grep`` also knows which words of a question are rare, and searches for stems, since a good agent
guesses both.
"""

from __future__ import annotations

import math
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.mcp_session import McpSession, ToolResult

MOST_STEPS: Final = 8
MOST_HITS: Final = 5
# What agents' shells show of the output of a command.
MOST_CHARACTERS: Final = 30_000
_MOST_WORDS: Final = 3
_LEAST_PARAGRAPH: Final = 40
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Task:
    """A question with its answer.

    Attributes:
        question: The question.
        file: The name of the file with the answer.
        answer: The paragraph of that file that has most of the question's words, by their rarity.
        stems: The stems of the question's words that are in the collection, the rarest first.
    """

    question: str
    file: str
    answer: str
    stems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended.

    Attributes:
        answered: Whether the paragraph was in a result.
        tokens: The tokens of all results.
        steps: The number of calls.
    """

    answered: bool
    tokens: int
    steps: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a call shows an agent.

    Attributes:
        text: The text.
        quotable: Whether the agent may quote from it; else it has to read the file first.
    """

    text: str
    quotable: bool = True


class Words:
    """The stems of a collection's words, and how rare they are.

    Args:
        texts: The texts by the names of their files.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        import Stemmer

        self._stemmer = Stemmer.Stemmer("english")
        self._texts = {name: text.lower() for name, text in texts.items()}
        self._weights: dict[str, float] = {}

    def stems(self, text: str) -> list[str]:
        """The different stems of a text, in order."""
        return list(dict.fromkeys(self._stemmer.stemWords([word.lower() for word in _WORD.findall(text)])))

    def weight(self, stem: str) -> float:
        """The inverse document frequency of a stem, as ``grep -F`` finds it; 0 where no text has it."""
        if stem not in self._weights:
            count = sum(stem in text for text in self._texts.values())
            self._weights[stem] = math.log(1 + len(self._texts) / count) if count else 0.0
        return self._weights[stem]


def tasks(questions: Mapping[str, str], texts: Mapping[str, str], answered_by: Mapping[str, str]) -> Iterator[Task]:
    """The questions whose file has a paragraph with words of theirs.

    Args:
        questions: The questions by their ids.
        texts: The texts of the collection by the names of their files.
        answered_by: The name of the file that answers a question, by its id.
    """
    words = Words(texts)
    for id_, question in questions.items():
        stems = sorted((one for one in words.stems(question) if words.weight(one)), key=words.weight, reverse=True)
        answer = answer_of(texts[answered_by[id_]], {one: words.weight(one) for one in stems})
        if answer:
            yield Task(question, answered_by[id_], answer, tuple(stems))


def answer_of(text: str, weights: Mapping[str, float]) -> str:
    """The paragraph of a text that holds most of the weighted stems; the first of equals, and empty if none has any."""
    paragraphs = [one for one in re.split(r"\n\s*\n", text) if len(one.strip()) >= _LEAST_PARAGRAPH]
    scored = [
        (sum(weight for stem, weight in weights.items() if stem in one.lower()), one.strip()) for one in paragraphs
    ]
    score, best = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
    return best if score else ""


def quotes(result: str, answer: str) -> bool:
    """Whether every line of an answer is in a result, whatever stands before and after it on its line."""
    shown = " ".join(result.split())
    return all(" ".join(line.split()) in shown for line in answer.splitlines())


class Tool(Protocol):
    """A tool of an agent: a number of calls, each of which shows something."""

    def __call__(self, task: Task) -> Iterator[Shown]:
        """The results that an agent gets for a task, one call after another."""


def run(task: Task, tool: Tool, count: Callable[[str], int]) -> Outcome:
    """Use a tool until the answer is there, the policy knows no further, or the steps are used up."""
    tokens = steps = 0
    for result in tool(task):
        tokens += count(result.text)
        steps += 1
        if result.quotable and quotes(result.text, task.answer):
            return Outcome(answered=True, tokens=tokens, steps=steps)
        if steps == MOST_STEPS:
            break
    return Outcome(answered=False, tokens=tokens, steps=steps)


class AskKb:
    """``search`` once, then ``read`` the files of its hits, best first.

    Args:
        session: A session with ``kb mcp``.
        shown: What a client shows its model of a result.
    """

    def __init__(self, session: McpSession, shown: Callable[[ToolResult], str]) -> None:
        self._session = session
        self._shown = shown

    def __call__(self, task: Task) -> Iterator[Shown]:
        """The results of the calls."""
        found = self._session.call("search", question=task.question, limit=MOST_HITS)
        yield Shown(self._shown(found))
        for path in dict.fromkeys(hit["path"] for hit in found.structured.get("hits", ())):
            yield from self._read(path)

    def _read(self, path: str) -> Iterator[Shown]:
        """Read a file, and its rest as far as each result tells where that begins."""
        wanted: dict[str, Any] = {"path": path}
        while True:
            found = self._session.call("read", **wanted)
            yield Shown(self._shown(found))
            following = found.structured.get("next_line")
            if following is None:
                return
            wanted |= {"first_line": following, "offset": found.structured.get("next_offset", 0)}


class AskShell:
    """``grep`` the stems, rarest first, until one file has more of them than all others; then ``cat`` the best files.

    Args:
        docs: The folder.
        shows: Whether ``grep`` shows lines (``grep -rn``), or files with their counts (``grep -rc``), which a thrifty
            agent prefers.
        quotes_lines: Whether an agent quotes a line of ``grep``, or reads the file before it does.
    """

    def __init__(self, docs: Path, shows: Literal["lines", "counts"], *, quotes_lines: bool = True) -> None:
        self._docs = docs
        self._shows = shows
        self._quotes_lines = quotes_lines

    def __call__(self, task: Task) -> Iterator[Shown]:
        """The results of the calls."""
        scores: dict[str, tuple[float, int]] = {}
        for number, stem in enumerate(task.stems[:_MOST_WORDS], 1):
            counts = self._counts(stem)
            lines = self._grep(stem) if self._shows == "lines" else _listing(counts)
            yield Shown(lines, quotable=self._quotes_lines)
            for name, matches in counts.items():
                score, before = scores.get(name, (0.0, 0))
                # The rarest word counts most: a later one only tells apart what the earlier ones left.
                scores[name] = (score + 1 / number, before + matches)
            if _leads(list(scores.values())):
                break
        for name in sorted(scores, key=lambda one: (-scores[one][0], -scores[one][1], one)):
            text = (self._docs / name).read_text("utf-8", "replace")
            for begin in range(0, max(1, len(text)), MOST_CHARACTERS):
                yield Shown(text[begin : begin + MOST_CHARACTERS])

    def _grep(self, stem: str) -> str:
        return _ran(self._docs, "grep", "-rniF", "-e", stem, ".")[:MOST_CHARACTERS]

    def _counts(self, stem: str) -> dict[str, int]:
        lines = _ran(self._docs, "grep", "-rciF", "-e", stem, ".").splitlines()
        found = (line.removeprefix("./").rpartition(":") for line in lines)
        return {name: int(count) for name, _, count in found if int(count)}


def _listing(counts: Mapping[str, int]) -> str:
    """Files with their counts, as ``grep -c`` writes them, without those that have none."""
    return "\n".join(f"{name}:{count}" for name, count in sorted(counts.items()))[:MOST_CHARACTERS]


def _leads(scores: Sequence[tuple[float, int]]) -> bool:
    """Whether one file has more of the words than all others."""
    best = sorted((score for score, _ in scores), reverse=True)[:2]
    return len(best) == 1 or (len(best) == 2 and best[0] > best[1])


def _ran(folder: Path, *command: str) -> str:
    """The output of a command; finding nothing is no failure."""
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode > 1:
        raise RuntimeError(f"{command[0]} ended with code {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode("utf-8", "replace")
