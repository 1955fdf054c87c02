"""The port at which programs reach the daemon: opened, moved and closed as the configuration says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from kb.interrupts import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.api.http import Api, Backend, Mounted
    from kb.service.http_server import HttpServer
    from kb.service.listen import Port

_CONNECTIONS: Final = 64
_KEEP_ALIVE_SECONDS: Final = 5


class HttpPort:
    """What ``serve.http`` stands for, while the daemon runs.

    Args:
        backend: What answers the requests.
        say: Receives each line of the log.
        mounts: Returns more applications to serve at the port.
    """

    def __init__(
        self, backend: Backend, say: Callable[[str], None], mounts: Callable[[], Sequence[Mounted]] = tuple
    ) -> None:
        self._backend = backend
        self._say = say
        self._mounts = mounts
        self._address = ""
        self._open: tuple[HttpServer, Api, Port] | None = None

    @property
    def url(self) -> str:
        """The URL; empty where the port is closed."""
        return f"http://{self._open[2].endpoint}" if self._open else ""

    def move(self, address: str) -> None:
        """Answer at another address, or nowhere if it is empty. The old port is closed once the new one is open.

        Raises:
            KbError: There is none to listen at, or the token cannot be made; then nothing changes.
        """
        if address == self._address:
            return
        with undisturbed():
            opened = self._opened(address) if address else None
            if self._open and not opened:
                self._say(f"programs are no longer answered at {self.url}")
            self.close()
            self._open, self._address = opened, address
        if opened:
            opened[0].start()
            self._tell(opened[2])

    def stop_runs(self) -> None:
        """Ask the requests at work to stop; they may still report what they did."""
        if self._open:
            self._open[1].stop_runs()

    def stop(self) -> None:
        """Take no more requests, and have those at work end."""
        if self._open:
            self._open[1].stop()

    def close(self) -> None:
        """Close the port, and wait for the requests at work."""
        if self._open:
            server, api, _ = self._open
            self._open, self._address = None, ""
            api.stop()
            server.close()
            api.close()

    def _opened(self, address: str) -> tuple[HttpServer, Api, Port]:
        from kb.api.access import Access
        from kb.api.http import Api
        from kb.api.limits import NETWORK
        from kb.api.problems import as_response
        from kb.api.token import TokenFile
        from kb.service.connections import ConnectionLimits
        from kb.service.http_server import HttpServer
        from kb.service.listen import Endpoint, listen_at_port

        token = TokenFile.of(os.environ)
        token.made()
        mounts = self._mounts()
        port = listen_at_port(Endpoint.parsed(address))
        access = Access(
            port.hosts(), token.current, any_address=port.endpoint.port if port.everywhere else None, own_pages=True
        )
        api = Api(self._backend, access, NETWORK, {"read", "write"}, mounts)
        limits = ConnectionLimits(_CONNECTIONS, keep_alive=_KEEP_ALIVE_SECONDS, refusal=as_response)
        return HttpServer(api, port.socket, limits, self._say, name="kb-http", lifespan="on"), api, port

    def _tell(self, port: Port) -> None:
        self._say(f"answering programs at {self.url}, with the token that kb token prints")
        if not port.loopback:
            self._say(
                f"other machines can reach {self.url}: whoever has the token can read all files of the index, and "
                "nothing is encrypted. Use 127.0.0.1 unless a proxy with TLS stands in front"
            )
