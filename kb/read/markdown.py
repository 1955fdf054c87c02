"""Markdown's outline by markdown-it-py: headings and blocks that stay together, with exact lines.

Only block rules run: inline markup matters for headings alone, and parsing it everywhere would cost most of the time.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from kb.read.inline import names_in, read_inline
from kb.read.markup import Outline, one_line
from kb.records import Block, Heading, Name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_KINDS: Final[dict[str, Literal["text", "code", "table"]]] = {
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
    "paragraph_open": "text",
    "html_block": "text",
}
_DATE_PROPERTIES: Final = ("date", "created", "published", "updated")
_INLINE: Final = re.compile(r"[*_`\[\]<>&\\!~]")
_ATTRIBUTES: Final = re.compile(r"\s*\{[#.:][^{}]*\}$")
_HEADING_ID: Final = re.compile(r"\{#([\w:.-]+)[^{}]*\}$")
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
    )


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Link definitions are text for search, so they may stay paragraphs.
    return MarkdownIt("commonmark").enable("table").disable("reference")


def _headings(tokens: Sequence[Token], first_line: int) -> Iterator[Heading]:
    for position, token in enumerate(tokens):
        # A heading inside a quote or a list item divides that item, not the document.
        if token.type == "heading_open" and token.level == 0 and token.map:
            content = tokens[position + 1].content
            attributes = _ATTRIBUTES.search(content)
            first, last = token.map[0] + first_line, token.map[1] + first_line - 1
            yield Heading(_plain(content), int(token.tag[1:]), first, last, attributes[0].strip() if attributes else "")


def _heading_ids(tokens: Sequence[Token], first_line: int) -> Iterator[Name]:
    """The ids that headings are given in braces: ``# Title {#id}``."""
    for position, token in enumerate(tokens):
        if token.type == "heading_open" and token.map and (found := _HEADING_ID.search(tokens[position + 1].content)):
            yield Name("block", found[1], token.map[0] + first_line)


def _blocks(tokens: Sequence[Token], first_line: int) -> Iterator[Block]:
    """The innermost blocks: an item of a list may be cut off from the next, a fence inside it stays whole."""
    for token in tokens:
        kind = _KINDS.get(token.type)
        if kind and token.map and token.map[1] > token.map[0]:
            yield Block(kind, token.map[0] + first_line, token.map[1] + first_line - 1)


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
