"""``kb ask``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from made_up import answer, hit

from kb.errors import Cancelled
from kb.records import Quote, Reply, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from command_line import CommandLine

    from kb.records import SearchRequest

pytest_plugins = ["command_line"]


def test_sentences_come_with_marks_and_then_their_sources(command: CommandLine) -> None:
    """Each source has the path and line of its sentence, and the score."""
    command.kb.given = answer(hit("Use ChromaDB."), hit("Other.", path="a.md", rank=2))

    code, out, _ = command("ask", "Which", "store?")
    assert code == 0
    assert out == (
        "Use ChromaDB. [1]\nOther. [2]\n\n"
        "[1] /notes/db.md:5  0.750  Databases > Vectors\n[2] /notes/a.md:5  0.750  Databases > Vectors\n"
    )


def test_links_are_shown_as_their_text(command: CommandLine) -> None:
    """As they are read; the quote under the source, and JSON, have them as they are written."""
    command.kb.given = answer(hit("Use [ChromaDB](https://example.com/x)."))

    out = command("ask", "Which store?", "--sources")[1]
    assert out.startswith("Use ChromaDB. [1]\n")
    assert "“Use [ChromaDB](https://example.com/x).”" in out
    assert "[ChromaDB](" in json.loads(command("ask", "x", "--json")[1])["sentences"][0]["text"]


def test_an_answer_from_a_part_of_the_files_says_so(command: CommandLine) -> None:
    """As a search does: what is not embedded yet may answer better."""
    part = replace(answer().index, files=42, words_only=2)
    command.kb.given = replace(answer(hit("Use ChromaDB.")), mode="hybrid", index=part)

    code, _, told = command("ask", "Which", "store?")
    assert code == 0
    assert "found so far: 40 of 42 files by meaning, all by words" in told


def test_an_item_of_a_list_is_shown_without_its_bullet(command: CommandLine) -> None:
    """Alone, it is no list; the quote under the source has it as it is written."""
    command.kb.given = answer(hit("* 3oz pisco"))

    out = command("ask", "Which spirit?", "--sources")[1]
    assert out.startswith("3oz pisco [1]\n")
    assert "“* 3oz pisco”" in out
    assert "\n3oz pisco[^1]\n" in command("ask", "Which spirit?", "--format", "md")[1]


def test_what_a_sentence_introduces_is_shown_below_it(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line by line; in Markdown between fences that none of its lines ends, in JSON with its source."""
    reply = Reply((Quote("Mount it:", 1, 5, introduced="mkdir -p /mnt\n\n```\nmount"),), answer(hit("Mount it:")))
    monkeypatch.setattr(command.kb, "ask", lambda *_, **__: reply)

    assert command("ask", "How?")[1].startswith("Mount it: [1]\n    mkdir -p /mnt\n\n    ```\n    mount\n\n[1] ")
    out = command("ask", "How?", "--format", "md")[1]
    assert "\nMount it:[^1]\n\n````\nmkdir -p /mnt\n\n```\nmount\n````\n" in out
    assert json.loads(command("ask", "How?", "--json")[1])["sources"][0]["introduced"] == "mkdir -p /mnt\n\n```\nmount"


def test_the_mode_is_left_to_the_configuration(command: CommandLine) -> None:
    """As are the hits looked at, unless they are given."""
    command("ask", "Which store?")
    command("ask", "Which store?", "--mode", "keyword", "-n", "3")

    requests = [asked["request"] for _, asked in command.kb.asked]
    assert [(one.mode, one.limit) for one in requests] == [(None, None), ("keyword", 3)]


def test_time_goes_to_the_sentences_of_the_answer(command: CommandLine) -> None:
    """Those of the hits are looked for only where they are shown."""
    for chosen in ("text", "md", "json", "jsonl"):
        command("ask", "Which store?", "--color", "always", "--format", chosen)

    assert [asked["request"].best_seconds for _, asked in command.kb.asked] == [0.0, 0.0, None, None]


