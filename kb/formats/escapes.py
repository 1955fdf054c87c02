r"""Finds characters that are written as escapes, such as ``\u00fc`` in JSON and ``&uuml;`` in XML and Markdown.

They are read as the characters that a reader of the data or of the rendered note sees, as ``Document.substitutions``.
"""

from __future__ import annotations

import re
import sys
from html import unescape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    Substitution = tuple[int, int, str]

# A quoted string of JSON, YAML or TOML, up to an empty line at most; in YAML a text within a line has quotes as well.
_STRING: Final = re.compile(
    r'"""[^"\\]*+(?:(?:\\(?:.|\n)|"(?!""))[^"\\]*+)*"""'
    r'|(?:(?<=[\s:,\[{(=])|(?<![^\n]))"[^"\\\n]*+(?:(?:\\.|\\?\n(?![ \t]*\n))[^"\\\n]*+)*"'
)
# A comment or a quoted string of JSON, of its dialects with comments and single quotes, and of texts for translators.
_TOKEN: Final = re.compile(
    r"(?P<comment>//[^\n]*+|/\*.*?(?:\*/|\Z))"
    r"|(?<!\\)(?:\"[^\"\\\n]*+(?:\\.[^\"\\\n]*+)*\"|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*')",
    re.DOTALL,
)
# One substitution a character, since a long text may be cut between any two; the halves of a pair are one character.
_PAIR: Final = r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
_ESCAPE: Final = re.compile(
    rf"{_PAIR}|\\(?:[uUx](?P<code>(?<=u)[0-9A-Fa-f]{{4}}|(?<=U)[0-9A-Fa-f]{{8}}|(?<=U)[0-9A-Fa-f]{{4}}|(?<=x)[0-9A-Fa-f]{{2}})"
    r"|\n[ \t]*\\?|(?P<sign>[\"'\\/abfnrtvNLP_e ]))"
)
# Spaces, line ends and control characters are all read as a space.
_SIGNS: Final = {**dict.fromkeys("abfnrtvNLP_e ", " "), '"': '"', "'": "'", "\\": "\\", "/": "/"}
_CODE: Final = re.compile(rf"{_PAIR}|\\u(?P<code>[0-9A-Fa-f]{{4}})")
_PROPERTY: Final = re.compile(
    rf"(?P<comment>(?<![^\n])[ \t]*+[#!][^\n]*+)|{_PAIR}|\\u(?P<code>[0-9A-Fa-f]{{4}})|\\\n[ \t]*+"
    r"|\\(?P<sign>[\\:=# !\"'tnrf])|(?<=\w)(?P<apostrophe>'')(?=\w)"
)
_REFERENCE: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_CDATA: Final = re.compile(r"<!\[CDATA\[.*?\]\]>", re.DOTALL)
_HALVES: Final = range(0xD800, 0xE000)
_SPACES: Final = re.compile(r"[\x00-\x1f\x7f-\xa0\u2028\u2029]")


def string_escapes(text: str) -> Iterator[Substitution]:
    """Yield the escapes in the quoted strings of YAML and TOML."""
    if "\\" not in text:
        return
    for string in _STRING.finditer(text):
        if "\\" in string[0]:
            yield from _escapes_within(text, string.start() + 1, string.end() - 1)


def json_escapes(text: str) -> Iterator[Substitution]:
    """Yield the escapes in the strings of JSON, JSON5 and texts for translators, but not in comments."""
    if "\\" not in text:
        return
    for token in _TOKEN.finditer(text):
        if token["comment"] is None and "\\" in token[0]:
            yield from _escapes_within(text, token.start() + 1, token.end() - 1)


def _escapes_within(text: str, start: int, end: int) -> Iterator[Substitution]:
    for found in _ESCAPE.finditer(text, start, end):
        yield found.start(), found.end(), _character(found) if found["sign"] is None else _SIGNS[found["sign"]]


def _character(found: re.Match[str]) -> str:
    """Return the character of an escape with its code; empty for half of a pair, and for the end of a line."""
    if found["code"]:
        code = int(found["code"], 16)
        return "" if code > sys.maxunicode or code in _HALVES else _SPACES.sub(" ", chr(code))
    first, _, second = found[0].removeprefix("\\u").partition("\\u")
    return chr(0x10000 + (int(first, 16) - 0xD800) * 0x400 + int(second, 16) - 0xDC00) if second else ""


def code_escapes(text: str) -> Iterator[Substitution]:
    r"""Yield the letters that are written as ``\u00fc`` in settings of Java."""
    for found in _CODE.finditer(text):
        yield found.start(), found.end(), _character(found)


