"""A command line is read the same by the client of a daemon and by the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import FakeKnowledge
from made_up import settings as made_up_settings

from kb.cli.command_table import source, table_of
from kb.cli.main import cli, run
from kb.cli.session import Session
from kb.service import command_table
from kb.service.address import Undetermined, split
from kb.service.arguments import GENERATED, Arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kb.config import Settings


def test_the_generated_table_is_up_to_date() -> None:
    """``make docs`` makes it from the commands, so that an option is declared once."""
    assert table_of(cli) == GENERATED
    assert Path(command_table.__file__).read_text("utf-8") == source(GENERATED)


def test_digest_of_the_table_changes_with_an_option() -> None:
    """By it a daemon knows a kb with the same commands."""
    other = table_of(cli)
    other.flags = frozenset({*other.flags, "--shout"})

    digest = f'DIGEST = "{command_table.DIGEST}"'
    assert digest in source(GENERATED)
    assert digest not in source(other)


@pytest.mark.parametrize(
    ("args", "kinds"),
    [
        (["-n", "3", "q"], "option word"),
        (["-n3", "q"], "option word"),
        (["-ln", "3", "q"], "option word"),
        (["-nginx", "q"], "unknown word"),
        (["-sql", "q"], "unknown word"),
        (["-s", "a.b=c", "-sa.b=c"], "global global"),
        (["--rerank", "q"], "option word"),
        (["--rerank", "off", "q"], "option word"),
        (["--title", "--store", "--store", "x"], "option global"),
        (["--store=x", "--", "--store"], "global end word"),
        (["-", "-h", "--help"], "word option option"),
        (["--", "--"], "end word"),
        (["--unknown", "-x"], "unknown unknown"),
        (["-x y"], "word"),
        (["ask", "-m", "small", "q"], "word option word"),
        (["ask", "git", "commit", "-m", "small"], "word word word unknown word"),
        (["ask", "-msmall"], "word unknown"),
        ([], ""),
    ],
)
def test_each_part_is_what_it_is(args: list[str], kinds: str) -> None:
    """An option with its value is one part."""
    read = Arguments(args)

    assert " ".join(argument.kind for argument in read.parsed) == kinds
    assert [token for argument in read.parsed for token in argument.tokens] == args


TOKENS = st.sampled_from([
    "status", "search", "note", "what", "is it", "--json", "-n", "3", "-n3", "--store", "/a", "--store=/b", "-s",
    "search.limit=2", "-sembed.device=cpu", "--config", "c.toml", "--offline", "--", "-x", "--title", "-l", "--tag",
    "-m", "--color", "never", "--rerank", "off",
])  # fmt: skip


@given(st.lists(TOKENS, max_size=7))
def test_the_client_finds_the_configuration_that_the_command_uses(args: list[str]) -> None:
    """Whatever stands where: where the client says anything at all, the command loads the very same."""
    loaded: list[tuple[str | None, dict[str, str]]] = []

    def load(session: Session, overrides: Mapping[str, str]) -> Settings:
        loaded.append((session.config_file, {key: value for key, value in overrides.items() if key != "embed.offline"}))
        return made_up_settings("/notes")

    try:
        line = split(args)
    except Undetermined:
        return
    run(args, Session(open_knowledge=lambda _settings, _warn: FakeKnowledge(), load_settings=load))

    assert loaded[:1] in ([], [(line.config, line.overrides)])


def test_an_option_with_one_possible_value_has_it_whole() -> None:
    """The table is generated, and a set of one text is not one of its letters."""
    assert GENERATED.optional["--http"] == {"127.0.0.1:7420"}
