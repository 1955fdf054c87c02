"""Real processes: ``kb mcp`` over standard input and output, the daemon it starts, and ``/mcp`` over HTTP."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from clean_environ import clean_environ
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_served import ERAS, answered
from seed_example import write_seed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mcp_served import Answered

    from kb.embedding.spec import Located

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
_QUESTION = "what do I use to store vectors?"
_HEAVY = ("torch", "chromadb", "onnxruntime", "numpy")


@contextmanager
def configured(notes: Path, root: Path, model: Located) -> Iterator[dict[str, str]]:
    """An environment with a configuration of its own, and no daemon; one that is started is stopped."""
    with tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp") as runtime:
        config = root / "config.toml"
        config.write_text(
            f'[folders]\npaths = [{json.dumps(str(notes))}]\n[embed]\nmodel = "{model.name}"\noffline = true\n'
            f"[store]\npath = {json.dumps(str(root / 'store'))}\n"
        )
        environ = {**os.environ, "XDG_RUNTIME_DIR": runtime, "KB_CONFIG": str(config)}
        yield environ
        kb(environ, "watch", "--stop")


@pytest.fixture
def environment(notes: Path, tmp_path: Path, onnx_minilm: Located) -> Iterator[dict[str, str]]:
    """An environment without a daemon."""
    with configured(notes, tmp_path, onnx_minilm) as environ:
        yield environ


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, minilm: Located, request: pytest.FixtureRequest
) -> Iterator[dict[str, str]]:
    """The environment of a daemon with an HTTP port, for tests that change nothing."""
    root = tmp_path_factory.mktemp("watched")
    notes = write_seed(root / "notes")
    with pytest.MonkeyPatch.context() as patch:
        clean_environ(patch, root / "home")
        if importlib.util.find_spec("onnx") is not None:
            patch.setenv("KB_MODELS", str(request.getfixturevalue("forms")))
        with configured(notes, root, minilm) as environ:
            started = kb(environ, "watch", "--background", "--http", "127.0.0.1:0")
            assert started.returncode == 0, started.stderr
            assert kb(environ, "sync").returncode == 0
            yield environ


def kb(environ: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """Run kb."""
    command = [sys.executable, "-P", "-m", "kb", *args]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)


def agent(environ: dict[str, str], *args: str, **options: Any) -> Client:
    """A client that starts ``kb mcp``."""
    command = ["-P", "-m", "kb", "mcp", *args]
    return Client(stdio_client(StdioServerParameters(command=sys.executable, args=command, env=environ)), **options)


async def found(client: Client, question: str = _QUESTION) -> Answered:
    """The answer of ``search``, once the index is there."""
    for _ in range(300):
        result = answered(await client.call_tool("search", {"question": question}))
        if not result.failed and "as_of" in result.data:
            return result
        assert "Ask again" in result.text, result.text
        await anyio.sleep(0.2)
    pytest.fail(f"no answer in time: {result.text}")


def test_agents_share_one_daemon_that_is_started(environment: dict[str, str]) -> None:
    """Agents of both eras begin at once without a daemon, and share one; when that stops, another is started."""

    async def one(places: list[str], era: str) -> None:
        async with agent(environment, mode=era) as client:
            result = await found(client)
            places.append(result.data["hits"][0]["path"])

    async def both() -> list[str]:
        places: list[str] = []
        async with anyio.create_task_group() as group:
            for era in ERAS:
                group.start_soon(one, places, era)
        return places

    async def stopped_amid() -> Answered:
        async with agent(environment) as client:
            await found(client)
            await anyio.to_thread.run_sync(lambda: kb(environment, "watch", "--stop"))
            return await found(client)

    assert anyio.run(both) == ["chromadb.md", "chromadb.md"]
    assert anyio.run(stopped_amid).data["found"]


def test_works_by_itself(environment: dict[str, str], notes: Path) -> None:
    """With --no-daemon no daemon is started, the folder is indexed first, and a new file is found too."""

    async def run() -> tuple[Answered, Answered]:
        async with agent(environment, "--no-daemon", "--write") as client:
            first = await found(client)
            (notes / "boat.md").write_text("# Boat\n\nThe rowing boat is moored at the old pier.\n")
            # The folders are looked at once a second at most.
            await anyio.sleep(1.1)
            return first, await found(client, "where is the rowing boat moored?")

    first, second = anyio.run(run)

    assert first.data["hits"][0]["path"] == "chromadb.md"
    assert second.data["hits"][0]["path"] == "boat.md"
    assert kb(environment, "watch", "--status").returncode == 1


def test_beside_a_daemon_it_loads_little_and_answers_soon(watched: dict[str, str]) -> None:
    """It imports neither the model's libraries nor the store's, and takes at most three imports of the SDK.

    The machine may be busy with something else, so that one pair of several has to agree.
    """
    command = [sys.executable, "-P", "-m", "kb", "mcp"]
    _, output, errors = searched(watched, [sys.executable, "-X", "importtime", *command[1:]])
    imported = set(re.findall(r"\|\s+(\w+)", errors))

    assert "chromadb.md" in output
    assert imported.isdisjoint(_HEAVY)
    assert any(searched(watched, command)[0] <= 3 * timed([sys.executable, "-c", "import mcp"]) for _ in range(5))
    for line in output.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"


_SESSION = (
    {
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    },
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/call", "params": {"name": "search", "arguments": {"question": _QUESTION}}},
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("alone", [False, True])
def test_signals_end_it(environment: dict[str, str], tmp_path: Path, number: signal.Signals, alone: bool) -> None:
    """Ctrl-C and SIGTERM end it at once though its input is open, and leave the store closed in order."""
    command = [sys.executable, "-P", "-m", "kb", "mcp", *(["--no-daemon"] if alone else [])]
    sent = _SESSION if alone else _SESSION[:1]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in sent).encode())
        process.stdin.flush()
        for message in sent:
            if "id" in message:
                process.stdout.readline()
        process.send_signal(number)

        assert process.wait(120) == 128 + number
        process.stdin.close()
    assert not (tmp_path / "store" / "unclean").exists()


def timed(command: list[str]) -> float:
    """The seconds that a command takes."""
    began = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - began


def searched(environ: dict[str, str], command: list[str]) -> tuple[float, str, str]:
    """The seconds from the start of a server to its answer of ``search``, and all that it writes."""
    began = time.monotonic()
    session = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in _SESSION)
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(session)
        process.stdin.flush()
        lines = [process.stdout.readline(), process.stdout.readline()]
        seconds = time.monotonic() - began
        process.stdin.close()
        lines += process.stdout.readlines()
        assert process.wait(120) == 0
        errors.seek(0)
        return seconds, "".join(lines), errors.read()


@pytest.mark.parametrize("era", ERAS)
def test_http_asks_for_the_token_and_answers_both_eras(watched: dict[str, str], era: str) -> None:
    """At /mcp the port's token, Host and Origin are checked; with the token the same tools answer, read-only."""
    url = json.loads(kb(watched, "watch", "--status", "--json").stdout)["owner"]["http"] + "/mcp"
    token = kb(watched, "token").stdout.strip()
    allowed = {"Authorization": f"Bearer {token}"}

    async def run() -> tuple[list[str], Answered]:
        async with (
            httpx2.AsyncClient(headers=allowed, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), mode=era) as client,
        ):
            tools = await client.list_tools()
            return [tool.name for tool in tools.tools], await found(client)

    tools, result = anyio.run(run)

    assert tools == ["search", "read", "list", "links", "status"]
    assert result.data["hits"][0]["path"] == "chromadb.md"
    for headers, status in (
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({**allowed, "Origin": "https://evil.example"}, 403),
        ({**allowed, "Host": "evil.example"}, 421),
    ):
        assert httpx2.post(url, json={}, headers=headers, timeout=60).status_code == status


