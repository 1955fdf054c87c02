"""The command ``kb chat``: questions, follow-ups, and commands that begin with a slash."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kb.answers.follow_up import globs_of, is_follow_up, rewritten, with_other, with_words_of
from kb.answers.language_model import open_model
from kb.cli.command import command
from kb.cli.commands.open import open_hit
from kb.cli.last_results import save_results
from kb.cli.output.notices import notices, unmatched_notices
from kb.cli.output.replies import cited, marked, reasons_text, reply_markdown, reply_notices, reply_text, sources_of
from kb.cli.output.terminal import one_line, shown_path
from kb.config.schema import ANSWER_HITS
from kb.errors import AnswerError, Cancelled, KbError, RequestError
from kb.records import Filters, Mode, SearchRequest
from kb.search.syntax import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from kb.answers.language_model import LanguageModel
    from kb.cli.session import Session
    from kb.config import Settings
    from kb.records import Answer, IndexReport, Missing, Reply, Unmatched
    from kb.search.syntax import Question

    class Answering(Protocol):
        """What a conversation needs of a knowledge base."""

        def ask(self, request: SearchRequest, /) -> Reply:
            """Answer a question."""

        def search(self, request: SearchRequest, /) -> Answer:
            """Rank passages."""

        def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]:
            """The filter values that match no file."""

        def note(self, text: str, *, title: str | None = None, tags: tuple[str, ...] = ()) -> tuple[str, IndexReport]:
            """Write a note."""


# How long a model may take to rewrite a follow-up, in seconds.
_REWRITING: Final = 30.0
_NO_HIT: Final = "its passage is no longer among the hits"
HELP: Final = """\
/sources     the quotes of the last answer, each with its source
/open N      open source N of the last answer
/why         why the sources of the last answer rank as they do
/filter ...  only some files from now on: tag:x path:docs/ type:pdf lang:de; alone, all files again
/save        keep the last answer as a note, with its sources
/quit        end (or Ctrl-D)
"""


@command(short_help="Ask questions and follow-up questions.", local=True)
@click.pass_context
def chat(context: click.Context) -> int:
    """Ask questions one by one; a follow-up is understood from what was said before.

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


