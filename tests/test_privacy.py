"""What kb status --privacy tells: each thing that could send or be reached, as it is in this very process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kb import privacy
from kb.config import load
from kb.privacy import PrivacyRow, privacy_rows
from kb.records import Confinement
from kb.sandbox.confine import confinement
from kb.service.listen import listen
from kb.silence import SWITCHES

if TYPE_CHECKING:
    from command_line import CommandLine

    from kb.config import Settings

pytest_plugins = ["command_line"]


@pytest.fixture(autouse=True)
def own_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token and no daemon of whoever runs the tests."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HOME", "HF_ENDPOINT", "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def settings(tmp_path: Path, **overrides: str) -> Settings:
    """A configuration with a store in a folder of its own."""
    given = {"store.path": str(tmp_path / "store"), **{key.replace("__", "."): to for key, to in overrides.items()}}
    return load(environ={}, overrides=given)


def named(rows: list[PrivacyRow], name: str) -> PrivacyRow:
    """The one row of a name."""
    (found,) = [row for row in rows if row.name.startswith(name)]
    return found


def test_every_switch_is_told_and_off(tmp_path: Path) -> None:
    """Each library that would send something has a row, and with kb imported first all are off."""
    rows = privacy_rows(settings(tmp_path))

    for switch in SWITCHES:
        library = switch.library.partition(".")[0]
        row = named(rows, f"{library}: {switch.what}")
        assert (row.state, row.ok) == ("off", True)
        assert f"{switch.variable}={switch.value}" in row.detail
    assert named(rows, "chromadb").state == "off"


def test_a_switch_that_was_undone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes the variable behind kb's back is not told that all is well."""
    monkeypatch.setenv("HF_XET_TELEMETRY_ENABLED", "1")

    row = named(privacy_rows(settings(tmp_path)), "hf_xet")

    assert (row.state, row.ok) == ("on", False)
    assert "HF_XET_TELEMETRY_ENABLED=0" in row.detail


def test_fetching_is_told_with_where_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a model may be fetched, from which hub, and whether the user's token goes along."""
    allowed = privacy_rows(settings(tmp_path))
    off = privacy_rows(settings(tmp_path, embed__offline="true"))
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example.org")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    elsewhere = privacy_rows(settings(tmp_path))
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    without = privacy_rows(settings(tmp_path))

    assert (named(allowed, "fetching").state, named(off, "fetching").state) == ("allowed", "off")
    assert "https://huggingface.co" in named(allowed, "fetching").detail
    assert "https://mirror.example.org" in named(elsewhere, "fetching").detail
    assert named(elsewhere, "hub token") == PrivacyRow(
        "hub token", "sent", True, "$HF_TOKEN goes with each request of a fetch"
    )
    assert [row for rows in (allowed, off, without) for row in rows if row.name == "hub token"] == []


def test_a_token_that_is_kept_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token that "hf auth login" leaves on the disk counts like one in the environment; it is never shown."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "token").write_text("hf_secret")

    row = named(privacy_rows(settings(tmp_path)), "hub token")

    assert row.detail.startswith(str(tmp_path / "token"))
    assert "hf_secret" not in row.detail


def test_the_socket_and_who_may_connect(tmp_path: Path) -> None:
    """No daemon, one that listens for this user alone, and one whose socket somebody has opened to others."""
    given = settings(tmp_path)
    nobody = named(privacy_rows(given), "daemon socket")
    listening = listen(given.store_path(), os.environ)
    try:
        private = named(privacy_rows(given), "daemon socket")
        Path(listening.address).chmod(0o666)
        opened = named(privacy_rows(given), "daemon socket")
    finally:
        listening.socket.close()
        listening.remove()

    assert (nobody.state, nobody.ok) == ("none", True)
    assert (private.state, private.ok) == ("private", True)
    assert private.detail == f"{listening.address} (mode 0600, folder 0700)"
    assert (opened.state, opened.ok) == ("open to others", False)
    assert f"chmod 600 {listening.address}" in opened.detail


def test_the_sandbox_and_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds for parsers of documents here, what this system lacks, and where they are not shut in at all."""
    given = settings(tmp_path)
    monkeypatch.setattr(privacy, "confinement", lambda: Confinement(3, ("files", "system calls"), ("tcp", "threads")))
    old_kernel = named(privacy_rows(given), "sandbox")
    monkeypatch.setattr(privacy, "confinement", lambda: Confinement(0, ("cpu",), ("files", "system calls")))
    none = named(privacy_rows(given), "sandbox")
    monkeypatch.undo()
    here = named(privacy_rows(given), "sandbox")

    assert (old_kernel.state, old_kernel.ok) == ("in force", True)
    assert old_kernel.detail == "files, system calls; not offered by this system: tcp, threads"
    assert (none.state, none.ok) == ("incomplete", False)
    assert here.ok == ("system calls" in confinement().in_force)


def test_the_command_tells_it(command: CommandLine) -> None:
    """As lines with the process, or as one JSON object; not together with the problems."""
    code, text, _ = command("status", "--privacy")
    told = json.loads(command("status", "--privacy", "--json")[1])

    assert code == 0
    assert text.splitlines()[0] == f"this command, process {os.getpid()}:"
    assert (told["process"], told["daemon"]) == (os.getpid(), False)
    assert [row["name"] for row in told["rows"]] == [line[2:].split("  ")[0] for line in text.splitlines()[1:]]
    assert command("status", "--privacy", "--problems")[0] == 2
    assert command.kb.asked == []


def test_the_language_model_is_told(tmp_path: Path) -> None:
    """That there is none, that it is here, or where questions and passages go."""
    none = named(privacy_rows(settings(tmp_path)), "language model")
    here = named(privacy_rows(settings(tmp_path, answer__model="small")), "language model")
    there = settings(tmp_path, answer__model="big", answer__endpoint="llm.example.com", answer__offline="false")
    elsewhere = named(privacy_rows(there), "language model")

    assert (none.state, here.state, elsewhere.state) == ("none", "local", "allowed")
    assert "big at llm.example.com" in elsewhere.detail


@pytest.mark.parametrize(
    ("given", "state", "well"),
    [
        ({}, "here", True),
        ({"store__chroma": "http://127.0.0.1:8000"}, "local server", True),
        ({"store__chroma": "https://host:8000"}, "sent", True),
        ({"store__chroma": "http://192.0.2.1:8000", "store__unencrypted": "true"}, "sent in clear", False),
    ],
)
def test_where_the_vectors_go_is_told(tmp_path: Path, given: dict[str, str], state: str, well: bool) -> None:
    """With the address, and what goes there."""
    (row,) = (one for one in privacy_rows(settings(tmp_path, **given)) if one.name == "vectors")

    assert (row.state, row.ok) == (state, well)
    if given:
        assert given["store__chroma"] in row.detail
        assert "paths and headings" in row.detail
