"""Reads the outline of Markdown notes as CommonMark, Obsidian and Logseq write them.

markdown-it-py finds headings and blocks with their lines. Only its block rules run, since parsing inline markup takes
most of the time and only headings need it. Tags, links, block ids and properties are found by regular expressions.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal

from kb.formats.escapes import markdown_escapes
from kb.formats.markup import Outline, drawn_columns, in_order, one_line, rst_columns
from kb.records import Block, Heading, LineContext, Link, Name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

# --- Inline markup ------------------------------------------------------------------------------------------------
# Inline markup is found in a text in which code is blanked out, so that offsets and lines stay. Each expression can
# match in one way only and ends at the next bracket, line or paragraph, so the time is linear in the text.

# Limits that keep a generated file from filling the catalog.
MOST_TAGS: Final = 1000
MOST_LINKS: Final = 10_000
LONGEST_TAG: Final = 200
_LONGEST_TARGET: Final = 1000

# Replaces the characters of code; not a space, and not part of any markup.
_HIDDEN: Final = "\0"
_BACKTICKS: Final = re.compile("`+")
_PARAGRAPH_END: Final = re.compile(r"\n[ \t]*(?=\n)")
# Obsidian's rule: a tag has no spaces and no punctuation other than -, _ and /.
_TAG: Final = re.compile(
    r"#([^\s\0!-,.:-@\[-^`{-~\u2000-\u200a\u200e-\u205f\u2065-\u206f\u2e00-\u2e7f\u3000-\u303f\uff00-\uff0f\uff1a-\uff20]+)"
)
_LONG_TAG: Final = re.compile(r"(?<!\S)#\[\[([^\[\]\n|#\0]+)\]\]")
_WIKILINK_PARTS: Final = re.compile(r"(!?)\[\[([^\[\]\n]+)\]\]")
# As in CommonMark, only a title may follow the destination: "[sic](see the note)" is not a link. Many programs accept
# the size of a picture as well.
_TITLE: Final = (
    r"""(?:"[^"\\\n]*+(?:(?:\\.|\n(?![ \t]*\n))[^"\\\n]*+)*"|'[^'\\\n]*+(?:(?:\\.|\n(?![ \t]*\n))[^'\\\n]*+)*'"""
    r"""|\([^()]*+\))"""
)
_SPACE: Final = r"[ \t]*+(?:\n[ \t]*+)?"
_DESTINATION: Final = re.compile(
    rf"{_SPACE}(?:<([^<>\n]*)>|([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*))"
    rf"{_SPACE}(?:(?<=\s)(?:{_TITLE}|=\d*%?x?\d*%?){_SPACE})?\)"
)
_DEFINITION: Final = re.compile(
    rf"^ {{0,3}}\[([^\[\]\n]+)\]:[ \t]*(?:<([^<>\n]*)>|([^\s<>]+))(?:[ \t]++{_TITLE})?[ \t]*$", re.MULTILINE
)
_HTML: Final = re.compile(r"<[a-zA-Z/!][^<>]*>")
_HTML_TARGET: Final = re.compile(r"""\s(src|href|id|name)=(?:"([^"]*)"|'([^']*)'|([^"'\s<>]+))""", re.IGNORECASE)
_BLOCK_REFERENCE: Final = re.compile(
    r"(\{\{embed )?\(\(([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\)\)"
)
_EMBEDDED_PAGE: Final = "{{embed "
_BLOCK_ID: Final = re.compile(r"(?:(?<=\s)|^)\^([A-Za-z0-9-]+)[ \t]*$", re.MULTILINE)
_PROPERTY: Final = re.compile(r"^[ \t]*(?:[-*][ \t]+)?([A-Za-z][\w.-]*)::[ \t]*(.*)$", re.MULTILINE)
_DRAWER: Final = re.compile(
    r"^[ \t]*:(?:LOGBOOK|PROPERTIES):[ \t]*\n(?:[ \t]*(?!:(?:END|LOGBOOK|PROPERTIES):)\S.*\n)*[ \t]*:END:[ \t]*$",
    re.MULTILINE,
)
_SIGNS: Final = ("[[", "::", "((", "]:", "^", "src=", "href=", "id=", "name=", ":END:")
_LINK_INSIDE: Final = re.compile(r"\]\((?!https?://)")
_SIGN_OF_TAG: Final = re.compile(r"#(?<![^\s(]#)[^\s#0-9]")
_EXTERNAL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:|//")
# Properties of blocks that Logseq keeps for itself; they are not embedded.
_LOGSEQ_OWN: Final = re.compile(
    r"(?:collapsed|id|heading|background-color|created-at|updated-at|query-.*|card-.*|logseq\..*|ls-.*|hl-.*)"
)


@dataclass(slots=True)
class Inline:
    """The inline markup of a note.

    Attributes:
        tags: Its tags, without ``#``.
        links: Its links with their offsets, in order.
        names: Its block ids.
        noise: The stretches that are not embedded, as character offsets.
        properties: Logseq's properties of the page, by name in lower case.
    """

    tags: list[str] = field(default_factory=list)
    links: list[tuple[int, Link]] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    noise: list[tuple[int, int]] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)


