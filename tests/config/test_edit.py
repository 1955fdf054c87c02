"""Changing one value of a file keeps every other byte."""

from __future__ import annotations

import tomllib

import pytest

from kb.config import render_own
from kb.config.write import with_folder, with_value
from kb.errors import ConfigError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[folders]\npaths = ["a"] # mine\n', '[folders]\npaths = ["a", "b"] # mine\n'),
        ("[folders]\npaths = ['a, ] # x']\n", "[folders]\npaths = ['a, ] # x', \"b\"]\n"),
        (
            '[folders]\r\npaths = [\r\n\t"a", # first\r\n]\r\n',
            '[folders]\r\npaths = [\r\n\t"a", # first\r\n\t"b",\r\n]\r\n',
        ),
        ('folders.paths = ["a"]\n[search]\nlimit = 3', 'folders.paths = ["a", "b"]\n[search]\nlimit = 3'),
        ("[search]\nlimit = 3\n", '[search]\nlimit = 3\n\n[folders]\npaths = ["b"]\n'),
        ("\ufeff[folders]\npaths = ['a']\n", "\ufeff[folders]\npaths = ['a', \"b\"]\n"),
        ('"folders"."paths" = ["a"]', '"folders"."paths" = ["a", "b"]'),
        ('folders = { paths = ["a"] }\n', 'folders = { paths = ["a", "b"] }\n'),
        ('[folders]\nexclude = ["""\npaths = []\n"""]\npaths = ["a"]', None),
    ],
)
def test_a_folder_is_added(before: str, after: str | None) -> None:
    """Whatever the layout of the list, everything else stays."""
    assert with_folder(before, "b") == (after or before.replace('["a"]', '["a", "b"]'))


@pytest.mark.parametrize(
    "before",
    [
        '[folders]\npaths = [\n  "a", # first\n  # between\n  "c"  # last\n]\n# end\n[search]\nlimit=3 # few\n',
        "[folders]\npaths = [ # none ]\n]\n",
        "folders.hidden = true\n",
        '[search]\nlimit = 3\n[ "folders" ] # which\n# paths = []\nhidden = true\n',
    ],
)
def test_comments_and_values_are_kept(before: str) -> None:
    """For each way to write the section."""
    after = with_folder(before, "b")

    wanted = tomllib.loads(before)
    wanted["folders"]["paths"] = [*wanted["folders"].get("paths", []), "b"]
    assert tomllib.loads(after) == wanted
    comments = [line.partition("#")[2] for line in before.splitlines() if "#" in line]
    assert [comment for comment in comments if f"#{comment}\n" not in after] == []


def test_generated_file_can_be_changed() -> None:
    """A folder is added and the model set; everything else stays."""
    text = render_own({"folders.paths": ["/notes"]})

    changed = with_value(with_folder(text, "/more \u00fc"), "embed.model", "all-MiniLM-L6-v2")

    assert tomllib.loads(changed) == {
        **tomllib.loads(text),
        "folders": {"paths": ["/notes", "/more \u00fc"]},
        "embed": {"model": "all-MiniLM-L6-v2"},
    }
    assert [line for line in text.splitlines() if line not in changed.splitlines()] == ['paths = ["/notes"]']
    assert with_value(changed, "embed.model", "x").count("model = ") == text.count("model = ") + 1


@pytest.mark.parametrize("before", ['[folders]\npaths = "a"\n', "folders = 3\n", "[folders\n"])
def test_uneditable_file_is_reported(before: str) -> None:
    """A file with a mistake is not changed."""
    with pytest.raises(ConfigError) as caught:
        with_folder(before, "b")

    assert caught.value.remedy == "Edit the file by hand"
