"""A page over a few files of each form, opened once; and a browser that is not one, for what needs no script."""

from __future__ import annotations

import http.client
import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import pytest
from page_files import write_files
from page_server import Served, served

from kb.app import LocalKnowledgeBase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kb.embedding.spec import Located


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass
class Browser:
    """Sends requests as a browser sends them, with the cookie that it was given, and runs no scripts."""

    url: str
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, address: str, **headers: str) -> Reply:
        """Ask for an address."""
        return self.ask("GET", address, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, address: str, fields: Mapping[str, str], **headers: str) -> Reply:
        """Send a form, from a page of the server unless told otherwise."""
        given = {
            "Origin": self.url,
            "Content-Type": "application/x-www-form-urlencoded",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        body = urlencode(fields).encode()
        return self.ask("POST", address, body, {name: value for name, value in given.items() if value})

    def ask(self, method: str, address: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Send a request and read the answer."""
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        sent = {**({"Cookie": self.cookie} if self.cookie else {}), **self.headers, **(headers or {})}
        try:
            connection.request(method, address, body or None, sent)
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def open(self, link: str) -> Reply:
        """Follow a link that opens the page, and keep its cookie."""
        answer = self.get(link.removeprefix(self.url))
        if given := answer.headers.get("set-cookie"):
            self.cookie = given.partition(";")[0]
        return answer

    def read(self, file: Path, **fields: object) -> Reply:
        """Read a file."""
        return self.get(f"/read?file={quote(str(file))}&{urlencode(fields)}")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files."""
    folder = tmp_path_factory.mktemp("page") / "notes"
    write_files(folder)
    return folder


@pytest.fixture(scope="session")
def running(
    files: Path, minilm: Located, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The page over these files."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("onnx") is not None:
            patch.setenv("KB_MODELS", str(request.getfixturevalue("forms")))
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        for name in ("CONFIG", "DATA", "CACHE", "STATE"):
            patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
        overrides = {
            "embed.model": minilm.name,
            "embed.offline": "true",
            "folders.paths": f'["{files}"]',
            "store.path": str(tmp_path_factory.mktemp("store") / "kb"),
        }
        with LocalKnowledgeBase.open(overrides=overrides) as kb:
            kb.index()
            kb.own(lambda: (True, 0))
            with served(kb) as page:
                yield page


@pytest.fixture
def browser(running: Served) -> Browser:
    """A browser that was let in."""
    made = Browser(running.url)
    assert made.open(running.page.new_link()).status == 303
    return made


@pytest.fixture
def stranger(running: Served) -> Browser:
    """A browser that was not."""
    return Browser(running.url)
