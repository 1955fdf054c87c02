"""``kb tags``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from made_up import acting

from kb.records import Filters

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_tags_are_listed_with_their_counts(command: CommandLine) -> None:
    """A tag a line with the number of files, harmless for the terminal; or one object."""
    code, out, _ = command("tags", "--type", "md", "--lang", "en-GB")

    assert (code, out.splitlines()[0]) == (0, "    12  #work")
    assert acting(out.replace("\n", "")) == []
    assert command.kb.asked == [("tags", {"filters": Filters(types=("md",), languages=("en",))})]
    assert json.loads(command("tags", "--json")[1])["tags"][0] == {"tag": "work", "files": 12}


def test_tags_that_begin_with_something(command: CommandLine) -> None:
    """With or without #, in capitals or not; what only contains it does not."""
    command.kb.tags = lambda filters=None: [("Work", 3), ("work/plan", 2), ("homework", 1)]  # type: ignore[method-assign]  # noqa: ARG005

    assert command("tags", "#wO") == (0, "     3  #Work\n     2  #work/plan\n", "")
    assert json.loads(command("tags", "work/", "--json")[1]) == {
        "tags": [{"tag": "work/plan", "files": 2}],
        "total": 1,
    }
    assert command("tags", "x", "--type", "md")[2] == (
        "kb: no file that matches the filters has a tag that begins with x\n"
    )
    assert command("tags", "plan") == (1, "", "kb: no file has a tag that begins with plan\n")


def test_the_most_frequent_tags(command: CommandLine) -> None:
    """As many as are wanted of those that begin with something, and how many more there are."""
    command.kb.tags = lambda filters=None: [("work", 9), ("home", 5), ("work/plan", 2), ("works", 1)]  # type: ignore[method-assign]  # noqa: ARG005

    assert command("tags", "-n", "3")[1:] == (
        "     9  #work\n     5  #home\n     2  #work/plan\n",
        "kb: 1 more tag; -n 4 shows all\n",
    )
    assert command("tags", "w", "-n", "1")[1:] == ("     9  #work\n", "kb: 2 more tags; -n 3 shows all\n")
    assert json.loads(command("tags", "w", "--json", "-n", "1")[1]) == {
        "tags": [{"tag": "work", "files": 9}],
        "total": 3,
    }


def test_no_tags_are_told(command: CommandLine) -> None:
    """On standard error, with exit code 1, and whether filters are the reason."""
    command.kb.tags = lambda filters=None: []  # type: ignore[method-assign]  # noqa: ARG005

    assert command("tags") == (1, "", "kb: no file has a tag\n")
    assert command("tags", "--type", "md") == (1, "", "kb: no file that matches the filters has a tag\n")
    assert json.loads(command("tags", "--json")[1]) == {"tags": [], "total": 0}
