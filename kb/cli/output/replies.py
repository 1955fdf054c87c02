"""Replies to questions: sentences with marks, then their sources; as text, Markdown or JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from kb.cli.output.formats import answer_object, cosine_text, escape_markdown, rounded, where
from kb.cli.output.notices import place_of as place_of_hit
from kb.cli.output.render import HitRenderer
from kb.cli.output.terminal import file_url, one_line, sanitize, shown_path
from kb.search.words import Words, words_of

if TYPE_CHECKING:
    from kb.cli.output.terminal import OutputStyle
    from kb.records import Answer, Hit, Quote, Reply

_WIDEST: Final = 100
_INDENT: Final = "    "
_TICKS: Final = re.compile("`+")
# What begins an item of a list: a sentence of an answer stands alone.
_BULLET: Final = re.compile(r"\A[-*+\u2022] +")
# Of a link or a picture, its text is read.
_LINK: Final = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")


@dataclass(frozen=True, slots=True)
class NumberedQuote:
    """A quote with its number and the hit that it stands in."""

    number: int
    quote: Quote
    hit: Hit


def sources_of(reply: Reply) -> list[NumberedQuote]:
    """Return the quotes of a reply, numbered in their order; a quote that is used twice has one number."""
    hits = {hit.rank: hit for hit in reply.answer.hits}
    return [
        NumberedQuote(number, quote, hits[quote.rank]) for number, quote in enumerate(dict.fromkeys(reply.quotes), 1)
    ]


def cited(reply: Reply) -> Answer:
    """Return the answer with the sources as its hits, in the order of their numbers, at the lines of the quotes."""
    hits = []
    for one in sources_of(reply):
        passage = replace(one.hit.passage, first_line=one.quote.line) if one.hit.passage.exact else one.hit.passage
        hits.append(replace(one.hit, rank=one.number, passage=passage))
    return replace(reply.answer, hits=tuple(hits))


@dataclass(frozen=True, slots=True)
class Marked:
    """A sentence of a reply.

    Attributes:
        text: The sentence, on one line.
        numbers: The numbers of its sources.
        introduced: The lines that it introduces; empty for none.
    """

    text: str
    numbers: tuple[int, ...]
    introduced: str = ""


def marked(reply: Reply) -> list[Marked]:
    """Return the sentences of a reply, each with the numbers of its sources."""
    number = {one.quote: one.number for one in sources_of(reply)}
    if reply.claims:
        return [Marked(claim.text, tuple(sorted({number[quote] for quote in claim.quotes}))) for claim in reply.claims]
    return [Marked(quote.text, (number[quote],), quote.introduced) for quote in dict.fromkeys(reply.quotes)]


def reply_text(reply: Reply, style: OutputStyle, *, quoted: bool = False) -> str:
    """Return the sentences with the marks of their sources, an empty line, then the sources.

    Links in them are shown as their text, and items of lists without their bullets; what is quoted under a source is
    letter by letter that of the file.

    Args:
        reply: The reply.
        style: How the output is formatted.
        quoted: Whether to show under each source the text that is quoted.
    """
    page = HitRenderer(style)
    words = Words() if reply.claims else words_of(reply.answer.query)
    for one in marked(reply):
        text = _LINK.sub(r"\1", _BULLET.sub("", one.text))
        page.sentence(one_line(text), f" {''.join(f'[{at}]' for at in one.numbers)}", words)
        for line in sanitize(one.introduced).splitlines():
            page.line(f"{_INDENT}{line}".rstrip())
    page.line()
    for source in sources_of(reply):
        _write_source(page, source, quoted=quoted or bool(reply.claims))
    return page.text()


def reasons_text(reply: Reply, style: OutputStyle) -> str:
    """Return each source with the reasons for the rank of its hit."""
    page = HitRenderer(style)
    for source in sources_of(reply):
        _write_source(page, source, quoted=False)
        page.sentence(one_line(source.hit.why), "", Words(), indent=_INDENT)
    return page.text()


def _write_source(page: HitRenderer, source: NumberedQuote, *, quoted: bool) -> None:
    """Write the number, place and score of a source, and what it is of."""
    page.source(source.number, source.hit.passage, place_of(source), _score(source))
    if source.hit.changed:
        page.line(("    changed since indexed", "yellow"))
    if quoted:
        page.sentence(f"“{one_line(source.quote.text)}”", "", Words(), indent=_INDENT)


def place_of(source: NumberedQuote) -> str:
    """Return where in its file a quote is: its line, or the place of its passage, such as a page."""
    passage = source.hit.passage
    return str(source.quote.line) if passage.exact else where(passage)


def _score(source: NumberedQuote) -> float | None:
    """Return the cosine of a quote, else that of its passage; None where both have none yet."""
    return source.hit.score if source.quote.cosine is None else source.quote.cosine


def reply_markdown(reply: Reply, cwd: str) -> str:
    """Return the question as a heading, the sentences with footnote marks, and the sources as footnotes."""
    lines = [f"## {escape_markdown(one_line(reply.answer.question))}", ""]
    for one in marked(reply):
        lines.append(
            f"{escape_markdown(one_line(_BULLET.sub('', one.text)))}{''.join(f'[^{at}]' for at in one.numbers)}"
        )
        if one.introduced:
            fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(one.introduced)), default=0))
            lines += ["", fence, sanitize(one.introduced), fence, ""]
    lines.append("")
    for source in sources_of(reply):
        passage = source.hit.passage
        path = passage.file.absolute_path
        place = escape_markdown(f"{shown_path(path, cwd)}:{place_of(source)}")
        facts = [cosine_text(_score(source)), *(["changed since indexed"] if source.hit.changed else [])]
        quote = f": “{escape_markdown(one_line(source.quote.text))}”" if reply.claims else ""
        lines.append(f"[^{source.number}]: [{place}]({file_url(path)}) {' · '.join(facts)}{quote}")
    return "\n".join(lines) + "\n"


def reply_notices(reply: Reply, cwd: str) -> list[str]:
    """Return what to say about the language model's part in a reply: what was dropped of it, or why it has no part."""
    lines = []
    if reply.dropped and reply.claims:
        what = "1 sentence" if reply.dropped == 1 else f"{reply.dropped} sentences"
        were, them = ("was", "it") if reply.dropped == 1 else ("were", "them")
        lines.append(f"{what} of {reply.model} {were} dropped: no quote from your files bears {them} out")
    if reply.problem and reply.quotes:
        lines.append(f"{reply.problem.rstrip('.')}. These are the best sentences of your files")
    elif reply.problem and reply.answer.hits:
        lines.append(f"{reply.problem}; the nearest is {place_of_hit(reply.answer.hits[0], cwd)}")
    return lines


def reply_object(reply: Reply) -> dict[str, Any]:
    """Return the JSON object of the answer with ``sentences`` and ``sources`` before its hits.

    ``model`` and what belongs to it are there only where a language model was asked.
    """
    found = answer_object(reply.answer)
    hits = found.pop("hits")
    asked: dict[str, Any] = {}
    if reply.model:
        asked["model"] = {
            "name": reply.model,
            "sent_to": reply.sent_to,
            "answered": bool(reply.claims),
            "dropped": reply.dropped,
            "problem": reply.problem,
        }
    return {
        **found,
        **asked,
        "sentences": [{"text": one.text, "sources": list(one.numbers)} for one in marked(reply)],
        "sources": [_source_object(one) for one in sources_of(reply)],
        "hits": hits,
    }


def _source_object(source: NumberedQuote) -> dict[str, Any]:
    passage = source.hit.passage
    return {
        "number": source.number,
        "path": passage.file.absolute_path,
        "line": source.quote.line,
        "place": passage.place,
        "quote": source.quote.text,
        "introduced": source.quote.introduced,
        "score": rounded(_score(source)),
        "rank": source.hit.rank,
        "changed": source.hit.changed,
        "id": passage.id,
    }
