"""The command ``kb mcp``: kb for agents, by the Model Context Protocol."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import click

from kb.cli.background_daemon import started_daemon
from kb.cli.command import Command, Group
from kb.cli.mcp_install import install
from kb.cli.options import json_option
from kb.cli.output.terminal import one_line, sanitize
from kb.errors import KbError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from kb.cli.session import Session
    from kb.config import Settings
    from kb.mcp.inspection import Inspected
    from kb.mcp.sources import ConfiguredSource, DaemonSource, OwnSource
    from kb.ports import Knowledge

# The exit code by which shells report a signal is this plus its number.
_BY_SIGNAL: Final = 128
# How long kb mcp inspect waits for a model that is loaded, and files that are indexed; agents would ask again.
_INSPECT_SECONDS: Final = 600.0
write_option = click.option("--write", is_flag=True, help="Offer the tool that writes notes, too.")
no_daemon_option = click.option(
    "--no-daemon", "alone", is_flag=True, help="Open the store in this process, instead of asking kb watch."
)


@click.group(
    cls=Group, local=True, invoke_without_command=True, short_help="Answer agents, over the Model Context Protocol."
)
@write_option
@no_daemon_option
@click.pass_context
def mcp(ctx: click.Context, *, write: bool, alone: bool) -> int:
    """Answer agents such as Claude Code, Codex and Cursor, over the Model Context Protocol.

    Without a command, it serves one client on standard input and output. It asks the running kb watch, and starts one
    in the background where none runs. Agents can search, read and list the files of the index, and change nothing
    unless --write is given.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    session: Session = ctx.obj
    _require_extra()
    with _source(session, alone=alone) as source, _log():
        from kb.mcp.server import serve_stdio

        try:
            source.source()
        except KbError as error:
            session.notice(f"{error}. Each call of a tool looks again")
        _end_on_signals(source)
        serve_stdio(source, write=write)
    return 0


@mcp.command(cls=Command, short_help="Show what agents see, and what it costs them.")
@write_option
@no_daemon_option
@json_option
@click.pass_obj
def inspect(session: Session, *, write: bool, alone: bool, as_json: bool) -> int:
    """Show each tool, its tokens and annotations, and a sample answer from your own files."""
    _require_extra()
    with _source(session, alone=alone, seconds=_INSPECT_SECONDS) as source:
        source.source()
        from kb.mcp.inspection import inspect as inspected
        from kb.mcp.inspection import listing_tokens
        from kb.mcp.tokens import HOW

        tools = inspected(source, write=write)
    whole = listing_tokens(write=write)
    if as_json:
        session.write_json({"tokens": whole, "counted": HOW, "tools": [asdict(one) for one in tools]})
        return 0
    session.write("\n".join(_text(one) for one in tools))
    session.write(f"\n{len(tools)} tools, {whole:,} tokens in all, which a client sends with every conversation\n")
    session.write(f"Tokens are {HOW}.\n")
    return 0


mcp.add_command(install)


def _text(one: Inspected) -> str:
    marks = ", ".join(f"{name} {str(value).lower()}" for name, value in one.annotations.items())
    lines = [f"{one.name}  {one.tokens} tokens", f"    {one.description}", f"    {marks}"]
    if one.arguments is None:
        reads = one.annotations.get("readOnlyHint")
        lines.append(f"    not called: {'no file is indexed yet' if reads else 'it writes'}")
    else:
        given = ", ".join(f"{name}={one_line(str(value))}" for name, value in one.arguments.items())
        size = f"{one.text_tokens:,} tokens as text, {one.structured_tokens:,} as JSON"
        lines.append(f"    {one.name}({given}) {'failed' if one.failed else 'returned'} {size}:")
        lines += [f"    | {sanitize(line)}".rstrip() for line in one.text.split("\n")]
    return "\n".join(lines) + "\n"


def _require_extra() -> None:
    """Check that the SDK is installed.

    Raises:
        KbError: It is not.
    """
    if find_spec("mcp") is None:
        raise KbError(
            "the Model Context Protocol needs the extra mcp, which is not installed",
            "Run pip install 'localkb[mcp]', or with uv: uv tool install 'localkb[mcp]'",
        )


@contextmanager
def _source(session: Session, *, alone: bool, seconds: float | None = None) -> Iterator[ConfiguredSource]:
    """Where the tools get their knowledge from; ``seconds`` is how long a call waits, None for as long as agents do."""
    from kb.mcp.sources import ConfiguredSource

    def made() -> DaemonSource | OwnSource:
        found = _made(session, alone=alone)
        found.seconds = found.seconds if seconds is None else seconds
        return found

    source = ConfiguredSource(made)
    try:
        yield source
    finally:
        source.close()


def _made(session: Session, *, alone: bool) -> DaemonSource | OwnSource:
    """Make the source from the configuration.

    Raises:
        ConfigError: There is no configuration, it names no folder, or it has a mistake.
    """
    from kb.mcp.sources import DaemonSource, OwnSource

    settings = session.settings_with_folders()
    if alone:
        return OwnSource(settings, lambda settings: _opened(session, settings))
    from kb.api.client import DaemonClient

    return DaemonSource(settings, DaemonClient(settings), lambda settings: started_daemon(session, settings))


def _opened(session: Session, settings: Settings) -> Knowledge:
    """Open the store in this process for calls from several threads."""
    from kb.app import LocalKnowledgeBase

    kb = LocalKnowledgeBase.open(settings, warn=session.notice)
    try:
        kb.own()
    except BaseException:
        kb.close()
        raise
    return kb


def _end_on_signals(source: ConfiguredSource) -> None:
    """End at Ctrl-C and SIGTERM, with the store closed: the thread that reads standard input cannot be woken up."""

    def end(number: int, _frame: FrameType | None) -> None:
        try:
            source.close()
        finally:
            os._exit(_BY_SIGNAL + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


@contextmanager
def _log() -> Iterator[None]:
    """Write warnings to standard error, which clients keep; standard output is for the protocol alone."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
