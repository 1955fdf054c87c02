"""Output to a terminal or a pipe: control characters escaped, paths as shown, colour and width."""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TextIO
from urllib.parse import quote

from kb.system.paths import in_own_form, with_slashes

if TYPE_CHECKING:
    from collections.abc import Mapping

ColorChoice = Literal["auto", "always", "never"]

# Bidirectional controls and tag characters make text look like something it is not; U+2028 and U+2029 break lines.
_HIDDEN: Final = (
    0x061C,
    0x200E,
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2066, 0x2070),
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),
)
_VISIBLE: Final[dict[int, str]] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **dict.fromkeys(_HIDDEN, "\ufffd"),
}
_IN_TEXT: Final = {code: shown for code, shown in _VISIBLE.items() if code not in (0x09, 0x0A)}
_UNSAFE_JSON: Final = re.compile(
    f"[\x7f-\x9f\ud800-\udfff{''.join(map(chr, _HIDDEN))}]",
)
PIPE_ERRORS: Final = "kb.pipe"


@dataclass(frozen=True, slots=True)
class OutputStyle:
    """How text output is formatted.

    Attributes:
        laid_out: Whether it is laid out for reading; else one line per hit, as for ``grep``.
        color: Whether to use colours and links.
        width: The width in columns.
        cwd: The folder that paths are shown relative to; empty shows them absolute.
        height: How many lines a list may fill; 0 sets no limit.
    """

    laid_out: bool = False
    color: bool = False
    width: int = 80
    cwd: str = ""
    height: int = 0


def output_style(choice: ColorChoice, environ: Mapping[str, str], *, tty: bool, width: int, cwd: str) -> OutputStyle:
    """Return the style for a stream. ``always`` lays out and colours even a pipe, as for ``less -R``."""
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    color = choice == "always" or (choice == "auto" and tty and not plain)
    return OutputStyle(laid_out=tty or choice == "always", color=color, width=max(20, width), cwd=cwd)


def sanitize(text: str) -> str:
    """Return text with control characters made visible, except line ends and tabs."""
    return text.translate(_IN_TEXT)


def one_line(text: str) -> str:
    """Return a name or path on one line, with control characters made visible, line ends and tabs included."""
    return text.translate(_VISIBLE)


def escape_json(text: str) -> str:
    r"""Return equivalent JSON with control characters and lone surrogates written as ``\uXXXX``."""
    return _UNSAFE_JSON.sub(lambda match: _json_escape(match[0]), text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def shown_path(path: str, cwd: str) -> str:
    """Return an absolute path as text output shows it: relative to the current folder where it is below it.

    The result is one line; a name that begins with a dash gets ``./`` so that no other command takes it for an option.
    """
    return one_line(in_own_form(relative_path(path, cwd)))


def relative_path(path: str, cwd: str) -> str:
    """Return an absolute path relative to the current folder where it is below it, with its characters as they are."""
    below = with_slashes(cwd).rstrip("/") + "/"
    if not cwd or not path.startswith(below) or path == below:
        return path
    relative = path.removeprefix(below)
    return f"./{relative}" if relative.startswith("-") else relative


def file_url(path: str) -> str:
    """Return the ``file://`` URL of an absolute path, in ASCII whatever bytes the path holds."""
    place = os.fsencode(path) if _is_file_name(path) else path.encode("utf-8", "replace")
    # That of C:/notes is file:///C:/notes.
    return "file://" + ("/" if place[1:2] == b":" else "") + quote(place, safe="/:" if place[1:2] == b":" else "/")


def _is_file_name(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def prepare(stream: TextIO | None) -> None:
    """Make a stream take any string: undecodable file names go out as their own bytes, or as ``?`` on a terminal."""
    reconfigure = getattr(stream, "reconfigure", None)
    if stream is not None and reconfigure is not None:
        reconfigure(errors="replace" if stream.isatty() else PIPE_ERRORS)


def _to_pipe(error: UnicodeError) -> tuple[str | bytes, int]:
    r"""Encode what the stream's encoding cannot: a byte of a file name as itself, anything else as ``\uXXXX``."""
    if isinstance(error, UnicodeDecodeError):
        # Whoever reads back what went to such a stream, as a test does, reads on behind the byte.
        return "\ufffd", error.start + 1
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    code = ord(character)
    raw = 0xDC80 <= code <= 0xDCFF  # noqa: PLR2004 - the range in which surrogateescape keeps undecodable bytes
    return (bytes([code - 0xDC00]) if raw else _json_escape(character)), error.start + 1


codecs.register_error(PIPE_ERRORS, _to_pipe)
