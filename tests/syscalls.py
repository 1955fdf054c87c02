"""What a process asked of the kernel, read from what strace wrote: sockets and files, and what could lead outside.

strace writes a file a thread (``-ff``), so a line is always one whole call. Reading is pure; ``strace.py`` runs it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# What strace is to write down. A question mark: where this processor has such a call.
TRACED: Final = (
    *("%network", "io_uring_setup", "pidfd_getfd", "clone", "clone3"),
    *("openat", "openat2", "?open", "?creat", "mkdirat", "?mkdir"),
)
_CALL: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>.+)", re.DOTALL)
# A thread that was killed in the middle of a call, or while strace waited for its result.
_CUT: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*?)\)?(?P<result> <unfinished \.\.\.>| = \?.*)", re.DOTALL)
# Signals and ends of threads.
_EVENT: Final = re.compile(r"(---|\+\+\+) ")
_FAMILY: Final = re.compile(r"\b(?:AF|PF)_[A-Z0-9]+\b")
_IN_ADDRESS: Final = re.compile(r"sa_family=((?:AF|PF)_[A-Z0-9]+|0x[0-9a-f]+)")
_UNIX_PATH: Final = re.compile(r'sun_path=(?P<abstract>@?)"(?P<path>[^"]*)"')
# strace adds to a descriptor what it is: 3<TCP:[127.0.0.1:80->...]>, 4<UNIX-STREAM:[1->2]>, 5</a/file>.
_DESCRIBED: Final = re.compile(r"\b\d+<(?P<kind>[A-Z][A-Za-z0-9-]*):")
_PATH: Final = re.compile(r"\d+<(?P<path>/[^>]*)>")
_MADE: Final = re.compile(r'(?:^|, )"(?P<path>[^"]*)"')
# Data that was passed may look like anything.
_STRING: Final = re.compile(r'(?<!sun_path=)(?<!sun_path=@)"(?:[^"\\]|\\.)*"')
_WRITES: Final = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND)\b")
_LOCAL: Final = frozenset({"AF_UNIX", "AF_LOCAL", "PF_UNIX", "PF_LOCAL"})
_OPENING: Final = frozenset({"open", "openat", "openat2", "creat"})
_FOLDERS: Final = frozenset({"mkdir", "mkdirat"})
_SENDING: Final = frozenset({"connect", "sendto", "sendmsg", "sendmmsg"})
_THREADS: Final = frozenset({"clone", "clone3"})
# By these a process gets at sockets without any call that could be seen.
_UNSEEN: Final = frozenset({"io_uring_setup", "pidfd_getfd"})
# glibc asks this service first for names of users and of hosts; where none runs it is a failed call and no more.
_NAME_SERVICE: Final = "/nscd/socket"


@dataclass(frozen=True, slots=True)
class Call:
    """One system call.

    Attributes:
        name: Its name.
        arguments: Its arguments as strace writes them.
        result: What it returned, as strace writes it.
        thread: Which thread made it.
    """

    name: str
    arguments: str
    result: str
    thread: str = ""

    @property
    def failed(self) -> bool:
        """Whether the kernel refused it."""
        return self.result.startswith("-1 ")

    def __str__(self) -> str:
        return f"{self.name}({self.arguments}) = {self.result} [thread {self.thread}]"


class UnreadableTrace(Exception):
    """A line of a trace is in no form that is known, so nothing can be said of it."""


def calls_of(lines: Iterable[str], thread: str = "") -> Iterator[Call]:
    """The system calls in what strace wrote of one thread.

    Raises:
        UnreadableTrace: A line is neither a call nor an event.
    """
    for line in lines:
        text = line.rstrip("\n")
        if not text or _EVENT.match(text):
            continue
        found = _CALL.fullmatch(text) or _CUT.fullmatch(text)
        if found is None:
            raise UnreadableTrace(text)
        yield Call(found["name"], found["arguments"], found["result"].strip().removeprefix("= "), thread)


def ways_out(calls: Iterable[Call], places: Sequence[str]) -> list[str]:
    """What could carry something out of the machine, or out of sight; empty where there is nothing.

    That is every socket but those of the Unix domain, even one that is only made; every Unix socket that is connected
    to elsewhere than ``places``, behind which a service could send for others; and every way to sockets unseen.

    Args:
        calls: The calls.
        places: Folders in which sockets may be connected to.
    """
    return [f"{why}: {call}" for call in calls if (why := _way_out(call, places))]


def _way_out(call: Call, places: Sequence[str]) -> str:
    """Why a call could lead outside; empty where it cannot."""
    if call.name in _OPENING or call.name in _FOLDERS:
        return ""
    if call.name in _THREADS:
        return "a process that cannot be traced" if "CLONE_UNTRACED" in call.arguments else ""
    if call.name in _UNSEEN:
        return "a way around what can be traced"
    if call.name in {"socket", "socketpair"}:
        family = _FAMILY.match(call.arguments)
        return "" if family and family[0] in _LOCAL else "a socket that is not of the Unix domain"
    return _foreign(call) or _elsewhere(call, places)


def _foreign(call: Call) -> str:
    """Whether a call has to do with a socket of another domain, even one that another process has handed over."""
    bare = _STRING.sub('""', f"{call.arguments} = {call.result}")
    families = {family for family in _IN_ADDRESS.findall(bare) if family not in {*_LOCAL, "AF_UNSPEC"}}
    kinds = {found["kind"] for found in _DESCRIBED.finditer(bare) if not found["kind"].startswith("UNIX")}
    return f"a socket of {', '.join(sorted(families | kinds))}" if families or kinds else ""


def _elsewhere(call: Call, places: Sequence[str]) -> str:
    """Whether a call goes to a Unix socket that is not kb's own."""
    named = _UNIX_PATH.search(call.arguments)
    if named is None or call.name not in _SENDING:
        return ""
    if not named["abstract"] and is_below(named["path"], places):
        return ""
    if call.failed and named["path"].endswith(_NAME_SERVICE):
        return ""
    return "a Unix socket of something else"


def written(calls: Iterable[Call]) -> set[str]:
    """The files that were opened to be written to, and the folders that were made."""
    found = set()
    for call in calls:
        if call.failed:
            continue
        if call.name == "creat" or (call.name in _OPENING and _WRITES.search(call.arguments)):
            # Of a process that lets nobody look at its descriptors strace knows only what it asked for.
            path = _PATH.match(call.result) or _MADE.search(call.arguments)
        elif call.name in _FOLDERS:
            path = _MADE.search(call.arguments)
        else:
            continue
        if path is not None:
            found.add(path["path"].removesuffix(" (deleted)"))
    return found


def is_below(path: str, folders: Sequence[str]) -> bool:
    """Whether a path is one of these, or lies below one."""
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)
