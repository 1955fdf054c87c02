"""The rows of ``kb status --privacy``: what in this process could send data or be reached, and whether it is disabled.

They describe the daemon of the store where one runs, else the process of the command. docs/privacy.md explains each.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.sandbox.confine import confinement
from kb.sandbox.syscalls import SYSTEM_CALLS
from kb.service.address import addresses_of, is_safe
from kb.silence import CHROMADB_SETTINGS, SWITCHES
from kb.system import WINDOWS, shell
from kb.system.paths import expand_home
from kb.system.users import rights_of_others
from kb.urls import is_this_machine, parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.config import Settings

_HUB: Final = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class PrivacyRow:
    """Something that could send data, or be reached.

    Attributes:
        name: Its name.
        state: Its state in a word or two, such as ``off``.
        ok: Whether that is the state that kb guarantees.
        detail: What ensures that state, or what to do about it.
    """

    name: str
    state: str
    ok: bool
    detail: str


def privacy_rows(settings: Settings) -> list[PrivacyRow]:
    """Return the rows for this process, as it is now."""
    sources = (_fetching, _vectors, _answering, _libraries, _socket, _sandbox)
    return [row for source in sources for row in source(settings)]


def _fetching(settings: Settings) -> Iterator[PrivacyRow]:
    """Return the row for fetching models, which is all that kb uses the network for unless it is configured to."""
    if settings.config.embed.offline:
        yield PrivacyRow("fetching models", "off", True, "embed.offline = true")
        return
    hub = os.environ.get("HF_ENDPOINT") or _HUB
    yield PrivacyRow(
        "fetching models", "allowed", True, f"a model that is not here is fetched from {hub} (embed.offline = false)"
    )
    if token := _token():
        yield PrivacyRow("hub token", "sent", True, f"{token} goes with each request of a fetch")


def _vectors(settings: Settings) -> Iterator[PrivacyRow]:
    """Return the row for the Chroma server, which is sent what is indexed."""
    name, store = "vectors", settings.config.store
    if not store.chroma:
        yield PrivacyRow(name, "here", True, "vectors are kept in the store (store.chroma is empty)")
        return
    parts = parse_url(store.chroma)
    what = "vectors, and the paths and headings of your files, go to"
    if is_this_machine(parts.hostname or ""):
        detail = f"{what} {store.chroma}, on this machine; who else can reach it is up to that server"
        yield PrivacyRow(name, "local server", True, detail)
    elif parts.scheme == "https":
        yield PrivacyRow(name, "sent", True, f"{what} {store.chroma}, encrypted; no text does (store.chroma)")
    else:
        detail = f"{what} {store.chroma} in clear (store.unencrypted = true): use https, or a tunnel"
        yield PrivacyRow(name, "sent in clear", False, detail)


def _answering(settings: Settings) -> Iterator[PrivacyRow]:
    """Return the row for the language model of answers, which is sent questions and passages of files."""
    name, answer = "language model", settings.config.answer
    if not answer.model:
        yield PrivacyRow(name, "none", True, "kb ask quotes your files itself (answer.model is empty)")
        return
    where = answer.endpoint or "this machine"
    if answer.offline:
        detail = f"{answer.model} is asked on this machine alone (answer.offline = true)"
        yield PrivacyRow(name, "local", True, detail)
    else:
        detail = f"questions and passages of your files go to {answer.model} at {where} (answer.offline = false)"
        yield PrivacyRow(name, "allowed", True, detail)


def _token() -> str:
    """Return where the user's token for the hub is; empty where there is none or it must not be used."""
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() in {"1", "on", "yes", "true"}:
        return ""
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(variable):
            return f"${variable}"
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface")
    file = Path(expand_home(os.environ.get("HF_TOKEN_PATH") or str(Path(home, "token"))))
    return str(file) if file.is_file() else ""


def _libraries(_: Settings) -> Iterator[PrivacyRow]:
    """Return the rows for what third-party libraries would do by themselves."""
    for switch in SWITCHES:
        name = f"{switch.library.partition('.')[0]}: {switch.what}"
        how = f"{switch.variable}={switch.value}, {'loaded' if switch.loaded() else 'not loaded'}"
        if switch.off():
            yield PrivacyRow(name, "off", True, how)
        else:
            why = "was imported before kb, without" if switch.loaded() and switch.once else "has lost"
            remedy = f"the library {why} {switch.variable}={switch.value}: import kb first, or set it yourself"
            yield PrivacyRow(name, "on", False, remedy)
    loaded = "loaded" if "chromadb" in sys.modules else "not loaded"
    made_with = ", ".join(f"{key}={value!r}" for key, value in CHROMADB_SETTINGS.items())
    yield PrivacyRow("chromadb: telemetry and traces", "off", True, f"{made_with}, {loaded}")


def _socket(settings: Settings) -> Iterator[PrivacyRow]:
    """Return the row for the daemon's socket and who may connect."""
    name = "daemon socket"
    found = [address for address in addresses_of(settings.store_path(), os.environ) if os.path.lexists(address)]
    if not found:
        yield PrivacyRow(name, "none", True, "no daemon listens for this store")
    for address in found:
        mode = stat.S_IMODE(os.lstat(address).st_mode)
        private = is_safe(address) and not rights_of_others(os.lstat(address))
        folder = Path(address).parent
        around = stat.S_IMODE(folder.lstat().st_mode)
        where = address if WINDOWS else f"{address} (mode {mode:04o}, folder {around:04o})"
        if address.endswith(".json"):
            where += ", which names a port of 127.0.0.1 and its secret"
        if private:
            yield PrivacyRow(name, "private", True, where)
        else:
            yield PrivacyRow(
                name,
                "open to others",
                False,
                f"{where}: run {shell.keep_others_out(str(folder))} and {shell.keep_others_out(address, folder=False)}",
            )


def _sandbox(_: Settings) -> Iterator[PrivacyRow]:
    """Return the row for the sandbox, which keeps a compromised parser from reading files and from sending them."""
    found = confinement()
    name, lack = "sandbox for documents", ", ".join(found.missing)
    if SYSTEM_CALLS not in found.in_force:
        what = "a parser could open files and sockets: this system filters no system calls"
        yield PrivacyRow(name, "incomplete", False, f"{what}; leave documents of strangers out (folders.exclude)")
        return
    detail = ", ".join(found.in_force) + (f"; not offered by this system: {lack}" if lack else "")
    yield PrivacyRow(name, "in force", True, detail)
