"""Runs a command in the daemon for a client, with the client's folder, environment, terminal and settings."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Final

from kb.cli.output.terminal import PIPE_ERRORS
from kb.cli.session import ClientContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from kb.config import Config
    from kb.ports import Knowledge
    from kb.records import Answer, Claim, Prompt, Reply, SearchRequest, Step
    from kb.service.server import CommandOutput, CommandRequest

# No terminal is wider; unbounded lines could exhaust the memory.
_WIDEST: Final = 10_000


class Stream(io.TextIOBase):
    """A text stream to the client's process."""

    def __init__(self, send: Callable[[str], None], encoding: str, *, tty: bool) -> None:
        super().__init__()
        self._send = send
        self._tty = tty
        try:
            "".encode(encoding)
            self._encoding = codecs.lookup(encoding).name
        except (LookupError, ValueError):
            # An unknown encoding, or not a text encoding.
            self._encoding = "utf-8"

    def write(self, text: str) -> int:
        """Send text; characters that the client's encoding lacks are replaced as on a local stream."""
        data = text.encode(self._encoding, "replace" if self._tty else PIPE_ERRORS)
        self._send(data.decode(self._encoding, "surrogateescape"))
        return len(text)

    def writable(self) -> bool:
        """Always true."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._tty


def client_context(request: CommandRequest, output: CommandOutput) -> ClientContext:
    """Return the context of the client that sent a request."""
    out, err = [*request.encoding, "utf-8", "utf-8"][:2]
    return ClientContext(
        out=Stream(output.out, out, tty=request.stdout_tty),  # type: ignore[arg-type]  # a text stream in all that is used of it
        err=Stream(output.err, err, tty=request.stderr_tty),  # type: ignore[arg-type]  # the same
        environ=request.env,
        cwd=request.cwd,
        stdin_tty=request.stdin_tty,
        stdout_tty=request.stdout_tty,
        stderr_tty=request.stderr_tty,
        columns=min(request.columns, _WIDEST),
        lines=request.lines,
        error_columns=max(0, min(request.error_columns, _WIDEST)),
        terminal=request.terminal,
        umask=request.umask,
        stdin=request.stdin,
        gone=output.stopping,
    )


class DaemonProxy:
    """The daemon's knowledge base, used by one command with its own limits. Leaving it closes nothing."""

    def __init__(self, kb: Knowledge, config: Config) -> None:
        self._defaults = config.search.defaults()
        self._answer = config.answer
        self._answer_defaults = config.answer.defaults(config.search)
        self._kb = kb
        self.index = kb.index
        self.passage = kb.passage
        self.read = kb.read
        self.show = kb.show
        self.documents = kb.documents
        self.tags = kb.tags
        self.links = kb.links
        self.broken_links = kb.broken_links
        self.resolve = kb.resolve
        self.unmatched = kb.unmatched
        self.status = kb.status
        self.check = kb.check
        self.rebuild = kb.rebuild
        self.note = kb.note
        self.backup = kb.backup
        self.export = kb.export
        self.export_vectors = kb.export_vectors
        self.import_vectors = kb.import_vectors
        self.beside = kb.beside

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Do nothing: the daemon keeps it open."""

    def search(self, request: SearchRequest, /) -> Answer:
        """Search with the command's configuration for what the request leaves open."""
        return self._kb.search(request.resolved(self._defaults))

    def ask(
        self,
        request: SearchRequest,
        /,
        *,
        model: str | None = None,
        on_step: Callable[[Step | Claim], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Reply:
        """Answer with the command's configuration for what the request leaves open."""
        name = self._answer.model if model is None else model
        return self._kb.ask(self._resolved(request), model=name, on_step=on_step, should_stop=should_stop)

    def prompt(self, request: SearchRequest, /) -> Prompt:
        """What a language model would be sent, with the command's configuration for what the request leaves open."""
        return self._kb.prompt(self._resolved(request))

    def _resolved(self, request: SearchRequest) -> SearchRequest:
        return request.resolved(self._answer_defaults)
