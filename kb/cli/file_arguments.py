"""Resolves the FILE of a command: a path, a path as kb shows it, the name of a note, or the number of a hit."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, TypeVar

from kb.cli.last_results import load_results
from kb.cli.output.terminal import shown_path
from kb.errors import AmbiguousName, NotIndexed

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.api.remote import RemoteKnowledgeBase
    from kb.cli.session import Session
    from kb.ports import Knowledge

_T = TypeVar("_T")
_PLACE: Final = re.compile(r"(.+):(\d{1,9})(?:-\d{1,9})?", re.DOTALL)
_SURROGATE: Final = re.compile("[\udc80-\udcff]")


def split_place(text: str) -> tuple[str, int | None]:
    """Split ``FILE:12``, or ``FILE:12-20`` as in hits, into file and line."""
    found = _PLACE.fullmatch(text)
    return (found[1], int(found[2])) if found else (text, None)


def resolve_file(
    session: Session, kb: Knowledge | RemoteKnowledgeBase, typed: str, ask: Callable[[str, int | None], _T]
) -> _T:
    """Call a function with the file and line that an argument refers to.

    A path takes precedence, then the name of a note, then the number of a hit of the last search.

    Args:
        session: The session of the command.
        kb: The knowledge base.
        typed: The file, optionally with a line.
        ask: Called with the absolute path and the line.

    Raises:
        NotIndexed: No file has this name, or several have it.
    """
    # A file may be called notes:12; an existing path takes precedence.
    file, line = (typed, None) if os.path.lexists(session.resolve_path(typed)) else split_place(typed)
    path = session.resolve_path(file)
    try:
        return ask(path, line)
    except NotIndexed as error:
        if os.path.isfile(path):  # noqa: PTH113 - names as str, undecodable bytes included
            raise
        found, place = _meant(session, kb, file, error)
        if found == path:
            raise
        return ask(found, line or place)


def _meant(
    session: Session, kb: Knowledge | RemoteKnowledgeBase, typed: str, error: NotIndexed
) -> tuple[str, int | None]:
    """Return the file and line that an argument refers to if it is not a path."""
    try:
        return kb.resolve(typed), None
    except AmbiguousName:
        raise
    except NotIndexed as unknown:
        error = unknown
    cwd = session.style().cwd
    paths = [file.absolute_path for file in kb.documents()]
    shown = [path for path in paths if typed in _forms(shown_path(path, cwd), shown_path(path, ""))]
    if len(shown) == 1:
        return shown[0], None
    if typed.isdecimal() and (locations := load_results(session.client.terminal)) and 0 < int(typed) <= len(locations):
        location = locations[int(typed) - 1]
        return location.path, location.line
    raise error


def _forms(*paths: str) -> set[str]:
    """Return the forms in which paths are displayed: undecodable bytes as ?, as a replacement character or escaped."""
    forms = set(paths)
    for path in paths:
        forms |= {_SURROGATE.sub("?", path), _SURROGATE.sub("\ufffd", path)}
        forms.add(_SURROGATE.sub(lambda found: f"\\udc{ord(found[0]) - 0xDC00:02x}", path))
    return forms
