"""The client of a daemon: the same results and errors as the knowledge base itself, over a real socket."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from served import Served, StandIn, opened, write_notes

from kb import Filters, KnowledgeBase, Mode, SearchRequest, __version__, knowledge_base
from kb.api.access import Access
from kb.api.cancellation import CallCancelled, Cancellation
from kb.api.client import DaemonClient
from kb.api.http import Api, Backend, Configuration
from kb.api.limits import LOCAL
from kb.api.operations import OPERATIONS
from kb.api.transport import ConnectionLost, NoDaemon
from kb.config.compare import shared_values
from kb.errors import ConfigError, KbError, NotIndexed, StoreBusy
from kb.records import IndexReport
from kb.service.address import PROTOCOL
from kb.service.listen import listen
from kb.service.server import DaemonServer, Handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from kb.app import LocalKnowledgeBase
    from kb.config import Settings

    Call: TypeAlias = Callable[[Any], object]

pytest_plugins = ["served_notes"]


def described(settings: Settings, **other: object) -> dict[str, Any]:
    """What a daemon says of its configuration."""
    return {
        "version": __version__,
        "protocol": PROTOCOL,
        "pid": os.getpid(),
        "store": settings.store_path(),
        "file": None,
        "folders_given": False,
        "listing": shared_values(settings),
        **other,
    }


@dataclass
class Running:
    """A daemon in this process.

    Attributes:
        kb: Its knowledge base.
        settings: The configuration of the client.
        configuration: What the daemon says of its own.
        daemon: What it says and does as a daemon.
    """

    kb: LocalKnowledgeBase
    settings: Settings
    configuration: dict[str, Any]
    daemon: StandIn = field(default_factory=StandIn)

    @contextmanager
    def serving(self) -> Iterator[DaemonServer]:
        """Answer for as long as this lasts."""
        served = Served(self.settings.folder_paths()[0], self.kb, self.daemon)  # type: ignore[arg-type]  # not used
        backend: Backend = replace(served.backend(), configuration=lambda: Configuration.of(self.configuration))
        store = self.settings.store_path()
        listening = listen(store, os.environ)
        api = Api(backend, Access(listening.hosts), LOCAL, {"read", "write", "local"})
        nothing = Handlers(lambda *_: None, self.daemon.status, lambda: None)
        server = DaemonServer(listening, store, __version__, nothing, api=api)
        server.start()
        try:
            yield server
        finally:
            api.stop()
            server.close()
            api.close()


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKnowledgeBase]:
    """The notes, indexed with a fake model."""
    root = tmp_path_factory.mktemp("client")
    folder = write_notes(root / "notes")
    (folder / os.fsdecode(b"caf\xe9.md")).write_text("# Coffee\n\nA name that is not UTF-8. [[backup]] [[nowhere]]\n")
    with opened(folder, root / "store") as kb:
        kb.index()
        yield kb


@pytest.fixture
def running(kb: LocalKnowledgeBase, runtime: Path) -> Running:
    """A daemon that does not answer yet."""
    assert runtime.is_dir()
    return Running(kb, kb.settings, described(kb.settings))


@pytest.fixture
def client(running: Running) -> Iterator[DaemonClient]:
    """A client of a daemon that answers."""
    with running.serving():
        client = DaemonClient(running.settings)
        yield client
        client.close()


CAFE = os.fsdecode(b"caf\xe9.md")
CALLS: dict[str, Call] = {
    "search": lambda kb: kb.search(SearchRequest("cellar disk", limit=3, explain=True)),
    "search by words": lambda kb: kb.search(SearchRequest('"cellar disk" -mount', mode=Mode.KEYWORD)),
    "search with dates": lambda kb: kb.search(SearchRequest("tea", filters=Filters(paths=("tea/",), tags=("none",)))),
    "any number of sentences": lambda kb: kb.search(SearchRequest("tea", best_seconds=float("inf"))),
    "nothing": lambda kb: kb.search(SearchRequest("")),
    "similar": lambda kb: kb.search(SearchRequest(like="backup.md")),
    "similar to nothing": lambda kb: kb.search(SearchRequest(like="gone.md")),
    "passage": lambda kb: kb.passage(kb.show("backup.md").passages[0].id),
    "no passage": lambda kb: kb.passage("1-0-0"),
    "read": lambda kb: kb.read("backup.md"),
    "read lines": lambda kb: kb.read("backup.md", first_line=3, last_line=99),
    "read past the end": lambda kb: kb.read("backup.md", first_line=99),
    "read a page": lambda kb: kb.read("backup.md", page=1),
    "read nothing": lambda kb: kb.read("private/diary.md"),
    "read outside": lambda kb: kb.read("../outside.md"),
    "read a link": lambda kb: kb.read("link.md"),
    "read an undecodable name": lambda kb: kb.read(CAFE),
    "read an odd name": lambda kb: kb.read("Ünï cödé & co?.md"),
    "show": lambda kb: kb.show("backup", 3),
    "show no line": lambda kb: kb.show("backup", 99),
    "show one of two": lambda kb: kb.show("Twice"),
    "resolve": lambda kb: kb.resolve("green"),
    "resolve an undecodable name": lambda kb: kb.resolve(CAFE),
    "unmatched": lambda kb: kb.unmatched(Filters(tags=("disc",), paths=("te/",))),
    "documents": lambda kb: kb.documents(Filters(tags=("disk",))),
    "all documents": lambda kb: kb.documents(),
    "tags": lambda kb: kb.tags(),
    "tags below": lambda kb: kb.tags(Filters(paths=("restore.md", "tea/"))),
    "links": lambda kb: kb.links("backup.md"),
    "broken links": lambda kb: kb.broken_links(),
    "check": lambda kb: kb.check(),
}


def outcome(call: Call, kb: object) -> object:
    """The result of a call, or its error."""
    try:
        return call(kb)
    except KbError as error:
        return type(error), error.message, error.remedy


@pytest.mark.parametrize("name", CALLS)
def test_results_and_errors_are_those_of_the_knowledge_base(
    client: DaemonClient, kb: LocalKnowledgeBase, name: str
) -> None:
    """Whoever asks does not notice which of the two it is."""
    expected = outcome(CALLS[name], kb)

    assert outcome(CALLS[name], client) == expected


def test_every_operation_has_a_method() -> None:
    """One that a program in Python cannot ask for would be missed here."""
    others = {"similar": "search", "file": "read", "files": "documents"}
    names = [others.get(one.name, one.name) for one in OPERATIONS]

    assert [name for name in names if not hasattr(DaemonClient, name)] == []


def test_a_file_is_named_from_the_folder_of_the_caller(
    client: DaemonClient, kb: LocalKnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon has another current folder; a name that is not there is taken as it stands."""
    monkeypatch.chdir(f"{kb.settings.folder_paths()[0]}/twice")

    assert client.read("one.md").file.path == "twice/one.md"
    assert client.read("backup.md").file.path == "backup.md"
    with pytest.raises(NotIndexed, match=r"one\.md has no passage at line 99"):
        client.show("one.md", 99)


