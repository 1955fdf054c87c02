"""How files are named to an agent, and what an agent may name: paths and ``kb://`` URIs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from kb.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.records import KnownFile

SCHEME: Final = "kb://"
TEMPLATE: Final = f"{SCHEME}{{+path}}"
_LINES: Final = re.compile(r"L(\d{1,9})(?:-L?(\d{1,9}))?")
_HIDDEN: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """A file that an agent named, and perhaps some of its lines."""

    name: str
    first_line: int = 1
    last_line: int | None = None


def shown(file: KnownFile, folders: Sequence[str]) -> str:
    """Return the path of a file as agents see and name it.

    It is relative where there is one folder, absolute where there are several, and a URI where its bytes are not text
    or a character in it could be taken for the end of a line.
    """
    path = file.path if folders == (file.folder,) else file.absolute_path
    return path if path.isprintable() and not is_uri(path) else uri_of(file)


def uri_of(file: KnownFile) -> str:
    """Return the URI of a file."""
    return SCHEME + quote_from_bytes(os.fsencode(file.absolute_path))


def named(path: str) -> str:
    """Return the name of a file as ``Knowledge`` takes it, from a path or URI that an agent gave.

    Raises:
        RequestError: It is empty, or has a character that no path has.
    """
    return target_of(path).name if is_uri(path) else _checked(path)


def is_uri(text: str) -> bool:
    """Whether a text is a URI of kb; as everywhere, capitals in its scheme mean the same."""
    return text[: len(SCHEME)].lower() == SCHEME


def target_of(uri: str) -> Target:
    """Return what a URI names; ``#L3-L9`` at its end names lines, as in links to repositories.

    Raises:
        RequestError: It is not a URI of kb.
    """
    path, _, fragment = uri[len(SCHEME) :].partition("#")
    lines = _LINES.fullmatch(fragment) if fragment else None
    if not is_uri(uri) or (fragment and lines is None):
        raise RequestError(
            f"{uri!r} is not a URI of kb", f"Write {SCHEME} and the path, percent-encoded, and #L3-L9 for lines"
        )
    name = _checked(os.fsdecode(unquote_to_bytes(path)))
    if lines is None:
        return Target(name)
    first, last = int(lines[1]), lines[2]
    return Target(name, max(1, first), int(last) if last else first)


def one_line(text: str, most: int = 200) -> str:
    """Return a title, heading or path on one line, without what could be taken for something else, and not too long."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def plain(text: str) -> str:
    """Return text that can be encoded: lone surrogates, which stand for undecodable bytes, become question marks."""
    return text.encode("utf-8", "replace").decode()


def _checked(name: str) -> str:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        name = ""
    if not name.strip() or _HIDDEN.search(name):
        raise RequestError("the path is empty, or has characters that no path has", "Take a path from search or list")
    return name
