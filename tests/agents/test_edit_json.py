"""One entry of a JSON file, with comments or without, changes; every other byte stays."""

from __future__ import annotations

import json

import pytest
from homes import plain
from hypothesis import given
from hypothesis import strategies as st

from kb.agents.edit_json import NotValid, parse, with_entry, without_entry

PATH = ("servers", "kb")
ENTRY = {"command": "/opt/kb", "args": ["--config", "/a b/ü.toml", "mcp"]}

blanks = st.lists(
    st.sampled_from((" ", "\n", "\t", "\r\n", "// a, {comment}\n", "/* b\n] */", '// "c"\r\n')), max_size=3
).map("".join)
keys = st.sampled_from(("a", "b", "servers", "kb", 'ü\\"', "mcp", ""))
scalars = st.sampled_from(("1", "-0.5e3", "true", "null", '""', '"x // y"', '"\\u00e9{"', "[]", "{}"))


def written(draw: st.DrawFn, members: dict[str, str]) -> str:
    """An object with blanks and comments anywhere, and maybe a comma at its end."""
    parts = [
        f"{draw(blanks)}{json.dumps(key, ensure_ascii=False)}{draw(blanks)}:{draw(blanks)}{value}{draw(blanks)}"
        for key, value in members.items()
    ]
    end = f",{draw(blanks)}" if bool(parts) and draw(st.booleans()) else "" if parts else draw(blanks)
    return f"{{{','.join(parts)}{end}}}"


@st.composite
def objects(draw: st.DrawFn, depth: int = 2) -> str:
    """An object in the syntax of JSON with comments."""
    values = scalars if not depth else st.one_of(scalars, objects(depth - 1), arrays(depth - 1))
    return written(draw, draw(st.dictionaries(keys, values, max_size=3)))


@st.composite
def arrays(draw: st.DrawFn, depth: int) -> str:
    """An array in the same syntax."""
    values = scalars if not depth else st.one_of(scalars, objects(depth - 1))
    parts = [f"{draw(blanks)}{value}{draw(blanks)}" for value in draw(st.lists(values, max_size=3))]
    return f"[{','.join(parts)}{',' if bool(parts) and draw(st.booleans()) else ''}]"


@st.composite
def configurations(draw: st.DrawFn, *, kb: bool) -> str:
    """A configuration, mostly with servers; with kb among them, or without."""
    members = draw(st.dictionaries(keys.filter(lambda key: key != "servers"), scalars, max_size=2))
    if kb or draw(st.integers(0, 3)):
        servers = draw(
            st.dictionaries(keys.filter(lambda key: key != "kb"), st.one_of(scalars, objects(1)), max_size=2)
        )
        servers |= {"kb": draw(objects(1))} if kb else {}
        members["servers"] = written(draw, {key: servers[key] for key in draw(st.permutations(list(servers)))})
    body = written(draw, {key: members[key] for key in draw(st.permutations(list(members)))})
    return draw(st.sampled_from(("", "\ufeff"))) + draw(blanks) + body + draw(blanks)


@given(st.one_of(configurations(kb=False), objects(3)))
def test_values_are_those_of_the_standard_library(text: str) -> None:
    """A text means what it means to ``json`` once comments and trailing commas are gone."""
    assert parse(text) == json.loads(plain(text.removeprefix("\ufeff")))


@given(configurations(kb=False))
def test_an_entry_put_in_and_taken_out_leaves_the_bytes_as_they_were(text: str) -> None:
    """What was inserted is exactly what is cut out; an object that only kb was in goes with it."""
    values = parse(text)
    servers = values.get("servers", {})

    changed = with_entry(text, PATH, ENTRY)
    taken = without_entry(changed, PATH)

    assert parse(changed) == {**values, "servers": {**servers, "kb": ENTRY}}
    assert with_entry(changed, PATH, ENTRY) == changed
    if servers or (values and "servers" not in values):
        assert taken == text
    else:
        assert {"servers": {}, **parse(taken)} == {"servers": {}, **values}


@given(configurations(kb=False))
def test_what_is_inserted_is_all_that_changes(text: str) -> None:
    """All characters of the old text but blanks are in the new one, in their order."""
    changed = iter(with_entry(text, PATH, ENTRY))

    assert all(character in changed for character in text if not character.isspace())


@given(configurations(kb=True))
def test_an_entry_is_taken_out_wherever_it_stands(text: str) -> None:
    """Other values stay, whatever comments and commas are around it."""
    values = parse(text)
    servers = {key: value for key, value in values["servers"].items() if key != "kb"}

    taken = parse(without_entry(text, PATH))

    assert {"servers": {}, **taken} == {**values, "servers": servers}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (
            '{\n  // about\n  "servers": {\n    "a": 1 // one\n  }\n}\n',
            '{\n  // about\n  "servers": {\n    "a": 1, // one\n    "kb": {\n      "command": "k"\n    }\n  }\n}\n',
        ),
        (
            '{\r\n\t"servers": {\r\n\t\t"a": 1,\r\n\t},\r\n}',
            '{\r\n\t"servers": {\r\n\t\t"a": 1,\r\n\t\t"kb": {\r\n\t\t\t"command": "k"\r\n\t\t},\r\n\t},\r\n}',
        ),
        ('{"servers": {"a": 1}}', '{"servers": {"a": 1, "kb": {"command": "k"}}}'),
        ("{}", '{\n  "servers": {\n    "kb": {\n      "command": "k"\n    }\n  }\n}'),
        ("", '{\n  "servers": {\n    "kb": {\n      "command": "k"\n    }\n  }\n}\n'),
    ],
)
def test_an_entry_has_the_style_of_its_file(text: str, changed: str) -> None:
    """Indents, line ends and trailing commas are those of the file; a comment stays on its line."""
    assert with_entry(text, PATH, {"command": "k"}) == changed


def test_keys_added_by_the_user_stay_when_an_entry_is_updated() -> None:
    """Only values that differ are replaced, and objects in an entry are merged."""
    text = '{"servers": {"kb": {"command": "old", /* mine */ "disabled": true, "env": {"A": "1"}}}}'

    changed = with_entry(text, PATH, {"command": "new", "env": {"B": "2"}})

    assert (
        changed == '{"servers": {"kb": {"command": "new", /* mine */ "disabled": true, "env": {"A": "1", "B": "2"}}}}'
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1', "line 1: a comma is missing"),
        ('{\n"a": 1,\n"a": 2}', "line 3: the key 'a' is there twice"),
        ('{"servers": []}', "servers is not an object"),
        ("[]", "the file is not an object"),
        ("{} x", "line 1: text after the end"),
        ('{"a": "\\x"}', "line 1: a string has an unknown escape"),
        ("[" * 100_000, "line 1: too many levels"),
        ('{"a": ' + "9" * 5_000 + "}", "line 1: a number has too many digits"),
    ],
)
def test_what_is_not_valid_is_refused(text: str, why: str) -> None:
    """The message names the line and what is wrong."""
    with pytest.raises(NotValid) as raised:
        with_entry(text, PATH, ENTRY)

    assert str(raised.value) == why


@pytest.mark.parametrize("text", ['{"a": 1} // c', '{"a": 1,}', '{"a": /* c */ 1}'])
def test_plain_json_has_neither_comments_nor_trailing_commas(text: str) -> None:
    """What some clients do not read is refused where the client is one of those."""
    assert parse(text) == {"a": 1}
    with pytest.raises(NotValid):
        parse(text, strict=True)
