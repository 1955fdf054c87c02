"""``kb ask``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from made_up import answer, hit

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_ask_quotes_the_best_passage(command: CommandLine) -> None:
    """The passage whole, its source, then the next ones; five hits unless told otherwise."""
    command.kb.given = answer(hit("Use ChromaDB.\nIt is embedded."), hit("Other.", path="a.md"))

    code, out, _ = command("ask", "Which", "store?")
    assert code == 0
    assert out == (
        "> Use ChromaDB.\n> It is embedded.\n/notes/db.md:5-6  0.750  Databases > Vectors\n\n"
        "/notes/a.md:5-5  0.750  Databases > Vectors\n  Other.\n"
    )
    assert command.kb.asked[0][1]["request"].limit == 5


def test_ask_has_the_formats_of_search(command: CommandLine) -> None:
    """A program gets the same object from both."""
    assert command("ask", "x", "--json")[1] == command("search", "x", "--json")[1]


def test_ask_gives_whole_passages_where_they_are_asked_for(command: CommandLine) -> None:
    """As a search does; no option is passed over in silence."""
    assert command("ask", "x", "--full")[1] == command("search", "x", "--full")[1]
