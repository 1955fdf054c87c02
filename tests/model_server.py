"""A language model on loopback: an OpenAI-compatible server that writes what a function of the two messages gives."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK: Final = 40


@dataclass
class Served:
    """A model and what it was asked.

    Attributes:
        write: What it writes to a system message and a user message. It may raise ``Refused``, or ``ConnectionError``
            to hang up.
        asked: The bodies of the requests.
        url: Its address.
    """

    write: Callable[[str, str], str]
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


class Refused(Exception):
    """The server answers with an error, or with a body that is not what was asked for.

    Args:
        status: The HTTP status.
        body: The body.
    """

    def __init__(self, status: int, body: str) -> None:
        super().__init__(body)
        self.status = status
        self.body = body


@contextmanager
def serving(write: Callable[[str, str], str]) -> Iterator[Served]:
    """Serve a model until the context ends."""
    served = Served(write)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.asked.append(body)
            try:
                text = served.write(*(one["content"] for one in body["messages"]))
            except Refused as error:
                self._send(error.status, "application/json", error.body)
            except ConnectionError:
                self._send(200, "text/event-stream", _event("half of an ans"), missing=99)
            else:
                chunks = [_event(text[at : at + _CHUNK]) for at in range(0, len(text), _CHUNK)]
                self._send(200, "text/event-stream", "".join([*chunks, "data: [DONE]\n\n"]))

        def _send(self, status: int, media: str, text: str, *, missing: int = 0) -> None:
            """Send an answer that ends so many bytes earlier than it says."""
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(data) + missing))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield served
        finally:
            server.shutdown()


def _event(text: str) -> str:
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps({**chunk, 'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n"


def passages_of(user: str) -> list[dict[str, Any]]:
    """The passages of a user message."""
    return list(json.loads(user)["passages"])


def claims(*written: dict[str, Any]) -> str:
    """An answer with these claims."""
    return json.dumps({"claims": written})