class LineOffsets:
    """Converts between the lines of a text, counting from 1, and offsets."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._starts = [0, *accumulate(len(line) + 1 for line in lines)]

    def start(self, line: int) -> int:
        """The offset at which a line begins; the end of the text for a line after the last."""
        return self._starts[min(line, len(self._starts)) - 1]

    def at(self, offset: int) -> int:
        """The line that an offset is in."""
        return bisect_right(self._starts, offset)


def read_inline(text: str, lines: Sequence[str], blocks: Iterable[Block], first_line: int = 1) -> Inline:
    """Find the tags, links, block ids and properties of a Markdown text.

    Args:
        text: The whole text.
        lines: The same text, split at line feeds.
        blocks: Its blocks; code is not searched.
        first_line: The line at which the Markdown begins. In front matter before it, only wikilinks count.
    """
    places = LineOffsets(lines)
    found = Inline()
    body = places.start(first_line)
    spans = [(places.start(one.first_line), places.start(one.last_line + 1)) for one in blocks if one.kind == "code"]
    plain = _blanked(text, spans) if spans else text
    if not _has_inline_markup(plain):
        return found
    plain = _without_code(plain)
    if "::" in plain or ":END:" in plain:
        _properties(plain, text, body, places, found)
    if "^" in plain:
        for block in _BLOCK_ID.finditer(plain, body):
            found.names.append(Name("block", block[1], places.at(block.start(1))))
            found.noise.append(block.span())
    found.noise.sort()
    linked = sorted(_links(plain, body, places, found))
    _tags(plain, body, linked, found)
    found.tags = list(dict.fromkeys(found.tags))[:MOST_TAGS]
    return found


def _has_inline_markup(text: str) -> bool:
    """Whether a text may have inline markup; a quick check, since most have nothing but links to the web."""
    return any(sign in text for sign in _SIGNS) or any(sign.search(text) for sign in (_LINK_INSIDE, _SIGN_OF_TAG))


def _without_code(text: str) -> str:
    """Blank the code spans of a text. A run of backticks is closed by the next of its length in the paragraph."""
    if "`" not in text:
        return text
    runs = [run.span() for run in _BACKTICKS.finditer(text)]
    ends = [found.start() for found in _PARAGRAPH_END.finditer(text)]
    next_same: list[int | None] = []
    latest: dict[int, int] = {}
    for at in range(len(runs) - 1, -1, -1):
        size = runs[at][1] - runs[at][0]
        next_same.append(latest.get(size))
        latest[size] = at
    next_same.reverse()
    spans = []
    at = 0
    while at < len(runs):
        closer = next_same[at]
        start, end = runs[at]
        escaped = start > 0 and text[start - 1] == "\\"
        if closer is None or escaped or bisect_left(ends, end) != bisect_left(ends, runs[closer][0]):
            at += 1
            continue
        spans.append((start, runs[closer][1]))
        at = closer + 1
    return _blanked(text, spans) if spans else text


def _blanked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Replace the characters of some stretches, line feeds aside."""
    parts = []
    at = 0
    for start, end in spans:
        hidden = text[start:end]
        parts.append(text[at:start])
        parts.append("\n".join(_HIDDEN * len(line) for line in hidden.split("\n")))
        at = end
    return "".join((*parts, text[at:]))


