"""The headers that a Chroma server or a proxy in front of it wants, such as a token.

They are secrets: kb reads them from the environment or from a file of the user alone, keeps them in memory only as long
as it is connected, and never shows them.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from kb.errors import ChromaServerError
from kb.system.files import reading
from kb.system.shell import quote
from kb.system.users import is_own, rights_of_others

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "KB_CHROMA_HEADERS"
"""The environment variable with the headers, one a line."""

_LARGEST: Final = 65_536
# RFC 9110: a token, and visible characters with single blanks between them.
_HEADER: Final = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)[ \t]*")
_EXAMPLE: Final = "one a line, as in x-chroma-token: TOKEN"


def headers_from(environ: Mapping[str, str], file: str) -> dict[str, str]:
    """The headers for each request.

    Args:
        environ: The environment; ``KB_CHROMA_HEADERS`` comes before the file.
        file: The file with the headers; empty for none.

    Raises:
        ChromaServerError: The file cannot be read, is too long, others can read it, or a line is not a header.
    """
    if given := environ.get(VARIABLE, ""):
        return _parsed(given, f"${VARIABLE}")
    return _parsed(_content(file), file) if file else {}


def _parsed(text: str, origin: str) -> dict[str, str]:
    """The headers in a text; blank lines and lines that begin with ``#`` are left out."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        header = _HEADER.fullmatch(line)
        if header is None:
            # The line may be a token alone, so it is not shown.
            raise ChromaServerError(f"line {number} of {origin} is not a header", f"Write them {_EXAMPLE}")
        found[header[1]] = header[2]
    if not found:
        raise ChromaServerError(f"{origin} contains no header", f"Write them {_EXAMPLE}")
    return found


def _content(file: str) -> str:
    try:
        # A named pipe is not waited for; a link to where secrets are kept is followed.
        descriptor = os.open(file, reading() & ~getattr(os, "O_NOFOLLOW", 0))
        try:
            _require_private(file, os.fstat(descriptor))
            with open(descriptor, encoding="ascii", closefd=False) as stream:
                text = stream.read(_LARGEST + 1)
        finally:
            os.close(descriptor)
    except PermissionError as error:
        raise ChromaServerError(
            f"the headers in {file} may not be read by you", f"Let yourself in: chmod 600 {quote(file)}"
        ) from error
    except OSError as error:
        raise ChromaServerError(
            f"the headers in {file} cannot be read: {(error.strerror or str(error)).lower()}",
            f"Write them there, {_EXAMPLE}, or set store.headers_file to another file",
        ) from error
    except UnicodeDecodeError as error:
        raise ChromaServerError(f"{file} is not a file of headers", f"Write them {_EXAMPLE}") from error
    if len(text) > _LARGEST:
        # Half of a token would be sent as one.
        raise ChromaServerError(
            f"{file} is longer than {_LARGEST:,} characters", "Set store.headers_file to a file that holds only headers"
        )
    return text


def _require_private(file: str, about: os.stat_result) -> None:
    """Check that a file is the user's own.

    Raises:
        ChromaServerError: It is not a regular file, or others own or can read it.
    """
    if not stat.S_ISREG(about.st_mode):
        raise ChromaServerError(f"{file} is not a file", "Set store.headers_file to a file")
    if not is_own(about):
        raise ChromaServerError(f"{file} belongs to another user", "Set store.headers_file to a file of your own")
    if rights_of_others(about):
        raise ChromaServerError(
            f"others can read the headers in {file} (mode {stat.S_IMODE(about.st_mode):o})",
            f"Make it private: chmod 600 {quote(file)}",
        )
