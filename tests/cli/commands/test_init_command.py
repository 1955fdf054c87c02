"""init, config and completion: what is written, what is refused, and what is shown."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

from kb.cli.config_files import too_much
from kb.cli.main import run
from kb.config import load

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    current = tmp_path / "here"
    current.mkdir()
    monkeypatch.chdir(current)
    return current


def written(file: Path) -> dict[str, dict[str, object]]:
    """The values of a configuration."""
    return tomllib.loads(file.read_text("utf-8"))


def test_init_takes_the_current_folder(command: CommandLine, here: Path) -> None:
    """Without a word the current folder is indexed, and what comes next is said."""
    code, out, err = command("init", "--here")

    assert (code, err) == (0, "")
    assert written(here / "config.toml")["folders"]["paths"] == ["."]
    assert out.startswith(f"Wrote {here}/config.toml for {here}\n")
    assert "fetches BAAI/bge-m3" in out
    assert out.endswith('Next: kb index, then kb "your question"\n')


def test_init_names_a_folder_below_relative_and_another_absolute(
    command: CommandLine, here: Path, tmp_path: Path
) -> None:
    """Configuration and notes can move together; notes elsewhere are named where they are."""
    (here / "notes").mkdir()
    (tmp_path / "elsewhere").mkdir()

    command("init", "--here", "notes")
    assert written(here / "config.toml")["folders"]["paths"] == ["notes"]
    assert command("init", "--here", "../elsewhere", "--force", "--model", "all-MiniLM-L6-v2")[1].count("fetches") == 0
    assert written(here / "config.toml")["folders"]["paths"] == [str(tmp_path / "elsewhere")]
    assert written(here / "config.toml")["embed"]["model"] == "all-MiniLM-L6-v2"


@pytest.mark.usefixtures("here")
def test_init_tells_of_no_download_where_the_environment_names_another_model(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in KB_EMBED__MODEL goes before the file, so bge-m3 is not fetched."""
    monkeypatch.setenv("KB_EMBED__MODEL", "all-MiniLM-L6-v2")

    assert "fetches" not in command("init")[1]


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_init_in_a_folder_that_cannot_be_written(command: CommandLine, here: Path) -> None:
    """The system's refusal is one sentence."""
    here.chmod(0o500)

    assert "cannot be written: Permission denied" in command("init", "--here")[2]


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

    assert f"and not in {tmp_path}/notes; kb init" in command("init", "--here", "../notes")[2]
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
    told = err.partition("to it: ")[2].partition(";")[0]
    assert told == f"kb init --add '{tmp_path}/two words'"
    assert command(*shlex.split(told)[1:])[:2] == (0, f"Added {tmp_path}/two words to {own}\nNext: kb index\n")

    assert own.read_text("utf-8") == before.replace('/one"]', f'/one", "{tmp_path}/two words"]')
    assert "already" in command(*shlex.split(told)[1:])[1]
    (tmp_path / "deep" / "one" / "below").mkdir()
    assert "as part of" in command("init", "--add", str(tmp_path / "deep" / "one" / "below"))[2]
    assert "which is already indexed" in command("init", "--add", str(tmp_path / "deep"))[2]
    assert "no configuration" in command("init", "--here", "--add", "../deep")[2]


def test_init_adds_to_no_file_that_may_not_hold(command: CommandLine, here: Path, tmp_path: Path) -> None:
    """And what it adds for the user is trusted."""
    for name in ("private", "mine"):
        (tmp_path / name).mkdir()
    (here / "config.toml").write_text('[folders]\npaths = ["../private"]\n')
    assert "kb config --trust" in command("init", "--here", "--add", "../mine")[2]

    assert command("config", "--trust")[0] == 0
    assert command("init", "--here", "--add", "../mine")[0] == 0
    assert len(load(environ=os.environ, cwd=str(here)).folder_paths()) == 2