def test_an_index_run_is_followed_and_a_note_is_written_once(tmp_path: Path, runtime: Path) -> None:
    """Progress and files come while it runs, and the path of the note with its report."""
    assert runtime.is_dir()
    with opened(write_notes(tmp_path / "notes"), tmp_path / "store") as kb:
        with Running(kb, kb.settings, described(kb.settings)).serving():
            client = DaemonClient(kb.settings)
            seen: list[str] = []
            report = client.index(on_event=lambda event: seen.append(event.path), on_progress=lambda _: None)
            written: list[str] = []
            path, second = client.note("Remember the milk", tags=("shop",), on_written=written.append)
            client.close()

        assert len(seen) == report.added == 7
        assert (written, second.added) == ([path], 1)
        assert kb.tags(Filters(tags=("shop",)))


def test_an_index_run_is_stopped_by_hanging_up(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon is told, and the report says no more than that it was interrupted."""
    stopped = threading.Event()

    def index(**options: Any) -> IndexReport:
        while not options["should_stop"]():
            time.sleep(0.01)
        stopped.set()
        return IndexReport()

    monkeypatch.setattr(running.kb, "index", index)
    with running.serving():
        client = DaemonClient(running.settings)
        report = client.index(should_stop=lambda: True)
        client.close()
        assert stopped.wait(120)

    assert report == IndexReport(interrupted=True)


def test_a_daemon_that_stops_is_not_taken_for_a_busy_one(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait for the index may be asked for again; an index run that it cut off is not taken for a whole one."""
    at_work = threading.Event()

    def index(**options: Any) -> IndexReport:
        at_work.set()
        while not options["should_stop"]():
            time.sleep(0.01)
        return IndexReport(interrupted=True)

    monkeypatch.setattr(running.kb, "index", index)
    running.daemon.never = True
    client = DaemonClient(running.settings)
    with ThreadPoolExecutor(2) as pool, running.serving():
        waiting, indexing = pool.submit(client.sync), pool.submit(client.index)
        assert running.daemon.waiting.wait(120)
        assert at_work.wait(120)
    client.close()

    assert isinstance(waiting.exception(), NoDaemon)
    assert isinstance(indexing.exception(), ConnectionLost)


def test_a_daemon_that_has_just_ended_is_given_time_to_close_the_store(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops listening first; whoever holds the store after that is an error at once."""
    monkeypatch.setattr(knowledge_base, "_ENDING_SECONDS", 0.6)
    with KnowledgeBase(running.settings, warn=lambda _: None) as kb:
        with running.serving():
            assert kb.status().files
        began = time.monotonic()
        with pytest.raises(StoreBusy):
            kb.search("tea")
        assert time.monotonic() - began > 0.5
        monkeypatch.setattr(knowledge_base, "_ENDING_SECONDS", 60)
        began = time.monotonic()
        with pytest.raises(StoreBusy):
            kb.search("tea")
        assert time.monotonic() - began < 30


def test_a_time_limit_is_for_all_daemons_that_are_asked(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one ends while a program waits for the index, the next one has what is left of the time."""
    limits: list[float] = []

    def sync(_self: DaemonClient, timeout: float) -> bool:
        limits.append(timeout)
        time.sleep(0.05)
        if len(limits) < 3:
            raise ConnectionLost
        return True

    monkeypatch.setattr(DaemonClient, "reachable", lambda _self: True)
    monkeypatch.setattr(DaemonClient, "sync", sync)
    with KnowledgeBase(running.settings) as kb:
        assert kb.sync(30)

    assert limits[0] - limits[2] >= 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "0.0.1"}, "the daemon runs kb 0.0.1. Restart it: kb watch --stop, then kb watch"),
        ({"store": "/elsewhere"}, "this daemon serves the store /elsewhere"),
        ({"listing": {"chunk.max_tokens": 1}}, "uses other values for "),
        ({"listing": None}, "the daemon runs another version of kb"),
    ],
)
def test_a_daemon_of_another_version_or_configuration_is_not_asked(
    running: Running, change: dict[str, Any], message: str
) -> None:
    """The same error as for a command, before anything is asked."""
    running.configuration |= change
    with running.serving():
        client = DaemonClient(running.settings)
        with pytest.raises(ConfigError) as error:
            client.documents()
        client.close()

    assert message in str(error.value)


