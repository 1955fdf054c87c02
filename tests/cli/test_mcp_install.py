"""kb mcp install: what is said, and what is written for which configuration."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

from kb.agents import check
from kb.agents.check import Reply
from kb.agents.clients import CLIENTS, Launch
from kb.cli.main import run
from kb.errors import ClientError

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

    from kb.embedding.spec import Located

pytest_plugins = ["command_line"]


@pytest.fixture
def config(here: Path) -> Path:
    """A configuration with a space in its path, and Cursor."""
    file = here / "my notes.toml"
    file.write_text(f'[folders]\npaths = ["{here}"]\n', "utf-8")
    (here.parent / "home" / ".cursor").mkdir()
    return file


def kb(capsys: pytest.CaptureFixture[str], config: Path, *args: str) -> tuple[int, str, str]:
    """Run kb mcp install with a configuration; its exit code and what it wrote."""
    code = run(["--config", str(config), "mcp", "install", *args])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def answers(launch: Launch, environ: object, cwd: str) -> Reply:
    """An answer, as if kb had been started."""
    del launch, environ, cwd
    return Reply(1_204, ("search", "read", "list", "links", "status", "note"), 3, 0.31)


def test_clients_on_this_machine_are_listed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are here, and whether they have kb; broken files too."""
    home = config.parents[1] / "home"
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text("[mcp_servers.kb]\ncommand = 'kb'\n", "utf-8")
    (home / ".cursor" / "mcp.json").write_text("{", "utf-8")

    code, out, _ = kb(capsys, config)

    codex, cursor = out.splitlines()
    assert code == 0
    assert codex.split()[:3] == ["codex", "has", "kb"]
    assert cursor.startswith("cursor ")
    assert "cannot be changed" in cursor


def test_no_client_at_all_is_said(command: CommandLine, here: Path) -> None:
    """With the names of those that kb knows."""
    assert here.is_dir()
    code, out, _ = command("mcp", "install")

    assert (code, out) == (0, f"None of the known clients was found here: {', '.join(one.name for one in CLIENTS)}\n")


def test_kb_is_installed_for_the_configuration_in_effect(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry works from any folder; the command ends with what kb answered."""
    monkeypatch.setattr(check, "ask", answers)
    monkeypatch.setenv("KB_EMBED__MODEL", "all-MiniLM-L6-v2")
    file = config.parents[1] / "home" / ".cursor" / "mcp.json"

    code, out, _ = kb(capsys, config, "cursor", "--write")

    entry = json.loads(file.read_text("utf-8"))["mcpServers"]["kb"]
    assert code == 0
    assert out.splitlines() == [
        f"Added kb to Cursor: {file}",
        "kb answers Cursor: 1,204 files, 6 tools, search took 0.3 s",
        "Next: Switch kb on in Cursor's settings, under MCP",
    ]
    assert entry["args"][-4:] == ["--config", str(config), "mcp", "--write"]
    assert entry["command"].startswith("/")
    assert entry["env"] == {"KB_EMBED__MODEL": "all-MiniLM-L6-v2"}
    assert kb(capsys, config, "cursor", "--write")[1].startswith("Cursor has kb already, and nothing was changed")
    assert kb(capsys, config, "cursor", "--remove")[:2] == (0, f"Removed kb from Cursor: {file}\n")
    assert not file.exists()


def test_print_changes_nothing(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The entry alone is on standard output, and where it would go on standard error."""
    code, out, err = kb(capsys, config, "zed", "--print")

    entry = json.loads(out)["context_servers"]["kb"]
    assert code == 0
    assert entry["args"][-1] == "mcp"
    assert err.startswith("kb: would go into ")
    assert not (config.parents[1] / "home" / "config" / "zed").exists()


def test_print_without_a_client_lists_the_clients(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As without --print: nothing is changed by either."""
    code, out, err = kb(capsys, config, "--print")

    assert (code, out, err) == kb(capsys, config)
    assert "cursor " in out


def test_where_kb_does_not_answer_the_configuration_stays(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, how to see more, how to undo it, and exit code 2."""

    def fails(*_args: object) -> Reply:
        raise ClientError("kb did not answer (Connection closed): no such model")

    monkeypatch.setattr(check, "ask", fails)

    code, out, err = kb(capsys, config, "lmstudio")

    assert code == 2
    assert out.startswith("Added kb to LM Studio: ")
    assert "LM Studio was not found on this machine" in err
    assert "LM Studio has kb in its configuration now, but kb did not answer (Connection closed): no such model" in err
    assert err.endswith("mcp; kb mcp install lmstudio --remove takes it out\n")


@pytest.mark.parametrize("args", [("--write",), ("cursor", "--write", "--remove"), ("cursor", "--print", "--remove")])
def test_options_that_make_no_sense_together_are_refused(
    args: tuple[str, ...], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""
    assert kb(capsys, config, *args)[0] == 2
    assert list((config.parents[1] / "home" / ".cursor").iterdir()) == []


def test_without_a_configuration_nothing_is_installed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The way to make one is told."""
    assert here.is_dir()
    code = run(["mcp", "install", "cursor"])

    assert code == 2
    assert "no configuration file for kb to start with. " in capsys.readouterr().err.replace("\n    ", ". ")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kb_itself_answers_as_the_client_starts_it(
    here: Path, onnx_minilm: Located, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real server, started with the configuration that was just written, over real notes."""
    pytest.importorskip("mcp", reason="the MCP library is not installed: pip install 'localkb[mcp]'")
    notes = here / "notes"
    notes.mkdir()
    (notes / "garden.md").write_text("# Garden\n\nTomatoes need watering twice a day in July.\n", "utf-8")
    config = here / "config.toml"
    config.write_text(
        f'[folders]\npaths = ["{notes}"]\n[store]\npath = "{here / "store"}"\n'
        f'[embed]\nmodel = "{onnx_minilm.name}"\noffline = true\n',
        "utf-8",
    )
    try:
        code, out, err = kb(capsys, config, "vscode")
    finally:
        run(["--config", str(config), "watch", "--stop"])

    assert code == 0, err
    # A busy machine may not have looked over the folder yet.
    assert re.search(r"kb answers VS Code: \d files?( so far, more are being indexed)?, 5 tools, search took ", out)
    assert sys.executable.rpartition("/")[0] in (here.parent / "home/config/Code/User/mcp.json").read_text("utf-8")