def test_inspect_shows_tools_and_their_cost(watched: dict[str, str]) -> None:
    """Each tool with its tokens, and a sample answer from the user's own files."""
    shown = json.loads(kb(watched, "mcp", "inspect", "--json", "--write").stdout)
    text = kb(watched, "mcp", "inspect").stdout

    assert [one["name"] for one in shown["tools"]] == ["search", "read", "list", "links", "status", "note"]
    assert shown["tokens"] <= 1_500
    assert all(not one["failed"] and one["text_tokens"] for one in shown["tools"] if one["name"] != "note")
    assert "5 tools" in text


def test_inspect_of_an_empty_folder_says_what_was_not_called(environment: dict[str, str], notes: Path) -> None:
    """Tools that need a file are not called, which is not put down to writing."""
    shutil.rmtree(notes)
    notes.mkdir()

    text = kb(environment, "mcp", "inspect", "--no-daemon", "--write").stdout

    assert text.count("not called: no file is indexed yet") == 2
    assert text.count("not called: it writes") == 1


def test_without_a_configuration_it_serves_and_works_once_there_is_one(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """A tool says what the user has to do, and answers after that without a new start; inspect is an error at once."""
    later = environment["KB_CONFIG"]
    home = tmp_path / "home"
    home.mkdir()
    bare = {**environment, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home)}
    bare["KB_CONFIG"] = str(tmp_path / "later.toml")

    async def run() -> tuple[Answered, Answered]:
        async with agent(bare, "--no-daemon") as client:
            before = answered(await client.call_tool("search", {"question": _QUESTION}))
            shutil.copy(later, bare["KB_CONFIG"])
            return before, await found(client)

    refused = kb(bare, "mcp", "inspect")
    closed = subprocess.run(
        [sys.executable, "-P", "-m", "kb", "mcp"],
        env=bare, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    before, after = anyio.run(run)

    assert refused.returncode == 2
    assert (closed.returncode, closed.stdout) == (0, "")
    assert "Each call of a tool looks again" in closed.stderr
    assert before.failed
    assert "The user can help" in before.text
    assert after.data["found"]
