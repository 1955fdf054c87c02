"""``kb init``: what it writes, where, and what it refuses."""

from __future__ import annotations

import os
import shlex
import tomllib
from typing import TYPE_CHECKING

import pytest
from plain_user import bound_by_rights

from kb.cli.main import run
from kb.config import load

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


def written(file: Path) -> dict[str, dict[str, object]]:
    """The values of a configuration."""
    return tomllib.loads(file.read_text("utf-8"))


def test_init_takes_the_current_folder(command: CommandLine, here: Path) -> None:
    """Without a word the current folder is indexed, and what comes next is said."""
    code, out, err = command("init", "--here")

    assert (code, err) == (0, "")
    assert written(here / "config.toml")["folders"]["paths"] == ["."]
    assert out.startswith(f"Wrote {here}/config.toml for {here}\n")
    assert "downloads BAAI/bge-m3" in out
    assert out.endswith('Next: kb index, then kb "your question"\n')


def test_init_names_a_folder_below_relative_and_another_absolute(
    command: CommandLine, here: Path, tmp_path: Path
) -> None:
    """Configuration and notes can move together; notes elsewhere are named where they are."""
    (here / "notes").mkdir()
    (tmp_path / "elsewhere").mkdir()

    command("init", "--here", "notes")
    assert written(here / "config.toml")["folders"]["paths"] == ["notes"]
    assert (
        command("init", "--here", "../elsewhere", "--force", "--model", "all-MiniLM-L6-v2")[1].count("downloads") == 0
    )
    assert written(here / "config.toml")["folders"]["paths"] == [str(tmp_path / "elsewhere")]
    assert written(here / "config.toml")["embed"]["model"] == "all-MiniLM-L6-v2"


