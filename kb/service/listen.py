"""Listens for clients: on a Unix socket in a private folder, else on a local port with a secret."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import FolderError
from kb.service.address import addresses_of, make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Listening:
    """A listening socket, the file by which clients find it, and what a request must carry.

    Args:
        socket: The socket, bound and listening.
        address: The path of the socket, or of the file that names port and secret.
        secret: What every request must carry; empty where the file system keeps others away.
        hosts: The names under which requests may come.
    """

    socket: socket.socket
    address: str
    secret: str
    hosts: frozenset[str]
    _file: tuple[int, int]

    def intact(self) -> bool:
        """Whether the file is still there, and is the one that was made here."""
        try:
            return _identity(self.address) == self._file
        except OSError:
            return False

    def remove(self) -> None:
        """Remove the file, if it is still the one that was made here."""
        if self.intact():
            Path(self.address).unlink(missing_ok=True)


def _identity(path: str) -> tuple[int, int]:
    """Identifies a file among others of its name; inodes are reused at once, so the time counts too."""
    found = os.lstat(path)
    return found.st_ino, found.st_mtime_ns


def listen(store: str, environ: Mapping[str, str]) -> Listening:
    """Listen for the clients of a store. The caller holds its lock, so any socket there is of a daemon that died.

    Raises:
        FolderError: There is no folder that belongs to this user alone.
    """
    places = addresses_of(store, environ)
    for address in places:
        if make_folder(address):
            return listen_at(address)
    raise FolderError(
        f"{Path(places[-1]).parent} is not a folder of yours alone", "Remove it, or set XDG_RUNTIME_DIR to one that is"
    )


def listen_at(address: str) -> Listening:
    """Listen at a socket, or at a free port where the address names a JSON file."""
    Path(address).unlink(missing_ok=True)
    return _port(address) if address.endswith(".json") else _unix(address)


def _unix(address: str) -> Listening:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(address)
        # The folder keeps others away already; this holds where somebody loosens it.
        Path(address).chmod(0o600)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return Listening(listening, address, "", frozenset({"localhost"}), _identity(address))


def _port(address: str) -> Listening:
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listening.getsockname()[1]
    secret = secrets.token_urlsafe(32)
    draft = Path(f"{address}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, no path
        json.dump({"host": "127.0.0.1", "port": port, "secret": secret}, file)
    draft.replace(address)
    hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
    return Listening(listening, address, secret, hosts, _identity(address))