def test_trust_by_command(command: CommandLine, here: Path, tmp_path: Path) -> None:
    """What it asks for is shown, listed, and withdrawn; as JSON too."""
    file = here / "config.toml"
    file.write_text('[folders]\npaths = ["../private"]\n')

    asked = f'  folders.paths = "../private": {tmp_path}/private\n'
    assert command("config", "--trust") == (0, f"Trusted {file} as it is now\n{asked}", "")
    assert command("config", "--trusted")[1].endswith(asked)
    [one] = json.loads(command("config", "--trusted", "--json")[1])["trusted"]
    assert (one["file"], one["state"], one["reaches"][0]["key"]) == (str(file), "trusted", "folders.paths")
    assert command("config", "--distrust", "--json")[1] == f'{{"file": "{file}", "distrusted": true}}\n'
    assert command("config", "--distrust", ".")[0] == 1
    assert command("config", "--trusted")[::2] == (0, "kb: no configuration is trusted\n")
    assert json.loads(command("config", "--trust", str(here), "--json")[1])["reaches"][0]["value"] == "../private"
    assert command("config", "--trust", "nowhere")[0] == 2
    assert command("config", "--trust", "--trusted")[0] == 2
    assert command("--config", "config.toml", "config", "--trust")[1].endswith("or was named explicitly\n")
    file.write_text("[folders]\npaths = 3\n")
    assert "expected a list" in command("config", "--trust")[2]


@pytest.mark.parametrize(
    ("folder", "home", "refused"),
    [
        ("/", "/home/a", True),
        ("/home", "/home/a", True),
        ("/home/a", "/home/a", True),
        ("/home/a/notes", "/home/a", False),
        ("/home/ab", "/home/a", False),
        ("/hom", "/home/a", False),
        ("/notes", "/", False),
    ],
)
def test_too_much_is_a_home_and_all_above(folder: str, home: str, *, refused: bool) -> None:
    """Everything that holds a whole home folder holds more than notes."""
    assert too_much(folder, home) is refused


def test_config_shows_values_and_origins(command: CommandLine) -> None:
    """Every key with its value in effect and where it came from."""
    code, out, _ = command("config")

    assert code == 0
    assert out.startswith("# /notes/config.toml\nfolders.paths")
    assert 'embed.model = "BAAI/bge-m3"' in out
    assert all(line.endswith("# default") for line in out.splitlines()[1:])


def test_config_of_one_key_is_its_value(command: CommandLine) -> None:
    """A script gets the bare value, of a section all keys, as JSON all of it."""
    assert command("config", "embed.model")[1] == "BAAI/bge-m3\n"
    assert command("config", "embed.offline")[1] == "false\n"
    assert command("config", "folders.paths")[1] == '["/notes"]\n'
    assert {line.split(".")[0] for line in command("config", "store")[1].splitlines()[1:]} == {"store"}
    assert json.loads(command("config", "--json")[1])["values"]["embed.offline"] == {
        "value": False,
        "origin": "default",
    }


def test_config_of_an_unknown_key_names_the_nearest(command: CommandLine) -> None:
    """A slip of the finger is answered with the key that was meant."""
    assert command("config", "embed.modle") == (
        2,
        "",
        "kb: no key embed.modle\n    Did you mean embed.model?\n",
    )


@pytest.mark.usefixtures("here")
def test_config_needs_no_store_and_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """What is in effect can be seen before anything is set up; flags are an origin too."""
    assert run(["-s", "search.limit=3", "--offline", "--store", "/s", "config"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# no configuration file; defaults"
    assert [line.split()[2] for line in lines if line.endswith("# command line")] == ["true", '"/s"', "3"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(command: CommandLine, shell: str) -> None:
    """The shell it is for reads it."""
    if shell == "bash" and not shutil.which("bash"):
        pytest.skip("bash is not installed, and its version is asked for")
    code, out, _ = command("completion", shell)

    assert code == 0
    assert "_KB_COMPLETE" in out
    if shutil.which(shell):
        assert subprocess.run([str(shutil.which(shell)), "-n"], input=out.encode(), check=False).returncode == 0
