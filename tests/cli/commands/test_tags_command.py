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


def test_no_tags_are_told(command: CommandLine) -> None:
    """On standard error, with exit code 1, and whether filters are the reason."""
    command.kb.tags = lambda filters=None: []  # type: ignore[method-assign]  # noqa: ARG005

    assert command("tags") == (1, "", "kb: no file has a tag\n")
    assert command("tags", "--type", "md") == (1, "", "kb: no file that matches the filters has a tag\n")
    assert json.loads(command("tags", "--json")[1]) == {"tags": []}