def test_json_has_the_keys_of_a_search_and_the_sentences(command: CommandLine) -> None:
    """A program that read the hits finds them where they were."""
    found = json.loads(command("ask", "x", "--json")[1])
    searched = json.loads(command("search", "x", "--json")[1])

    assert {key: found[key] for key in searched} == searched
    assert found["sentences"] == [{"text": searched["hits"][0]["text"], "sources": [1]}]
    assert found["sources"][0]["path"] == searched["hits"][0]["path"]
    assert found["sources"][0]["line"] == searched["hits"][0]["lines"][0]


def test_markdown_has_footnotes(command: CommandLine) -> None:
    """Which note programs turn into links."""
    command.kb.given = answer(hit("Use ChromaDB."))

    out = command("ask", "Which store?", "--format", "md")[1]
    assert "Use ChromaDB.[^1]\n" in out
    assert "[^1]: [/notes/db.md:5](file:///notes/db.md) 0.750\n" in out


def test_quotes_are_shown_where_they_are_asked_for(command: CommandLine) -> None:
    """Under their sources."""
    command.kb.given = answer(hit("Use ChromaDB."))
    assert "    “Use ChromaDB.”\n" in command("ask", "x", "--sources")[1]


def test_hits_besides_the_answer_are_not_told(command: CommandLine) -> None:
    """None is shown; JSON counts them, as that of a search does."""
    command.kb.given = replace(answer(hit("Use ChromaDB.")), below=3)
    assert command("ask", "x")[2] == ""
    assert json.loads(command("ask", "x", "--json")[1])["below"] == 3


def test_a_question_without_an_answer_has_exit_code_1(command: CommandLine) -> None:
    """And nothing on standard output, in any format for people."""
    command.kb.given = answer()
    assert command("ask", "x")[:2] == (1, "")
    assert command("ask", "x", "--format", "md")[:2] == (1, "")


def test_formats_of_hits_are_those_of_a_search(command: CommandLine) -> None:
    """Whole passages, lines of JSON, tables and paths have no sentences to cite."""
    for option in ("--full", "-l", "--format=jsonl", "--format=csv"):
        assert command("ask", "x", option)[1] == command("search", "x", option)[1]


def test_a_model_is_taken_from_the_options(command: CommandLine) -> None:
    """--model names one, --no-llm asks none, and without either the configuration decides."""
    for options in ((), ("--model", "small"), ("--no-llm",)):
        command("ask", "x", *options)
    assert [asked["model"] for _, asked in command.kb.asked] == [None, "small", ""]
    assert command("ask", "x", "--model", "small", "--no-llm")[0] == 2


def test_the_short_name_of_the_model_comes_before_the_question(command: CommandLine) -> None:
    """Behind its first word, -m may belong to the question, which says so; search has no such option anywhere."""
    command("ask", "-m", "small", "which", "store")
    err = command("ask", "git", "commit", "-m", "small")[2]
    assert [(asked["request"].question, asked["model"]) for _, asked in command.kb.asked] == [
        ("which store", "small"),
        ("git commit -m small", None),
    ]
    assert "-m is an option before the question only: taken as a word of the question" in err
    assert "no option -m: taken as a word of the question" in command("search", "-m", "small", "x")[2]
    assert command("ask", "-m")[2].startswith("kb: -m needs a value")


def test_the_prompt_is_shown_and_nothing_asked(command: CommandLine) -> None:
    """The rules, then the data."""
    assert command("ask", "Which store?", "--show-prompt")[:2] == (0, "Answer.\nWhich store?\n")
    assert command.kb.asked == []


def test_giving_up_is_no_error(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a model writes: nothing is shown, and the exit code is that of an interrupted command."""

    def given_up(*_: object, **__: object) -> None:
        raise Cancelled("small was not waited for")

    monkeypatch.setattr(command.kb, "ask", given_up)
    assert command("ask", "x") == (130, "", "")


def test_where_a_model_is_asked_is_told(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other steps are not, without a terminal."""
    ask = command.kb.ask

    def stepping(request: SearchRequest, /, *, on_step: Callable[[Step], None], **_: object) -> Reply:
        on_step(Step("searching", "searching"))
        on_step(Step("asking", "asking small at 127.0.0.1:1"))
        on_step(Step("repairing", "1 claim did not hold"))
        return ask(request)

    monkeypatch.setattr(command.kb, "ask", stepping)
    assert command("ask", "x")[2] == "kb: asking small at 127.0.0.1:1\n"
