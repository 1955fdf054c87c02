"""Answers laid out for people and one line a hit for pipes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from any_answers import answers, texts
from hypothesis import given
from made_up import HOSTILE, acting, answer, hit, known_file, passage, without_escapes
from rich.cells import cell_len

from kb.cli.output.render import ContextLines, Detail, grep_lines, hits_text, shown_text
from kb.cli.output.replies import reply_markdown, reply_text
from kb.cli.output.terminal import OutputStyle
from kb.records import Answer, Hit, Quote, Reply, Sentence, Shown
from kb.search.words import Words, words_of

PLAIN = OutputStyle(laid_out=True, color=False, width=60, cwd="/notes")
COLOR = OutputStyle(laid_out=True, color=True, width=60, cwd="/notes")
PIPE = OutputStyle(cwd="/notes")
WORDS = words_of("Which vector store?")


def test_a_pipe_gets_one_line_a_hit() -> None:
    """``path:line:text``, with the passage on one line."""
    asked = answer(hit("Use a vector\nstore."), hit("Other.", path="sub/a.md", rank=2))

    assert grep_lines(asked, WORDS, PIPE, Detail()) == "db.md:5:Use a vector store.\nsub/a.md:5:Other.\n"


@given(answers)
def test_a_pipe_gets_exactly_as_many_lines_as_hits(asked: Answer) -> None:
    """Whatever files hold and are called, a hit is one line, and nothing in it acts on a terminal."""
    written = grep_lines(asked, words_of(asked.question), PIPE, Detail())

    assert len(written.splitlines()) == len(asked.hits)
    assert acting(written) == []


def test_whole_passages_in_a_pipe_come_line_by_line() -> None:
    """Each line of the passage has its own number, the lines around are set apart as grep does."""
    asked = answer(hit("one\ntwo"), hit("three", path="a.md"))
    around = {"db.md-id": ContextLines(("before",), ("after",)), "a.md-id": ContextLines()}

    assert grep_lines(asked, WORDS, PIPE, Detail(full=True)) == "db.md:5:one\ndb.md:6:two\na.md:5:three\n"
    assert grep_lines(asked, WORDS, PIPE, Detail(around=around)) == (
        "db.md-4-before\ndb.md:5:one\ndb.md:6:two\ndb.md-7-after\n--\na.md:5:three\n"
    )


def test_a_hit_is_laid_out_with_its_place_score_and_trail() -> None:
    """A header line that begins with the number kb open takes, then the best sentences, indented behind it."""
    asked = answer(hit("Use a vector store."), hit("Other.", 2, path="a.md", changed=True, heading=(), place="row 3"))

    assert hits_text(asked, WORDS, PLAIN, Detail()) == (
        "1  db.md:5-5  0.750  Databases > Vectors\n"
        "   Use a vector store.\n"
        "\n"
        "2  a.md:5-5 row 3  0.750  Databases  changed since indexed\n"
        "   Other.\n"
    )


def test_a_document_is_shown_at_its_own_place() -> None:
    """Its page, slide or cell; in a pipe the line is one of the extracted text, so that every hit has the same form."""
    pdf = known_file("x.pdf", kind="pdf", title="X")
    asked = answer(hit("A store.", path="x.pdf", file=pdf, place="p. 3"), hit("Or more.", path="y.docx", file=pdf))

    assert grep_lines(asked, WORDS, PIPE, Detail()) == "x.pdf:5:[p. 3] A store.\nx.pdf:5:Or more.\n"
    assert hits_text(asked, WORDS, PLAIN, Detail()).startswith("1  x.pdf:p. 3  0.750")


def test_a_hit_names_the_notes_that_embed_its_file() -> None:
    """The first few, by their paths; a pipe's lines stay as they are."""
    notes = tuple(known_file(f"{number}.md") for number in range(5))
    asked = answer(replace(hit("Words."), embedded_in=notes))

    assert hits_text(asked, WORDS, PLAIN, Detail()).splitlines()[1] == "   embedded in 0.md, 1.md, 2.md and 2 more"
    assert grep_lines(asked, WORDS, PIPE, Detail()) == "db.md:5:Words.\n"