def test_a_configuration_that_the_daemon_reloads_is_compared_again(running: Running) -> None:
    """Nobody is told an answer from other rules than its own."""
    with running.serving():
        client = DaemonClient(running.settings)
        client.documents()
        running.configuration = described(running.settings, pid=1)
        client.documents()
        running.configuration = described(running.settings, listing={})
        with pytest.raises(ConfigError, match="uses other values"):
            client.documents()
        client.close()


def test_a_daemon_that_was_started_anew_is_asked_over_a_new_connection(running: Running) -> None:
    """What was kept of the first one is closed."""
    client = DaemonClient(running.settings)
    with running.serving():
        before = client.documents()
    with pytest.raises(NoDaemon):
        client.documents()
    with running.serving():
        assert client.documents() == before
    client.close()


def test_a_connection_that_was_idle_too_long_is_replaced(client: DaemonClient) -> None:
    """The daemon closes idle connections after two seconds."""
    before = client.documents()
    time.sleep(2.5)

    assert client.documents() == before


def test_threads_ask_at_once(client: DaemonClient) -> None:
    """Each has a connection of its own while it asks."""
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(client.documents()))) for _ in range(16)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert found == [8] * 16


def test_a_call_is_cancelled_from_another_thread(running: Running) -> None:
    """It ends at once, and the daemon notices that nobody waits any more."""
    running.daemon = StandIn(never=True)
    with running.serving():
        client, cancellation = DaemonClient(running.settings), Cancellation()

        def cancel() -> None:
            running.daemon.waiting.wait(120)
            cancellation.cancel()

        threading.Thread(target=cancel).start()
        with pytest.raises(CallCancelled):
            cancellation.run(client.sync)
        assert running.daemon.left.wait(120)
        client.close()
