"""A command line is read the same by the client of a daemon and by the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import FakeKnowledge
from made_up import settings as made_up_settings

from kb.cli.main import cli, run
from kb.cli.options import RERANKERS
from kb.cli.session import Session
from kb.serve.address import Unclear, split
from kb.serve.arguments import FLAGS, GLOBAL_FLAGS, GLOBAL_VALUED, HELP, OPTIONAL, VALUED, Arguments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kb.config import Settings


def options(command: click.Command) -> Iterator[click.Option]:
    """All options of a command and of those below it."""
    yield from (one for one in command.params if isinstance(one, click.Option))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from options(below)


def names(found: list[click.Option], *, valued: bool) -> set[str]:
    """Their names, of those with a value or of those without."""
    return {name for one in found for name in one.opts if one.is_flag is not valued}


def test_the_options_of_all_commands_are_known() -> None:
    """An option that is added to a command has to be added to kb/serve/arguments.py too."""
    own = [one for one in cli.params if isinstance(one, click.Option)]
    below = [one for command in cli.commands.values() for one in options(command)]

    assert names(own, valued=True) == GLOBAL_VALUED
    assert names(own, valued=False) == GLOBAL_FLAGS
    assert names(below, valued=True) == VALUED | set(OPTIONAL)
    assert names(below, valued=False) == FLAGS
    assert not (GLOBAL_VALUED | GLOBAL_FLAGS | HELP) & (VALUED | FLAGS)
    assert not VALUED & FLAGS
    assert {"--rerank": set(RERANKERS)} == OPTIONAL


def test_the_letters_that_take_a_value_take_numbers() -> None:
    """So that -nginx can be told from -n 3."""
    for one in (one for command in cli.commands.values() for one in options(command)):
        if not one.is_flag and any(len(name) == 2 for name in one.opts):
            assert isinstance(one.type, click.IntRange), one.opts


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
        ([], ""),
    ],
)
def test_each_part_is_what_it_is(args: list[str], kinds: str) -> None:
    """An option with its value is one part."""
    read = Arguments(args)

    assert " ".join(piece.kind for piece in read.pieces) == kinds
    assert [token for piece in read.pieces for token in piece.tokens] == args


TOKENS = st.sampled_from([
    "status", "search", "note", "what", "is it", "--json", "-n", "3", "-n3", "--store", "/a", "--store=/b", "-s",
    "search.limit=2", "-sembed.device=cpu", "--config", "c.toml", "--offline", "--", "-x", "--title", "-l", "--tag",
    "--color", "never", "--rerank", "off",
])  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(TOKENS, max_size=7))
def test_the_client_finds_the_configuration_that_the_command_uses(args: list[str]) -> None:
    """Whatever stands where: where the client says anything at all, the command loads the very same."""
    loaded: list[tuple[str | None, dict[str, str]]] = []

    def load(config_file: str | None, *, overrides: Mapping[str, str], **_asker: object) -> Settings:
        loaded.append((config_file, {key: value for key, value in overrides.items() if key != "embed.offline"}))
        return made_up_settings("/notes")

    try:
        line = split(args)
    except Unclear:
        return
    run(args, Session(open_knowledge=lambda _settings, warn: FakeKnowledge(), load_settings=load))  # noqa: ARG005 - the name is part of it

    assert loaded[:1] in ([], [(line.config, line.overrides)])
