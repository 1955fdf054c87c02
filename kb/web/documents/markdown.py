"""Markdown, with wikilinks, tables, footnotes and formulas; each block says its lines."""

from __future__ import annotations

import re
from collections import Counter
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from kb.web.documents.markup import HIT, IN, RASTER, Excerpt, link, linked_text, visible
from kb.web.documents.source import fenced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_LEAVES: Final = frozenset({"paragraph_open", "heading_open", "tr_open", "dt_open", "html_block", "math_block", "hr"})
_WIKILINK: Final = re.compile(r"(!?)\[\[([^\[\]\n|]+)(?:\|([^\[\]\n]*))?\]\]")
_TASK: Final = re.compile(r"\[([ xX])\]\s+")
_AWAY: Final = ("http:", "https:", "mailto:", "//")
_LINK_TAG: Final = re.compile(r"<(/?)a\b", re.IGNORECASE)
_NOT_SLUG: Final = re.compile(r"[^\w\- ]")
_ANCHOR: Final = re.compile(r"\^[\w-]+\s*$")


def markdown(source: Excerpt) -> str:
    """Return a Markdown document as HTML, to be sanitized."""
    parser = _parser()
    environment: dict[str, Any] = {"source": source}
    tokens = parser.parse(visible(source.text), environment)
    _lead(tokens, source)
    _name(tokens)
    _place(tokens, source)
    return str(parser.renderer.render(tokens, parser.options, environment))


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.deflist import deflist_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.footnote import footnote_plugin
    from mdit_py_plugins.front_matter import front_matter_plugin

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.use(front_matter_plugin).use(footnote_plugin).use(deflist_plugin)
    parser.use(dollarmath_plugin, allow_digits=False, double_inline=True)
    parser.inline.ruler.before("link", "wikilink", _wikilink)
    for name, rule in {
        "fence": _fence,
        "code_block": _fence,
        "front_matter": _front_matter,
        "math_inline": _math,
        "math_inline_double": _math,
        "math_block": _math_block,
        "math_block_label": _math_block,
    }.items():
        parser.add_render_rule(name, rule)
    return parser


def _place(tokens: Sequence[Token], source: Excerpt) -> None:
    """Give each block its first line, and the blocks of the passage their class."""
    items: list[Token] = []
    for token in tokens:
        if token.type == "list_item_open":
            items.append(token)
        elif token.type == "list_item_close":
            items.pop()
        if not token.map or token.nesting < 0:
            continue
        first, last = token.map[0] + source.first_line, token.map[1] + source.first_line - 1
        # The paragraph of a tight list is not drawn: its item takes its place.
        drawn = items[-1] if token.hidden and items else token
        drawn.attrSet("data-line", str(first))
        if token.type in _LEAVES and source.is_marked(first, last):
            drawn.attrJoin("class", HIT)


def _name(tokens: Sequence[Token]) -> None:
    """Give headings the names by which links within a document lead to them, as GitHub does."""
    used: Counter[str] = Counter()
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            said = "".join(one.content for one in inline.children or () if one.type in {"text", "code_inline"})
            slug = _NOT_SLUG.sub("", said.strip().lower()).replace(" ", "-")
            name = slug
            while name in used:
                name = f"{slug}-{used[slug]}"
                used[slug] += 1
            used[name] += 1
            if name:
                token.attrSet("id", name)


def _link_addresses(block: Token) -> None:
    """Make web addresses that stand in a text links."""
    inside = False
    for token in block.children or ():
        if token.type in {"link_open", "link_close"}:
            inside = token.type == "link_open"
        elif token.type == "html_inline" and (tag := _LINK_TAG.match(token.content)):
            inside = not tag[1]
        elif token.type == "text" and "://" in token.content and not inside:
            token.content, token.type = linked_text(token.content), "html_inline"


def _lead(tokens: Sequence[Token], source: Excerpt) -> None:
    """Give links and images their addresses; those that lead nowhere say why."""
    for block in tokens:
        _link_addresses(block)
        for at, token in enumerate(block.children or ()):
            if token.type == "link_open":
                _lead_link(token, source)
            elif token.type == "image":
                token.attrSet("src", source.image(unquote(str(token.attrs.get("src", "")))))
            elif token.type == "text" and at == 0 and (task := _TASK.match(token.content)):
                token.content = f"{'☐' if task[1] == ' ' else '☑'} {token.content[task.end() :]}"
            if token.type == "text" and at == len(block.children or ()) - 1:
                token.content = _ANCHOR.sub("", token.content)


def _lead_link(token: Token, source: Excerpt) -> None:
    href = str(token.attrs.get("href", ""))
    if href.lower().startswith(_AWAY):
        return
    target = source.target(unquote(href))
    if target.href:
        token.attrSet("href", target.href)
    else:
        del token.attrs["href"]
        token.attrSet("class", "broken")
        token.attrSet("title", target.problem)


def _wikilink(state: StateInline, silent: bool) -> bool:
    """Read ``[[name]]``, ``[[name|label]]`` and ``![[embedded]]``."""
    found = _WIKILINK.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        # A token of its own, after the text before it.
        state.push("html_inline", "", 0).content = _linked(found, state.env["source"])
    state.pos = found.end()
    return True


def _linked(found: re.Match[str], source: Excerpt) -> str:
    embeds, name, label = found[1], found[2].strip(), (found[3] or "").strip()
    if embeds and RASTER.search(name):
        return f'<img src="{escape(source.image(name))}" alt="{escape(label or name)}">'
    return link(source.target(name), label or name.replace("#^", " ^").replace("#", f" {IN} ").strip())


def _fence(_renderer: object, tokens: Sequence[Token], at: int, _options: object, env: dict[str, Any]) -> str:
    token, source = tokens[at], env["source"]
    first = (token.map or [0, 0])[0] + source.first_line + (token.type == "fence")
    return fenced(token.content, token.info.split(" ")[0].strip("{}."), first, source)


def _front_matter(_renderer: object, tokens: Sequence[Token], at: int, _options: object, env: dict[str, Any]) -> str:
    return f'<div class="front">{fenced(tokens[at].content, "yaml", env["source"].first_line + 1, env["source"])}</div>'


def _math(_renderer: object, tokens: Sequence[Token], at: int, _options: object, _env: object) -> str:
    return f'<code class="math">{escape(tokens[at].content)}</code>'


def _math_block(_renderer: object, tokens: Sequence[Token], at: int, _options: object, env: dict[str, Any]) -> str:
    token, source = tokens[at], env["source"]
    first, last = ((token.map or [0, 0])[0] + source.first_line, (token.map or [0, 0])[1] + source.first_line - 1)
    hit = f" {HIT}" if source.is_marked(first, last) else ""
    return f'<pre class="math{hit}" data-line="{first}">{escape(token.content.strip())}</pre>\n'
