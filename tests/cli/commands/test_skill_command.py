"""kb skill: what is printed and where it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.agents.skill import skill_text

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_the_skill_is_printed(command: CommandLine) -> None:
    """Without configuration and store, whole, to be piped anywhere."""
    assert command("skill") == (0, skill_text(), "")


def test_the_skill_is_written_and_removed(command: CommandLine, here: Path) -> None:
    """What was done is said, for each place; twice does nothing."""
    home = here.parent / "home"
    claude, agents = (home / f".{name}" / "skills" / "kb" / "SKILL.md" for name in ("claude", "agents"))
    (home / ".claude").mkdir()

    assert command("skill", "install", "--print") == (0, f"{claude}\n", "")
    assert not claude.exists()
    assert command("skill", "install") == (0, f"Wrote {claude}\n", "")
    assert command("skill", "install", "agents") == (0, f"Wrote {agents}\n", "")
    assert command("skill", "install") == (0, f"{claude} is up to date\n{agents} is up to date\n", "")
    assert claude.read_text("utf-8") == agents.read_text("utf-8") == skill_text()
    assert command("skill", "install", "--remove") == (0, f"Removed {claude}\nRemoved {agents}\n", "")
    assert command("skill", "install", "--remove") == (0, f"{agents} is not there\n", "")


def test_a_changed_skill_is_replaced_only_by_force(command: CommandLine, here: Path) -> None:
    """One sentence and what to do."""
    file = here.parent / "home" / ".agents" / "skills" / "kb" / "SKILL.md"
    command("skill", "install")
    file.write_text("mine\n", "utf-8")

    code, out, err = command("skill", "install")

    assert (code, out) == (2, "")
    assert "is not as kb wrote it, and was left as it is\n    Use --force to replace it\n" in err
    assert command("skill", "install", "--force") == (0, f"Updated {file}\n", "")


def test_print_and_remove_conflict(command: CommandLine, here: Path) -> None:
    """They are two different things."""
    assert here.is_dir()
    code, _, err = command("skill", "install", "--print", "--remove")

    assert code == 2
    assert "--print conflicts with --remove" in err
