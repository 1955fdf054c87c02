"""Conversations: follow-ups, filters, sources and notes of answers."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from made_up import FakeKnowledge, answer, hit
from model_server import serving

from kb.answers.follow_up import globs_of, is_follow_up, with_other, with_words_of
from kb.answers.language_model import open_model
from kb.cli.commands.chat import HELP, Conversation, history_file, lines_of
from kb.cli.session import ClientContext, Session
from kb.records import Missing, SearchRequest, Unmatched

if TYPE_CHECKING:
    from pathlib import Path

    from kb.answers.language_model import LanguageModel
    from kb.records import Filters, Reply


class Talk:
    """A conversation with made-up files, and what it wrote."""

    def __init__(self, model: LanguageModel | None = None, *, is_terminal: bool = False) -> None:
        self.kb = FakeKnowledge(given=answer(hit("Use ChromaDB."), hit("Other.", 2, path="a.md")))
        self.out, self.err, self.opened = io.StringIO(), io.StringIO(), list[int]()
        context = ClientContext(self.out, self.err, {}, "/", False, False, is_terminal, 80)
        self.talk = Conversation(self.kb, Session(client=context), self.opened.append, model)

    def say(self, *lines: str) -> str:
        """Say some lines; returns what was written for the last one."""
        for line in lines:
            self.out.seek(0)
            self.out.truncate()
            assert self.talk.line(line)
        return self.out.getvalue()

    @property
    def asked(self) -> list[SearchRequest]:
        """The questions that the files were asked."""
        return [values["request"] for name, values in self.kb.asked if name == "ask"]


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """A conversation in a home of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Talk()


@pytest.mark.parametrize(
    ("question", "follows"),
    [
        ("And in 2025?", True),
        ("Why?", True),
        ("Who wrote it?", True),
        ("Und wann?", True),
        ("How large is the vector index?", False),
        ("Which store keeps embeddings?", False),
        ("How do I attach a shell to it?", True),
        ("How do I open a file and read it line by line in Python?", False),
        ("zsh: no matches found: *.db and what does bash do then?", False),
    ],
)
def test_follow_ups_are_told_from_questions(question: str, follows: bool) -> None:
    """By how they begin, what they refer to, and how few words they have."""
    assert is_follow_up(question) is follows


def test_a_follow_up_gets_the_words_before_it() -> None:
    """Those that it does not have itself, each once."""
    assert with_words_of("Who wrote it?", "Which vector store is used?") == "Who wrote it? vector store"
    assert with_words_of("And the store?", "Which vector store?") == "And the store? vector"
    assert with_words_of("Why?", "vector store vector store") == "Why? vector store"


@pytest.mark.parametrize(
    ("question", "before", "asked"),
    [
        ("What about DuckDB?", "How do I export a table from SQLite?", "How do I export a table from DuckDB?"),
        ("and for Y?", "How long is the limit for X?", "How long is the limit for Y?"),
        ("And in 2025?", "What did the roof cost in 2024?", "What did the roof cost in 2025?"),
        ("how about 2023", "How many points were there in 2022?", "How many points were there in 2023?"),
        (
            "And what about Cloud Run?",
            "How long may Cloud Scheduler jobs take?",
            "How long may Cloud Run jobs take?",
        ),
        ("and the merge commit?", "How do I undo the last commit in git?", "How do I undo the merge commit in git?"),
        ("and cucumbers?", "How much water do tomatoes need?", "How much water do cucumbers need?"),
        ("And on Windows?", "Where does atuin keep its database?", "Where does atuin keep its database on Windows?"),
    ],
)
def test_a_follow_up_names_another_thing(question: str, before: str, asked: str) -> None:
    """In the place of the last thing of the same form; what has no such thing gets a preposition at the end."""
    assert is_follow_up(question)
    assert with_other(question, before) == asked


@pytest.mark.parametrize(
    "question",
    [
        "And who wrote it?",
        "What about it?",
        "And why?",
        "And with tag:work?",
        "Who wrote DuckDB?",
        "and cheese?",
        "And DuckDB?",
        "What about one that keeps every vector in memory all day?",
    ],
)
def test_a_follow_up_that_names_no_other_thing_is_left(question: str) -> None:
    """It asks something else, names nothing, or there is nothing of its form in the question before it."""
    assert with_other(question, "Which vector store is used?") == ""


def test_paths_are_patterns_for_themselves_alone() -> None:
    """Signs of globs in names are names."""
    assert globs_of(["a/b.md", "[x]*.md", "a/b.md"]) == ("/a/b.md", "/\\[x\\]\\*.md")


def test_a_question_is_answered_with_sources(talk: Talk) -> None:
    """As kb ask does."""
    assert talk.say("Which vector store?").startswith("Use ChromaDB. [1]\nOther. [2]\n\n[1] ")
    assert talk.asked == [SearchRequest("Which vector store?")]


