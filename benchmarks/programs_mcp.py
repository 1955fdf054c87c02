"""``kb mcp`` beside a daemon: how soon it answers, what it loads, and how many tokens its answers take."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.child import clean_environment, progress
from benchmarks.daemon import program
from benchmarks.mcp_session import compact, mcp_session
from benchmarks.no_change import heavy_imports
from benchmarks.programs_python import document_questions, documents_store
from benchmarks.table import Row, at_most, skipped
from benchmarks.tokens import WHEEL, NoTokenizer, download

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.mcp_session import ToolResult

NAME: Final = "programs-mcp"
STARTS: Final = 12
QUESTIONS: Final = 50
HITS: Final = 5
_LIST_TOKENS: Final = 1_500
_SEARCH_TOKENS: Final = 2_500
_FORBIDDEN: Final = frozenset({"torch", "chromadb", "onnxruntime"})
_COMMAND: Final = "from kb.__main__ import main; main()"


def rows(work: Bench) -> list[Row]:
    """The rows for its start and for its answers."""
    store = documents_store(work)
    questions = document_questions(work)
    kb = program(work.documents, store, work.threads)
    with kb.daemon(work.folder / "programs-mcp.log"):
        progress(f"{NAME}: starts")
        started = _starts(store, questions[: max(3, work.scaled(STARTS))])
        loaded = _loaded(store, questions[0], work.folder / "imports.txt")
        progress(f"{NAME}: tokens")
        some = questions[:: max(1, len(questions) // max(5, work.scaled(QUESTIONS)))][:QUESTIONS]
        with mcp_session(mcp_command(store)) as session:
            session.initialize()
            tools = compact(session.request("tools/list"))
            answers = [session.call("search", question=question, limit=HITS) for question in some]
    try:
        counted = judged_tokens(tools, answers, download(work.folder / "tokenizer"))
    except NoTokenizer as error:
        counted = [
            skipped(NAME, "tokens of tools/list", f"no {WHEEL}: {error}", f"at most {_LIST_TOKENS}"),
            skipped(NAME, f"tokens of search, {HITS} hits", f"no {WHEEL}: {error}", f"at most {_SEARCH_TOKENS}"),
        ]
    return [*started, *judged_loaded(loaded), *counted]


def mcp_command(store: Path, *flags: str) -> list[str]:
    """The command line of the server over a store that ``program`` wrote a configuration for.

    Args:
        store: The store.
        flags: Options of Python.
    """
    return [sys.executable, *flags, "-c", _COMMAND, "--config", f"{store}.toml", "mcp"]


def judged_loaded(loaded: set[str]) -> list[Row]:
    """The row for the heavy libraries that it imported."""
    told = ", ".join(sorted(loaded & _FORBIDDEN)) or "none"
    return [Row(NAME, "kb mcp: torch, chromadb, onnxruntime loaded", told, "none", not loaded & _FORBIDDEN)]


def judged_tokens(tools: str, answers: Sequence[ToolResult], count: Callable[[str], int]) -> list[Row]:
    """The rows for the tokens of the list of tools and of answers; the largest answer is judged."""
    full = [one for one in answers if len(one.structured.get("hits", ())) == HITS]
    text, whole = [count(one.text) for one in full], [count(one.whole) for one in full]
    what = f"tokens of search, {HITS} hits, {len(full)} questions"
    return [
        at_most(NAME, "tokens of tools/list", count(tools), _LIST_TOKENS, digits=0),
        at_most(NAME, f"{what}, text, most", max(text), _SEARCH_TOKENS, digits=0),
        Row(NAME, f"{what}, median", f"text {median(text):.0f}, with structured content {median(whole):.0f}"),
        Row(NAME, f"{what}, most", f"text {max(text)}, with structured content {max(whole)}"),
    ]


def _starts(store: Path, questions: Sequence[str]) -> list[Row]:
    """Alternate starts of the server with imports of the SDK."""
    answered, imported = [], []
    for number, question in enumerate(questions):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import mcp"], env=clean_environment(), check=True)
        imported.append(time.perf_counter() - began)
        began = time.perf_counter()
        with mcp_session(mcp_command(store)) as session:
            session.initialize()
            found = session.call("search", question=f"{question} {number}")
            answered.append(time.perf_counter() - began)
        if found.failed:
            raise RuntimeError(f"search failed: {found.text}")
    ratio = median(answered) / median(imported)
    told = f"{median(answered):.2f} s / {median(imported):.2f} s, {len(answered)} starts"
    return [
        at_most(NAME, 'kb mcp, start to the answer of search / python -c "import mcp", p50', ratio, 3, "x"),
        Row(NAME, "seconds", told),
    ]


def _loaded(store: Path, question: str, listing: Path) -> set[str]:
    """The heavy libraries that the server has imported after an answer."""
    with listing.open("wb") as log, mcp_session(mcp_command(store, "-X", "importtime"), log.fileno()) as session:
        session.initialize()
        session.call("search", question=question)
    return heavy_imports(listing.read_text("utf-8", "replace"))
