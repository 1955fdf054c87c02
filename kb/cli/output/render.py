"""Text output of answers and passages: laid out for a terminal, or one line per hit as grep prints it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.cli.output.formats import best_by, cosine_text, duplicates_text, trail, where
from kb.cli.output.snippet import snippet, snippet_rows
from kb.cli.output.terminal import OutputStyle, file_url, one_line, sanitize, shown_path
from kb.cli.output.wrap import breaks
from kb.search.sentences import BY_LINE
from kb.search.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.text import Text

    from kb.records import Answer, Hit, Shown, StoredPassage

_INDENT: Final = "  "
_SNIPPET_LINES: Final = 3
_WIDEST: Final = 100
_NOTES: Final = 3
# Lines of the terminal that are taken: the command, a notice, and the prompt after it.
_ELSE: Final = 3
_CODE_INDENT: Final = 4
_TAB: Final = 4
_FENCES: Final = ("```", "~~~")
_ENDLESS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ContextLines:
    """The lines of a file just before and just after a passage."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of each hit is shown.

    Attributes:
        l2: Whether to show the Euclidean distance.
        full: Whether to show whole passages.
        around: The context lines of passages, by passage id.
    """

    l2: bool = False
    full: bool = False
    around: Mapping[str, ContextLines] = field(default_factory=dict)


def grep_lines(answer: Answer, words: Words, style: OutputStyle, detail: Detail) -> str:
    """Return exactly one line per hit, ``path:line:text``, for a pipe.

    Whole passages and context come line by line, as grep prints them: ``path:line:text`` for the passage,
    ``path-line-text`` around it, ``--`` between hits.
    """
    if not detail.full and not detail.around:
        return "".join(_grep_line(hit, words, style) for hit in answer.hits)
    blocks = ["".join(_grep_block(hit.passage, style, detail)) for hit in answer.hits]
    return ("--\n" if detail.around else "").join(blocks)


def _grep_line(hit: Hit, words: Words, style: OutputStyle) -> str:
    """Return the best sentences of a passage, at the line on which the best one begins; found by words, the first.

    For a document, that is a line of its extracted text, which begins with the place, such as a page or slide.
    """
    passage = hit.passage
    best = snippet(passage.text, words, hit.best, kind=passage.file.kind)
    place = f"[{passage.place}] " if passage.place and not passage.exact else ""
    return f"{_path(passage, style)}:{passage.first_line + best.line}:{one_line(place + best.text)}\n"


def _grep_block(passage: StoredPassage, style: OutputStyle, detail: Detail) -> Iterable[str]:
    path = _path(passage, style)
    around = detail.around.get(passage.id, ContextLines())
    lines = passage.text.split("\n")
    for number, line in enumerate(around.before, passage.first_line - len(around.before)):
        yield f"{path}-{number}-{sanitize(line)}\n"
    for number, line in enumerate(lines, passage.first_line):
        yield f"{path}:{number}:{sanitize(line)}\n"
    for number, line in enumerate(around.after, passage.last_line + 1):
        yield f"{path}-{number}-{sanitize(line)}\n"


def hits_text(answer: Answer, words: Words, style: OutputStyle, detail: Detail) -> str:
    """Return the hits laid out: a header line each with the place as a link, then the best sentences or the passage.

    Only as many as fit the height of the terminal, if it has one, then how many more there are.
    """
    page = HitRenderer(style, numbers=len(answer.hits))
    blocks = []
    for at, hit in enumerate(answer.hits):
        if at:
            page.line()
        page.header(hit, l2=detail.l2)
        if detail.full or detail.around:
            page.passage(hit.passage, words, detail.around.get(hit.passage.id, ContextLines()))
        else:
            page.snippet(hit, words, _SNIPPET_LINES)
        page.duplicates(hit)
        blocks.append(page.taken())
    return _fitting(page, blocks, style)


def _fitting(page: HitRenderer, blocks: list[Block], style: OutputStyle) -> str:
    """Return the hits that fit the height of the terminal, always the first one, and how many do not."""
    room = style.height - _ELSE
    shown = used = 0
    for at, block in enumerate(blocks):
        # An empty line and the one with the number of further hits.
        after = 2 if at + 1 < len(blocks) else 0
        if style.laid_out and style.height and at and used + block.rows + after > room:
            break
        used += block.rows
        shown += 1
    left = len(blocks) - shown
    if left:
        page.line()
        page.line((f"{left} more {'hit' if left == 1 else 'hits'}; -n {len(blocks)} shows all", "dim"))
    return "".join(block.text for block in blocks[:shown]) + page.text()


def shown_text(shown: Shown, style: OutputStyle, *, whole: bool = True) -> str:
    """Return the passages of a file: under their places for reading, the bare text in a pipe.

    With ``whole``, each line of the bare text has the line number that hits give; lines of no passage are empty.
    """
    if not style.laid_out:
        return sanitize(_line_for_line(shown.passages) if whole else "\n".join(_ended(one) for one in shown.passages))
    page = HitRenderer(style)
    fenced = False
    for at, passage in enumerate(shown.passages):
        if at:
            page.line()
        page.place(passage, changed=shown.changed)
        # A long block of code may span several passages.
        fenced = page.passage(passage, Words(), ContextLines(), fenced=fenced)
    return page.text()


def _line_for_line(passages: Iterable[StoredPassage]) -> str:
    """Return passages at their line numbers. Two passages share a line where a long paragraph was cut."""
    lines: list[str] = []
    for passage in passages:
        first, *others = passage.text.rstrip("\n").split("\n")
        lines += [""] * (passage.first_line - 1 - len(lines))
        if lines and passage.first_line == len(lines) and lines[-1]:
            lines[-1] += first if lines[-1][-1:].isspace() or first[:1].isspace() else f" {first}"
        elif passage.first_line == len(lines):
            lines[-1] = first
        else:
            lines.append(first)
        lines += others
    return "".join(f"{line}\n" for line in lines)


def _ended(passage: StoredPassage) -> str:
    return passage.text.rstrip("\n") + "\n"


def _path(passage: StoredPassage, style: OutputStyle) -> str:
    return shown_path(passage.file.absolute_path, style.cwd)


def _heading(passage: StoredPassage) -> str:
    return one_line(trail(passage.heading) or passage.file.title)


def _begins_fenced(lines: Iterable[str], *, otherwise: bool) -> bool:
    """Whether a text begins in a block of code: a fence that names a language opens one, so the one before closes."""
    fences = [line.strip() for line in lines if line.lstrip().startswith(_FENCES)]
    opening = next((at for at, fence in enumerate(fences) if fence.lstrip("`~")), None)
    return otherwise if opening is None else opening % 2 == 1


class Block(NamedTuple):
    """Lines of output, and how many lines of a terminal they take."""

    text: str
    rows: int


class HitRenderer:
    """Renders hits as styled text. Everything from a file is sanitized.

    Args:
        style: How the output is formatted.
        numbers: How many hits are numbered; 0 for none. The lines of a numbered hit are indented.
    """

    def __init__(self, style: OutputStyle, numbers: int = 0) -> None:
        from rich.cells import cell_len
        from rich.console import Console

        self._style = style
        self._measure = cell_len
        # In a pipe lines have any width, and hits have no numbers.
        self._width = style.width if style.laid_out else _ENDLESS
        self._digits = len(str(numbers)) if numbers and style.laid_out else 0
        self._indent = " " * (self._digits + len(_INDENT)) if self._digits else _INDENT
        self._rows = 0
        self._out = io.StringIO()
        self._console = Console(
            file=self._out,
            force_terminal=style.color,
            color_system="standard" if style.color else None,
            no_color=not style.color,
            width=style.width,
            height=100,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )

    def text(self) -> str:
        """Return all lines since the last ``taken``."""
        return self._out.getvalue()

    def taken(self) -> Block:
        """Return all lines since the last call, and forget them."""
        block = Block(self._out.getvalue(), self._rows)
        self._out.seek(0)
        self._out.truncate()
        self._rows = 0
        return block

    def line(self, *parts: str | tuple[str, str] | Text) -> None:
        """Write a line of parts, as text or (text, style); never wrapped, so that paths can be copied."""
        from rich.text import Text

        text = Text.assemble(*parts)
        self._rows += max(1, -(-self._measure(text.plain) // self._width))
        self._console.print(text, soft_wrap=True)

    def header(self, hit: Hit, *, l2: bool) -> None:
        """Write place and scores of a hit, the notes that embed its file, and the explanation of its rank, if any."""
        scores = [cosine_text(hit.score)] + ([f"l2 {hit.l2:.3f}"] if l2 and hit.l2 is not None else [])
        scores += [] if hit.rerank is None else [f"rerank {hit.rerank:.3f}"]
        self.place(hit.passage, *scores, changed=hit.changed, number=hit.rank)
        if hit.embedded_in:
            notes = [shown_path(note.absolute_path, self._style.cwd) for note in hit.embedded_in]
            more = f" and {len(notes) - _NOTES} more" if len(notes) > _NOTES else ""
            self._wrapped((f"embedded in {', '.join(notes[:_NOTES])}{more}", "dim"))
        if hit.why:
            self._wrapped((f"{hit.why}; sentences by {best_by(hit)}", "dim"))

    def place(self, passage: StoredPassage, *scores: str, changed: bool, number: int = 0) -> None:
        """Write path and lines as a link, then scores, the heading trail or title, and whether the file changed.

        What does not fit is continued below. A path that does not fit after the number gets its own line.
        """
        from rich.text import Text

        link, heading = self._link(passage, where(passage)), _heading(passage)
        before = f"{number:>{self._digits}}{_INDENT}" if self._digits else ""
        facts = [(score, "cyan") for score in scores] + ([(heading, "bold")] if heading else [])
        facts += [("changed since indexed", "yellow")] if changed else []
        line = Text.assemble((before, "bold"), link)
        if self._measure(line.plain) > self._width and before:
            self.line((before.rstrip(), "bold"))
            line = link
        for fact in facts:
            if self._measure(line.plain) + len(_INDENT) + self._measure(fact[0]) <= self._width:
                line = Text.assemble(line, _INDENT, fact)
                continue
            self.line(line)
            *above, line = self._broken(Text(*fact))
            for part in above:
                self.line(part)
        self.line(line)

    def snippet(self, hit: Hit, words: Words, lines: int) -> None:
        """Write the best sentences of a passage, wrapped and indented, in about ``lines`` lines; code line by line."""
        width = min(self._width, _WIDEST) - len(self._indent)
        passage = hit.passage
        rows = snippet_rows(
            sanitize(passage.text),
            words,
            hit.best,
            width=width,
            rows=lines,
            kind=passage.file.kind,
            measure=self._measure,
        )
        for row in rows:
            text = self._flat(row.text)
            if text:
                for line in self._broken(self._marked(text, words), width, row.indent, row.hang):
                    self.line(line)

    def duplicates(self, hit: Hit) -> None:
        """Write how many near duplicates a hit has, and where the first of them are."""
        if hit.duplicates:
            self._wrapped((duplicates_text(hit, self._style.cwd), "dim"))

    def passage(self, passage: StoredPassage, words: Words, around: ContextLines, *, fenced: bool = False) -> bool:
        """Write a whole passage, line by line as in the file, with its context lines dimmed.

        Args:
            passage: The passage.
            words: The words of the question.
            around: The lines before and after it.
            fenced: Whether it begins inside a block of code, as far as is known.

        Returns:
            Whether it ends inside one.
        """
        for line in around.before:
            self.line(self._indent, (self._flat(line), "dim"))
        fenced = self._body(passage, words, self._indent, fenced=fenced)
        for line in around.after:
            self.line(self._indent, (self._flat(line), "dim"))
        return fenced

    def sentence(self, text: str, after: str, words: Words, *, indent: str = "") -> None:
        """Write a sentence, wrapped, with the words of the question marked.

        Args:
            text: The sentence, sanitized and on one line.
            after: What follows it, such as the numbers of its sources.
            words: The words of the question.
            indent: What each line begins with.
        """
        from rich.text import Text

        whole = Text.assemble(self._marked(text, words), (after, "cyan"))
        width = min(self._width, _WIDEST) - len(indent)
        for line in self._broken(whole, width, shift=False):
            self.line(indent, line)

    def source(self, number: int, passage: StoredPassage, place: str, score: float | None) -> None:
        """Write the number of a source, its path and place as a link, its score, and what it is of where that fits."""
        from rich.text import Text

        link, heading = self._link(passage, place), _heading(passage)
        line = Text.assemble((f"[{number}]", "cyan"), " ", link, _INDENT, (cosine_text(score), "cyan"))
        if heading and self._measure(line.plain) + len(_INDENT) + self._measure(heading) <= self._width:
            line.append(_INDENT).append(heading, "bold")
        self.line(line)

    def _link(self, passage: StoredPassage, place: str) -> Text:
        """Return the path of a passage and a place in it as a link to the file."""
        from rich.style import Style
        from rich.text import Text

        url = file_url(passage.file.absolute_path)
        path = Text(_path(passage, self._style), Style(color="magenta", link=url))
        return path.append(f":{place}", Style(color="green", link=url))

    def _body(self, passage: StoredPassage, words: Words, before: str, *, fenced: bool = False) -> bool:
        """Write the lines of a passage; prose is wrapped, code is not, so that it can be copied."""
        lines = passage.text.strip("\n").split("\n")
        fenced = _begins_fenced(lines, otherwise=fenced)
        for raw in lines:
            line = self._flat(raw)
            fenced ^= line.lstrip().startswith(_FENCES)
            indent = len(line) - len(line.lstrip())
            marked = self._marked(line, words)
            code = fenced or indent >= _CODE_INDENT or passage.file.kind in BY_LINE or line.lstrip()[:1] == "|"
            width = self._width - len(before)
            for part in [marked] if code else self._broken(marked, width, 0, indent, shift=False):
                self.line((before, "dim"), part)
        return fenced

    def _wrapped(self, part: tuple[str, str]) -> None:
        """Write a line about a hit, wrapped and indented."""
        from rich.text import Text

        for line in self._broken(Text(*part)):
            self.line(line)

    def _broken(self, text: Text, width: int = 0, indent: int = 0, hang: int = 0, *, shift: bool = True) -> list[Text]:
        """Return a text as lines that fit the terminal, indented unless ``shift`` is false."""
        from rich.text import Text

        width = width or self._width - len(self._indent)
        plain = text.plain
        places = breaks(plain, width - indent, width - indent - hang, self._measure)
        before = (self._indent if shift else "") + " " * indent
        lines = []
        for at, part in enumerate(text.divide(places)):
            part.rstrip()
            lines.append(Text.assemble(before + (" " * hang if at else ""), part))
        return lines

    def _marked(self, text: str, words: Words) -> Text:
        from rich.text import Text

        marked = Text(text)
        for first, last in words.spans(text):
            marked.stylize("bold underline", first, last)
        return marked

    def _flat(self, line: str) -> str:
        """Return a sanitized line with tabs as spaces, so that highlighting is where it is shown."""
        if "\t" not in line:
            return sanitize(line)
        flat = ""
        for part in sanitize(line).split("\t"):
            flat += part
            flat += " " * (_TAB - self._measure(flat) % _TAB)
        return flat.rstrip()
