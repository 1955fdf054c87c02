"""Answers and passages as people read them: laid out for a terminal, or one line a hit as grep prints it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kb.cli.formats import absolute, alike_text, best_by, trail, where
from kb.cli.snippet import snippet
from kb.cli.terminal import Look, file_url, one_line, sanitize, shown_path
from kb.search.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.text import Text

    from kb.records import Answer, Hit, Shown, StoredPassage

_INDENT: Final = "  "
_SNIPPET_LINES: Final = 3
_WIDEST: Final = 100
_NOTES: Final = 3


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The lines of a file just before and just after a passage."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of each hit is shown. ``around`` holds the lines around passages, by passage id."""

    l2: bool = False
    full: bool = False
    around: Mapping[str, Surroundings] = field(default_factory=dict)


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
    """The best sentences of a passage, at the line on which the best one begins; found by words alone, the first."""
    passage = hit.passage
    best = snippet(passage.text, words, hit.best)
    line = str(passage.first_line + best.line)
    at = line if passage.exact else one_line(passage.place) or line
    return f"{_path(passage, look)}:{at}:{one_line(best.text)}\n"


def _grep_block(passage: StoredPassage, look: Look, detail: Detail) -> Iterable[str]:
    path = _path(passage, look)
    around = detail.around.get(passage.id, Surroundings())
    lines = passage.text.split("\n")
    for number, line in enumerate(around.before, passage.first_line - len(around.before)):
        yield f"{path}-{number}-{sanitize(line)}\n"
    for number, line in enumerate(lines, passage.first_line):
        yield f"{path}:{number}:{sanitize(line)}\n"
    for number, line in enumerate(around.after, passage.last_line + 1):
        yield f"{path}-{number}-{sanitize(line)}\n"


def hits_text(answer: Answer, words: Words, look: Look, detail: Detail) -> str:
    """The hits laid out: a header line each with the place as a link, then the best sentences or the whole passage."""
    page = Page(look)
    for at, hit in enumerate(answer.hits):
        if at:
            page.line()
        page.header(hit, l2=detail.l2)
        if detail.full or detail.around:
            page.passage(hit.passage, words, detail.around.get(hit.passage.id, Surroundings()))
        else:
            page.snippet(hit, words, _SNIPPET_LINES)
        page.alike(hit)
    return page.text()


def ask_text(answer: Answer, words: Words, look: Look, detail: Detail) -> str:
    """The best passage quoted whole with its source, then the next ones in short."""
    page = Page(look)
    for at, hit in enumerate(answer.hits):
        if at == 0:
            page.quote(hit.passage.text, words)
        page.header(hit, l2=detail.l2)
        if at:
            page.snippet(hit, words, 1)
        page.alike(hit)
        if at == 0 and len(answer.hits) > 1:
            page.line()
    return page.text()


def shown_text(shown: Shown, look: Look) -> str:
    """The passages of a file: under their places for reading, the bare text in a pipe."""
    if not look.laid_out:
        return "\n".join(sanitize(passage.text).rstrip("\n") + "\n" for passage in shown.passages)
    page = Page(look)
    for at, passage in enumerate(shown.passages):
        if at:
            page.line()
        page.place(passage, changed=shown.changed)
        page.passage(passage, Words(), Surroundings())
    return page.text()


def _path(passage: StoredPassage, look: Look) -> str:
    return shown_path(absolute(passage.file.folder, passage.file.path), look.cwd)


class Page:
    """Lines of styled text, made into one string. Everything from a file is made harmless on its way in."""

    def __init__(self, look: Look) -> None:
        from rich.console import Console

        self._look = look
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
        """All lines so far."""
        return self._out.getvalue()

    def line(self, *parts: str | tuple[str, str] | Text) -> None:
        """One line of parts, as text or (text, style); never wrapped, so that paths can be copied."""
        from rich.text import Text

        self._console.print(Text.assemble(*parts), soft_wrap=True)

    def header(self, hit: Hit, *, l2: bool) -> None:
        """Where a hit is and how well it answers, which notes show its file, and why it stands here where asked for."""
        scores = [f"{hit.score:.3f}"] + ([f"l2 {hit.l2:.3f}"] if l2 else [])
        scores += [] if hit.rerank is None else [f"rerank {hit.rerank:.3f}"]
        self.place(hit.passage, *scores, changed=hit.changed)
        if hit.embedded_in:
            notes = [shown_path(absolute(note.folder, note.path), self._look.cwd) for note in hit.embedded_in]
            more = f" and {len(notes) - _NOTES} more" if len(notes) > _NOTES else ""
            self.line(_INDENT, (f"embedded in {', '.join(notes[:_NOTES])}{more}", "dim"))
        if hit.why:
            self.line(_INDENT, (f"{hit.why}; sentences by {best_by(hit)}", "dim"))

    def place(self, passage: StoredPassage, *scores: str, changed: bool) -> None:
        """Path and lines as a link, then scores, the heading trail (else the title), and whether the file changed."""
        from rich.style import Style
        from rich.text import Text

        path = absolute(passage.file.folder, passage.file.path)
        at = where(passage)
        link = Text(shown_path(path, self._look.cwd), Style(color="magenta", link=file_url(path)))
        link.append(f":{at}", Style(color="green", link=file_url(path)))
        parts: list[str | tuple[str, str] | Text] = [link]
        parts += [part for score in scores for part in (_INDENT, (score, "cyan"))]
        heading = one_line(trail(passage.heading) or passage.file.title)
        if heading:
            parts += [_INDENT, (heading, "bold")]
        if changed:
            parts += [_INDENT, ("changed since indexed", "yellow")]
        self.line(*parts)

    def snippet(self, hit: Hit, words: Words, lines: int) -> None:
        """The best sentences of a passage, wrapped and indented, in at most about so many lines."""
        width = min(self._look.width, _WIDEST) - len(_INDENT)
        best = one_line(snippet(hit.passage.text, words, hit.best, budget=width * lines - 10).text)
        if best:
            for line in self._marked(best, words).wrap(self._console, width):
                line.rstrip()
                self.line(_INDENT, line)

    def alike(self, hit: Hit) -> None:
        """How many passages say the same as a hit, and where the first of them are."""
        if hit.alike:
            self.line(_INDENT, (alike_text(hit, self._look.cwd), "dim"))

    def passage(self, passage: StoredPassage, words: Words, around: Surroundings) -> None:
        """A passage whole, line by line as it stands in the file, with what is around it dimmed."""
        for line in around.before:
            self.line(_INDENT, (_flat(line), "dim"))
        self._body(passage.text, words, _INDENT)
        for line in around.after:
            self.line(_INDENT, (_flat(line), "dim"))

    def quote(self, text: str, words: Words) -> None:
        """A passage whole, as a quotation."""
        self._body(text, words, "> ")

    def _body(self, text: str, words: Words, before: str) -> None:
        for line in text.strip("\n").split("\n"):
            self.line((before, "dim"), self._marked(_flat(line), words))

    def _marked(self, text: str, words: Words) -> Text:
        from rich.text import Text

        marked = Text(text)
        for first, last in words.spans(text):
            marked.stylize("bold underline", first, last)
        return marked


def _flat(line: str) -> str:
    """A harmless line with tabs as spaces, so that what is marked is where it is shown."""
    return sanitize(line).expandtabs(4)
