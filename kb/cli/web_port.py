"""The port at which a browser reaches the page: opened when somebody asks for it, closed with the daemon."""

from __future__ import annotations

import os
import shutil
import threading
import zlib
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from kb.errors import KbError
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.service.http_server import HttpServer
    from kb.service.listen import Port
    from kb.web.app import Page
    from kb.web.context import Backend

_CONNECTIONS: Final = 64
_KEEP_ALIVE_SECONDS: Final = 30
# Below the ports that systems give to connections.
_FIRST_PORT: Final = 20_000
_PORTS: Final = 10_000
# Editors that open a window of their own; others of kb open's are run in a terminal.
_WINDOWS: Final = frozenset({"gvim", "emacs", "emacsclient", "subl", "zed", "zeditor", "lapce", "kate", "gedit"})


class WebPort:
    """The page, while the daemon runs.

    Args:
        backend: Returns what the page shows.
        say: Receives each line of the log.
        store: The path of the store. Its page has the same port each time, so that addresses stay as they are.
    """

    def __init__(self, backend: Callable[[], Backend], say: Callable[[str], None], store: str) -> None:
        self._backend = backend
        self._usual = _FIRST_PORT + zlib.crc32(store.encode("utf-8", "surrogateescape")) % _PORTS
        self._say = say
        self._lock = threading.Lock()
        self._open: tuple[HttpServer, Page, Port] | None = None

    def link(self, port: int = 0) -> str:
        """Return a link that opens the page once; the port is opened if it is not yet.

        Args:
            port: The port, if it has to be opened; 0 for that of this store, else any that is free.

        Raises:
            KbError: The extra is not installed, or the port is in use.
        """
        with self._lock:
            if self._open is None:
                self._open = opened = self._opened(port)
                opened[0].start()
                self._say(f"showing the page at http://{opened[2].endpoint} to browsers that kb web lets in")
            return self._open[1].new_link()

    def close(self) -> bool:
        """Close the port and end all sessions; returns whether it was open."""
        with self._lock:
            opened, self._open = self._open, None
        if opened is None:
            return False
        server, page, _ = opened
        page.stop()
        server.close()
        page.close()
        self._say("the page is closed")
        return True

    def _opened(self, number: int) -> tuple[HttpServer, Page, Port]:
        from kb.service.connections import ConnectionLimits
        from kb.service.http_server import HttpServer
        from kb.service.listen import Endpoint, listen_at_port

        page_class = _page_class()
        try:
            port = listen_at_port(Endpoint("127.0.0.1", number or self._usual))
        except KbError as error:
            if number:
                raise KbError(
                    error.message, "Use another one: kb web --port PORT, or leave it out for any free one"
                ) from error
            port = listen_at_port(Endpoint("127.0.0.1", 0))
        page = page_class(self._backend(), str(port.endpoint), port.hosts())
        limits = ConnectionLimits(_CONNECTIONS, keep_alive=_KEEP_ALIVE_SECONDS)
        return HttpServer(page, port.socket, limits, self._say, name="kb-web"), page, port


def _page_class() -> type[Page]:
    """Return the class of the page.

    Raises:
        KbError: The libraries that it needs are not installed.
    """
    try:
        import jinja2  # noqa: F401 - asked for here, where its absence can be told
        import mdit_py_plugins  # noqa: F401
        import nh3  # noqa: F401
        import pygments  # noqa: F401

        from kb.web.app import Page
    except ModuleNotFoundError as error:
        raise KbError(
            f"the page needs the extra web, which is not installed ({error.name} is missing)",
            "Run pip install 'localkb[web]', or with uv: uv tool install 'localkb[web]', then restart kb watch",
        ) from error
    return Page


def open_in_editor(path: str, line: int, page: int, kind: str) -> str:
    """Open a file in the user's editor, or in the program for its kind, and return the command.

    Args:
        path: The absolute path of the file.
        line: The line.
        page: The page; 0 for none.
        kind: The kind of the file.

    Raises:
        KbError: There is no such program, or it needs a terminal, which the daemon has not.
    """
    from kb.cli.commands.open import default_pdf, launch_of, start
    from kb.cli.last_results import Location

    location = Location(path, str(line), kind, line, page)
    launch = launch_of(location, os.environ, shutil.which, default_pdf() if page else "")
    command = shell.join(launch.command)
    if launch.here and PurePath(launch.command[0]).name not in _WINDOWS:
        raise KbError(f"{launch.command[0]} needs a terminal", f"Run it in one: {command}")
    start(launch.command, here=False)
    return command
