"""Where a language model is, and that nothing leaves the machine without leave."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import llm
import pytest
from model_server import Refused, serving

from kb.answers.language_model import AnswerLimits, Written, is_this_machine, open_model
from kb.answers.prompt import SCHEMA
from kb.errors import AnswerError
from kb.records import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_llm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's keys, and a proxy that would notice what goes to it."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1:8080", True),
        ("127.8.9.1", True),
        ("[::1]:11434", True),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("192.168.1.5", False),
        ("api.openai.com", False),
    ],
)
def test_only_loopback_is_this_machine(host: str, here: bool) -> None:
    """Names are not looked up, so none but localhost is."""
    assert is_this_machine(host) is here


def test_an_endpoint_elsewhere_needs_leave() -> None:
    """It is named in the configuration, and still not asked while offline is true."""
    with pytest.raises(AnswerError, match=r"would send passages of your files to llm.example.com, and answer.offline"):
        open_model("big", "https://llm.example.com/v1", offline=True)
    assert open_model("big", "https://llm.example.com/v1", offline=False).host == "llm.example.com"


def test_a_model_of_llm_elsewhere_has_to_be_named() -> None:
    """Its default endpoint is not on this machine."""
    name = next(one.model_id for one in llm.get_models() if type(one).__module__.startswith("llm.default_plugins"))
    with pytest.raises(AnswerError, match=r"api.openai.com, which the configuration does not name"):
        open_model(name, "", offline=False)
    with pytest.raises(AnswerError, match=r"answer.offline is true"):
        open_model(name, "api.openai.com", offline=True)
    assert open_model(name, "api.openai.com", offline=False).host == "api.openai.com"


def test_an_unknown_model_and_a_wrong_address_are_told() -> None:
    """Each with what to do about it."""
    with pytest.raises(AnswerError, match="llm knows no model nothing-like-it"):
        open_model("nothing-like-it", "", offline=True)
    with pytest.raises(AnswerError, match=r"answer.endpoint is no address"):
        open_model("x", "ftp://127.0.0.1", offline=True)
    with pytest.raises(AnswerError, match=r"answer.endpoint is no address"):
        open_model("x", "http://127.0.0.1:port/v1", offline=True)


class _Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that answers "one two" and keeps what it was sent."""

    sent: list[dict[str, object]] = []  # noqa: RUF012 - of the class, as a handler is made for each request

    def do_POST(self) -> None:
        """Answer with two chunks."""
        self.sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for word in ("one ", "two"):
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            chunk["choices"] = [{"index": 0, "delta": {"content": word}}]
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of such a server."""
    _Server.sent = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}/v1"
        found.shutdown()


def test_a_server_on_this_machine_is_asked_past_the_proxy(server: str) -> None:
    """With the rules as the system message, the schema, and the limit of tokens."""
    limits = AnswerLimits(time.monotonic() + 120, 77, lambda: False)
    written = open_model("small", server, offline=True).write(Prompt("rules", "question"), SCHEMA, limits)

    (sent,) = _Server.sent
    assert written == Written("one two")
    assert [one["role"] for one in sent["messages"]] == ["system", "user"]  # type: ignore[attr-defined]
    assert sent["max_tokens"] == 77
    assert sent["response_format"]["type"] == "json_schema"  # type: ignore[index]


def test_a_wrong_endpoint_is_told_in_one_sentence() -> None:
    """With the reason of the system."""
    limits = AnswerLimits(time.monotonic() + 120, 77, lambda: False)
    with pytest.raises(AnswerError) as caught:
        open_model("small", "http://127.0.0.1:9/v1", offline=True).write(Prompt("a", "b"), SCHEMA, limits)
    assert caught.value.message == "small cannot be asked at 127.0.0.1:9: Connection refused"
    assert caught.value.remedy.startswith("Start its server")


@pytest.mark.parametrize(
    ("status", "body", "message", "remedy"),
    [
        (401, '{"error": {"message": "Invalid API key"}}', "Invalid API key", "llm keys set 127.0.0.1"),
        (404, '{"error": {"message": "no such model"}}', "no such model", "answer.model"),
        (404, "<html>not here</html>", "404", "ends with /v1"),
        (302, "", "302", "the address that it redirects to"),
        (500, "oops\n<html>", "500", "log of its server"),
        (200, "<!doctype html>\n<html>", "small wrote nothing", "ends with /v1"),
        (
            200,
            'data: {"error": {"message": "no memory left"}}\n\ndata: [DONE]\n\n',
            "no memory left",
            "log of its server",
        ),
    ],
)
def test_a_refusal_of_the_server_is_told_with_its_remedy(status: int, body: str, message: str, remedy: str) -> None:
    """In one sentence, by its status."""

    def refuses(_system: str, _user: str) -> str:
        raise Refused(status, body)

    limits = AnswerLimits(time.monotonic() + 120, 77, lambda: False)
    with serving(refuses) as served, pytest.raises(AnswerError) as caught:
        open_model("small", served.url, offline=True).write(Prompt("a", "b"), SCHEMA, limits)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("is_silent", [True, False])
def test_an_answer_that_is_given_up_closes_its_connection(is_silent: bool) -> None:
    """So that the server does not go on with it, and is free for the next question."""
    is_closed = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if is_silent:
                assert self.connection.recv(1) == b""
            else:
                self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                self._write_until_closed()
            is_closed.set()

        def _write_until_closed(self) -> None:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            chunk["choices"] = [{"index": 0, "delta": {"content": "and "}}]
            with suppress(OSError):
                while True:
                    self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                    time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        model = open_model("small", f"http://127.0.0.1:{server.server_address[1]}/v1", offline=True, seconds=1.0)
        with pytest.raises(AnswerError, match="did not answer in time"):
            model.write(Prompt("a", "b"), SCHEMA, AnswerLimits(time.monotonic() + 0.8, 9999, lambda: False))
        assert is_closed.wait(120)
        server.shutdown()


def test_a_model_without_its_key_names_where_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that its plugin looks for, not that of the host; nothing is sent."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    name = next(one.model_id for one in llm.get_models() if one.needs_key == "openai")
    model = open_model(name, "api.openai.com", offline=False)
    with pytest.raises(AnswerError) as caught:
        model.write(Prompt("a", "b"), SCHEMA, AnswerLimits(time.monotonic() + 120, 77, lambda: False))
    assert caught.value.message == f"{name} at api.openai.com needs a key"
    assert caught.value.remedy == "Store a key that it takes: llm keys set openai"


def test_a_server_that_hangs_up_stopped_amid_its_answer() -> None:
    """What it wrote until then is no answer."""

    def stops(_system: str, _user: str) -> str:
        raise ConnectionError

    limits = AnswerLimits(time.monotonic() + 120, 77, lambda: False)
    with serving(stops) as served, pytest.raises(AnswerError, match="small stopped amid its answer"):
        open_model("small", served.url, offline=True).write(Prompt("a", "b"), SCHEMA, limits)