@pytest.mark.usefixtures("here")
def test_init_tells_of_no_download_where_the_environment_names_another_model(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in KB_EMBED__MODEL goes before the file, so bge-m3 is not fetched."""
    monkeypatch.setenv("KB_EMBED__MODEL", "all-MiniLM-L6-v2")

    assert "downloads" not in command("init")[1]


@pytest.mark.usefixtures("here")
def test_init_for_the_user_keeps_the_store_among_the_users_data(command: CommandLine, tmp_path: Path) -> None:
    """The user's own configuration holds from anywhere, so nothing in it is relative."""
    assert command("init", "--user")[0] == 0

    values = written(tmp_path / "home" / "config" / "kb" / "config.toml")
    assert values["folders"]["paths"] == [str(tmp_path / "here")]
    assert values["store"]["path"] == str(tmp_path / "home" / "data" / "kb" / "store")


def test_init_writes_where_it_is_told(command: CommandLine, here: Path) -> None:
    """``--config`` names the file to write too."""
    assert command("--config", "my.toml", "init")[0] == 0
    assert written(here / "my.toml")["folders"]["paths"] == ["."]


def test_init_overwrites_only_by_force(command: CommandLine, here: Path) -> None:
    """A configuration is somebody's work."""
    (here / "config.toml").write_text("[note]\n")

    code, _, err = command("init", "--here", "--model", "x", "/etc")
    assert (code, (here / "config.toml").read_text()) == (2, "[note]\n")
    assert (
        "already exists\n    To add /etc: kb init --add --here /etc; to replace the file and lose its settings: " in err
    )
    assert "settings: kb init --force --here --model x /etc" in err
    assert command("init", "--here", "--force")[0] == 0
    assert [path.name for path in here.iterdir()] == ["config.toml"]


def test_init_leaves_the_file_of_another_program(command: CommandLine, here: Path) -> None:
    """By force too, unless the file is named."""
    (here / "config.toml").write_text("[server]\n")

    for force in ([], ["--force"]):
        code, _, err = command("init", "--here", *force)
        assert (code, (here / "config.toml").read_text()) == (2, "[server]\n")
        assert "belongs to another program\n    Make your own configuration with kb init FOLDER" in err
    assert "the config.toml here is of another program" in _refused(capture=command.capture)
    assert command("--config", "config.toml", "init")[0] == 2
    assert command("--config", "config.toml", "init", "--force")[0] == 0


def _refused(capture: pytest.CaptureFixture[str]) -> str:
    """What a command without a configuration says."""
    assert run(["list"]) == 2
    return capture.readouterr().err


def test_init_says_what_goes_without_the_large_model_as_it_is_to_be_typed(command: CommandLine, here: Path) -> None:
    """The folder and the place are the same when it is."""
    (here / "my notes").mkdir()

    for words in (["--user"], ["--here"]):
        lines = command("init", *words, "my notes")[1].splitlines()
        told = next(line.removesuffix(" avoids that.") for line in lines if line.endswith(" avoids that."))
        assert command(*shlex.split(told)[1:])[:2] == (0, "\n".join([lines[0], lines[-1], ""]))
    assert written(here / "config.toml")["folders"]["paths"] == ["my notes"]


def test_init_tells_that_the_file_of_the_folder_goes_before_the_users(command: CommandLine, here: Path) -> None:
    """As in a clone of kb itself."""
    assert command("init")[2] == ""

    (here / "config.toml").write_text("[folders]\n")
    assert command("init", "--user", "--force")[2] == f"kb: in this folder, {here / 'config.toml'} takes precedence\n"


def test_init_refuses_what_is_no_folder_of_notes(command: CommandLine, here: Path, tmp_path: Path) -> None:
    """The root, a home, what homes are in, a file and nothing at all are refused, and nothing is written."""
    (here / "file").touch()
    home = tmp_path / "home"

    for folder in ("/", str(home), str(tmp_path), "~", "file", "gone"):
        code, out, err = command("init", "--here", folder)
        assert (code, out, (here / "config.toml").exists()) == (2, "", False), folder
        assert "    Name a folder" in err
    assert command("init", str(home), "--force")[0] == 0


def test_init_tells_that_another_configuration_goes_first(
    command: CommandLine, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that would not be read is never written in silence."""
    monkeypatch.setenv("KB_CONFIG", str(here / "other.toml"))

    assert "$KB_CONFIG names another" in command("init")[2]


@bound_by_rights
def test_init_in_a_folder_that_cannot_be_written(command: CommandLine, here: Path) -> None:
    """The system's refusal is one sentence."""
    here.chmod(0o500)

    assert "cannot be written: permission denied" in command("init", "--here")[2]


def test_init_makes_the_users_own_configuration(command: CommandLine, here: Path, tmp_path: Path) -> None:
    """A question from any folder is answered, also from the folder itself."""
    (tmp_path / "notes").mkdir()

    assert command("init", "../notes")[::2] == (0, "")

    assert not (here / "config.toml").exists()
    for folder in (here, tmp_path / "notes", tmp_path):
        assert load(environ={}, cwd=str(folder)).folder_paths() == (str(tmp_path / "notes"),)


def test_init_tells_where_what_it_wrote_does_not_hold(command: CommandLine, here: Path, tmp_path: Path) -> None:
    """Whoever asks from the folder finds none there, or another one."""
    (tmp_path / "notes").mkdir()

    assert f"not in {tmp_path}/notes; kb init" in command("init", "--here", "../notes")[2]
    assert load(environ=os.environ, cwd=str(here)).folder_paths() == (str(tmp_path / "notes"),)
    (here / "config.toml").unlink()
    (tmp_path / "notes" / "config.toml").write_text("[folders]\n")
    assert f"in {tmp_path}/notes, {tmp_path}/notes/config.toml takes precedence" in command("init", "../notes")[2]


@pytest.mark.usefixtures("here")
def test_init_adds_a_folder_and_changes_nothing_else(command: CommandLine, tmp_path: Path) -> None:
    """The error names the command that does it."""
    for name in ("deep/one", "two words"):
        (tmp_path / name).mkdir(parents=True)
    assert command("init", str(tmp_path / "deep" / "one"))[0] == 0
    own = tmp_path / "home" / "config" / "kb" / "config.toml"
    before = own.read_text("utf-8")

    err = command("init", str(tmp_path / "two words"))[2]
    told = err.partition("two words: ")[2].partition(";")[0]
    assert told == f"kb init --add '{tmp_path}/two words'"
    assert command(*shlex.split(told)[1:])[:2] == (0, f"Added {tmp_path}/two words to {own}\nNext: kb index\n")

    assert own.read_text("utf-8") == before.replace('/one"]', f'/one", "{tmp_path}/two words"]')
    assert "already" in command(*shlex.split(told)[1:])[1]
    (tmp_path / "deep" / "one" / "below").mkdir()
    assert "as part of" in command("init", "--add", str(tmp_path / "deep" / "one" / "below"))[2]
    assert "which is already indexed" in command("init", "--add", str(tmp_path / "deep"))[2]
    assert "no configuration" in command("init", "--here", "--add", "../deep")[2]


@pytest.mark.usefixtures("here")
def test_init_takes_several_folders(command: CommandLine, tmp_path: Path) -> None:
    """Each once; where one is part of another nothing is written. More are added beside those that are there."""
    a, b, c, inner = (str(tmp_path / name) for name in ("a", "b b", "c", "a/inner"))
    for name in ("b b", "c", "a/inner"):
        (tmp_path / name).mkdir(parents=True)
    own = tmp_path / "home" / "config" / "kb" / "config.toml"

    status, _, err = command("init", inner, b, a)
    assert (status, f"{inner} is part of {a}" in err, f"Name {a} alone" in err) == (2, True, True)
    assert not own.exists()

    assert command("init", a, b, f"{b}/")[1].startswith(f"Wrote {own} for {a}, {b}\n")
    assert load(environ=os.environ, cwd="/").folder_paths() == (a, b)
    assert command("init", a, b)[2] == (
        f"kb: {own} already has {a}, {b}\n"
        f"    To index it: kb index; to replace the file and lose its settings: kb init --force {a} '{b}'\n"
    )
    assert f"    To add {c}: kb init --add {a} {c}; to replace" in command("init", a, c)[2]

    assert command("init", "--add", b, c)[1].startswith(f"{own} already has {b}\nAdded {c} to {own}\n")
    assert "as part of" in command("init", "--add", c, inner)[2]
    assert load(environ=os.environ, cwd="/").folder_paths() == (a, b, c)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("daemon", "told"),
    [
        ({}, "kb watch (process 7) reads it within seconds; kb sync waits until that is done"),
        ({"folders_given": True}, "Next: kb index"),
        ({"file": "/elsewhere/config.toml"}, "Next: kb index"),
        ({"file": None}, "Next: kb index"),
        (None, "Next: kb index"),
    ],
)
def test_an_added_folder_is_read_by_a_running_daemon(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daemon: dict[str, object] | None, told: str
) -> None:
    """Where it goes by this configuration, nothing is left to do; one with other folders keeps those."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    own = tmp_path / "home" / "config" / "kb" / "config.toml"
    assert command("init", str(tmp_path / "one"))[0] == 0
    asked: list[tuple[str, str]] = []

    def ask(store: str, path: str) -> dict[str, object] | None:
        asked.append((store, path))
        return None if daemon is None else {"pid": 7, "file": str(own), "folders_given": False} | daemon

    monkeypatch.setattr("kb.service.client.ask", ask)

    assert command("init", "--add", str(tmp_path / "two"))[1] == f"Added {tmp_path}/two to {own}\n{told}\n"
    assert asked == [(str(tmp_path / "home" / "data" / "kb" / "store"), "/local/settings")]


@pytest.mark.parametrize("place", [[], ["--here"], ["--config", "my.toml"]])
def test_init_says_that_a_folder_is_there_already(command: CommandLine, here: Path, place: list[str]) -> None:
    """However it is written, and whatever the environment names; adding it would do nothing."""
    (here / "notes" / "deep").mkdir(parents=True)
    (here / "papers").mkdir()
    named = place[:2] if place[:1] == ["--config"] else []

    def init(*words: str) -> str:
        return command(*named, "init", *([] if named else place), *words)[2]

    assert "already" not in init("notes")
    for words in (["notes"], [f"{here}/notes/"], ["notes", "./notes"]):
        assert f"already has {here}/notes\n    To index it: " in init(*words)
    assert "already exists\n    To add " in init("papers")
    assert f"{here}/notes/deep is already indexed as part of {here}/notes" in init("notes/deep")


def test_init_in_the_folder_that_the_configuration_is_for(
    command: CommandLine, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed twice it says so; a configuration that is wrong names no folder that could be there."""
    monkeypatch.setenv("KB_FOLDERS__PATHS", '["/elsewhere"]')
    assert command("init", "--here")[0] == 0
    code, _, err = command("init", "--here")
    assert code == 2
    assert err.startswith(f"kb: {here}/config.toml already has {here}\n    To index it: kb index; to replace the file")
    assert err.endswith(": kb init --force --here .\n")

    (here / "config.toml").write_text("[folders]\npaths = 7\n")
    (here / "papers").mkdir()
    assert "    To add" in command("init", "--here", "papers")[2]


@pytest.mark.parametrize(
    ("variable", "options", "store"),
    [
        ("", [], "home/data/kb/store"),
        ("{tmp}/elsewhere", [], "elsewhere"),
        ("own", [], "here/own"),
        ("~/own", [], "home/own"),
        ("{tmp}/elsewhere", ["-s", "store.path=other"], "here/other"),
        ("", ["--store", "../third"], "third"),
    ],
)
def test_an_added_folder_is_read_by_the_daemon_of_any_store(
    command: CommandLine,
    here: Path,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    options: list[str],
    store: str,
) -> None:
    """The environment and options name it as they do for kb watch."""
    for name in ("one", "two"):
        (here / name).mkdir()
    own = tmp_path / "home" / "config" / "kb" / "config.toml"
    assert command("init", "one")[0] == 0
    asked: list[str] = []

    def ask(store: str, _path: str) -> dict[str, object]:
        asked.append(store)
        return {"pid": 7, "file": str(own), "folders_given": False}

    monkeypatch.setattr("kb.service.client.ask", ask)
    if variable:
        monkeypatch.setenv("KB_STORE__PATH", variable.format(tmp=tmp_path))

    out = command(*options, "init", "--add", "two")[1]

    assert out.endswith("kb watch (process 7) reads it within seconds; kb sync waits until that is done\n")
    assert asked == [str(tmp_path / store)]


def test_init_adds_to_no_file_that_may_not_hold(command: CommandLine, here: Path, tmp_path: Path) -> None:
    """And what it adds for the user is trusted."""
    for name in ("private", "mine"):
        (tmp_path / name).mkdir()
    (here / "config.toml").write_text('[folders]\npaths = ["../private"]\n')
    assert "kb config --trust" in command("init", "--here", "--add", "../mine")[2]

    assert command("config", "--trust")[0] == 0
    assert command("init", "--here", "--add", "../mine")[0] == 0
    assert len(load(environ=os.environ, cwd=str(here)).folder_paths()) == 2
