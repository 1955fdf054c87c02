"""Tries, inside of a parsing process, all that a document must not be able to do; a worker loads it under its own name.

Each attempt is a function named ``try_...`` that is given a folder of the user's, the process id of the parent and of
a bystander, and returns nothing: whoever comes to its end has done harm. Python's own calls go the way that the C
library takes; where a filter might know one way and not the other, the numbers of ``raw`` go around it.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_ARM: Final = platform.machine() == "aarch64"
# What Python has no name for, on x86_64 and on aarch64.
_NUMBERS: Final = {
    "add_key": (248, 217), "bpf": (321, 280), "clone": (56, 220), "clone3": (435, 435), "execve": (59, 221),
    "execveat": (322, 281), "fsopen": (430, 430), "init_module": (175, 105), "io_uring_setup": (425, 425),
    "kcmp": (312, 272), "keyctl": (250, 219), "landlock_create_ruleset": (444, 444), "memfd_create": (319, 279),
    "mount": (165, 40), "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "openat": (257, 56), "openat2": (437, 437),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "process_madvise": (440, 440),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "reboot": (169, 142),
    "rt_sigqueueinfo": (129, 138), "semget": (64, 190), "setns": (308, 268), "setuid": (105, 146), "shmget": (29, 194),
    "tgkill": (234, 131), "tkill": (200, 130), "unshare": (272, 97), "userfaultfd": (323, 282), "prctl": (157, 167),
    "seccomp": (317, 277), "swapon": (167, 224), "sethostname": (170, 161), "settimeofday": (170, 170),
    "syslog": (103, 116), "quotactl": (179, 60), "kexec_load": (246, 104), "acct": (163, 89), "vhangup": (153, 58),
    "process_mrelease": (448, 448), "sendmsg": (46, 211), "socketpair": (53, 199), "inotify_init1": (294, 26),
    "fanotify_init": (300, 262), "memfd_secret": (447, 447), "mq_unlink": (241, 181), "splice": (275, 76),
    "sched_setscheduler": (144, 119), "ioprio_set": (251, 30), "setpgid": (109, 154), "setsid": (112, 157),
    "move_pages": (279, 239), "migrate_pages": (256, 238), "mseal": (462, 462), "ioctl": (16, 29),
    "tomorrow": (900, 900), "x32 getpid": (0x40000000 | 39, 0x40000000 | 39),
}  # fmt: skip
_O_RDWR: Final = 2
_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_NEW_NAMESPACES: Final = {
    "mount": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000,
    "net": 0x40000000,
}  # fmt: skip


class _Place:
    """What there is to harm: a folder of the user, the parent process, and an unrelated process."""

    def __init__(self, folder: str, parent: int, bystander: int, address: int) -> None:
        self.folder = Path(folder)
        self.note = self.folder / "note.txt"
        self.parent = parent
        self.bystander = bystander
        # Where the parent keeps something that nobody else is to read.
        self.address = address


def raw(name: str, *arguments: object) -> int:
    """A system call by its number.

    Raises:
        OSError: It is refused.
    """
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(_NUMBERS[name][_ARM]), *wide))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


# --- files --------------------------------------------------------------------------------------------------------


def _files() -> dict[str, Callable[[_Place], object]]:
    return {
        "read a note": lambda at: at.note.read_bytes(),
        "read a note by openat": lambda at: raw("openat", _AT_FDCWD, os.fsencode(at.note), 0, 0),
        "read a note by openat2": lambda at: raw(
            "openat2", _AT_FDCWD, os.fsencode(at.note), struct.pack("=QQQ", 0, 0, 0), 24
        ),
        "list a folder": lambda at: list(at.folder.iterdir()),
        "look at a note": lambda at: at.note.stat(),
        "write a note": lambda at: at.note.write_text("harm"),
        "append to a note": lambda at: os.open(at.note, os.O_WRONLY | os.O_APPEND),
        "make a note": lambda at: (at.folder / "new.txt").touch(),
        "make an unnamed file": lambda at: os.open(at.folder, os.O_RDWR | getattr(os, "O_TMPFILE", 0)),
        "remove a note": lambda at: at.note.unlink(),
        "truncate a note": lambda at: os.truncate(at.note, 0),
        "rename a note": lambda at: at.note.rename(at.folder / "gone.txt"),
        "chmod a note": lambda at: at.note.chmod(0),
        "chown a note": lambda at: os.chown(at.note, os.getuid(), os.getgid()),
        "date a note": lambda at: os.utime(at.note, (0, 0)),
        "tag a note": lambda at: os.setxattr(at.note, "user.harm", b"1"),
        "make a folder": lambda at: (at.folder / "new").mkdir(),
        "remove a folder": lambda at: (at.folder / "empty").rmdir(),
        "make a symbolic link": lambda at: (at.folder / "link").symlink_to("/etc"),
        "make a hard link": lambda at: os.link(at.note, at.folder / "hard.txt"),
        "make a pipe": lambda at: os.mkfifo(at.folder / "pipe"),
        "make a device": lambda at: os.mknod(at.folder / "device", 0o600 | 0x2000, os.makedev(1, 1)),
        "change the folder": lambda at: os.chdir(at.folder),
        "change the root": lambda at: os.chroot(at.folder),
        "follow a link": lambda _at: Path("/proc/self/exe").readlink(),
        "open a file by its handle": lambda _at: raw("open_by_handle_at", _AT_FDCWD, struct.pack("=Iiq", 8, 1, 2), 0),
        "get the handle of a file": lambda at: raw(
            "name_to_handle_at", _AT_FDCWD, os.fsencode(at.note), ctypes.create_string_buffer(256), bytes(4), 0
        ),
        "watch a folder": lambda _at: raw("inotify_init1", 0),
        "watch a file system": lambda _at: raw("fanotify_init", 0, 0),
        "open its own memory": lambda _at: Path("/proc/self/mem").open("r+b"),
        "open a descriptor again": lambda _at: Path("/proc/self/fd/0").open("rb"),
        "open the terminal": lambda _at: os.open("/dev/tty", os.O_RDWR),
        "mount something": lambda at: raw("mount", b"tmpfs", os.fsencode(at.folder), b"tmpfs", 0, 0),
        "open a file system": lambda _at: raw("fsopen", b"tmpfs", 0),
        "open a tree": lambda at: raw("open_tree", _AT_FDCWD, os.fsencode(at.folder), 1),
        "pivot the root": lambda at: raw("pivot_root", os.fsencode(at.folder), os.fsencode(at.folder)),
        "switch accounting": lambda at: raw("acct", os.fsencode(at.note)),
        "swap to a file": lambda at: raw("swapon", os.fsencode(at.note), 0),
    }


# --- processes ----------------------------------------------------------------------------------------------------


def _exits(child: int) -> None:
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _execute_memory(_at: _Place) -> None:
    file = raw("memfd_create", b"program", 0)
    os.write(file, _static_program())
    raw("execveat", file, b"", None, None, _AT_EMPTY_PATH)


def _static_program() -> bytes:
    """The smallest ELF file; the kernel reads no more before it refuses to start it."""
    return b"\x7fELF\x02\x01\x01" + bytes(57)


def _make_code(_at: _Place) -> None:
    """Make executable memory, without which injected code cannot run."""
    _LIBC.mmap.restype = ctypes.c_void_p
    got = _LIBC.mmap(None, ctypes.c_size_t(4096), 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, ctypes.c_long(0))
    if got in {None, ctypes.c_void_p(-1).value}:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _read_parent(at: _Place) -> None:
    got = ctypes.create_string_buffer(16)
    here = struct.pack("=QQ", ctypes.addressof(got), 16)
    raw("process_vm_readv", at.parent, here, 1, struct.pack("=QQ", at.address, 16), 1, 0)


def _write_parent(at: _Place) -> None:
    give = ctypes.create_string_buffer(b"harm", 16)
    here = struct.pack("=QQ", ctypes.addressof(give), 4)
    raw("process_vm_writev", at.parent, here, 1, struct.pack("=QQ", at.address, 4), 1, 0)


def _processes() -> dict[str, Callable[[_Place], object]]:
    return {
        "fork": lambda _at: _exits(os.fork()),
        # In a session of its own: otherwise Python 3.13 spawns it.
        "vfork": lambda _at: subprocess.run(["/bin/true"], check=True, start_new_session=True),
        "spawn": lambda _at: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        "clone a process": lambda _at: _exits(raw("clone", signal.SIGCHLD, 0, 0, 0, 0)),
        "clone3 a process": lambda _at: _exits(raw("clone3", struct.pack("=8Q", 0, 0, 0, 0, 17, 0, 0, 0), 64)),
        "execute a program": lambda _at: os.execv("/bin/true", ["true"]),  # noqa: S606 - the attempt
        "execute a note": lambda at: raw("execve", os.fsencode(at.folder / "program"), None, None),
        "execute memory": _execute_memory,
        "make a file in memory": lambda _at: raw("memfd_create", b"m", 0),
        "make a secret file in memory": lambda _at: raw("memfd_secret", 0),
        "make code": _make_code,
        "signal the parent": lambda at: os.kill(at.parent, signal.SIGCONT),
        "ask whether the parent is there": lambda at: os.kill(at.parent, 0),
        "signal a bystander": lambda at: os.kill(at.bystander, signal.SIGKILL),
        "signal everybody": lambda _at: os.kill(-1, 0),
        "signal its group": lambda _at: os.kill(0, signal.SIGCONT),
        "signal a thread of the parent": lambda at: raw("tgkill", at.parent, at.parent, signal.SIGCONT),
        "signal a thread": lambda at: raw("tkill", at.parent, signal.SIGCONT),
        "queue a signal": lambda at: raw("rt_sigqueueinfo", at.parent, signal.SIGCONT, bytes(128)),
        "open the parent": lambda at: raw("pidfd_open", at.parent, 0),
        "signal by descriptor": lambda _at: raw("pidfd_send_signal", 0, 0, None, 0),
        "take a descriptor": lambda _at: raw("pidfd_getfd", 0, 0, 0),
        "read the parent's memory": _read_parent,
        "write the parent's memory": _write_parent,
        "open the parent's memory": lambda at: Path(f"/proc/{at.parent}/mem").open("r+b"),
        "read the parent's environment": lambda at: Path(f"/proc/{at.parent}/environ").read_bytes(),
        "attach to the parent": lambda at: raw("ptrace", 16, at.parent, 0, 0),
        "seize the parent": lambda at: raw("ptrace", 0x4206, at.parent, 0, 0),
        "be traced": lambda _at: raw("ptrace", 0, 0, 0, 0),
        "compare with the parent": lambda at: raw("kcmp", at.parent, os.getpid(), 0, 0, 0),
        "advise the parent's memory": lambda _at: raw("process_madvise", 0, None, 0, 0, 0),
        "release the parent's memory": lambda _at: raw("process_mrelease", 0, 0),
        "move the parent's pages": lambda at: raw("move_pages", at.parent, 0, None, None, None, 0),
        "limit the parent": lambda at: resource.prlimit(at.parent, resource.RLIMIT_CORE, (0, 0)),
        "read the parent's limits": lambda at: resource.prlimit(at.parent, resource.RLIMIT_NOFILE),
        "change its own limits": lambda _at: resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)),
        "slow the parent": lambda at: os.setpriority(os.PRIO_PROCESS, at.parent, 0),
        "schedule the parent": lambda at: os.sched_setscheduler(at.parent, os.SCHED_OTHER, os.sched_param(0)),
        "pin the parent": lambda at: os.sched_setaffinity(at.parent, range(os.cpu_count() or 1)),
        "order the parent's disk access": lambda at: raw("ioprio_set", 1, at.parent, 3 << 13),
        "leave its group": lambda _at: raw("setsid"),
        "become another user": lambda _at: raw("setuid", 0),
        "be dumpable again": lambda _at: raw("prctl", 4, 1, 0, 0, 0),
        "take another filter": lambda _at: raw("seccomp", 1, 0, None),
        "change its personality": lambda _at: raw("personality", 0x0400000),
    }


# --- namespaces, kernel, network ----------------------------------------------------------------------------------


def _enter(at: _Place) -> None:
    del at
    raw("setns", 0, 0)


def _connect(kind: int, address: object, family: int = socket.AF_INET) -> None:
    with socket.socket(family, kind) as made:
        made.connect(address)  # type: ignore[arg-type]


def _socket(name: str, kind: int = socket.SOCK_RAW) -> Callable[[_Place], object]:
    numbers = {"AF_VSOCK": 40, "AF_NETLINK": 16, "AF_PACKET": 17, "AF_ALG": 38, "AF_BLUETOOTH": 31, "AF_XDP": 44}
    return lambda _at: socket.socket(getattr(socket, name, numbers.get(name, 0)), kind)


def _kernel() -> dict[str, Callable[[_Place], object]]:
    namespaces: dict[str, Callable[[_Place], object]] = {
        f"a new {name} namespace": lambda _at, flag=flag: raw("unshare", flag)  # type: ignore[misc]
        for name, flag in _NEW_NAMESPACES.items()
    }
    clones: dict[str, Callable[[_Place], object]] = {
        f"a process in a new {name} namespace": lambda _at, flag=flag: _exits(raw("clone", flag | 17, 0, 0, 0, 0))  # type: ignore[misc]
        for name, flag in _NEW_NAMESPACES.items()
    }
    return {
        **namespaces,
        **clones,
        "enter a namespace": _enter,
        "io_uring": lambda _at: raw("io_uring_setup", 4, ctypes.create_string_buffer(120)),
        "bpf": lambda _at: raw("bpf", 0, ctypes.create_string_buffer(120), 120),
        "perf": lambda _at: raw("perf_event_open", ctypes.create_string_buffer(120), 0, -1, -1, 0),
        "userfaultfd": lambda _at: raw("userfaultfd", 1),
        "keys": lambda _at: raw("keyctl", 0, -3, 1),
        "add a key": lambda _at: raw("add_key", b"user", b"harm", b"x", 1, -3),
        "the kernel's log": lambda _at: raw("syslog", 10, None, 0),
        "load a module": lambda _at: raw("init_module", None, 0, b""),
        "load a kernel": lambda _at: raw("kexec_load", 0, 0, None, 0),
        "restart": lambda _at: raw("reboot", 0, 0, 0, None),
        "rename the machine": lambda _at: raw("sethostname", b"harm", -1),
        "hang up the terminal": lambda _at: raw("vhangup"),
        "shared memory": lambda _at: raw("shmget", 0, 4096, 0o1600),
        "shared memory by name": lambda _at: os.open("/dev/shm/harm", os.O_RDWR | os.O_CREAT),  # noqa: S108 - the test
        "semaphores": lambda _at: raw("semget", 0, 1, 0o1600),
        "a message queue": lambda _at: raw("msgget", 0, 0o1600),
        "a message queue by name": lambda _at: raw("mq_open", b"harm", 0o102, 0o600, None),
        "a new Landlock domain": lambda _at: raw("landlock_create_ruleset", None, 0, 1),
        "type into the terminal": lambda _at: raw("ioctl", 0, 0x5412, b"x"),
        "paste into the console": lambda _at: raw("ioctl", 0, 0x541C, b"\x03"),
        "splice": lambda _at: raw("splice", 0, None, 1, None, 1, 0),
        "a call of tomorrow": lambda _at: raw("tomorrow"),
        "a call of the other interface": lambda _at: raw("x32 getpid"),
        "connect": lambda _at: _connect(socket.SOCK_STREAM, ("127.0.0.1", 9)),
        "connect by IPv6": lambda _at: _connect(socket.SOCK_STREAM, ("::1", 9), socket.AF_INET6),
        "send a datagram": lambda _at: _connect(socket.SOCK_DGRAM, ("127.0.0.1", 9)),
        "listen": lambda _at: socket.create_server(("127.0.0.1", 0)),
        "an abstract Unix socket": lambda _at: _connect(socket.SOCK_STREAM, b"\0kb-test", socket.AF_UNIX),
        "a Unix socket": lambda at: _connect(socket.SOCK_STREAM, str(at.folder / "socket"), socket.AF_UNIX),
        "a pair of sockets": lambda _at: socket.socketpair(),
        "pass a descriptor": lambda _at: raw("sendmsg", 1, ctypes.create_string_buffer(56), 0),
        "a raw socket": _socket("AF_INET"),
        "a packet socket": _socket("AF_PACKET"),
        "a netlink socket": _socket("AF_NETLINK"),
        "a VM socket": _socket("AF_VSOCK", socket.SOCK_STREAM),
        "a cipher socket": _socket("AF_ALG", socket.SOCK_SEQPACKET),
    }


ATTEMPTS: Final = {**_files(), **_processes(), **_kernel()}


def prepare() -> None:
    """Nothing to load."""


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Make the attempt named on the first line, and report the result; ``threads`` are allowed."""
    name, folder, parent, bystander, address = data.decode().split("\n")
    place = _Place(folder, int(parent), int(bystander), int(address))
    if name == "a thread":
        done: list[str] = []
        threads = [threading.Thread(target=done.append, args=("ran",)) for _ in range(20)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        builder.add_text(" ".join(done))
        return
    in_thread: list[str] = []

    def attempt() -> None:
        try:
            ATTEMPTS[name](place)
        except OSError as error:
            in_thread.append(f"refused: {error.strerror}")
        except ValueError:
            # What Python's own setrlimit() makes of EPERM.
            in_thread.append(f"refused: {os.strerror(errno.EPERM)}")
        else:
            in_thread.append("done")

    attempt()
    # The rules hold for every thread, also for those that are started later.
    other = threading.Thread(target=attempt)
    other.start()
    other.join()
    builder.add_text("\n".join(in_thread))
