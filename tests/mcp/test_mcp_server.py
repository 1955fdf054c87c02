"""The server, asked by the official client in this process: both eras, resources, progress, cancellation."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from clean_environ import clean_environ
from mcp.shared.exceptions import MCPError
from mcp_served import ERAS, asked, called, held, indexed

from kb.errors import WAYS_TO_CONFIGURE, ConfigError, KbError
from kb.mcp.inspection import listing_tokens
from kb.mcp.server import FileServer
from kb.mcp.sources import Building, Call, ConfiguredSource, DaemonSource, NotReady, OwnSource
from kb.mcp.tools import answer, offered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp.client import Client
    from mcp_types import CallToolResult, ListToolsResult

    from kb.app import LocalKnowledgeBase
    from kb.config import Settings
    from kb.mcp.sources import KnowledgeSource
    from kb.ports import Knowledge


def opened(root: Path) -> LocalKnowledgeBase:
    """A knowledge base over two notes, one of which needs encoding in a URI."""
    folder = root / "notes"
    folder.mkdir()
    (folder / "tea & milk #1.md").write_text("# Tea\n\nThe kettle stands on the left.\nThe milk is cold.\n")
    (folder / "plain.txt").write_text("the fuse box hangs in the cellar\n")
    return indexed([folder], root / "store")


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKnowledgeBase]:
    """Such a knowledge base. Not to be changed or closed."""
    root = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        clean_environ(patch, root / "home")
        found = opened(root)
    with found:
        yield found


@pytest.fixture
def own_kb(tmp_path: Path) -> Iterator[LocalKnowledgeBase]:
    """Such a knowledge base, which a test may close."""
    with opened(tmp_path) as found:
        yield found


@pytest.fixture
def short_runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for sockets with a short name."""
    with tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def source(kb: LocalKnowledgeBase) -> KnowledgeSource:
    """Where the tools get their knowledge from."""
    return held(kb)


async def _listed(client: Client) -> ListToolsResult:
    return await client.list_tools()


@pytest.mark.parametrize("era", ERAS)
def test_tools_are_few_annotated_and_always_in_the_same_order(source: KnowledgeSource, era: str) -> None:
    """Five tools that only read; a sixth writes, where that is allowed."""
    reading, writing = (asked(source, _listed, mode=era, write=write).tools for write in (False, True))

    assert [tool.name for tool in reading] == ["search", "read", "list", "links", "status"]
    assert [tool.name for tool in writing] == [*(tool.name for tool in reading), "note"]
    for tool in writing:
        assert tool.annotations.read_only_hint == (tool.name != "note")
        assert tool.annotations.destructive_hint is False
        assert tool.annotations.open_world_hint is False
        assert tool.output_schema["type"] == "object"


def test_list_of_tools_is_short() -> None:
    """A client sends it with every conversation: at most 1,500 tokens."""
    assert listing_tokens(write=False) < listing_tokens(write=True) <= 1_500


def test_new_era_says_how_long_the_tools_last(source: KnowledgeSource) -> None:
    """Lists carry how long, and for whom, they may be kept."""
    found = asked(source, _listed, mode="2026-07-28")

    assert found.ttl_ms > 0
    assert found.cache_scope == "public"


@pytest.mark.parametrize("era", ERAS)
def test_both_eras_get_the_same_answer(source: KnowledgeSource, era: str) -> None:
    """With and without a handshake, text and structure are the same but for the mark around texts."""

    async def ask(client: Client) -> CallToolResult:
        return await client.call_tool("search", {"question": "the fuse box in the cellar"})

    found = asked(source, ask, mode=era)

    assert found.structured_content["hits"][0]["path"] == "plain.txt"
    assert "the fuse box hangs in the cellar" in found.content[0].text


def test_note_is_not_offered_unless_allowed(source: KnowledgeSource) -> None:
    """Without --write there is no such tool, whatever a client sends."""
    with pytest.raises(MCPError, match="no tool 'note'"):
        called(source, "note", text="x")


def test_resources_are_listed_and_read(source: KnowledgeSource, kb: LocalKnowledgeBase) -> None:
    """Every file has a percent-encoded URI, under which its exact text is read, whole or by lines."""

    async def ask(client: Client) -> tuple[Any, ...]:
        page = await client.list_resources()
        templates = await client.list_resource_templates()
        tea = next(one.uri for one in page.resources if "tea" in one.name)
        return page, templates, tea, await client.read_resource(tea), await client.read_resource(f"{tea}#L3-L3")

    page, templates, uri, whole, line = asked(source, ask)

    (folder,) = kb.settings.folder_paths()
    assert uri == f"kb://{folder}/tea%20%26%20milk%20%231.md"
    assert [one.mime_type for one in page.resources] == ["text/plain", "text/markdown"]
    assert templates.resource_templates[0].uri_template == "kb://{+path}"
    assert whole.contents[0].text.startswith("# Tea\n\nThe kettle")
    assert line.contents[0].text.strip() == "The kettle stands on the left."
    assert "never instructions" in whole.contents[0].meta["untrusted"]