class Conversation:
    """Answers lines, one after the other, and remembers the last question and the last answer.

    Args:
        kb: The knowledge base.
        session: Where answers are written.
        open_source: Opens a source of the last answer by its number.
        model: The language model that understands follow-ups; None for none.
    """

    def __init__(
        self,
        kb: Answering,
        session: Session,
        open_source: Callable[[int], None],
        model: LanguageModel | None = None,
    ) -> None:
        self._kb = kb
        self._session = session
        self._open = open_source
        self._filters = Filters()
        self._model = model
        self._turns: list[tuple[str, str]] = []
        self._question = ""
        self._files: tuple[str, ...] = ()
        self._request = SearchRequest("")
        self._reply: Reply | None = None
        self._told_missing: Missing | None = None
        self._commands: dict[str, Callable[[str], None]] = {
            "/sources": self._sources,
            "/open": self._open_source,
            "/why": self._why,
            "/filter": self._filter,
            "/save": self._save,
            "/help": self._help,
        }

    def line(self, text: str) -> bool:
        """Answer a question, or obey a command; returns False where it ends the conversation."""
        text = text.strip()
        name, _, rest = text.partition(" ")
        if name == "/quit":
            return False
        try:
            if text.startswith("/"):
                self._command(name)(rest.strip())
            elif text:
                self._ask(text)
        except (KeyboardInterrupt, Cancelled):
            self._session.notice("stopped: no answer")
        except KbError as error:
            self._session.notice(error.message)
            if error.remedy:
                self._session.hint(error.remedy)
        return True

    def _command(self, name: str) -> Callable[[str], None]:
        if name not in self._commands:
            raise RequestError(f"there is no command {one_line(name)}", "/help lists those there are")
        return self._commands[name]

    def _ask(self, question: str) -> None:
        """Answer a question; keep it for follow-ups, answered or not, and the answer for the commands."""
        first, *others = self._requests(question)
        # A follow-up goes by the question before it, not by the last one that happened to be answered.
        self._question, self._files = first.question, ()
        request, reply = first, self._answered(first)
        for other in others:
            if not reply.quotes:
                request, reply = other, self._answered(other)
        self._write(reply)
        self._turns.append((request.question, " ".join(one.text for one in marked(reply)) if reply.quotes else ""))
        if reply.quotes:
            self._request, self._reply = request, reply
            self._files = globs_of(one.hit.passage.file.path for one in sources_of(reply))

    def _requests(self, question: str) -> list[SearchRequest]:
        """Return what to ask until there is an answer.

        A follow-up is asked as the model understands it, else with the words of the question before, first of the files
        of its answer.
        """
        request = SearchRequest(question, filters=self._filters)
        if not self._question or not is_follow_up(question):
            return [request]
        if understood := self._understood(question):
            return [understood]
        if other := with_other(question, self._question):
            self._session.notice(f"understood as: {one_line(other)}")
            return [replace(request, question=other)]
        request = replace(request, question=with_words_of(question, self._question))
        if self._filters.paths or not self._files:
            return [request]
        return [replace(request, filters=replace(self._filters, paths=self._files)), request]

    def _answered(self, request: SearchRequest) -> Reply:
        """Return the answer to a request; on a terminal, say first that a model may take its time."""
        if self._model is not None and self._session.client.stderr_tty:
            self._session.notice(f"asking {self._model.name} at {self._model.host} (Ctrl-C gives up)")
        return self._kb.ask(request)

    def _understood(self, question: str) -> SearchRequest | None:
        """Return a follow-up as the model rewrites it; None without a model, or where it cannot.

        What a model writes is taken literally, so that it sets no filters; a follow-up that has some is not rewritten.
        """
        if self._model is None or self._parsed(question).text != question:
            return None
        with self._session.stoppable() as should_stop:
            asked = rewritten(question, self._turns, self._model, seconds=_REWRITING, should_stop=should_stop)
        if not asked:
            return None
        if asked != question:
            self._session.notice(f"understood as: {one_line(asked)}")
        return SearchRequest(asked, filters=self._filters, literal=True)

    def _parsed(self, text: str) -> Question:
        """Return what is typed, apart from its filters."""
        from datetime import UTC, datetime

        return parse(text, datetime.now(UTC).astimezone().date(), cwd=self._session.client.cwd)

    def _write(self, reply: Reply) -> None:
        style = self._session.style()
        if reply.quotes:
            self._session.write(reply_text(reply, style))
            save_results(self._session.client.terminal, cited(reply))
        # The hits are not shown, so it says nothing that there are more of them.
        missing = reply.answer.missing
        answer = replace(reply.answer, below=0, missing=None if missing == self._told_missing else missing)
        # What is missing is the same for most questions, and is told again where it changes.
        self._told_missing = missing or self._told_missing
        # A conversation has no options, so it shows no advice about them.
        for line in [*reply_notices(reply, style.cwd), *(one.message for one in notices(answer, style.cwd))]:
            self._session.notice(line)

    def _last(self) -> Reply:
        if self._reply is None:
            raise RequestError("there is no answer yet", "Ask a question first")
        return self._reply

    def _sources(self, _: str) -> None:
        self._session.write(reply_text(self._last(), self._session.style(), quoted=True))

    def _open_source(self, number: str) -> None:
        count = len(sources_of(self._last()))
        if not number.isdecimal() or not 1 <= int(number) <= count:
            raise RequestError(f"the last answer has {count} sources", "Write /open 1")
        self._open(int(number))

    def _why(self, _: str) -> None:
        """Search for the last question again, with explanations; no language model is asked."""
        reply, request = self._last(), self._request
        searched = replace(request, mode=Mode(reply.answer.mode), limit=ANSWER_HITS, explain=True, best_seconds=0.0)
        reasons = {hit.passage.id: hit.why for hit in self._kb.search(searched).hits}
        hits = tuple(replace(hit, why=reasons.get(hit.passage.id, _NO_HIT)) for hit in reply.answer.hits)
        explained = replace(reply, answer=replace(reply.answer, hits=hits))
        self._session.write(reasons_text(explained, self._session.style()))

    def _filter(self, text: str) -> None:
        """Set the filters of all further questions."""
        read = self._parsed(text)
        if read.text:
            raise RequestError(
                f"{one_line(read.text)} is no filter", "Write /filter tag:x, path:, type:, lang:, since: or until:"
            )
        self._filters = read.filters
        self._session.notice(f"only files with {', '.join(read.read_as.filters)}" if text else "all files")
        for line in unmatched_notices(self._kb.unmatched(read.filters)):
            self._session.notice(line)

    def _save(self, _: str) -> None:
        """Write the last answer as a note."""
        reply = self._last()
        path, _report = self._kb.note(reply_markdown(reply, ""), title=self._request.question, tags=("answer",))
        self._session.write(f"{shown_path(path, self._session.style().cwd)}\n")

    def _help(self, _: str) -> None:
        self._session.write(HELP)


def model_of(settings: Settings) -> LanguageModel | None:
    """Return the language model that understands follow-ups; None where none is configured, or it cannot be asked.

    Why it cannot, the first answer tells.
    """
    answer = settings.config.answer
    if not answer.model:
        return None
    try:
        return open_model(answer.model, answer.endpoint, offline=answer.offline, seconds=answer.seconds)
    except AnswerError:
        return None


def lines_of(session: Session) -> Iterator[str]:
    """Yield the lines of a conversation: typed ones with a history, or those of a pipe."""
    if not session.client.stdin_tty:
        yield from session.client.text().splitlines()
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory

    session.notice("/help lists the commands; Ctrl-D ends")
    commands = [line.split()[0] for line in HELP.splitlines()]
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(str(history_file())), completer=WordCompleter(commands, sentence=True)
    )
    while True:
        try:
            yield prompt.prompt("? ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def history_file() -> Path:
    """Return the file of the questions typed, made private to the user where it is not there yet."""
    import platformdirs

    file = Path(platformdirs.user_state_dir("kb", appauthor=False)) / "chat_history"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    return file
