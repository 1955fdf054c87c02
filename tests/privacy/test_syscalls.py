"""What strace writes is read in every form it has, and each way out of the machine is told from what stays inside."""

from __future__ import annotations

import pytest
from syscalls import Call, UnreadableTrace, calls_of, ways_out, written

PLACES = ["/home/ada/run"]


@pytest.mark.parametrize(
    "line",
    [
        "socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP) = 5<UDP:[1]>",
        "socket(AF_INET6, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 11<TCPv6:[14474]>",
        "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = -1 EACCES (Permission denied)",
        "socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3<NETLINK:[ROUTE:77]>",
        "socket(AF_PACKET, SOCK_RAW, htons(0x3 /* ETH_P_ALL */)) = 3<PACKET:[9]>",
        "socket(AF_VSOCK, SOCK_STREAM, 0) = 3<socket:[12]>",
        "socket(0x2b /* AF_??? */, SOCK_STREAM, 0) = 3<socket:[12]>",
        'connect(5<socket:[4]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("1.2.3.4")}, 16) = 0',
        'connect(5<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42) = 0',
        'connect(5<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path=@"/tmp/.X11-unix/X0"}, 20) = 0',
        'connect(5<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path=@"/home/ada/run/x"}, 20) = 0',
        'connect(5<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = 0',
        'connect(5<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path="/home/ada/runs/x.sock"}, 110) = 0',
        'sendto(3<UDP:[1.2.3.4:5->5.6.7.8:53]>, "\\1\\0", 2, MSG_NOSIGNAL, NULL, 0) = 2',
        'sendto(3, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53), sin6_addr="::1"}, 28) = 1',
        'sendmsg(3<UNIX-DGRAM:[4]>, {msg_name={sa_family=AF_UNIX, sun_path="/run/dbus/bus"}, msg_namelen=9}, 0) = 1',
        "recvmsg(3<UNIX-STREAM:[1->2]>, {msg_control=[{cmsg_type=SCM_RIGHTS, cmsg_data=[7<TCP:[1.2.3.4:5]>]}]}, 0) = 1",
        "bind(3<TCP:[8]>, {sa_family=AF_INET, sin_port=htons(0)}, 16) = 0",
        "accept4(3<TCP:[127.0.0.1:80]>, NULL, NULL, 0) = 4<TCP:[127.0.0.1:80->127.0.0.1:9]>",
        "io_uring_setup(8, {flags=0}) = 4<anon_inode:[io_uring]>",
        "pidfd_getfd(3<anon_inode:[pidfd]>, 4, 0) = 5",
        "clone(child_stack=NULL, flags=CLONE_UNTRACED|SIGCHLD) = 77",
        "socket(AF_INET, SOCK_STREAM, 0 <unfinished ...>",
        "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = ?",
    ],
)
def test_ways_out_are_seen(line: str) -> None:
    """Each of these could carry something away, or hides what does."""
    calls = list(calls_of([line], "7"))

    (found,) = ways_out(calls, PLACES)

    assert f"{calls[0].name}(" in found
    assert "[thread 7]" in found


@pytest.mark.parametrize(
    "line",
    [
        "socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3<UNIX-STREAM:[4]>",
        "socketpair(AF_UNIX, SOCK_STREAM, 0, [14<UNIX-STREAM:[2->3]>, 15<UNIX-STREAM:[3->2]>]) = 0",
        'connect(3<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path="/home/ada/run/kb/x.sock"}, 32) = 0',
        'connect(3<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path="/home/ada/run/x"}, 9) = -1 ECONNREFUSED (Refused)',
        'connect(3<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such)',
        'bind(3<UNIX-STREAM:[4]>, {sa_family=AF_UNIX, sun_path="/home/ada/run/kb/x.sock"}, 32) = 0',
        'recvfrom(3<UNIX-STREAM:[4->5]>, "3<TCP:[1.2.3.4]> sa_family=AF_INET", 99, 0, NULL, NULL) = 23',
        'sendto(3<UNIX-STREAM:[4->5]>, "what is AF_INET", 15, 0, NULL, 0) = 15',
        "shutdown(3<UNIX-STREAM:[4->5]>, SHUT_RDWR) = 0",
        'openat(AT_FDCWD</>, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3</etc/hosts>',
        "clone3({flags=CLONE_VM|CLONE_FS, exit_signal=0, stack=0x7f}, 88) = 12",
        "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=9} ---",
        "+++ exited with 0 +++",
        "",
    ],
)
def test_what_stays_inside_is_let_be(line: str) -> None:
    """None of these leads anywhere, whatever stands in the data that is passed."""
    assert ways_out(calls_of([line]), PLACES) == []


@pytest.mark.parametrize("line", ["socket(AF_INET", "strace: something is wrong", "sock", "<... connect resumed>) = 0"])
def test_what_cannot_be_read_is_an_error(line: str) -> None:
    """Nothing is passed over: a line in another form fails the test that reads it."""
    with pytest.raises(UnreadableTrace):
        list(calls_of([line]))


def test_parts_of_a_call() -> None:
    """Name, arguments and result, with brackets in the data."""
    (call,) = calls_of(['sendto(3<UNIX-STREAM:[4]>, "f(x) = 1", 8, 0, NULL, 0) = 8\n'], "9")

    assert call == Call("sendto", '3<UNIX-STREAM:[4]>, "f(x) = 1", 8, 0, NULL, 0', "8", "9")
    assert not call.failed


def test_files_that_are_written() -> None:
    """Those that were opened for writing or made, by the path that the kernel has of them; no others."""
    lines = [
        'openat(AT_FDCWD</w>, "a", O_RDONLY) = 3</w/a>',
        'openat(AT_FDCWD</w>, "b", O_WRONLY|O_CREAT, 0666) = 3</w/b>',
        'openat(AT_FDCWD</w>, "c", O_RDWR|O_CLOEXEC) = 3</w/c (deleted)>',
        'openat(AT_FDCWD</w>, "d", O_RDWR|O_CREAT, 0666) = -1 EACCES (Permission denied)',
        'open("e", O_RDONLY|O_CREAT, 0666) = 3</w/e>',
        'creat("f", 0666) = 3</w/f>',
        'mkdir("/w/g", 0777) = 0',
        'mkdirat(AT_FDCWD</w>, "h", 0777) = 0',
        'mkdir("/w/i", 0777) = -1 EEXIST (File exists)',
        'openat(AT_FDCWD, "/w/j", O_WRONLY|O_CREAT, 0666) = 3',
    ]

    assert written(calls_of(lines)) == {"/w/b", "/w/c", "/w/e", "/w/f", "/w/g", "h", "/w/j"}
