"""``kb links``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from made_up import acting

from kb.records import Links

if TYPE_CHECKING:
    from command_line import CommandLine

pytest_plugins = ["command_line"]


def test_links_are_shown_both_ways_with_lines(command: CommandLine) -> None:
    """Where each leads, what is broken, and what links back, as a place that can be opened."""
    code, out, _ = command("links", "a.md")
    lines = out.splitlines()

    assert code == 0
    assert lines[:2] == ["links to", "     3  [[b#Part]]  /notes/b.md:7"]
    assert lines[2].endswith("  broken: no such file")
    assert lines[3:] == ["     5  (LICENSE)  not in the index", "linked from", "  /notes/b.md:1:![[a]]"]
    assert acting(out.replace("\n", "")) == []
    assert command.kb.asked == [("links", {"file": os.path.realpath("a.md")})]


def test_links_as_one_object(command: CommandLine) -> None:
    """Programs get absolute paths, lines and problems."""
    found = json.loads(command("links", "a.md", "--json")[1])

    assert found["path"] == "/notes/a.md"
    assert found["outgoing"][0] == {
        "path": "/notes/a.md",
        "line": 3,
        "link": "b#Part",
        "embeds": False,
        "target": "/notes/b.md",
        "target_line": 7,
        "problem": "",
    }
    assert [(one["target"], one["problem"]) for one in found["outgoing"][1:]] == [(None, "no such file"), (None, "")]
    assert found["incoming"][0]["path"] == "/notes/b.md"


def test_broken_links_of_a_file_or_of_all(command: CommandLine) -> None:
    """A line each as grep prints it; without a file and without the flag there is nothing to show."""
    for arguments in (("links", "--broken"), ("links", "a.md", "--broken")):
        code, out, _ = command(*arguments)
        assert (code, out.count("\n"), out.startswith("/notes/a.md:4:!(")) == (0, 1, True)
        assert len(json.loads(command(*arguments, "--json")[1])["broken"]) == 1
    assert command("links")[0] == 2


def test_a_file_without_links_is_one(command: CommandLine) -> None:
    """Nothing to show is exit code 1, as with grep, and a line for people says so."""
    bare = Links(command.kb.files[0])
    command.kb.links = lambda file: bare  # type: ignore[method-assign]  # noqa: ARG005

    assert command("links", "a.md") == (1, "", "kb: no links from or to /notes/a.md\n")
    assert command("links", "a.md", "--broken") == (1, "", "kb: no broken links in /notes/a.md\n")
    code, out, err = command("links", "a.md", "--json")
    assert (code, json.loads(out)["outgoing"], err) == (1, [], "")
    command.kb.broken_links = list  # type: ignore[method-assign]
    assert command("links", "--broken") == (1, "", "kb: no broken links\n")