def _properties(plain: str, text: str, body: int, places: LineOffsets, found: Inline) -> None:
    """Collect Logseq's properties: tags and ids of blocks, properties of the page, and noise.

    They are found in the text without code; their values are taken from the text itself.
    """
    page_until = _first_block_end(plain, body)
    for one in _PROPERTY.finditer(plain, body):
        name, value = one[1].lower(), text[one.start(2) : one.end(2)].strip()
        if name in {"tags", "tag"}:
            found.tags += _listed(value)
        if name == "id":
            found.names.append(Name("block", value, places.at(one.start(1))))
        if one.start() < page_until:
            found.properties.setdefault(name, value)
        if _LOGSEQ_OWN.fullmatch(name):
            found.noise.append((places.start(places.at(one.start(1))), one.end()))
    found.noise += [drawer.span() for drawer in _DRAWER.finditer(plain, body)] if ":END:" in plain else []


def _first_block_end(text: str, body: int) -> int:
    """Return the offset at which the properties of the page end: the first lines that are all properties."""
    at = body
    while (line := _PROPERTY.match(text, at)) and line.end() < len(text):
        at = line.end() + 1
    return at if line is None else len(text)


def _listed(value: str) -> Iterator[str]:
    """Yield the names in a property, separated by commas; each may be a wikilink or a tag."""
    for item in value.split(","):
        name = one_line(item).lstrip("#").removeprefix("[[").removesuffix("]]").strip().strip("\"'")
        if name:
            yield name


def names_in(value: str) -> tuple[str, ...]:
    """Return the names in a property of Logseq, without brackets and ``#``."""
    return tuple(_listed(value))


def _tags(text: str, body: int, linked: Sequence[tuple[int, int]], found: Inline) -> None:
    """Collect the tags of a text, outside links."""
    for one in _TAG.finditer(text, body):
        at = one.start()
        before = text[max(0, at - 2) : at]
        # A tag begins a word, which may be in parentheses.
        if not (before[-1:].isspace() or not before or (before[-1] == "(" and not before[:-1].strip())):
            continue
        tag = one[1].strip("/")
        inside = bisect_right(linked, (at, len(text)))
        if inside and linked[inside - 1][1] > at:
            continue
        if tag.strip("0123456789-_/") and len(tag) <= LONGEST_TAG:
            found.tags.append(tag)


def _links(text: str, body: int, places: LineOffsets, found: Inline) -> Iterator[tuple[int, int]]:
    """Collect the links and long tags of a text, and yield the stretches in which there are no tags."""
    if "[[" in text:
        yield from _wikilinks(text, body, places, found)
    if "](" in text:
        yield from _markdown_links(text, body, places, found)
    if "]:" in text:
        for one in _DEFINITION.finditer(text, body):
            yield one.span()
            # [^1]: is a footnote; its first word is not a target.
            if not one[1].startswith("^"):
                _add(found, places, one.start(1), one[2] or one[3] or "")
    if "<" in text:
        yield from _html_links(text, body, places, found)
    if "((" in text:
        for one in _BLOCK_REFERENCE.finditer(text, body):
            found.links.append((one.start(), Link(one[2], places.at(one.start()), "id", bool(one[1]))))
    found.links.sort(key=lambda link: link[0])
    del found.links[MOST_LINKS:]


def _wikilinks(text: str, body: int, places: LineOffsets, found: Inline) -> Iterator[tuple[int, int]]:
    """Collect wikilinks, front matter included, and tags of several words, and yield their stretches."""
    long_tags = {tag.end() for tag in _LONG_TAG.finditer(text, body)} if "#[[" in text else set()
    for one in _WIKILINK_PARTS.finditer(text):
        yield one.span()
        if one.end() in long_tags:
            found.tags.append(one_line(one[2]))
            continue
        # In a table the bar has to be escaped.
        target = one[2].partition("|")[0].removesuffix("\\")
        embeds = bool(one[1]) or text.endswith(_EMBEDDED_PAGE, 0, one.start())
        _add(found, places, one.start(2), target, embeds=embeds, wiki=True)


def _html_links(text: str, body: int, places: LineOffsets, found: Inline) -> Iterator[tuple[int, int]]:
    """Collect the targets and ids of HTML elements, and yield the stretches of their tags."""
    for one in _HTML.finditer(text, body):
        if "\n\n" in one[0]:
            continue
        yield one.span()
        for target in _HTML_TARGET.finditer(one[0]):
            value = target[2] or target[3] or target[4] or ""
            attribute = target[1].lower()
            at = one.start() + target.start()
            if attribute not in {"id", "name"}:
                _add(found, places, at, value, embeds=attribute == "src")
            elif value and "\n" not in value:
                found.names.append(Name("block", value, places.at(at + 1)))


