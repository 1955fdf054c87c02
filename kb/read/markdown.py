"""Markdown's outline by markdown-it-py: headings and blocks that stay together, with exact lines.

Only block rules run: inline markup matters for headings alone, and parsing it everywhere would cost most of the time.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from kb.read.inline import names_in, read_inline
from kb.read.markup import Outline, one_line
from kb.read.ruby import readings_apart
from kb.records import Block, Heading, Name, Told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

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
_WIKILINK: Final = re.compile(r"\[\[([^\[\]|#\n]+)(#[^\[\]|\n]*)?(\|[^\[\]\n]*)?\]\]")


def parse_markdown(text: str, first_line: int = 1) -> Outline:
    """The outline of Markdown that begins at ``first_line`` of a text.

    Args:
        text: The whole text of the document.
        first_line: The first line of Markdown in it, after front matter.
    """
    lines = text.split("\n")
    body = text if first_line == 1 else "\n".join(lines[first_line - 1 :])
    tokens: list[Token] = []
    # markdown-it replaces NUL in a step of its own that is not run here.
    _parser().block.parse(body.replace("\0", "\ufffd"), _parser(), {}, tokens)
    blocks = tuple(_blocks(tokens, first_line))
    inline = read_inline(text, lines, blocks, first_line)
    page = inline.properties
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
        spelled=tuple(readings_apart(text, blocks)),
        told=tuple(_told(tokens, lines, first_line)),
    )


# Markup in a longer one is not understood: the time for that grows with the square of its length.
_LONGEST_HEADING: Final = 2_000


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Link definitions are text for search, so they may stay paragraphs.
    parser = MarkdownIt("commonmark").enable("table").disable("reference")
    parser.block.ruler.before("fence", "formula", _formula, {"alt": ["paragraph", "blockquote", "list"]})
    return parser


def _formula(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A displayed formula: from a line that begins with ``$$`` to the next with one at an end, without a blank line.

    A line of ``=`` or ``-`` in it makes no heading of what is above.
    """
    opening = _line(state, start)
    if not opening.startswith(_DOLLARS) or _DOLLARS in opening[2:] or state.is_code_block(start):
        return False
    # Where an earlier one was not closed no later one is: each line is looked at once.
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
        # A heading inside a quote or a list item divides that item, not the document.
        if token.type == "heading_open" and token.level == 0 and token.map:
            content = tokens[position + 1].content[:_LONGEST_HEADING]
            attributes = _ATTRIBUTES.search(content)
            first, last = token.map[0] + first_line, token.map[1] + first_line - 1
            yield Heading(_plain(content), int(token.tag[1:]), first, last, attributes[0].strip() if attributes else "")


def _heading_ids(tokens: Sequence[Token], first_line: int) -> Iterator[Name]:
    """The ids that headings are given in braces: ``# Title {#id}``."""
    for position, token in enumerate(tokens):
        if (
            token.type == "heading_open"
            and token.map
            and (found := _HEADING_ID.search(tokens[position + 1].content[:_LONGEST_HEADING]))
        ):
            yield Name("block", found[1], token.map[0] + first_line)


def _blocks(tokens: Sequence[Token], first_line: int) -> Iterator[Block]:
    """The innermost blocks: an item of a list may be cut off from the next, a fence inside it stays whole."""
    for token in tokens:
        kind = _KINDS.get(token.type)
        if kind and token.map and token.map[1] > token.map[0]:
            yield Block(kind, token.map[0] + first_line, token.map[1] + first_line - 1)


def _told(tokens: Sequence[Token], lines: Sequence[str], first_line: int) -> Iterator[Told]:
    """The names of a table's columns for its rows, the first line of an item for what is below it."""
    for token in tokens:
        if token.map is None or token.type not in {"table_open", "list_item_open"}:
            continue
        first, last = token.map[0] + first_line, token.map[1] + first_line - 1
        # The second line of a table is its rule.
        below = first + (2 if token.type == "table_open" else 1)
        text = one_line(_ITEM_SIGN.sub("", lines[first - 1]))
        if below <= last and text:
            yield Told(below, last, text)


def _plain(content: str) -> str:
    """A heading's words without its markup."""
    content = _ATTRIBUTES.sub("", content)
    content = _WIKILINK.sub(lambda link: link[3][1:] if link[3] else link[1], content)
    if not _INLINE.search(content):
        return one_line(content)
    words = []
    for inline in _parser().parseInline(content):
        for token in inline.children or ():
            # An image's content is its alternative text.
            if token.type in {"text", "code_inline", "text_special", "image"}:
                words.append(token.content)
            elif token.type in {"softbreak", "hardbreak"}:
                words.append(" ")
    return one_line("".join(words))
