"""Tools over a real knowledge base in this process, asked by the official client."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from kb.app import LocalKnowledgeBase
from kb.config import load
from kb.container import Container
from kb.mcp.server import FileServer
from kb.mcp.sources import HeldSource
from kb.testing import FakeEmbedder, FakeTokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from mcp_types import CallToolResult

    from kb.mcp.sources import KnowledgeSource
    from kb.ports import Knowledge

ERAS = ("legacy", "2026-07-28")


class LoadedFake(FakeEmbedder):
    """A fake model with what a knowledge base asks of a real one."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = FakeTokens()

    def load(self) -> str:
        """Say where it runs."""
        return "nowhere"

    def runs(self) -> str:
        """Say where it would run."""
        return "nowhere"


def indexed(folders: Sequence[Path], store: Path, **overrides: str) -> LocalKnowledgeBase:
    """A knowledge base over real folders in a real store, indexed; only its model is a fake."""
    values = {
        "folders.paths": json.dumps([str(folder) for folder in folders]),
        "store.path": str(store),
        **{key.replace("__", "."): value for key, value in overrides.items()},
    }
    settings = load(environ={}, cwd=str(store.parent), overrides=values)
    kb = LocalKnowledgeBase(Container(settings, print, embedder=LoadedFake()))  # type: ignore[arg-type]  # a fake
    kb.index()
    return kb


def held(kb: LocalKnowledgeBase, status: dict[str, Any] | None = None) -> HeldSource:
    """The source of a daemon that has this knowledge base."""

    @contextmanager
    def using() -> Iterator[Knowledge]:
        yield kb

    return HeldSource(lambda: kb.settings, using, lambda: status or {})


def asked(
    source: KnowledgeSource, ask: Callable[[Client], Awaitable[Any]], *, mode: str = "auto", write: bool = False
) -> Any:
    """What a client in this process gets for a request."""

    async def run() -> Any:
        # Raised within the client's own tasks it would come out as a group.
        async with Client(FileServer(source, write=write).server(), mode=mode) as client:
            try:
                return await ask(client)
            except MCPError as error:
                refused = error
        raise refused

    return anyio.run(run)


@dataclass(frozen=True, slots=True)
class Answered:
    """The result of a tool."""

    text: str
    data: dict[str, Any]
    failed: bool


def answered(result: CallToolResult) -> Answered:
    """The parts of a result that the tests look at."""
    (content,) = result.content
    assert content.type == "text"
    return Answered(content.text, result.structured_content or {}, result.is_error)


def called(source: KnowledgeSource, tool: str, *, write: bool = False, **arguments: object) -> Answered:
    """The result of a tool; the client checks it against the tool's output schema."""

    async def ask(client: Client) -> CallToolResult:
        await client.list_tools()
        return await client.call_tool(tool, arguments)

    return answered(asked(source, ask, write=write))
