"""The command ``kb completion``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from kb.cli.command import command

if TYPE_CHECKING:
    from kb.cli.session import Session

SHELLS: Final = ("bash", "zsh", "fish")


@command(short_help="Print a shell completion script.", local=True)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a completion script for SHELL. To enable it: eval "$(kb completion bash)"."""
    from click.shell_completion import get_completion_class

    session: Session = context.obj
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    session.write(kind(context.find_root().command, {}, "kb", "_KB_COMPLETE").source() + "\n")
    return 0
