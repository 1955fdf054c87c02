"""``kb config``: the configuration in effect, and trust."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kb.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


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


def test_config_of_a_home_that_is_not_there_is_not_a_file(command: CommandLine) -> None:
    """The name of a user whom this machine does not know is no fault of kb."""
    code, _, err = command("config", "--trust", "~nobody-here/notes")

    assert code == 2
    assert "~nobody-here/notes is not a file" in err


@pytest.mark.usefixtures("here")
def test_config_needs_no_store_and_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """What is in effect can be seen before anything is set up; flags are an origin too."""
    assert run(["-s", "search.limit=3", "--offline", "--store", "/s", "config"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# no configuration file; defaults"
    assert [line.split()[2] for line in lines if line.endswith("# command line")] == ["true", '"/s"', "3"]