def test_what_is_missing_is_told_until_it_changes(talk: Talk) -> None:
    """Once a conversation, though an answer came between; an answer that is not there is told each time."""
    refused = replace(answer(), weak=True)
    failed, held = Missing(failed=1), Missing(failed=1, held=3)

    for missing in (failed, failed, None, failed, held, held, failed):
        talk.kb.given = replace(refused, missing=missing) if missing else answer(hit("Use ChromaDB."))
        talk.say("Which vector store?")

    told = talk.err.getvalue()
    assert told.count("no passage is near enough") == 6
    assert [line.split(": ")[2] for line in told.splitlines() if "missing from the index" in line] == [
        "1 file that could not be indexed (kb status)",
        "3 files held (missing from disk), 1 file that could not be indexed (kb status)",
        "1 file that could not be indexed (kb status)",
    ]


def test_a_follow_up_is_asked_of_the_files_before(talk: Talk) -> None:
    """With the words of the question before; a question of its own is asked of all files."""
    talk.say("Which vector store?", "Who wrote it?", "How large is the whole index today?")

    first, second, third = talk.asked
    assert second.question == "Who wrote it? vector store"
    assert second.filters.paths == ("/db.md", "/a.md")
    assert (first.filters.paths, third.filters.paths) == ((), ())


def test_another_thing_is_asked_of_all_files(talk: Talk) -> None:
    """It may stand in another file than the first one; how it was understood is told, and the next one goes by it."""
    talk.say("Who wrote ChromaDB in 2023?", "what about DuckDB?", "And in 2024?")

    _, second, third = talk.asked
    assert (second.question, second.filters.paths) == ("Who wrote DuckDB in 2023?", ())
    assert third.question == "Who wrote DuckDB in 2024?"
    assert "kb: understood as: Who wrote DuckDB in 2023?" in talk.err.getvalue()


def test_a_follow_up_goes_by_a_question_without_an_answer(talk: Talk) -> None:
    """That was asked last; the answers before it say nothing about what is meant, nor where it stands."""
    answered = talk.kb.given
    talk.say("Which vector store?")
    talk.kb.given = answer()
    talk.say("How long is the warranty of the kettle?")
    talk.kb.given = answered
    talk.say("What about the toaster?")
    talk.kb.given = answer()
    talk.say("Who sells it?")

    *_, third, fourth, last = talk.asked
    assert third == SearchRequest("How long is the warranty of the toaster?")
    assert fourth.question == "Who sells it? long warranty toaster"
    assert (fourth.filters.paths, last.filters.paths) == (("/db.md", "/a.md"), ())
    talk.say("Why?")
    assert talk.asked[-1] == SearchRequest("Why? sells long warranty toaster")
    assert talk.say("/sources").startswith("Use ChromaDB. [1]")


def test_a_follow_up_is_understood_by_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told how, and what the model wrote sets no filters; where it writes nonsense, the words are used."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    written = ['{"question": "Who wrote ChromaDB? path:secret.md"}', "nonsense"]
    with serving(lambda *_: written.pop(0)) as served:
        talk = Talk(open_model("small", served.url, offline=True))
        talk.say("Which vector store?", "Who wrote it?", "Who uses it?", "And with tag:work?")

    _, second, third, *others = talk.asked
    assert (second.question, second.literal, second.filters.paths) == ("Who wrote ChromaDB? path:secret.md", True, ())
    assert "kb: understood as: Who wrote ChromaDB?" in talk.err.getvalue()
    assert third.question.startswith("Who uses it? ")
    assert [one.literal for one in others] == [False]
    assert len(served.asked) == 2


def test_a_terminal_is_told_that_a_model_is_asked() -> None:
    """And how not to wait for it; a pipe is not."""
    for is_terminal in (True, False):
        talk = Talk(open_model("small", "http://127.0.0.1:9/v1", offline=True), is_terminal=is_terminal)
        talk.say("Which vector store?")
        told = "kb: asking small at 127.0.0.1:9 (Ctrl-C gives up)\n"
        assert talk.err.getvalue() == (told if is_terminal else "")