def test_best_sentences_are_shown_in_their_order_at_the_line_of_the_best() -> None:
    """They, and not those that have the question's words; why tells what found them."""
    text = "A vector store, a store.\nThen we tried that.\nIt holds embeddings.\nThat suits." + " Or not so." * 30
    best = (Sentence("It holds embeddings.", 2, 0.9), Sentence("Then we tried that.", 1, 0.8))
    asked = answer(replace(hit(text), best=best, why="cosine 0.750"))

    assert grep_lines(asked, WORDS, PIPE, Detail()).startswith("db.md:7:… Then we tried that. It holds embeddings.")
    assert "cosine 0.750; sentences by cosine\n" in hits_text(asked, WORDS, PLAIN, Detail())
    by_words = answer(replace(asked.hits[0], best=()))
    assert grep_lines(by_words, WORDS, PIPE, Detail()).startswith("db.md:5:A vector store, a store.")


def test_a_hit_names_those_folded_under_it() -> None:
    """The first few, by path and line; a pipe's lines stay as they are."""
    copies = tuple(Hit(1, passage(path=f"{number}.md"), 0.5, 1.0) for number in range(5))
    asked = answer(replace(hit("Words."), duplicates=copies), replace(hit("More."), duplicates=copies[:1]))

    lines = hits_text(asked, WORDS, PLAIN, Detail()).splitlines()
    assert lines[1:3] == ["   Words.", "   +5 like it: 0.md:5, 1.md:5, 2.md:5 and 2 more"]
    assert lines[-1] == "   +1 like it: 0.md:5"
    assert grep_lines(asked, WORDS, PIPE, Detail()) == "db.md:5:Words.\ndb.md:5:More.\n"


def test_the_distance_is_shown_on_request() -> None:
    """``--l2`` adds the Euclidean distance to the header."""
    assert "0.750  l2 0.707  " in hits_text(answer(hit()), WORDS, PLAIN, Detail(l2=True))


def test_words_are_marked_and_the_place_is_a_link() -> None:
    """In colour the question's words are bold and underlined, and path and lines lead to the file."""
    written = hits_text(answer(hit("Use a vector store.")), WORDS, COLOR, Detail())

    assert "Use a \x1b[1;4mvector\x1b[0m \x1b[1;4mstore\x1b[0m." in written
    assert written.count(";file:///notes/db.md\x1b\\") == 2


def test_markup_in_a_file_is_text() -> None:
    """What looks like styling to a library is shown as it stands."""
    assert "[bold]x[/bold] :smile:" in hits_text(answer(hit("[bold]x[/bold] :smile:")), WORDS, COLOR, Detail())


def test_long_text_is_wrapped_under_its_indent_and_the_header_is_not() -> None:
    """A path can be copied whole, however narrow the terminal."""
    asked = answer(hit("word " * 60, path="folder/" * 12 + "a.md"))

    number, header, *lines = hits_text(asked, WORDS, PLAIN, Detail()).splitlines()
    assert (number, header) == ("1", "folder/" * 12 + "a.md:5-5")
    assert lines[0] == "   0.750  Databases > Vectors"
    assert 2 < len(lines) <= 5
    assert all(line.startswith("   word") and len(line) <= 60 for line in lines[1:])


def test_whole_passages_keep_their_lines() -> None:
    """``--full`` shows code as it is indented and wraps nothing."""
    text = "def f():\n\treturn 1  # " + "x" * 100

    assert hits_text(answer(hit(text)), WORDS, PLAIN, Detail(full=True)).splitlines()[1:] == [
        "   def f():",
        "       return 1  # " + "x" * 100,
    ]


def test_a_shown_file_has_places_for_reading_and_bare_text_in_a_pipe() -> None:
    """A pipe gets each line at its number, so that a line of a hit can be cut out."""
    cut = (passage("one\ntwo"), passage("goes on", first_line=6), passage("three\n", first_line=9, last_line=9))
    shown = Shown(known_file(), cut)

    assert shown_text(shown, PIPE) == "\n\n\n\none\ntwo goes on\n\n\nthree\n"
    assert shown_text(Shown(known_file(), cut[2:]), PIPE, whole=False) == "three\n"
    assert shown_text(shown, PLAIN).startswith("db.md:5-6  Databases > Vectors\n  one\n  two\n\n")


@given(answers)
def test_a_line_of_a_pipe_is_that_of_the_shown_text(asked: Answer) -> None:
    """Of documents as of text files: the text at the line holds the beginning of the best sentence."""
    for one in asked.hits:
        line = grep_lines(answer(one), words_of(asked.question), PIPE, Detail())
        found = re.fullmatch(r"(.+?):(\d+):(.*)\n", line)
        assert found is not None
        assert one.passage.first_line <= int(found[2]) <= one.passage.first_line + one.passage.text.count("\n")


