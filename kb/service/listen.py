"""The listening socket of the daemon: a Unix socket in a private folder, else a local port with a secret."""

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

    def intact(self) -> bool:
        """Whether the file still exists and is the one created here."""
        try:
            return _identity(self.address) == self._file
        except OSError:
            return False

    def remove(self) -> None:
        """Remove the file, if it is still the one created here."""
        if self.intact():
            Path(self.address).unlink(missing_ok=True)


def _identity(path: str) -> tuple[int, int]:
    """Return what identifies a file among others of its name: inode and time, since inodes are reused."""
    found = os.lstat(path)
    return found.st_ino, found.st_mtime_ns


def listen(store: str, environ: Mapping[str, str]) -> Listening:
    """Listen for the clients of a store. The caller holds its lock, so an existing socket is of a daemon that died.

    Raises:
        FolderError: There is no folder that is private to this user.
    """
    places = addresses_of(store, environ)
    for address in places:
        if make_folder(address):
            return listen_at(address)
    raise FolderError(
        f"{Path(places[-1]).parent} is not a folder of yours alone", "Remove it, or set XDG_RUNTIME_DIR to one that is"
    )


def listen_at(address: str) -> Listening:
    """Listen on a socket, or on a free port where the address is a JSON file."""
    Path(address).unlink(missing_ok=True)
    return _port(address) if address.endswith(".json") else _unix(address)


def _unix(address: str) -> Listening:
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
