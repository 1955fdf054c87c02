"""The values that all users of one store at the same time must share."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from made_up import settings

from kb.config.compare import differences, shared_values

if TYPE_CHECKING:
    from kb.config import Settings


def other(section: str, **values: object) -> Settings:
    """Settings of which some values of a section are otherwise."""
    usual = settings("/notes")
    changed = msgspec.structs.replace(getattr(usual.config, section), **values)
    return replace(usual, config=msgspec.structs.replace(usual.config, **{section: changed}))


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        (settings("/notes"), []),
        (settings("/notes/"), []),
        (settings("/more"), ["folders.paths"]),
        (other("search", limit=3, min_score=0.5, per_file=1), []),
        (other("search", candidates=3), ["search.candidates"]),
        (other("store", wait_seconds=1.0), []),
        (other("watch", polling=True), []),
        (other("embed", offline=True), []),
        (other("embed", model="x", device="cpu"), ["embed.model", "embed.device"]),
        (other("chunk", max_tokens=64), ["chunk.max_tokens"]),
        (other("folders", paths=("/notes",), hidden=True), ["folders.hidden"]),
    ],
)
def test_values_that_need_another_store_are_named(asked: Settings, keys: list[str]) -> None:
    """Limits may differ between commands; values that affect the store may not."""
    assert differences(shared_values(asked), shared_values(settings("/notes"))) == keys


def test_folders_given_to_the_daemon_replace_those_of_the_command() -> None:
    """No command could name the same ones otherwise."""
    assert differences(shared_values(settings("/more")), shared_values(settings("/notes")), folders=False) == []


def test_values_survive_json() -> None:
    """A client compares its values with those that a daemon sent."""
    values = shared_values(settings("/notes"))

    assert differences(json.loads(json.dumps(values)), values) == []