def _markdown_links(text: str, body: int, places: LineOffsets, found: Inline) -> Iterator[tuple[int, int]]:
    """Collect links and pictures of the form ``[label](target)``, and yield their stretches."""
    last = body
    at = text.find("](", body)
    while at >= 0:
        start = text.rfind("[", last, at)
        label = text[start + 1 : at] if start >= 0 else ""
        whole = start >= 0 and "]" not in label and "\n\n" not in label
        last = at + 1
        # Otherwise the label may be a picture: [![alt](picture)](target).
        if whole or text[at - 1 : at] == ")":
            start = start if whole else at
            destination = _DESTINATION.match(text, at + 2)
            if destination is not None:
                embeds = whole and text[max(0, start - 1) : start] == "!"
                _add(found, places, start, destination[1] or destination[2] or "", embeds=embeds)
                yield start, destination.end()
        at = text.find("](", at + 1)


def _add(found: Inline, places: LineOffsets, at: int, target: str, *, embeds: bool = False, wiki: bool = False) -> None:
    """Add a link, unless it is a URL, contains code, or the limit is reached."""
    target = target.strip()
    if not 0 < len(target) <= _LONGEST_TARGET or _HIDDEN in target or _EXTERNAL.match(target):
        return
    if len(found.links) < MOST_LINKS:
        found.links.append((at, Link(target, places.at(at), "wiki" if wiki else "path", embeds)))


# --- Ruby ---------------------------------------------------------------------------------------------------------

_RUBY: Final = re.compile(r"<ruby\b[^<>\n]*>(?P<inside>[^\n]{0,2000}?)</ruby>", re.IGNORECASE)
# End tags are optional.
_READING: Final = re.compile(
    r"<rp\b[^<>]*>[^<]*(?:</rp>)?|<rt\b[^<>]*>(?P<reading>[^<]*)(?:</rt>)?|</?(?:rb|rtc)\b[^<>]*>", re.IGNORECASE
)


def ruby_substitutions(text: str, blocks: Sequence[Block]) -> Iterator[tuple[int, int, str]]:
    """Yield substitutions that move ruby readings out of words, to the end of the line.

    Args:
        text: The whole text of the document.
        blocks: Its blocks; ruby in code is left as it is.
    """
    if "<ruby" not in text.lower():
        return
    code = {line for one in blocks if one.kind == "code" for line in range(one.first_line, one.last_line + 1)}
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        readings = []
        for found in _RUBY.finditer(line) if number not in code else ():
            inside = found["inside"]
            readings.append("".join(one["reading"] or "" for one in _READING.finditer(inside)).strip())
            yield start + found.start(), start + found.end(), _READING.sub("", inside)
        start += len(line)
        if reading := " ".join(filter(None, readings)):
            yield start, start, f" ({reading})"
        start += 1


def _escapes(
    text: str, lines: Sequence[str], blocks: Sequence[Block], first_line: int
) -> Iterator[tuple[int, int, str]]:
    """Yield the substitutions for escapes and emphasis within words, outside of front matter, code and formulas."""
    if not any(sign in text for sign in ("&", "\\", "*", "<", "~", "^", "==", "[[")):
        return
    places = LineOffsets(lines)
    spans = [(places.start(one.first_line), places.start(one.last_line + 1)) for one in blocks if one.kind == "code"]
    body = places.start(first_line)
    yield from markdown_escapes(_without_code(_blanked(text, [(0, body), *spans] if body else spans)))


def unescaped(text: str) -> str:
    """Return a stretch of Markdown without escapes and emphasis within words; inline code stays as it is."""
    parts = []
    at = 0
    for start, end, said in sorted(markdown_escapes(_without_code(text))):
        if start >= at:
            parts += [text[at:start], said]
            at = end
    return "".join((*parts, text[at:]))


# --- Headings and blocks ------------------------------------------------------------------------------------------

