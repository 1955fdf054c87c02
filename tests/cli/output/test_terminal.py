"""Text of files on its way to a terminal or a pipe."""

from __future__ import annotations

import io
import json
import os
from urllib.parse import unquote_to_bytes

import pytest
from any_answers import texts
from hypothesis import given
from hypothesis import strategies as st
from made_up import HOSTILE, acting

from kb.cli.output.terminal import (
    ColorChoice,
    escape_json,
    file_url,
    one_line,
    output_style,
    prepare,
    relative_path,
    sanitize,
    shown_path,
)


def test_sanitize_makes_every_kind_of_control_character_visible() -> None:
    """Escapes, C1, bidirectional and tag characters leave something to see and nothing to act on."""
    clean = sanitize(HOSTILE + "\ttab\nline")

    assert acting(clean) == []
    assert clean.startswith("\u241b[31mred\u2407 \ufffd2J")
    assert clean.endswith("\ttab\nline")


@given(texts)
def test_sanitize_touches_nothing_else(text: str) -> None:
    """The length stays, and every harmless character with it; doing it twice changes nothing."""
    clean = sanitize(text)

    assert acting(clean) == []
    assert all(before == after for before, after in zip(text, clean, strict=True) if not acting(before))
    assert sanitize(clean) == clean


@given(texts)
def test_one_line_is_one_line(text: str) -> None:
    """However a text is split into lines, a name stays on one."""
    assert len(one_line(text).splitlines()) <= 1


@given(texts)
def test_escaped_json_means_the_same(text: str) -> None:
    """JSON reads back exactly, lone surrogates included, and holds nothing to act on, nor to fail on."""
    written = escape_json(json.dumps({"text": text}, ensure_ascii=False))

    assert json.loads(written) == {"text": text}
    assert acting(written) == []
    written.encode("utf-8")


@pytest.mark.parametrize(
    ("path", "cwd", "shown"),
    [
        ("/notes/a.md", "/notes", "a.md"),
        ("/notes/a.md", "/", "notes/a.md"),
        ("/notes/a.md", "/note", "/notes/a.md"),
        ("/notes/a.md", "", "/notes/a.md"),
        ("/notes", "/notes", "/notes"),
        ("/notes/-rf", "/notes", "./-rf"),
        ("/notes/a\nb", "/notes", "a\u240ab"),
    ],
)
def test_paths_are_shown_from_the_current_folder(path: str, cwd: str, shown: str) -> None:
    """Below the current folder relative, else absolute, always one line and never like an option."""
    assert shown_path(path, cwd) == shown


@given(texts.filter(lambda name: name and "/" not in name and "\0" not in name))
def test_relative_path_names_the_same_file(name: str) -> None:
    """The exact form leads back to the file, whatever its name."""
    assert os.path.normpath(os.path.join("/notes", relative_path(f"/notes/{name}", "/notes"))) == os.path.normpath(  # noqa: PTH118 - names as str
        f"/notes/{name}"
    )


@given(st.binary(min_size=1))
def test_file_url_holds_the_bytes_of_the_name(name: bytes) -> None:
    """A link is plain ASCII and leads to the very bytes the file is named by."""
    url = file_url("/" + os.fsdecode(name))

    assert url.isascii()
    assert acting(url) == []
    assert unquote_to_bytes(url.removeprefix("file:///")) == name


def test_file_url_takes_any_string() -> None:
    """A string that can be no file name gives a URL all the same."""
    assert file_url("/\ud800") == "file:///%3F"


@pytest.mark.parametrize(
    ("choice", "environ", "tty", "laid_out", "color"),
    [
        ("auto", {}, True, True, True),
        ("auto", {}, False, False, False),
        ("auto", {"NO_COLOR": "1"}, True, True, False),
        ("auto", {"NO_COLOR": ""}, True, True, True),
        ("auto", {"TERM": "dumb"}, True, True, False),
        ("never", {}, True, True, False),
        ("always", {"NO_COLOR": "1"}, False, True, True),
    ],
)
def test_look_follows_terminal_choice_and_environment(
    *, choice: ColorChoice, environ: dict[str, str], tty: bool, laid_out: bool, color: bool
) -> None:
    """A flag goes before NO_COLOR, and NO_COLOR before the terminal."""
    style = output_style(choice, environ, tty=tty, width=80, cwd="")

    assert (style.laid_out, style.color) == (laid_out, color)


@pytest.mark.parametrize(
    ("encoding", "written"), [("utf-8", b"\xff \\ud800 \xe2\x82\xac"), ("latin-1", b"\xff \\ud800 \\u20ac")]
)
def test_prepared_stream_takes_any_string(encoding: str, written: bytes) -> None:
    """An undecodable byte of a name goes out as itself, and what the encoding lacks as an escape."""
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding)

    prepare(stream)
    stream.write("\udcff \ud800 €")
    stream.flush()

    assert buffer.getvalue() == written


def test_prepared_terminal_gets_no_raw_bytes() -> None:
    """A byte such as 0x9b is an escape to some terminals, so they get a question mark."""

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    buffer = io.BytesIO()
    stream = Terminal(buffer, encoding="utf-8")

    prepare(stream)
    stream.write("a\udc9bb")
    stream.flush()

    assert buffer.getvalue() == b"a?b"
