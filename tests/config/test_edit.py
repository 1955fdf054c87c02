"""One value of a file is changed, and every other byte stays."""

from __future__ import annotations

import tomllib

import pytest

from kb.config import render_own
from kb.config.edit import with_folder, with_value
from kb.errors import ConfigError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[folders]\npaths = ["a"] # mine\n', '[folders]\npaths = ["a", "b"] # mine\n'),
        ('[folders]\npaths = ["a",]\n', '[folders]\npaths = ["a", "b",]\n'),
        ("[folders]\npaths = [ ]\n", '[folders]\npaths = ["b" ]\n'),
        ("[folders]\npaths = [ # none ]\n]\n", '[folders]\npaths = ["b" # none ]\n]\n'),
        ("[folders]\npaths = ['a, ] # x']\n", "[folders]\npaths = ['a, ] # x', \"b\"]\n"),
        (
            '[folders]\npaths = [\n  "a", # first\n  "c"  # last\n]\n',
            '[folders]\npaths = [\n  "a", # first\n  "c",  # last\n  "b"\n]\n',
        ),
        (
            '[folders]\r\npaths = [\r\n\t"a", # first\r\n]\r\n',
            '[folders]\r\npaths = [\r\n\t"a", # first\r\n\t"b",\r\n]\r\n',
        ),
        ('folders.paths = ["a"]\n[search]\nlimit = 3', 'folders.paths = ["a", "b"]\n[search]\nlimit = 3'),
        ("folders.hidden = true\n", 'folders.paths = ["b"]\nfolders.hidden = true\n'),
        (
            '[search]\nlimit = 3\n[ "folders" ] # which\n# paths = []\nhidden = true\n',
            '[search]\nlimit = 3\n[ "folders" ] # which\npaths = ["b"]\n# paths = []\nhidden = true\n',
        ),
        ("[search]\nlimit = 3", '[search]\nlimit = 3\n\n[folders]\npaths = ["b"]\n'),
        ("\ufeff[folders]\npaths = ['a']\n", "\ufeff[folders]\npaths = ['a', \"b\"]\n"),
        ('"folders"."paths" = ["a"]', '"folders"."paths" = ["a", "b"]'),
        ('[folders]\nexclude = ["""\npaths = []\n"""]\npaths = ["a"]', None),
    ],
)
def test_a_folder_is_added(before: str, after: str | None) -> None:
    """However the list is laid out."""
    assert with_folder(before, "b") == (after or before.replace('["a"]', '["a", "b"]'))


def test_what_kb_wrote_itself_can_be_changed() -> None:
    """A folder is added and the model set; everything else stands as it stood."""
    text = render_own({"folders.paths": ["/notes"]})

    changed = with_value(with_folder(text, "/more \u00fc"), "embed.model", "all-MiniLM-L6-v2")

    assert tomllib.loads(changed) == {
        **tomllib.loads(text),
        "folders": {"paths": ["/notes", "/more \u00fc"]},
        "embed": {"model": "all-MiniLM-L6-v2"},
    }
    assert [line for line in text.splitlines() if line not in changed.splitlines()] == ['paths = ["/notes"]']
    assert with_value(changed, "embed.model", "x").count("model = ") == text.count("model = ") + 1


def test_what_cannot_be_changed_is_told_with_what_to_write() -> None:
    """A table on one line is left alone."""
    with pytest.raises(ConfigError) as caught:
        with_folder('folders = { paths = ["a"] }\n', "b")

    assert caught.value.remedy == 'Open the file and write there: folders.paths = ["a", "b"]'
