"""Source code, and text in general, line by line with numbers; code is coloured by pygments."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

from kb.web.documents.markup import Excerpt, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

# In characters. Beyond that, code is shown without colours.
_COLOURED: Final = 300_000
# No line of code is this long, and some lexers take long with it.
_LONGEST_LINE: Final = 5_000


def code(source: Excerpt) -> str:
    """Return a file of source code as HTML, with line numbers."""
    rows = coloured(source.text, name=source.file.path.rpartition("/")[2])
    lines = "".join(
        f'<span class="{source.classes("line", number, number)}" id="L{number}" data-line="{number}">'
        f'<span class="num">{number}</span>{row}\n</span>'
        for number, row in enumerate(rows, source.first_line)
    )
    return f'<pre class="code">{lines}</pre>'


def coloured(text: str, *, name: str = "", language: str = "") -> list[str]:
    """Return the lines of code as HTML, coloured by classes of pygments.

    Args:
        text: The code.
        name: The name of its file.
        language: Its language, where there is no file of its own.
    """
    lines = visible(text).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    lexer = None
    if len(text) <= _COLOURED and max(map(len, lines), default=0) <= _LONGEST_LINE:
        lexer = _lexer(name, language)
    if lexer is None:
        return [escape(line) for line in lines]
    rows = _rows(lexer, "\n".join(lines))
    return rows[: len(lines)] + [""] * (len(lines) - len(rows))


def fenced(text: str, language: str, first_line: int, source: Excerpt) -> str:
    """Return a block of code within a document; ``first_line`` is the line of its first line in the file."""
    rows = coloured(text, language=language)
    lines = "".join(
        f'<span class="{source.classes("line", number, number)}">{row}\n</span>'
        for number, row in enumerate(rows, first_line)
    )
    return f'<pre class="code" data-line="{first_line}"><code>{lines}</code></pre>\n'


def _rows(lexer: Any, text: str) -> list[str]:  # noqa: ANN401 - a lexer of pygments
    """Return the lines as HTML; pygments ends each colour at the end of a line and takes it up in the next."""
    from pygments.formatters.html import HtmlFormatter

    formatter = HtmlFormatter(nowrap=True)
    made: Iterable[tuple[int, str]] = formatter._format_lines(lexer.get_tokens(text))  # noqa: SLF001 - lines, not a file
    return [row.rstrip("\n") for _, row in made]


@lru_cache(maxsize=128)
def _lexer(name: str, language: str) -> Any:  # noqa: ANN401 - a lexer of pygments
    """Return the lexer of a language, or where none is named of a file; None if pygments has none."""
    from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
    from pygments.util import ClassNotFound

    try:
        if language:
            return get_lexer_by_name(language.strip().lower(), stripnl=False)
        return get_lexer_for_filename(name, stripnl=False)
    except ClassNotFound:
        return None
