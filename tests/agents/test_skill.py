"""The skill: its format, its size, its commands, and where it is written."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from kb.agents.skill import is_own, remove_skill, skill_file, skill_text, usual_agents, write_skill
from kb.cli import commands
from kb.cli.session import Session
from kb.embedding.tokens import ModelTokens
from kb.errors import ClientError

if TYPE_CHECKING:
    from pathlib import Path

    from kb.embedding.spec import Located

BLOCKS = re.findall(r"^```sh\n(.*?)^```", skill_text(), re.DOTALL | re.MULTILINE)
LINES = [line for block in BLOCKS for line in re.findall(r"^kb [^|\n]*", block, re.MULTILINE)]


def test_the_front_matter_is_what_agents_read(tmp_path: Path) -> None:
    """A name like that of its folder, and a description within the limit of the specification."""
    front = yaml.safe_load(skill_text().split("---\n")[1])

    assert front["name"] == skill_file("claude", tmp_path).parent.name == "kb"
    assert 100 < len(front["description"]) <= 1024
    assert set(front) <= {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}


def test_it_is_short(minilm: Located) -> None:
    """An agent reads it whole: fewer than 1,200 tokens."""
    count = len(ModelTokens(minilm.directory).tokenizer.encode(skill_text()).ids)

    assert 500 < count < 1_200


@pytest.mark.parametrize("line", LINES)
def test_each_command_is_one_that_kb_takes(line: str) -> None:
    """With all of its options."""
    words = shlex.split(line)[1:]

    assert commands.load(words[0]).make_context(words[0], words[1:], obj=Session()).params


NOTES = {
    "projects/decisions.md": (
        "---\ntags: [work]\ndate: 2026-01-15\n---\n# Decisions\n\n## Which vector store did we choose\n\n"
        "We chose ChromaDB as the vector store, since it runs in process. See [[backups]].\n"
    ),
    "projects/backups.md": "# Backups\n\nBackups run nightly to the NAS, as in [decisions](decisions.md).\n",
    "garden.md": "# Garden\n\nTomatoes need watering twice a day in July.\n",
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("jq") is None or shutil.which("bash") is None, reason="jq or bash is not installed")
def test_its_commands_say_what_it_tells(tmp_path: Path, minilm: Located, forms: Path) -> None:
    """Each block of it, run as it stands, over notes."""
    notes = tmp_path / "notes"
    for name, text in NOTES.items():
        (notes / name).parent.mkdir(parents=True, exist_ok=True)
        (notes / name).write_text(text, "utf-8")
    program = tmp_path / "bin" / "kb"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m kb "$@"\n', "utf-8")
    program.chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "KB_EMBED__MODEL": minilm.name,
        # In its ONNX form it starts in a tenth of the time that torch takes.
        "KB_MODELS": str(forms),
        "KB_FOLDERS__PATHS": f'["{notes}"]',
        "KB_STORE__PATH": str(tmp_path / "store"),
    }

    def run(command: str) -> subprocess.CompletedProcess[str]:
        words = [shutil.which("bash") or "bash", "-o", "pipefail", "-c", command]
        return subprocess.run(
            words, cwd=notes, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    assert run("kb index").returncode == 0
    done = [run(block) for block in BLOCKS]

    found, filtered, missing, fresh, read, around = done
    assert [one.stderr for one in done if "usage" in one.stderr.lower() or "jq:" in one.stderr] == []
    assert re.search(r"^0\.\d+ .*/projects/decisions\.md:\d+-9 .*Which vector store", found.stdout, re.MULTILINE)
    assert filtered.stdout.split()[0] == "1"
    assert "backups.md" in filtered.stdout
    assert missing.returncode == 1
    assert '"music"' in missing.stdout
    assert fresh.returncode == 0
    assert '"pending": 0' in fresh.stdout
    assert "# Decisions" in read.stdout
    assert "decisions.md" in around.stdout
    assert '"files": 3' in around.stdout


def test_it_is_written_once_and_removed(tmp_path: Path) -> None:
    """Its folder goes with it; other files in there stay."""
    file = skill_file("agents", tmp_path)

    assert write_skill(file) == "written"
    assert file == tmp_path / ".agents" / "skills" / "kb" / "SKILL.md"
    assert write_skill(file) == "unchanged"
    assert remove_skill(file) == "removed"
    assert not file.parent.exists()
    assert remove_skill(file) == "absent"


def test_a_skill_changed_by_the_user_stays(tmp_path: Path) -> None:
    """Unless they say otherwise; the one of an earlier kb is replaced."""
    file = skill_file("claude", tmp_path)
    write_skill(file)
    file.write_text(skill_text().replace("Ask in whole sentences", "Ask briefly"), "utf-8")

    for change in (write_skill, remove_skill):
        with pytest.raises(ClientError, match="is not as kb wrote it, and was left as it is") as raised:
            change(file)
        assert raised.value.remedy.startswith("Use --force")
    assert "Ask briefly" in file.read_text("utf-8")
    assert write_skill(file, force=True) == "updated"
    assert file.read_text("utf-8") == skill_text()


def test_kb_knows_its_own_text() -> None:
    """By the digest in it, which any change makes wrong."""
    assert is_own(skill_text())
    assert not is_own(skill_text() + "\n")
    assert not is_own("---\nname: kb\n---\n")


def test_the_usual_places_are_those_that_are_there(tmp_path: Path) -> None:
    """Else the one that agents share."""
    assert usual_agents(tmp_path) == ("agents",)
    (tmp_path / ".claude").mkdir()
    assert usual_agents(tmp_path) == ("claude",)
    (tmp_path / ".agents").mkdir()
    assert usual_agents(tmp_path) == ("claude", "agents")
