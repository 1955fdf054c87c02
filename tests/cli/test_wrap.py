"""Where messages and text are broken for a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from any_answers import texts
from hypothesis import given
from hypothesis import strategies as st

from kb.cli.main import run
from kb.cli.output.wrap import wrapped
from kb.cli.session import ClientContext, Session

if TYPE_CHECKING:
    from pathlib import Path


def nowhere(_path: str) -> bool:
    """No file is there."""
    return False


def asked(*, tty: bool, columns: int, error_columns: int = 0, cwd: str = "/") -> tuple[Session, io.StringIO]:
    """A session, and where its messages go."""
    err = io.StringIO()
    asker = replace(
        ClientContext.of_this_process(), err=err, stderr_tty=tty, columns=columns, error_columns=error_columns
    )
    return Session(client=replace(asker, cwd=cwd)), err


def test_a_message_is_broken_between_words_and_indented() -> None:
    """No line is wider than the terminal, no word is in two."""
    text = "kb: nine cooks have been asked to come and only seven of them did\n    Ask the others again\n"

    assert wrapped(text, 30, there=nowhere) == (
        "kb: nine cooks have been asked\n    to come and only seven of\n    them did\n    Ask the others again\n"
    )


def test_a_path_has_a_line_of_its_own() -> None:
    """It can be copied whole, however long it is; what follows it goes on below."""
    path = "/mnt/archive/of-the-whole-family/letters/1987.md"

    assert wrapped(f"kb: see {path}: it is empty\n", 24, there=nowhere) == f"kb: see\n    {path}:\n    it is empty\n"


def test_what_is_too_long_stays_behind_the_name_of_its_fact() -> None:
    """A line of its own would give it no more room."""
    assert wrapped(f"store:   /{'x' * 40} (3 MB)\n", 30, there=nowhere, indent=9) == (
        f"store:   /{'x' * 40}\n         (3 MB)\n"
    )


def test_a_path_with_spaces_is_known_by_its_file() -> None:
    """Words that name a file that is there are not parted."""
    text = "kb: in letters from home/to Ana.md: nothing is said of /letters from/elsewhere\n"

    lines = wrapped(text, 30, there="letters from home/to Ana.md".__eq__).split("\n")

    assert lines[1] == "    letters from home/to Ana.md:"
    assert lines[0] == "kb: in"


@pytest.mark.parametrize(
    "command",
    [
        "kb --config '/my house/kb.toml' init --force NOTES",
        "kb model use all-MiniLM-L6-v2",
        "kb search 'open the garage door'",
        "kb index --accept-deletions",
        "kb init --force small",
        "kb init --add letters",
        "kill -9 4711",
        "rm 'a b.md'",
        "/opt/my/python3.11 -m pip install 'kb[documents]' && kb index --full",
    ],
)
def test_a_command_can_be_pasted(command: str) -> None:
    """Its words stay on one line, whatever the width."""
    for width in range(20, 90):
        assert command in wrapped(f"kb: to mend what is broken here {command} does it\n", width, there=nowhere)


def test_wide_characters_take_two_columns() -> None:
    """What is not ASCII is measured as a terminal shows it."""
    lines = wrapped("kb: 備忘録はここにあります と書いてあります\n", 24, there=nowhere).split("\n")

    assert lines[0] == "kb: 備忘録はここにありま"
    assert lines[1] == "    す と書いてあります"


@given(texts, st.integers(20, 120))
def test_nothing_is_lost(text: str, width: int) -> None:
    """Beside spaces, the same characters come in the same order."""
    assert "".join(wrapped(text, width, there=nowhere).split()) == "".join(text.split())


def test_a_notice_is_as_wide_as_the_terminal_of_standard_error() -> None:
    """Standard output may go into a pipe meanwhile."""
    session, err = asked(tty=True, columns=80, error_columns=30)

    session.notice("nine cooks have been asked to come and seven did")
    session.hint("Ask them again, or cook yourself, if you can")

    assert err.getvalue() == (
        "kb: nine cooks have been asked\n    to come and seven did\n"
        "    Ask them again, or cook\n    yourself, if you can\n"
    )


def test_a_notice_in_a_pipe_is_one_line() -> None:
    """Programs read a line a message."""
    session, err = asked(tty=False, columns=20)

    session.notice("nine cooks have been asked to come and seven did")

    assert err.getvalue() == "kb: nine cooks have been asked to come and seven did\n"


def test_a_notice_names_a_file_of_the_current_folder_whole(tmp_path: Path) -> None:
    """As it is shown, from where the command was typed."""
    (tmp_path / "to Ana").mkdir()
    (tmp_path / "to Ana" / "1 May.md").touch()
    session, err = asked(tty=True, columns=20, cwd=str(tmp_path))

    session.notice("this is to Ana/1 May.md: read it")

    assert err.getvalue() == "kb: this is\n    to Ana/1 May.md:\n    read it\n"


def test_an_error_is_wrapped_with_its_remedy() -> None:
    """Whatever ends a command is told so."""
    session, err = asked(tty=True, columns=40)

    assert run(["open", "the", "garage", "door"], session) == 2
    lines = err.getvalue().split("\n")
    assert "    kb search 'open the garage door'" in lines
    assert max(map(len, lines)) <= 40


def test_what_commands_say_is_wrapped_on_a_terminal_alone() -> None:
    """Facts go on under where they begin; a pipe gets its lines as they are."""
    fact = "held:        2 files of /notes went at once\n"
    for tty, expected in (
        (True, "held:        2 files of\n             /notes went\n             at once\n"),
        (False, fact),
    ):
        out = io.StringIO()
        asker = replace(ClientContext.of_this_process(), out=out, stdout_tty=tty, columns=24, cwd="/")
        Session(client=asker).say(fact, indent=13)
        assert out.getvalue() == expected
