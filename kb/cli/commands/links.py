"""The command ``kb links``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.file_arguments import resolve_file
from kb.cli.options import json_option
from kb.cli.output import formats
from kb.cli.output.terminal import one_line, shown_path

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.records import KnownFile, Links, ResolvedLink


@command(short_help="Show the links from and to a file.", remote=True)
@click.argument("file", required=False)
@click.option("--broken", is_flag=True, help="Show only broken links, in FILE or in all files.")
@json_option
@click.pass_obj
def links(session: Session, file: str | None, broken: bool, as_json: bool) -> int:
    """Show the links from and to a FILE, each with its line.

    FILE is a path, a file name with or without its suffix, an alias or a title; a number is a hit of the last search.

    Wikilinks, embeds and Markdown, Org and Logseq links are followed to the heading or block they name. The exit code
    is 0 with links, 1 without.
    """
    if file is None and not broken:
        raise click.UsageError("give a FILE or --broken")
    if file is None and session.server:
        raise click.UsageError("give a FILE: the server lists no broken links of all files")
    found: Links | None = None
    if file is None:
        with session.open() as kb:
            wrong = kb.broken_links()
    else:
        with session.open_to_ask() as asked:
            found = resolve_file(session, asked, file, lambda path, _: asked.links(path))
        wrong = [one for one in found.outgoing if one.problem]
    if found is None or broken:
        if as_json:
            session.write_json({"broken": [formats.link_object(one) for one in wrong]})
        else:
            session.write("".join(_from_line(one, session) for one in wrong))
            if not wrong:
                session.notice("no broken links" + (f" in {_path(found.file, session)}" if found else ""))
        return 0 if wrong else 1
    if as_json:
        session.write_json(formats.links_object(found))
    else:
        session.write(_links_text(found, session))
        if not found.outgoing and not found.incoming:
            session.notice(f"no links from or to {_path(found.file, session)}")
    return 0 if found.outgoing or found.incoming else 1


def _links_text(links: Links, session: Session) -> str:
    """The links in both directions, each under a heading; an empty direction is left out."""
    outgoing = [f"{one.link.line:>6}  {_written(one)}  {_end(one, session)}\n" for one in links.outgoing]
    incoming = [f"  {_from_line(one, session)}" for one in links.incoming]
    parts = [("links to", outgoing), ("linked from", incoming)]
    return "".join(f"{name}\n{''.join(lines)}" for name, lines in parts if lines)


def _path(file: KnownFile, session: Session) -> str:
    return shown_path(file.absolute_path, session.style().cwd)


def _from_line(one: ResolvedLink, session: Session) -> str:
    """A link as a line of grep, and why it is broken."""
    path = _path(one.source, session)
    return f"{path}:{one.link.line}:{_written(one)}{f'  broken: {one.problem}' if one.problem else ''}\n"


def _written(one: ResolvedLink) -> str:
    """A link as written, without its label."""
    target = one_line(one.link.target)
    sign = "!" if one.link.embeds else ""
    match one.link.style:
        case "wiki":
            return f"{sign}[[{target}]]"
        case "path":
            return f"{sign}({target})"
        case "org":
            return f"[[{target}]]"
        case "id":
            return f"{sign}(({target}))"


def _end(one: ResolvedLink, session: Session) -> str:
    """The target of a link, or why it is broken."""
    if one.target is None:
        return f"broken: {one.problem}" if one.problem else "not in the index"
    path = _path(one.target, session)
    line = f":{one.line}" if one.line else ""
    return f"{path}{line}{f'  broken: {one.problem}' if one.problem else ''}"
