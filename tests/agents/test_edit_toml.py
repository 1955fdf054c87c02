"""One table of a TOML file changes; every other byte stays."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.agents.edit_json import NotValid
from kb.agents.edit_toml import with_entry, without_entry

PATH = ("mcp_servers", "kb")
ENTRY = {"command": "/opt/kb", "args": ["--config", '/a b/"c".toml', "mcp"], "env": {"KB_MODELS": "/models"}}
LINES = (
    "# a comment with [mcp_servers.kb]",
    "",
    'model = "o3"  # [x]',
    'text = """\n[mcp_servers.kb]\n"""',
    "lists = [\n  [1],\n  # ]\n]",
)
TABLES = (
    '[mcp_servers.other]\ncommand = "x"\nargs = [\n  "[a]",\n]',
    "[mcp_servers]",
    "[[profiles]]\nname = '['\n\n[[profiles]]\nname = ']'",
    '["quoted.name".kb]\nx = { y = 1 }',
    "# about the end\n[end]\nlast = 1979-05-27",
)


@st.composite
def files(draw: st.DrawFn, *, kb: bool = False) -> str:
    """A TOML file: keys, then tables, with line ends of one kind, and maybe none at the end."""
    lines = draw(st.lists(st.sampled_from(LINES), unique=True))
    tables = draw(st.lists(st.sampled_from(TABLES), unique=True).map(lambda given: sorted(given, key=TABLES.index)))
    if kb:
        table = '[mcp_servers.kb]  # mine\ncommand = "old"\n\n[mcp_servers.kb.env]\nA = "1"'
        tables.insert(draw(st.integers(0, len(tables))), table)
    gap = draw(st.sampled_from(("\n", "\n\n")))
    text = draw(st.sampled_from(("", "\ufeff"))) + gap.join([*lines, *tables]) + draw(st.sampled_from(("", "\n")))
    return text.replace("\n", draw(st.sampled_from(("\n", "\r\n"))))


def values_of(text: str) -> dict[str, object]:
    """What the standard library reads."""
    return tomllib.loads(text.removeprefix("\ufeff"))


@given(files())
def test_a_table_put_in_and_taken_out_leaves_the_bytes_as_they_were(text: str) -> None:
    """It is written at the end, after what is there, and cut out again."""
    changed = with_entry(text, PATH, ENTRY)

    assert changed.startswith(text)
    assert values_of(changed)["mcp_servers"]["kb"] == ENTRY  # type: ignore[index]
    assert with_entry(changed, PATH, ENTRY) == changed
    assert without_entry(changed, PATH) == text


@given(files(kb=True))
def test_a_table_is_updated_and_taken_out_wherever_it_stands(text: str) -> None:
    """Its comment and its other keys stay when it is updated; all other tables stay in any case."""
    values = values_of(text)
    servers = {key: value for key, value in values["mcp_servers"].items() if key != "kb"}  # type: ignore[attr-defined]

    changed = values_of(with_entry(text, PATH, ENTRY))
    taken = values_of(without_entry(text, PATH))

    merged = {**ENTRY, "env": {"A": "1", "KB_MODELS": "/models"}}
    assert changed == {**values, "mcp_servers": {**servers, "kb": merged}}
    assert {"mcp_servers": {}, **taken} == {**values, "mcp_servers": servers}


def test_comments_of_the_next_table_stay_with_it() -> None:
    """What is above a header belongs to that header."""
    text = "[mcp_servers.kb]\ncommand = 'old'\n\n# about z\n[z]\nq = 1\n"

    assert without_entry(text, PATH) == "\n# about z\n[z]\nq = 1\n"
    assert "\n\n# about z\n[z]\nq = 1\n" in with_entry(text, PATH, {"command": "new", "args": ["mcp"]})


def test_an_inline_table_is_updated_and_taken_out() -> None:
    """It has no header of its own."""
    text = "[mcp_servers]\nkb = {command = 'x'}\nb = {command = 'y'}\n"

    assert values_of(with_entry(text, PATH, ENTRY))["mcp_servers"]["kb"] == ENTRY  # type: ignore[index]
    assert without_entry(text, PATH) == "[mcp_servers]\nb = {command = 'y'}\n"


def test_dotted_keys_are_taken_out_and_not_added_to() -> None:
    """New keys would end up in another table, so that they are refused."""
    text = "mcp_servers.kb.command = 'x'\na = 1\n"

    assert without_entry(text, PATH) == "a = 1\n"
    with pytest.raises(NotValid, match="a shape in which the table cannot be put"):
        with_entry(text, PATH, ENTRY)


@pytest.mark.parametrize("text", ["a = ", "mcp_servers = 1", "[mcp_servers]\nkb = 'x'", "mcp_servers = {}"])
def test_what_cannot_hold_the_table_is_refused(text: str) -> None:
    """A broken file, and one with a value where the table belongs."""
    with pytest.raises(NotValid):
        with_entry(text, PATH, ENTRY)
