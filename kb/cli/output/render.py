"""Answers and passages as people read them: laid out for a terminal, or one line a hit as grep prints it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.cli.output.formats import absolute, alike_text, best_by, trail, where
from kb.cli.output.snippet import snippet, snippet_rows
from kb.cli.output.terminal import Look, file_url, one_line, sanitize, shown_path
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
# What else stands on the terminal: the command, a notice, and the prompt after it.
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
    """How much of each hit is shown. ``around`` holds the lines around passages, by passage id."""

    l2: bool = False
    full: bool = False
    around: Mapping[str, ContextLines] = field(default_factory=dict)


def grep_lines(answer: Answer, words: Words, look: Look, detail: Detail) -> str:
    """Exactly one line a hit, ``path:line:text``, for a pipe.

    Whole passages and surroundings come line by line, as grep shows them: ``path:line:text`` for the passage,
    ``path-line-text`` around it, ``--`` between hits.
    """
    if not detail.full and not detail.around:
        return "".join(_grep_line(hit, words, look) for hit in answer.hits)
    blocks = ["".join(_grep_block(hit.passage, look, detail)) for hit in answer.hits]
    return ("--\n" if detail.around else "").join(blocks)


def _grep_line(hit: Hit, words: Words, look: Look) -> str:
    """The best sentences of a passage, at the line on which the best one begins; found by words alone, the first.

    Of a document it is a line of its extracted text, and the place in the document's own terms begins the text.
    """
    passage = hit.passage
    best = snippet(passage.text, words, hit.best, kind=passage.file.kind)
    place = f"[{passage.place}] " if passage.place and not passage.exact else ""
    return f"{_path(passage, look)}:{passage.first_line + best.line}:{one_line(place + best.text)}\n"


def _grep_block(passage: StoredPassage, look: Look, detail: Detail) -> Iterable[str]:
    path = _path(passage, look)
    around = detail.around.get(passage.id, ContextLines())
    lines = passage.text.split("\n")
    for number, line in enumerate(around.before, passage.first_line - len(around.before)):
        yield f"{path}-{number}-{sanitize(line)}\n"
    for number, line in enumerate(lines, passage.first_line):
        yield f"{path}:{number}:{sanitize(line)}\n"
    for number, line in enumerate(around.after, passage.last_line + 1):
        yield f"{path}-{number}-{sanitize(line)}\n"


def hits_text(answer: Answer, words: Words, look: Look, detail: Detail) -> str:
    """The hits laid out: a header line each with the place as a link, then the best sentences or the whole passage.

    Only as many as fit the height of the terminal, if it has one, then how many more there are.
    """
    page = HitRenderer(look, numbers=len(answer.hits))
    blocks = []
    for at, hit in enumerate(answer.hits):
        if at:
            page.line()
        page.header(hit, l2=detail.l2)
        if detail.full or detail.around:
            page.passage(hit.passage, words, detail.around.get(hit.passage.id, ContextLines()))
        else:
            page.snippet(hit, words, _SNIPPET_LINES)
        page.alike(hit)
        blocks.append(page.taken())
    return _fitting(page, blocks, look)


def ask_text(answer: Answer, words: Words, look: Look, detail: Detail) -> str:
    """The best passage quoted whole with its source, then the next ones in short, as many as fit."""
    page = HitRenderer(look, numbers=len(answer.hits))
    blocks = []
    for at, hit in enumerate(answer.hits):
        if at == 0:
            page.quote(hit.passage, words)
        elif at == 1:
            page.line()
        page.header(hit, l2=detail.l2)
        if at:
            page.snippet(hit, words, 1)
        page.alike(hit)
        blocks.append(page.taken())
    return _fitting(page, blocks, look)


def _fitting(page: HitRenderer, blocks: list[Block], look: Look) -> str:
    """The hits that fit the height of the terminal, the first one whatever it takes, and how many do not."""
    room = look.height - _ELSE
    shown = used = 0
    for at, block in enumerate(blocks):
        # An empty line and the one that says how many more there are.
        after = 2 if at + 1 < len(blocks) else 0
        if look.laid_out and look.height and at and used + block.rows + after > room:
            break
        used += block.rows
        shown += 1
    left = len(blocks) - shown
    if left:
        page.line()
        page.line((f"{left} more {'hit' if left == 1 else 'hits'}; -n {len(blocks)} shows all", "dim"))
    return "".join(block.text for block in blocks[:shown]) + page.text()


def shown_text(shown: Shown, look: Look, *, whole: bool = True) -> str:
    """The passages of a file: under their places for reading, the bare text in a pipe.

    Of the ``whole`` file each line of that text has the number that hits give it: lines of no passage are empty.
    """
    if not look.laid_out:
        return sanitize(_line_for_line(shown.passages) if whole else "\n".join(_ended(one) for one in shown.passages))
    page = HitRenderer(look)
    fenced = False
    for at, passage in enumerate(shown.passages):
        if at:
            page.line()
        page.place(passage, changed=shown.changed)
        # A long block of code is in several passages.
        fenced = page.passage(passage, Words(), ContextLines(), fenced=fenced)
    return page.text()


def _line_for_line(passages: Iterable[StoredPassage]) -> str:
    """Texts at their lines. Two passages can share a line, where a long paragraph was cut."""
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


def _path(passage: StoredPassage, look: Look) -> str:
    return shown_path(absolute(passage.file.folder, passage.file.path), look.cwd)


def _begins_fenced(lines: Iterable[str], *, otherwise: bool) -> bool:
    """Whether a text begins in a block of code: a fence that names a language opens one, so the one before closes."""
    fences = [line.strip() for line in lines if line.lstrip().startswith(_FENCES)]
    opening = next((at for at, fence in enumerate(fences) if fence.lstrip("`~")), None)
    return otherwise if opening is None else opening % 2 == 1


class Block(NamedTuple):
    """Some lines of output, and how many of a terminal they take."""

    text: str
    rows: int


class HitRenderer:
    """Lines of styled text, made into one string. Everything from a file is made harmless on its way in.

    Args:
        look: How it looks.
        numbers: How many hits are numbered, if any are: what belongs to one is indented behind its number.
    """

    def __init__(self, look: Look, numbers: int = 0) -> None:
        from rich.cells import cell_len
        from rich.console import Console

        self._look = look
        self._measure = cell_len
        # A pipe is as wide as anything, and its hits have no numbers.
        self._width = look.width if look.laid_out else _ENDLESS
        self._digits = len(str(numbers)) if numbers and look.laid_out else 0
        self._indent = " " * (self._digits + len(_INDENT)) if self._digits else _INDENT
        self._rows = 0
        self._out = io.StringIO()
        self._console = Console(
            file=self._out,
            force_terminal=look.color,
            color_system="standard" if look.color else None,
            no_color=not look.color,
            width=look.width,
            height=100,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )

    def text(self) -> str:
        """All lines since some were taken."""
        return self._out.getvalue()

    def taken(self) -> Block:
        """All lines since some were taken, which are gone from the page then."""
        block = Block(self._out.getvalue(), self._rows)
        self._out.seek(0)
        self._out.truncate()
        self._rows = 0
        return block

    def line(self, *parts: str | tuple[str, str] | Text) -> None:
        """One line of parts, as text or (text, style); never wrapped, so that paths can be copied."""
        from rich.text import Text

        text = Text.assemble(*parts)
        self._rows += max(1, -(-self._measure(text.plain) // self._width))
        self._console.print(text, soft_wrap=True)

    def header(self, hit: Hit, *, l2: bool) -> None:
        """Where a hit is and how well it answers, which notes show its file, and why it stands here where asked for."""
        scores = [f"{hit.score:.3f}"] + ([f"l2 {hit.l2:.3f}"] if l2 else [])
        scores += [] if hit.rerank is None else [f"rerank {hit.rerank:.3f}"]
        self.place(hit.passage, *scores, changed=hit.changed, number=hit.rank)
        if hit.embedded_in:
            notes = [shown_path(absolute(note.folder, note.path), self._look.cwd) for note in hit.embedded_in]
            more = f" and {len(notes) - _NOTES} more" if len(notes) > _NOTES else ""
            self._wrapped((f"embedded in {', '.join(notes[:_NOTES])}{more}", "dim"))
        if hit.why:
            self._wrapped((f"{hit.why}; sentences by {best_by(hit)}", "dim"))

    def place(self, passage: StoredPassage, *scores: str, changed: bool, number: int = 0) -> None:
        """Path and lines as a link, then scores, the heading trail (else the title), and whether the file changed.

        What does not fit goes on below. A path that does not fit behind the number has a line of its own.
        """
        from rich.style import Style
        from rich.text import Text

        path = absolute(passage.file.folder, passage.file.path)
        link = Text(shown_path(path, self._look.cwd), Style(color="magenta", link=file_url(path)))
        link.append(f":{where(passage)}", Style(color="green", link=file_url(path)))
        before = f"{number:>{self._digits}}{_INDENT}" if self._digits else ""
        heading = one_line(trail(passage.heading) or passage.file.title)
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
        """The best sentences of a passage, wrapped and indented, in about so many lines; lists and code as lines."""
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

    def alike(self, hit: Hit) -> None:
        """How many passages say the same as a hit, and where the first of them are."""
        if hit.alike:
            self._wrapped((alike_text(hit, self._look.cwd), "dim"))

    def passage(self, passage: StoredPassage, words: Words, around: ContextLines, *, fenced: bool = False) -> bool:
        """A passage whole, line by line as it stands in the file, with what is around it dimmed.

        Args:
            passage: The passage.
            words: The words of the question.
            around: The lines before and after it.
            fenced: Whether it begins in a block of code, as far as is known.

        Returns:
            Whether it ends in one.
        """
        for line in around.before:
            self.line(self._indent, (self._flat(line), "dim"))
        fenced = self._body(passage, words, self._indent, fenced=fenced)
        for line in around.after:
            self.line(self._indent, (self._flat(line), "dim"))
        return fenced

    def quote(self, passage: StoredPassage, words: Words) -> None:
        """A passage whole, as a quotation."""
        self._body(passage, words, "> ")

    def _body(self, passage: StoredPassage, words: Words, before: str, *, fenced: bool = False) -> bool:
        """The lines of a passage; those of prose are wrapped, those of code, which may be copied, are not."""
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
        """A line about a hit, wrapped under its indent."""
        from rich.text import Text

        for line in self._broken(Text(*part)):
            self.line(line)

    def _broken(self, text: Text, width: int = 0, indent: int = 0, hang: int = 0, *, shift: bool = True) -> list[Text]:
        """A text as lines that are no wider than the terminal, indented unless ``shift`` says otherwise."""
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
        """A harmless line with tabs as spaces, so that what is marked is where it is shown."""
        if "\t" not in line:
            return sanitize(line)
        flat = ""
        for part in sanitize(line).split("\t"):
            flat += part
            flat += " " * (_TAB - self._measure(flat) % _TAB)
        return flat.rstrip()
