"""Whether kb answers a client: started as the client starts it, asked by the official client of the protocol."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kb.agents.check import ask, bare_environment
from kb.agents.clients import Launch
from kb.errors import ClientError

mcp = pytest.importorskip("mcp", reason="the MCP library is not installed: pip install 'localkb[mcp]'")
server = pytest.importorskip("server").server
LAUNCH = Launch((sys.executable, str(Path(__file__).with_name("server.py"))), {"KB_MODELS": "/models"})


def test_the_environment_is_what_clients_give() -> None:
    """No variable of kb, and a PATH without the folders of the user."""
    environ = {"PATH": "/home/me/bin:/usr/bin", "HOME": "/other", "KB_CONFIG": "/c.toml", "USER": "me", "A": "1"}

    assert bare_environment("/home/me", environ, windows=False) == {
        "HOME": "/home/me",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "USER": "me",
    }
    assert bare_environment("/home/me", environ, windows=True) == {"PATH": "/home/me/bin:/usr/bin"}


def test_a_server_is_asked_for_its_status_and_a_title_of_the_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it has indexed; in an environment without this one's variables, and with those of its configuration."""
    monkeypatch.setenv("KB_CONFIG", "/elsewhere")

    reply = ask(LAUNCH, bare_environment(str(tmp_path), {}), str(tmp_path))

    assert replace(reply, seconds=0) == type(reply)(1_204, ("status", "list", "search"), 1, 0)
    assert 0 < reply.seconds < 30


def test_a_server_that_ends_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    """What it wrote on standard error says why."""
    launch = Launch((sys.executable, "-c", "raise SystemExit('no configuration was found')"), {})

    with pytest.raises(ClientError, match=r"kb did not answer .*: no configuration was found$"):
        ask(launch, bare_environment(str(tmp_path), {}), str(tmp_path))


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """As after the environment of kb was removed."""
    with pytest.raises(ClientError, match=re.escape("kb did not answer")):
        ask(Launch((str(tmp_path / "kb"), "mcp"), {}), bare_environment(str(tmp_path), {}), str(tmp_path))


def test_an_error_of_a_tool_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the words of the tool."""
    # In this process, as another one takes a second to start.
    client = mcp.Client
    monkeypatch.setattr("mcp.Client", lambda _: client(server))
    monkeypatch.setattr("mcp.stdio_client", lambda *_, **__: None)
    monkeypatch.setenv("KB_MODELS", "/broken")

    with pytest.raises(ClientError, match=r"search failed: .*the store is damaged"):
        ask(LAUNCH, bare_environment(str(tmp_path), {}), str(tmp_path))