def tall(rows: int, width: int = 60) -> OutputStyle:
    """A terminal of some height."""
    return OutputStyle(laid_out=True, width=width, cwd="/notes", height=rows)


@pytest.mark.parametrize(("rows", "shown"), [(0, 10), (40, 10), (24, 6), (12, 2), (2, 1)])
def test_a_list_fits_the_height_of_the_terminal(rows: int, shown: int) -> None:
    """The best ones stay, the rest is counted, and the command, a notice and the prompt have room beside them."""
    asked = answer(*(hit(f"Answer {number}.", number, path=f"{number}.md") for number in range(1, 11)))

    written = hits_text(asked, WORDS, tall(rows), Detail()).splitlines()

    assert [line.split()[0] for line in written if "0.750" in line] == [str(number) for number in range(1, shown + 1)]
    assert not rows or shown == 1 or len(written) <= rows - 3
    more = 10 - shown
    assert not more or written[-2:] == ["", f"{more} more hits; -n 10 shows all"]
    assert written[-1].startswith("10  ") or more or written[-1] == "    Answer 10."


def test_lines_that_the_terminal_wraps_count_as_several() -> None:
    """As a path that is longer than the terminal is wide does, and a line of code."""
    asked = answer(*(hit("x" * 290, number, path="a/" * 75 + f"{number}.md") for number in range(1, 4)))

    written = hits_text(asked, WORDS, tall(24), Detail()).splitlines()
    rows = sum(max(1, -(-len(line) // 60)) for line in written)

    assert rows <= 21
    assert written[-1] == "1 more hit; -n 3 shows all"


def test_a_pipe_knows_no_height_or_width() -> None:
    """Whatever the terminal behind it."""
    asked = answer(*(hit("Answer. " * 20, number) for number in range(1, 11)))

    lines = grep_lines(asked, WORDS, OutputStyle(cwd="/notes", width=20, height=5), Detail())

    assert lines == grep_lines(asked, WORDS, PIPE, Detail())
    assert len(lines.splitlines()) == 10


LISTED = """We keep things. Then we restore them.

- Stop the service
- Restore the backup:
  - fetch it
- Start the service

| tool | does           |
|------|----------------|
| borg | restore backup |
"""


def shown(text: str, question: str, style: OutputStyle = PLAIN, **given: Any) -> list[str]:
    """The lines of a snippet on a terminal, without their indent."""
    words = words_of(question)
    return [line[3:] for line in hits_text(answer(hit(text, **given)), words, style, Detail()).splitlines()[1:]]


def test_lists_tables_and_code_keep_their_lines() -> None:
    """Below one another, each with its indent; what is left out is marked."""
    assert shown(LISTED, "fetch the backup to restore") == [
        "… Then we restore them. …",
        "- Restore the backup:",
        "  - fetch it …",
    ]
    assert shown(LISTED, "borg") == ["… | tool | does           |", "  | borg | restore backup |"]
    code = "import x\n\ndef f(a):\n    if a:\n\t\treturn backup\n"
    assert shown(code, "return the backup", file=known_file("a.py", kind="code")) == [
        "… if a:",
        "      return backup",
    ]
    assert shown("Say:\n\n    ls -l\n      cd\n\nEnd.", "ls") == ["Say:", "ls -l", "  cd …"]


def test_no_line_is_broken_inside_a_path() -> None:
    """It is whole on a line of its own where it is longer than the terminal is wide, and never clipped."""
    path = "/home/ana/" + "folder/" * 12 + "backup.tar.gz"
    text = f"The backup lies at {path} and {path} or {path} and it is fine."

    link = "[this](https://example.org/" + "x" * 70 + ")"
    assert f"   {link}" in hits_text(answer(hit(f"See {link} there.")), WORDS, PLAIN, Detail()).splitlines()
    for style in (PLAIN, tall(0, 30), tall(0, 100)):
        lines = shown(text, "where is the backup", style)
        assert all(word == path for line in lines for word in line.split() if "/" in word), lines
        assert path in lines or style.width == 30


def test_wide_characters_and_marks_are_measured() -> None:
    """As many columns as the terminal gives them: two for an ideograph or an emoji, none for an accent set on top."""
    for text in ("备份可以恢复。" * 20, "👍🏽 café 漢字 e\u0301 " * 20, "ที่สำรองข้อมูล" * 20):
        lines = shown(text, "x")
        assert all(cell_len(line) <= 57 for line in lines), lines
        assert all(cell_len(line) > 45 for line in lines[:-1]), lines
        assert not any(line.startswith(("。", "\u0301", "\u0e31", "\u0e48", "🏽")) for line in lines)


def test_prose_of_a_whole_passage_is_wrapped_and_code_is_not() -> None:
    """Between words, as a snippet is; a command that may be copied stays one line."""
    text = "word " * 30 + "\n\n```sh\n" + "run " * 30 + "\n```"

    lines = hits_text(answer(hit(text)), WORDS, PLAIN, Detail(full=True)).splitlines()[1:]
    assert [len(line) <= 60 for line in lines] == [True] * 5 + [False, True]
    assert all(line.split()[0] == "word" for line in lines[:3])


def test_code_that_is_in_several_passages_is_not_wrapped() -> None:
    """A block that the file goes on with is one of code still, and prose behind it is prose again."""
    long = "run " * 20
    parts = [f"Then:\n\n```\n{long}", f"{long}\n", f"{long}\n```\n\n" + "word " * 20]
    passages = tuple(passage(text, first_line=at * 9 + 1, last_line=at * 9 + 6) for at, text in enumerate(parts))

    lines = shown_text(Shown(known_file(), passages), PLAIN).splitlines()

    assert [len(line) > 60 for line in lines if "run" in line] == [True] * 3
    assert all(len(line) <= 60 for line in lines if "word" in line)


def test_a_passage_that_begins_in_code_is_known_by_the_next_fence() -> None:
    """A fence that names a language opens a block, so that the one before it closes one."""
    text = "run " * 20 + "\n```\n\n" + "word " * 20 + "\n\n```sh\nrun\n```"

    lines = hits_text(answer(hit(text)), WORDS, PLAIN, Detail(full=True)).splitlines()[1:]

    assert len(lines[0]) > 60
    assert all(len(line) <= 60 for line in lines[1:])


def test_a_long_heading_goes_on_below() -> None:
    """Under the path, between its words."""
    asked = answer(hit("Text.", heading=("One long heading " * 5,)))

    written = hits_text(asked, WORDS, PLAIN, Detail()).splitlines()
    assert written[0] == "1  db.md:5-5  0.750"
    assert all(line.startswith("   ") and len(line) <= 60 for line in written[1:])


def reply_of(asked: Answer) -> Reply:
    """A reply that quotes each hit whole, and has it introduce itself."""
    hits = tuple(replace(one, rank=rank) for rank, one in enumerate(asked.hits, 1))
    quotes = tuple(
        Quote(one.passage.text, one.rank, one.passage.first_line, introduced=f"{one.passage.text}\n{HOSTILE}")
        for one in hits
    )
    return Reply(quotes, replace(asked, hits=hits))


def laid_out(asked: Answer, words: Words, style: OutputStyle) -> list[str]:
    """An answer in every layout there is."""
    around = {one.passage.id: ContextLines((one.passage.text,), (HOSTILE,)) for one in asked.hits}
    return [
        hits_text(asked, words, style, Detail(l2=True)),
        hits_text(asked, words, style, Detail(full=True)),
        hits_text(asked, words, style, Detail(around=around)),
        reply_text(reply_of(asked), style, quoted=True),
        shown_text(Shown(known_file(), tuple(one.passage for one in asked.hits)), style),
    ]


def test_markdown_of_a_reply_has_no_escape() -> None:
    """It may be printed on a terminal too, with the lines that a sentence introduces."""
    assert acting(reply_markdown(reply_of(answer(hit("Run this:"))), "/")) == []


@given(answers, texts)
def test_without_colour_no_layout_has_an_escape(asked: Answer, question: str) -> None:
    """Nothing that files hold or are called acts on a terminal."""
    assert [acting(text) for text in laid_out(asked, words_of(question), PLAIN)] == [[]] * 5


@given(answers, texts)
def test_colour_adds_only_the_escapes_of_kb(asked: Answer, question: str) -> None:
    """Without its own colours and links a coloured layout is the plain one, so no file can have added any."""
    words = words_of(question)

    assert [without_escapes(text) for text in laid_out(asked, words, COLOR)] == laid_out(asked, words, PLAIN)


@pytest.mark.parametrize("style", [PLAIN, COLOR, PIPE])
def test_an_empty_answer_is_nothing(style: OutputStyle) -> None:
    """No hits, no output: the exit code says it."""
    assert hits_text(answer(), WORDS, style, Detail()) == ""
    assert grep_lines(answer(), WORDS, style, Detail()) == ""