def test_an_answer_that_is_given_up_ends_no_conversation(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, while the model writes."""

    def interrupted(_: SearchRequest) -> Reply:
        raise KeyboardInterrupt

    monkeypatch.setattr(talk.kb, "ask", interrupted)
    assert talk.say("Which vector store?") == ""
    assert "kb: stopped: no answer" in talk.err.getvalue()


def test_a_filter_holds_for_all_further_questions(talk: Talk) -> None:
    """Until it is taken back."""
    talk.say("/filter tag:work", "Which vector store?", "/filter", "Which vector store do we use?")
    assert [one.filters.tags for one in talk.asked] == [("work",), ()]

    talk.say("/filter nonsense")
    assert "nonsense is no filter" in talk.err.getvalue()


@pytest.mark.parametrize(
    ("typed", "lost", "told"),
    [
        (
            "tag:wrok",
            Unmatched("tag", "wrok", ("work",)),
            ["no file in the index has the tag wrok: did you mean work?"],
        ),
        (
            "tag:a folder:x/",
            Unmatched("all", "tag:a, path:x/"),
            ["no file in the index passes these filters together: "],
        ),
        ("language:de", None, []),
        ("", None, []),
    ],
)
def test_a_filter_that_matches_nothing_is_told_at_once(
    talk: Talk, typed: str, lost: Unmatched | None, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kb search tells it with every answer."""
    asked: list[Filters] = []

    def unmatched(filters: Filters) -> tuple[Unmatched, ...]:
        asked.append(filters)
        return (lost,) if lost else ()

    monkeypatch.setattr(talk.kb, "unmatched", unmatched)
    talk.say(f"/filter {typed}", "Which vector store?")

    assert asked == [talk.asked[0].filters]
    said = talk.err.getvalue().splitlines()[1:]
    assert [line.startswith(f"kb: {start}") for line, start in zip(said, told, strict=True)] == [True] * len(told)


def test_sources_are_shown_and_opened(talk: Talk) -> None:
    """By the number that they have in the answer."""
    assert "“Use ChromaDB.”" in talk.say("Which vector store?", "/sources")
    talk.say("/open 2", "/open 3", "/open x")
    assert talk.opened == [2]
    assert talk.err.getvalue().count("the last answer has 2 sources") == 2


def test_an_answer_is_explained(talk: Talk) -> None:
    """By the search behind it, with the passages ranked as they were; no model is asked again."""
    talk.kb.given = replace(talk.kb.given, mode="hybrid")
    talk.say("Which vector store?")
    talk.kb.given = replace(talk.kb.given, hits=(replace(talk.kb.given.hits[0], why="cosine 0.750, rank 1"),))

    name = "Databases > Vectors"
    assert talk.say("/why") == (
        f"[1] notes/db.md:5  0.750  {name}\n    cosine 0.750, rank 1\n"
        f"[2] notes/a.md:5  0.750  {name}\n    its passage is no longer among the hits\n"
    )
    called, values = talk.kb.asked[-1]
    assert called == "search"
    assert (values["request"].question, values["request"].mode) == ("Which vector store?", "hybrid")
    assert values["request"].explain


def test_notices_name_no_options(talk: Talk) -> None:
    """A conversation has none; how many hits there are besides is not told either."""
    talk.kb.given = replace(talk.kb.given, below=3)
    talk.say("Which vector store?")
    assert talk.err.getvalue() == ""

    talk.kb.given = replace(answer(), weak=True, nearest=hit("Other."))
    talk.say("Which garden?")
    assert talk.err.getvalue() == (
        "kb: no passage is near enough to be an answer; the nearest is notes/db.md:5-5 (cosine 0.750)\n"
    )


def test_sources_are_shown_without_the_notices_of_the_answer(talk: Talk) -> None:
    """They were told with it."""
    talk.kb.given = replace(talk.kb.given, parts=2)
    talk.say("Which vector store?")
    told = talk.err.getvalue()
    talk.say("/sources")
    assert told
    assert talk.err.getvalue() == told


def test_an_answer_is_kept_as_a_note(talk: Talk) -> None:
    """With its question as the title and its sources as footnotes."""
    talk.say("Which vector store?", "/save")
    (noted,) = [values for name, values in talk.kb.asked if name == "note"]
    assert noted["title"] == "Which vector store?"
    assert "Use ChromaDB.[^1]" in noted["text"]


def test_commands_without_an_answer_and_unknown_ones_are_told(talk: Talk) -> None:
    """And the conversation goes on."""
    talk.say("/sources", "/nothing", "", "/help")
    assert talk.err.getvalue().splitlines()[0] == "kb: there is no answer yet"
    assert "kb: there is no command /nothing" in talk.err.getvalue()
    assert talk.out.getvalue() == HELP
    assert talk.asked == []


def test_it_ends_where_it_is_told_to(talk: Talk) -> None:
    """By /quit."""
    assert talk.talk.line("/quit") is False


@pytest.mark.usefixtures("talk")
@pytest.mark.parametrize(("is_terminal", "told"), [(True, "kb: /help lists the commands; Ctrl-D ends\n"), (False, "")])
def test_a_conversation_that_is_typed_begins_with_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, told: str
) -> None:
    """Those who pipe their questions know."""

    def ended(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("prompt_toolkit.PromptSession.__init__", lambda *_, **_more: None)
    monkeypatch.setattr("prompt_toolkit.PromptSession.prompt", ended)
    err = io.StringIO()
    context = ClientContext(io.StringIO(), err, {}, "/", is_terminal, False, False, 80, stdin="")

    assert list(lines_of(Session(client=context))) == []
    assert err.getvalue() == told


def test_the_history_is_private(talk: Talk, tmp_path: Path) -> None:
    """Nobody else reads what was asked."""
    assert talk.asked == []
    file = history_file()
    assert file.is_relative_to(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