def properties_escapes(text: str) -> Iterator[Substitution]:
    r"""Yield the escapes of properties of Java, such as ``\u00fc`` and lines that go on, and doubled apostrophes."""
    for found in _PROPERTY.finditer(text):
        if found["sign"]:
            yield found.start(), found.end(), _SIGNS.get(found["sign"], found["sign"])
        elif found["apostrophe"]:
            yield found.start(), found.end(), "'"
        elif not found["comment"]:
            yield found.start(), found.end(), _character(found)


def references(text: str) -> Iterator[Substitution]:
    """Yield the character references of XML and HTML, such as ``&#252;``, outside of CDATA."""
    if "&" not in text:
        return
    # Behind the last end, each beginning would be looked for an end in vain.
    if (last := text.rfind("]]>")) >= 0:
        text = _CDATA.sub(lambda found: "\0" * len(found[0]), text[: last + 3]) + text[last + 3 :]
    for found in _REFERENCE.finditer(text):
        if (character := unescape(found[0])) != found[0]:
            yield found.start(), found.end(), _SPACES.sub(" ", character)


# --- Markdown -----------------------------------------------------------------------------------------------------

# A backslash before a sign within a word, or before an underscore.
_BACKSLASH: Final = re.compile(r"(?<!\\)\\(?:(?=_)|(?<=\w\\)(?=['\u2019&@.:/+*~#-]\w))")
# Emphasis, raised and lowered signs that begin, end or stand within a word; height*width*depth is a product.
_EMPHASIS: Final = re.compile(
    r"(?<![\w*=\\])(?P<open>\*{1,3}|==)(?P<first>[^\W\d_]++)(?P=open)(?=[^\W\d_])"
    r"|(?<=[^\W\d_])(?P<sign>\*{2,3})(?P<later>[^\W\d_]++)(?P=sign)(?!\*)"
    r"|(?<=[^\W_])(?P<mark>[~^])(?P<small>[0-9]{1,4}|(?<=[0-9]\^)(?:st|nd|rd|th))(?P=mark)(?![~^])"
)
_TAG: Final = re.compile(
    r"(?<=[^\W_])</?(?:b|i|u|s|em|strong|mark|sub|small|span|font|wbr)(?:\s[^<>\n]{0,200})?>(?=[^\W_])"
    r"|(?<=[^\W_])</sub>",
    re.IGNORECASE,
)

# A link that is the beginning or the end of a word: its name, else its target. Without a plural s it is a word itself.
_LINKED: Final = re.compile(
    r"(?<![\w!])\[\[(?:[^\[\]|\n]{1,200}\|)?(?P<first>[^\W_]{1,100})\]\](?=[^\W_]{3})"
    r"|(?<=[^\W_])\[\[(?:[^\[\]|\n]{1,200}\|)?(?P<later>[^\W_]{1,100})\]\]"
)


def markdown_escapes(plain: str) -> Iterator[Substitution]:
    """Yield what stands within words of a Markdown text for signs, or for how it looks.

    Args:
        plain: The text, with anything else in place of code.
    """
    yield from references(plain)
    if "\\" in plain:
        yield from ((found.start(), found.end(), "") for found in _BACKSLASH.finditer(plain))
    yield from _emphasis(plain)
    if "[[" in plain:
        for found in _LINKED.finditer(plain):
            yield found.start(), found.end(), found["first"] or found["later"]
    if "<" in plain:
        yield from ((found.start(), found.end(), "") for found in _TAG.finditer(plain))


def _emphasis(plain: str) -> Iterator[Substitution]:
    if any(sign in plain for sign in ("*", "==", "~", "^")):
        for found in _EMPHASIS.finditer(plain):
            yield found.start(), found.end(), found["first"] or found["later"] or found["small"]


def by_line(
    lines: Sequence[str], start: int, code: Container[int], escapes: Callable[[str], Iterable[Substitution]]
) -> Iterator[Substitution]:
    """Yield the substitutions of each line of a text, in order.

    Args:
        lines: All lines of the text.
        start: The line to begin with, counting from 0.
        code: The lines that are not markup, counting from 0.
        escapes: Finds the substitutions of a line.
    """
    offset = 0
    for number, line in enumerate(lines):
        if number >= start and number not in code:
            yield from sorted((offset + first, offset + last, text) for first, last, text in escapes(line))
        offset += len(line) + 1


# --- Other markup -------------------------------------------------------------------------------------------------