_KINDS: Final[dict[str, Literal["text", "code", "table"]]] = {
    "fence": "code",
    "code_block": "code",
    "formula": "code",
    "table_open": "table",
    "paragraph_open": "text",
    "html_block": "text",
}
_DOLLARS: Final = "$$"
_DATE_PROPERTIES: Final = ("date", "created", "published", "updated")
_INLINE: Final = re.compile(r"[*_`\[\]<>&\\!~]")
_ATTRIBUTES: Final = re.compile(r"\s*\{[#.:][^{}]*\}$")
_HEADING_ID: Final = re.compile(r"\{#([\w:.-]+)[^{}]*\}$")
_ITEM_SIGN: Final = re.compile(r"^[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)*(?:#{1,6}\s+|\[[ xX]\]\s+)?")
# The cells of a header row in HTML.
_HTML_HEAD: Final = re.compile(r"<th\b[^<>]*>(?:[^<]|<(?!/?(?:tr|td|table|tbody|thead)\b))*", re.IGNORECASE)
_HTML_CELL: Final = re.compile(r"</?th\b[^<>]*>", re.IGNORECASE)
_HTML_TABLE_END: Final = re.compile(r"</table\b", re.IGNORECASE)
_WIKILINK: Final = re.compile(r"\[\[([^\[\]|#\n]+)(#[^\[\]|\n]*)?(\|[^\[\]\n]*)?\]\]")


def parse_markdown(text: str, first_line: int = 1) -> Outline:
    """Read the outline of a Markdown text.

    Args:
        text: The whole text of the document.
        first_line: The first line after front matter, counting from 1.
    """
    lines = text.split("\n")
    body = text if first_line == 1 else "\n".join(lines[first_line - 1 :])
    tokens: list[Token] = []
    # markdown-it replaces NUL in a step that does not run here.
    _parser().block.parse(body.replace("\0", "\ufffd"), _parser(), {}, tokens)
    blocks = tuple(_blocks(tokens, first_line))
    inline = read_inline(text, lines, blocks, first_line)
    page = inline.properties
    if joplin := _JOPLIN.search(text, max(0, text.rfind("\n\nid: "))):
        page.setdefault("title", lines[0])
        day = _JOPLIN_DAY.search(joplin["facts"])
        page.setdefault("created", day[1] if day else "")
        inline.noise.append(joplin.span())
    return Outline(
        headings=tuple(_headings(tokens, first_line)),
        blocks=blocks,
        links=tuple(link for _, link in inline.links),
        title=one_line(page.get("title", "")),
        tags=tuple(inline.tags),
        date=next((page[name].strip("[]") for name in _DATE_PROPERTIES if name in page), ""),
        aliases=names_in(f"{page.get('alias', '')},{page.get('aliases', '')},{page.get('title', '')}"),
        names=(*inline.names, *_heading_ids(tokens, first_line)),
        noise=tuple(inline.noise),
        substitutions=tuple(sorted((*ruby_substitutions(text, blocks), *_escapes(text, lines, blocks, first_line)))),
        context=in_order(
            [
                *_context(tokens, lines, first_line),
                *_grid_columns(lines, first_line, blocks),
                *_drawn_columns(lines, first_line, blocks),
            ]
        ),
    )


# What Joplin writes below each note in its own format: one fact a line, from the id to the type.
_JOPLIN: Final = re.compile(r"\n\nid: [0-9a-f]{32}\n(?P<facts>(?:(?!type_)[a-z_]{1,40}:.*\n)+)type_: 1\s*\Z")
_JOPLIN_DAY: Final = re.compile(r"^user_created_time: ([0-9-]{10})", re.MULTILINE)
# In characters. Inline markup of a longer heading is cut off, since parsing it takes quadratic time.
_LONGEST_HEADING: Final = 2_000


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Link definitions stay paragraphs, so that their text is searchable.
    parser = MarkdownIt("commonmark").enable("table").disable("reference")
    parser.block.ruler.before("fence", "formula", _formula, {"alt": ["paragraph", "blockquote", "list"]})
    return parser


