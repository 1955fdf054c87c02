"""The listening sockets of the daemon.

Commands use a Unix socket in a private folder. Where there are none they use a port of this machine, which a file in a
private folder names, with a secret. The daemon keeps that file locked: the port of one that died may be another
program's by now, and no command is to be sent there. Other programs use a port, where one is configured.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import secrets
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import ConfigError, FolderError, KbError
from kb.service.address import addresses_of, make_folder
from kb.system import WINDOWS
from kb.system.files import replace_file
from kb.system.locks import PAST_END, try_lock

if TYPE_CHECKING:
    from collections.abc import Mapping


LOOPBACK: Final = "127.0.0.1"
_PORT_DIGITS: Final = 5
_LAST_PORT: Final = 65_535
_LOCK_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.01
_HTTP: Final = 80


@dataclass(frozen=True, slots=True)
class Listening:
    """A listening socket, and the file by which clients find it.

    Args:
        socket: The socket, bound and listening.
        address: The path of the socket, or of the file with port and secret.
        secret: The secret that every request must carry; empty where file permissions keep others away.
        hosts: The allowed values of the Host header.
    """

    socket: socket.socket
    address: str
    secret: str
    hosts: frozenset[str]
    _file: tuple[int, int]
    _locked: int | None = None

    def intact(self) -> bool:
        """Whether the file still exists and is the one created here."""
        try:
            return _identity(self.address) == self._file
        except OSError:
            return False

    def remove(self) -> None:
        """Remove the file, if it is still the one created here."""
        intact = self.intact()
        if self._locked is not None:
            # Windows removes no open file.
            with suppress(OSError):
                os.close(self._locked)
        if intact:
            Path(self.address).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address for programs: a host and a port.

    Attributes:
        host: A name, or an address in digits, without brackets.
        port: The port; 0 for any free one.
    """

    host: str
    port: int

    @classmethod
    def parsed(cls, text: str) -> Endpoint:
        """Read ``HOST:PORT``, where an IPv6 address is in brackets, or ``PORT`` for this machine alone.

        Raises:
            ConfigError: It is neither.
        """
        host, _, port = text.rpartition(":") if ":" in text else (LOOPBACK, "", text)
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        digits = port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS
        if not host or not digits or int(port) > _LAST_PORT or (":" in host) != bracketed or not host.isascii():
            raise ConfigError(
                f"{text!r} is not an address to listen at",
                "Write a host and a port, as in 127.0.0.1:7420 or [::1]:7420",
            )
        return cls(host.lower(), int(port))

    def __str__(self) -> str:
        """The address as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Port:
    """A listening port for programs.

    Attributes:
        socket: The socket, bound and listening.
        endpoint: The host as it was named, and the port.
        loopback: Whether only this machine can reach it.
        everywhere: Whether it listens at all addresses of this machine.
    """

    socket: socket.socket
    endpoint: Endpoint
    loopback: bool
    everywhere: bool

    def hosts(self) -> frozenset[str]:
        """The values of ``Host`` that mean this port, in lower case; of all addresses only the names."""
        named = {str(self.endpoint)}
        if self.loopback or self.everywhere:
            named |= {f"{name}:{self.endpoint.port}" for name in (LOOPBACK, "localhost", "[::1]")}
        if self.everywhere:
            named.add(f"{socket.gethostname().lower()}:{self.endpoint.port}")
        if self.endpoint.port == _HTTP:
            named |= {host.removesuffix(f":{_HTTP}") for host in named}
        return frozenset(named)


def listen_at_port(endpoint: Endpoint) -> Port:
    """Listen for programs.

    Raises:
        KbError: The port is in use, or there is no such address here.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(address, family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(endpoint, error) from error
    bound = ipaddress.ip_address(str(listening.getsockname()[0]).partition("%")[0])
    port = Endpoint(endpoint.host, listening.getsockname()[1])
    return Port(listening, port, bound.is_loopback, bound.is_unspecified)


def _cannot_listen(endpoint: Endpoint, error: Exception) -> KbError:
    """Return the error for a port that cannot be listened at, with what to do about it."""
    number = error.errno if isinstance(error, OSError) else None
    another = Endpoint(endpoint.host, endpoint.port % _LAST_PORT + 1)
    match number:
        case errno.EADDRINUSE:
            return KbError(
                f"port {endpoint.port} is in use at {endpoint.host}", f"Use another one: kb watch --http {another}"
            )
        case errno.EACCES | errno.EPERM:
            return KbError(f"you may not listen at {endpoint}", "Use a port above 1023: kb watch --http 127.0.0.1:7420")
    return KbError(
        f"this machine cannot listen at {endpoint.host} ({getattr(error, 'strerror', None) or error})",
        "Name an address that it has: kb watch --http 127.0.0.1:7420",
    )


def _identity(path: str) -> tuple[int, int]:
    """Return what identifies a file among others of its name: inode and time, since inodes are reused."""
    found = os.lstat(path)
    return found.st_ino, found.st_mtime_ns


def listen(store: str, environ: Mapping[str, str]) -> Listening:
    """Listen for the clients of a store. The caller holds its lock, so an existing socket is of a daemon that died.

    Raises:
        FolderError: There is no folder that is private to this user, or another program keeps the file there locked.
    """
    places = addresses_of(store, environ)
    for address in places:
        if make_folder(address):
            return listen_at(address)
    raise FolderError(
        f"{Path(places[-1]).parent} is not a folder of yours alone",
        f"Remove it, or set {'LOCALAPPDATA' if WINDOWS else 'XDG_RUNTIME_DIR'} to one that is",
    )


def listen_at(address: str) -> Listening:
    """Listen on a socket, or on a free port where the address is a JSON file.

    Raises:
        FolderError: Another program keeps that file locked.
    """
    return _port(address) if address.endswith(".json") else _unix(address)


def _unix(address: str) -> Listening:
    if sys.platform == "win32":
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    Path(address).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(address)
        # The folder is private already; this holds if its permissions are loosened.
        Path(address).chmod(0o600)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return Listening(listening, address, "", frozenset({"localhost"}), _identity(address))


def _own_port() -> socket.socket:
    """Listen at a free port, which on Windows another program could share if this one did not forbid it."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if exclusive := getattr(socket, "SO_EXCLUSIVEADDRUSE", None):
            listening.setsockopt(socket.SOL_SOCKET, exclusive, 1)
        listening.bind((LOOPBACK, 0))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _port(address: str) -> Listening:
    listening = _own_port()
    port = listening.getsockname()[1]
    secret = secrets.token_urlsafe(32)
    try:
        locked = _written_and_locked(address, {"port": port, "secret": secret, "pid": os.getpid()})
    except BaseException:
        listening.close()
        raise
    hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
    return Listening(listening, address, secret, hosts, _identity(address), locked)


def _written_and_locked(address: str, values: Mapping[str, object]) -> int:
    """Write a JSON file for this user alone, and return the descriptor that keeps it locked.

    Clients that look whether it is locked lock it themselves for an instant.

    Raises:
        FolderError: Another program keeps it locked.
    """
    draft = Path(f"{address}.new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, no path
        json.dump(values, file)
    replace_file(str(draft), address)
    # Locked under its own name, since Windows renames no open file.
    descriptor = os.open(address, os.O_RDWR)
    until = time.monotonic() + _LOCK_SECONDS
    while not try_lock(descriptor, PAST_END):
        if time.monotonic() > until:
            os.close(descriptor)
            raise FolderError(f"another program keeps {address} locked", "End it and run the command again")
        time.sleep(_PAUSE_SECONDS)
    return descriptor
