"""The command ``kb chat``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.chat import Conversation, lines_of, model_of
from kb.cli.command import command
from kb.cli.commands.open import open_hit
from kb.errors import KbError

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Ask one question after the other.", local=True)
@click.pass_context
def chat(context: click.Context) -> int:
    """Ask one question after the other; a follow-up is understood by what was said before.

    /help lists the commands. Piped, each line is a question. What you type is kept in your own state folder, for the
    arrow keys.
    """
    from kb.knowledge_base import KnowledgeBase

    session: Session = context.obj
    settings = session.settings()
    if settings.config.answer.model:
        where = settings.config.answer.endpoint or "this machine"
        session.notice(f"questions and passages of your files go to {settings.config.answer.model} at {where}")
    with KnowledgeBase.open(settings, warn=session.notice) as kb:

        def open_source(number: int) -> None:
            context.invoke(open_hit, target=str(number))

        conversation = Conversation(kb, session, open_source, model_of(settings))
        try:
            for line in lines_of(session):
                if not conversation.line(line):
                    break
        except ImportError as error:
            raise KbError("kb chat needs prompt_toolkit", "Install it: pip install 'localkb[answer]'") from error
    return 0