def _formula(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A block rule for displayed formulas, from ``$$`` at the start of a line to the next, without a blank line.

    Without it, a line of ``=`` or ``-`` in a formula would make a heading of the line above.
    """
    opening = _line(state, start)
    if not opening.startswith(_DOLLARS) or _DOLLARS in opening[2:] or state.is_code_block(start):
        return False
    # If an earlier formula was not closed, no later one before that line is; so each line is read once.
    if start < state.env.get("no_formula_before", 0):
        return False
    for number in range(start + 1, end):
        line = _line(state, number)
        if not line or state.sCount[number] < state.blkIndent:
            break
        if line.startswith(_DOLLARS) or line.endswith(_DOLLARS):
            if not silent:
                state.line = number + 1
                state.push("formula", "math", 0).map = [start, number + 1]
            return True
    else:
        number = end
    state.env["no_formula_before"] = number
    return False


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].rstrip()


def _headings(tokens: Sequence[Token], first_line: int) -> Iterator[Heading]:
    for position, token in enumerate(tokens):
        # A heading inside a quote or a list item does not divide the document.
        if token.type == "heading_open" and token.level == 0 and token.map:
            content = tokens[position + 1].content[:_LONGEST_HEADING]
            attributes = _ATTRIBUTES.search(content)
            first, last = token.map[0] + first_line, token.map[1] + first_line - 1
            yield Heading(_plain(content), int(token.tag[1:]), first, last, attributes[0].strip() if attributes else "")


def _heading_ids(tokens: Sequence[Token], first_line: int) -> Iterator[Name]:
    """Yield the ids of headings of the form ``# Title {#id}``."""
    for position, token in enumerate(tokens):
        if (
            token.type == "heading_open"
            and token.map
            and (found := _HEADING_ID.search(tokens[position + 1].content[:_LONGEST_HEADING]))
        ):
            yield Name("block", found[1], token.map[0] + first_line)


def _blocks(tokens: Sequence[Token], first_line: int) -> Iterator[Block]:
    """Yield the innermost blocks, so that a list can be cut between items and a fence inside it stays whole."""
    for token in tokens:
        kind = _KINDS.get(token.type)
        if kind and token.map and token.map[1] > token.map[0]:
            yield Block(kind, token.map[0] + first_line, token.map[1] + first_line - 1)


def _context(tokens: Sequence[Token], lines: Sequence[str], first_line: int) -> Iterator[LineContext]:
    """Yield the header rows of tables and the first lines of list items, as context of the lines below."""
    for token in tokens:
        if token.type == "html_block" and token.map and (head := _HTML_HEAD.search(token.content)):
            # The header ends with its last cell; rows may follow on the same line.
            text = one_line(
                " | ".join(filter(None, (_HTML.sub("", cell).strip() for cell in _HTML_CELL.split(head[0]))))
            )
            first = token.map[0] + first_line + token.content.count("\n", 0, head.end()) + 1
            last = token.map[0] + first_line + token.content.count("\n", 0, _table_end(token.content, head.end()))
            if first <= last and text:
                yield LineContext(first, last, text)
        if token.map is None or token.type not in {"table_open", "list_item_open"}:
            continue
        first, last = token.map[0] + first_line, token.map[1] + first_line - 1
        # The second line of a table is the delimiter row.
        below = first + (2 if token.type == "table_open" else 1)
        text = one_line(_ITEM_SIGN.sub("", lines[first - 1]))
        if below <= last and text:
            yield LineContext(below, last, text)


def _grid_columns(lines: Sequence[str], first_line: int, blocks: Sequence[Block]) -> Iterator[LineContext]:
    """Yield the header rows of grid tables, which Pandoc reads as reStructuredText does."""
    if not any(line.startswith("+=") for line in lines):
        return
    code = {line - 1 for one in blocks if one.kind == "code" for line in range(one.first_line, one.last_line + 1)}
    for one in rst_columns(lines, first_line - 1, code):
        # Other tables of reStructuredText are none of Markdown.
        if lines[one.first_line - 3].startswith("+-"):
            yield replace(one, text=one_line(one.text))


def _drawn_columns(lines: Sequence[str], first_line: int, blocks: Sequence[Block]) -> Iterator[LineContext]:
    """Yield the names of the columns of tables that are no markup: those of Pandoc, and output of databases in code."""
    tables = {line - 1 for one in blocks if one.kind == "table" for line in range(one.first_line, one.last_line + 1)}
    yield from drawn_columns(lines, first_line - 1, tables)


def _table_end(html: str, start: int) -> int:
    """Return where the table that holds a place in a block ends; the end of the block if nothing ends it there."""
    found = _HTML_TABLE_END.search(html, start)
    return found.start() if found else len(html.rstrip())


def _plain(content: str) -> str:
    """Return the words of a heading without its markup."""
    content = _ATTRIBUTES.sub("", content)
    content = _WIKILINK.sub(lambda link: link[3][1:] if link[3] else link[1], content)
    if not _INLINE.search(content):
        return one_line(content)
    words = []
    for inline in _parser().parseInline(content):
        for token in inline.children or ():
            # The content of an image is its alternative text.
            if token.type in {"text", "code_inline", "text_special", "image"}:
                words.append(token.content)
            elif token.type in {"softbreak", "hardbreak"}:
                words.append(" ")
    return one_line("".join(words))
