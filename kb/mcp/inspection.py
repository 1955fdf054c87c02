"""What ``kb mcp inspect`` shows: each tool, what it costs a language model, and a sample answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kb.mcp.server import described
from kb.mcp.sources import Call
from kb.mcp.tokens import tokens
from kb.mcp.tools import answer, asked_again, offered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kb.mcp.sources import KnowledgeSource
    from kb.mcp.tools import Outcome, Tool
    from kb.records import KnownFile


@dataclass(frozen=True, slots=True)
class Inspected:
    """A tool, and one call of it.

    Attributes:
        name: Its name.
        description: What a language model reads of it.
        annotations: Its annotations.
        tokens: The tokens of its definition, schemas and annotations included.
        arguments: The arguments of the sample call; None where it was not called, since it writes.
        text: What the call returned in words.
        text_tokens: The tokens of that.
        structured_tokens: The tokens of the same as JSON, which some clients pass on instead.
        failed: Whether the call failed.
    """

    name: str
    description: str
    annotations: dict[str, bool]
    tokens: int
    arguments: dict[str, Any] | None
    text: str = ""
    text_tokens: int = 0
    structured_tokens: int = 0
    failed: bool = False


def inspect(source: KnowledgeSource, *, write: bool) -> tuple[Inspected, ...]:
    """Call each tool that only reads with arguments taken from the user's own files."""
    samples = _samples(source)
    return tuple(_inspected(tool, source, samples.get(tool.name)) for tool in offered(write=write))


def listing_tokens(*, write: bool) -> int:
    """Return the tokens of the whole list of tools, as a client gets it."""
    definitions = [_definition(tool) for tool in offered(write=write)]
    return tokens(json.dumps({"tools": definitions}, separators=(",", ":")))


def _inspected(tool: Tool, source: KnowledgeSource, arguments: Mapping[str, Any] | None) -> Inspected:
    definition = _definition(tool)
    outcome = None if arguments is None or tool.writes else answer(tool, source, Call(), arguments)
    return Inspected(
        tool.name,
        tool.about,
        definition["annotations"],
        tokens(json.dumps(definition, separators=(",", ":"))),
        None if outcome is None else dict(arguments or {}),
        **({} if outcome is None else _sizes(outcome)),
    )


def _sizes(outcome: Outcome) -> dict[str, Any]:
    structured = "" if outcome.result is None else msgspec.json.encode(outcome.result).decode()
    return {
        "text": outcome.words,
        "text_tokens": tokens(outcome.words),
        "structured_tokens": tokens(structured),
        "failed": outcome.result is None,
    }


def _definition(tool: Tool) -> dict[str, Any]:
    return described(tool).model_dump(by_alias=True, exclude_none=True, mode="json")


def _files(source: KnowledgeSource) -> list[KnownFile]:
    with source.opened(Call()) as kb:
        return kb.documents()


def _samples(source: KnowledgeSource) -> dict[str, dict[str, Any]]:
    """Return arguments for each tool: the title of a file as a question, and that file."""
    files = asked_again(lambda: _files(source))
    if not files:
        return {"search": {"question": "what are these files about?"}, "list": {}, "status": {}}
    titled = max(files, key=lambda one: (len(re.findall(r"\w+", one.title)), one.key))
    path = titled.absolute_path
    question = titled.title or titled.path
    return {
        "search": {"question": question},
        "read": {"path": path},
        "list": {"limit": 10},
        "links": {"path": path},
        "status": {},
    }
