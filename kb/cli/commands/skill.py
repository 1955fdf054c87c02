"""The command ``kb skill``: the skill that teaches an agent to ask kb from a shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kb.agents.skill import AGENTS, remove_skill, skill_file, skill_text, usual_agents, write_skill
from kb.cli.command import Command, Group
from kb.cli.options import refuse_conflicts
from kb.cli.output.terminal import one_line

if TYPE_CHECKING:
    from kb.cli.session import Session

_OUTCOMES: Final = {
    "written": "Wrote {}",
    "updated": "Updated {}",
    "unchanged": "{} is up to date",
    "removed": "Removed {}",
    "absent": "{} is not there",
}


@click.group(cls=Group, local=True, invoke_without_command=True, short_help="Teach agents to ask kb from a shell.")
@click.pass_context
def skill(context: click.Context) -> None:
    """Print a SKILL.md that teaches an agent when and how to ask kb from a shell; kb skill install writes it."""
    if context.invoked_subcommand is None:
        session: Session = context.obj
        session.write(skill_text())


@skill.command(cls=Command, short_help="Write the skill where agents look for it.")
@click.argument("agent", required=False, type=click.Choice(AGENTS), metavar="[claude|agents]")
@click.option("--print", "prints", is_flag=True, help="Show where it would be written; change nothing.")
@click.option("--remove", is_flag=True, help="Delete it again.")
@click.option("--force", is_flag=True, help="Replace or delete one that was changed, too.")
@click.pass_obj
def install(session: Session, *, agent: str | None, prints: bool, remove: bool, force: bool) -> int:
    """Write the skill for Claude Code (claude: ~/.claude/skills) or for other agents (agents: ~/.agents/skills).

    Without a name, it is written for each of the two whose folder is there, else for agents.
    """
    refuse_conflicts({"--print": prints, "--remove": remove})
    home = Path.home()
    agents = (agent,) if agent else AGENTS if remove else usual_agents(home)
    files = [skill_file(one, home) for one in agents]
    if remove and not agent:
        files = [file for file in files if file.exists()] or files[-1:]
    for file in files:
        if prints:
            session.say(f"{one_line(str(file))}\n")
            continue
        outcome = remove_skill(file, force=force) if remove else write_skill(file, force=force)
        session.say(f"{_OUTCOMES[outcome].format(one_line(str(file)))}\n")
    return 0