_ATTRIBUTES: Final = {
    "nbsp": " ",
    "zwsp": "",
    "wj": "",
    "shy": "",
    "apos": "'",
    "plus": "+",
    "amp": "&",
    "deg": "\u00b0",
    "cpp": "C++",
}
_ATTRIBUTE: Final = re.compile(rf"\{{(?P<name>{'|'.join(_ATTRIBUTES)})\}}")
_TYPED_APOSTROPHE: Final = re.compile(r"(?<=\w)`'(?=\w)")
# An escaped space of reStructuredText ends or begins markup within a word.
_JOINED: Final = re.compile(
    r"(?P<before>\\ )?(?::[a-z]{1,20}:`(?P<role>[^`\s]{1,100})`|(?P<sign>\*{1,2})(?P<word>[^*\s]{1,100})(?P=sign))"
    r"(?P<after>\\ )?|\\(?P<escaped>['_*|-])"
)
# Names of letters alone: ``cdot`` is a sign in Org, and a letter in HTML.
_ENTITY: Final = re.compile(
    r"\\(?P<name>[A-Za-z](?:acute|grave|circ|uml|tilde|cedil|ring|caron|slash|breve|macr|ogon)|(?:AE|ae|OE|oe|sz)lig"
    r"|eth|ETH|thorn|THORN)(?:\{\}|(?![A-Za-z]))"
)
_SMALL: Final = re.compile(r"(?<![\\\w])(?P<word>(?=[0-9]{0,30}[^\W\d_])[^\W_]{1,30})[_^]\{(?P<small>[0-9]{1,4})\}")
_BEFORE_LETTER: Final = re.compile("(?P<sign>[*/_+~=])(?P<word>[^\\W_]{1,100})(?P=sign)\u200b(?=\\w)")


def asciidoc_escapes(line: str) -> Iterator[Substitution]:
    """Yield what stands within words of a line of AsciiDoc for signs, or for how it looks."""
    yield from references(line)
    if "{" in line:
        yield from ((one.start(), one.end(), _ATTRIBUTES[one["name"]]) for one in _ATTRIBUTE.finditer(line))
    yield from ((one.start(), one.end(), "'") for one in _TYPED_APOSTROPHE.finditer(line))
    yield from _emphasis(line)


def rst_escapes(line: str) -> Iterator[Substitution]:
    """Yield markup within words of a line of reStructuredText."""
    if "\\" not in line:
        return
    for found in _JOINED.finditer(line):
        if found["escaped"]:
            yield found.start(), found.end(), found["escaped"]
        elif found["before"] or found["after"]:
            yield found.start(), found.end(), found["role"] or found["word"]


def org_escapes(line: str) -> Iterator[Substitution]:
    r"""Yield letters of a line of Org written as ``\uuml{}``, and marked, raised and lowered parts of words."""
    for found in _ENTITY.finditer(line):
        if len(character := unescape(f"&{found['name']};")) == 1:
            yield found.start(), found.end(), character
    # In a formula it is an index or a power.
    if not {"\\", "$"} & {*_ENTITY.sub("", line)}:
        yield from ((one.start(), one.end(), one["word"] + one["small"]) for one in _SMALL.finditer(line))
    yield from ((one.start(), one.end(), one["word"]) for one in _BEFORE_LETTER.finditer(line))


_COMMANDS: Final = "emph|text(?:bf|it|sl|sc|rm|sf|tt|up|md|normal|subscript)|underline|uline|mathrm|mathbf"
_IN_WORD: Final = re.compile(
    rf"\\(?:{_COMMANDS})\{{(?P<first>[^\W_]{{1,100}})\}}(?=[^\W_])"
    rf"|(?<=[^\W_])\\(?:{_COMMANDS})\{{(?P<later>[^\W_]{{1,100}})\}}"
    r"|(?<=[^\W_])\$_(?:\{(?P<braced>[0-9]{1,4})\}|(?P<small>[0-9]))\$"
    r"|(?<=[^\W_])(?:\\/|\\mbox\{\}|\\allowbreak(?:\{\}| )|\\hspace\{0pt\}|\"[|\"-])(?P<nothing>)(?=[^\W_])"
    r"|(?<=[^\W_])\"(?P<hyphen>[=~])(?=[^\W_])"
    r"|(?<![\\\w])(?P<before>[^\W_]++)\{\}(?=[^\W_])"
)
_HYPHENS: Final = {"=": "-", "~": "-"}
# A word between two of them is quoted, unless it goes on behind the second one.
_UMLAUT: Final = re.compile('(?<!\\\\)"(?P<letter>[aouAOUs])(?![^\\W\\d_]{0,30}"(?![^\\W\\d_]))')
_UMLAUTS: Final = {"a": "ä", "o": "ö", "u": "ü", "A": "Ä", "O": "Ö", "U": "Ü", "s": "ß"}


def latex_joins(line: str, *, german: bool = False) -> Iterator[Substitution]:
    """Yield commands, signs and braces within words of a line of LaTeX.

    Args:
        line: The line, without its comment.
        german: Whether a letter after a quotation mark is an umlaut.
    """
    for found in _IN_WORD.finditer(line):
        name = found.lastgroup or ""
        yield found.start(), found.end(), _HYPHENS.get(found[name], found[name])
    if german:
        yield from ((one.start(), one.end(), _UMLAUTS[one["letter"]]) for one in _UMLAUT.finditer(line))