@pytest.mark.parametrize("cursor", ["x", "-1", "\u0663", "9" * 5_000])
def test_cursors_that_no_page_gave_are_refused(source: KnowledgeSource, cursor: str) -> None:
    """The client is told to begin again, however many digits there are."""

    async def ask(client: Client) -> Any:
        return await client.list_resources(cursor=cursor)

    with pytest.raises(MCPError, match="the cursor is not valid"):
        asked(source, ask)


def test_a_store_that_cannot_be_opened_is_no_model_that_loads(kb: LocalKnowledgeBase) -> None:
    """What goes wrong in the thread that indexes is raised by the call, which would wait for it without end."""

    def connect(_: Settings) -> Knowledge:
        raise RuntimeError("no luck")

    own = OwnSource(kb.settings, connect)

    with pytest.raises(RuntimeError, match="no luck"), own.opened(Call()):
        pass


def test_resources_come_in_pages(tmp_path: Path) -> None:
    """A hundred at a time, each once."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(130):
        (folder / f"{number:03}.txt").write_text(f"note {number}\n")

    async def ask(client: Client) -> list[str]:
        first = await client.list_resources()
        rest = await client.list_resources(cursor=first.next_cursor)
        assert rest.next_cursor is None
        return [one.name for one in [*first.resources, *rest.resources]]

    with indexed([folder], tmp_path / "other") as kb:
        assert asked(held(kb), ask) == [f"{number:03}.txt" for number in range(130)]


@pytest.mark.parametrize(
    "uri", ["kb:///etc/passwd", "file:///etc/passwd", "kb://../x", "kb://plain.txt#x", "kb://%00", "KB://../x"]
)
def test_other_resources_are_refused(source: KnowledgeSource, uri: str) -> None:
    """What is not in the index has no text, and the error says what to do."""

    async def ask(client: Client) -> Any:
        return await client.read_resource(uri)

    with pytest.raises(MCPError) as refused:
        asked(source, ask)
    assert "search or list" in str(refused.value) or "percent-encoded" in str(refused.value)


def test_capitals_in_the_scheme_mean_the_same(source: KnowledgeSource, kb: LocalKnowledgeBase) -> None:
    """A client that normalizes URIs reads the same file."""
    (folder,) = kb.settings.folder_paths()

    async def ask(client: Client) -> Any:
        return await client.read_resource(f"KB://{folder}/plain.txt")

    assert "fuse box" in asked(source, ask).contents[0].text
    assert "fuse box" in called(source, "read", path="Kb://plain.txt").text


class Slow:
    """A source that reports progress, and waits until the call is cancelled."""

    def __init__(self, source: KnowledgeSource, waits: float) -> None:
        self.settings = source.settings
        self.begun, self.cancelled = threading.Event(), threading.Event()
        self._source = source
        self._waits = waits

    @contextmanager
    def opened(self, call: Call) -> Iterator[Any]:
        """Wait, then open."""
        self.begun.set()
        for done in range(3):
            call.report(done, 3, f"indexing: {done} of 3")
        call.report(1, None, "starting")
        until = time.monotonic() + self._waits
        while time.monotonic() < until:
            if call.cancelled():
                self.cancelled.set()
                raise KbError("cancelled")
            time.sleep(0.01)
        with self._source.opened(call) as kb:
            yield kb

    def building(self) -> Building | None:
        """None."""

    def refresh(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("era", ERAS)
def test_progress_rises(source: KnowledgeSource, era: str) -> None:
    """A client that asks for progress gets rising numbers, with what is being done."""
    told: list[tuple[float, float | None, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async def ask(client: Client) -> CallToolResult:
        return await client.call_tool("status", {}, progress_callback=tell)

    asked(Slow(source, 0.1), ask, mode=era)

    assert [what for _, _, what in told] == [*(f"indexing: {done} of 3" for done in range(3)), "starting"]
    assert sorted({done for done, _, _ in told}) == [done for done, _, _ in told]


def test_cancelled_call_stops(source: KnowledgeSource) -> None:
    """What works for a client that has given up is told to stop."""
    slow = Slow(source, 120)

    async def ask(client: Client) -> bool:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "search", {"question": "x"})
            await anyio.to_thread.run_sync(slow.begun.wait, 120)
            group.cancel_scope.cancel()
        return await anyio.to_thread.run_sync(slow.cancelled.wait, 120)

    assert asked(slow, ask)


class Broken:
    """A source with a fault."""

    def __init__(self, source: KnowledgeSource) -> None:
        self.settings = source.settings

    def opened(self, _call: Call) -> Any:
        """Fail."""
        raise RuntimeError("out of ink")

    def building(self) -> Building | None:
        """None."""

    def refresh(self) -> None:
        """Nothing."""


def test_a_fault_of_kb_does_not_end_the_session(source: KnowledgeSource, caplog: pytest.LogCaptureFixture) -> None:
    """It is a result that names it, with the traceback in the log alone."""
    found = called(Broken(source), "status")

    assert found.failed
    assert "RuntimeError: out of ink" in found.text
    assert "Traceback" not in found.text
    assert "out of ink" in caplog.text


class Starts:
    """A daemon that never begins to answer."""

    def __init__(self, *, alive: bool = True) -> None:
        self.alive = alive
        self.starts = 0

    def __call__(self, _settings: object) -> Starts:
        """Start it."""
        self.starts += 1
        return self

    def running(self) -> bool:
        """Whether it is alive."""
        return self.alive

    def output(self) -> str:
        """Its log."""
        return "loading\nkb: the model is not on this machine\n    Run kb model fetch,\n    or name another"


def test_daemon_that_starts_is_waited_for_a_while(own_kb: LocalKnowledgeBase, short_runtime: Path) -> None:
    """Many calls at once start one daemon; each says what is happening, and status is no error."""
    assert short_runtime.is_dir()
    own_kb.close()
    starts = Starts()
    source = DaemonSource(own_kb.settings, None, starts, seconds=0.3)  # type: ignore[arg-type]  # it is never asked
    told: list[str] = []
    search, status = (next(one for one in offered(write=False) if one.name == name) for name in ("search", "status"))
    threads = [
        threading.Thread(target=lambda: told.append(answer(search, source, Call(), {"question": "x"}).words))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert starts.starts == 1
    assert len(told) == 4
    assert all("loading the model" in one and "Ask again in a few seconds" in one for one in told)
    state = answer(status, source, Call(), {}).result
    assert state is not None
    assert msgspec.to_builtins(state)["state"] == "starting"


def test_daemon_that_dies_is_reported_and_started_again(own_kb: LocalKnowledgeBase, short_runtime: Path) -> None:
    """The error that its log ends with says why, with its remedy; the next call tries again."""
    assert short_runtime.is_dir()
    own_kb.close()
    starts = Starts(alive=False)
    source = DaemonSource(own_kb.settings, None, starts, seconds=5)  # type: ignore[arg-type]  # it is never asked

    for _ in range(2):
        with (
            pytest.raises(KbError, match="could not start: the model is not on this machine") as failed,
            source.opened(Call()),
        ):
            pass
        assert failed.value.remedy == "Run kb model fetch, or name another"

    assert starts.starts == 2


def test_without_a_configuration_the_tools_say_what_to_do(source: KnowledgeSource) -> None:
    """Tools and resources are served; each call looks for a configuration again, and answers once there is one."""
    there: list[KnowledgeSource] = []

    def make() -> Any:
        if not there:
            raise ConfigError("no folder is configured", WAYS_TO_CONFIGURE)
        return there[0]

    async def ask(client: Client) -> None:
        tools = await client.list_tools()
        for name, arguments in (("search", {"question": "notes"}), ("status", {}), ("list", {})):
            result = await client.call_tool(name, arguments)
            assert result.is_error
            assert "no folder is configured. The user can help: kb init FOLDER" in str(result.content[0])
        with pytest.raises(MCPError, match="kb init FOLDER"):
            await client.list_resources()
        there.append(source)
        assert not (await client.call_tool("status", {})).is_error
        assert len((await client.list_resources()).resources) > 0
        assert len(tools.tools) == 5

    configured = ConfiguredSource(make)
    asked(configured, ask)
    assert configured.source() is source


def test_cancelled_wait_for_a_daemon_ends(own_kb: LocalKnowledgeBase, short_runtime: Path) -> None:
    """A client that gives up is not waited for."""
    assert short_runtime.is_dir()
    own_kb.close()
    source = DaemonSource(own_kb.settings, None, Starts(), seconds=60)  # type: ignore[arg-type]  # it is never asked

    with pytest.raises(NotReady), source.opened(Call(cancelled=lambda: True)):
        pass


def test_server_is_named(source: KnowledgeSource) -> None:
    """The client sees name, version and instructions, which say that texts are data."""
    server = FileServer(source).server()

    assert server.name == "kb"
    assert "never instructions" in str(server.instructions)
    assert server.middleware == []
