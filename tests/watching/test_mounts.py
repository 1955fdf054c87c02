"""Mounts that report no changes, from mount tables in the kernel's format."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.watching.mounts import Mount, below_without_events, mounts, parse, without_events

TABLE = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:40 / /home/ann/My\040Notes rw,relatime shared:7 master:3 - nfs4 server:/export rw,vers=4.2
31 27 0:41 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000
32 27 0:42 / /home/ann/cloud rw,nosuid - fuse.rclone remote: rw,user_id=1000
33 27 8:17 / /media/stick rw,nosuid - fuseblk /dev/sdb1 rw,user_id=0
34 27 0:43 / /merged rw,relatime - overlay overlay rw,lowerdir=/a
35 27 0:44 / /srv/twice rw - cifs //box/share rw
36 35 254:1 / /srv/twice rw - ext4 /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("/home/ann/My Notes", "(nfs4)"),
        ("/home/ann/My Notes/work/2026", "(nfs4)"),
        ("/home/ann/cloud", "(fuse.rclone)"),
        ("/mnt/c/Users/ann", "Windows drive"),
    ],
)
def test_a_folder_on_a_mount_without_events_gets_a_reason(folder: str, part: str) -> None:
    """The reason names the folder and the file system."""
    reason = without_events(folder, TABLE)
    assert reason is not None
    assert folder in reason
    assert part in reason


@pytest.mark.parametrize(
    "folder", ["/", "/home/ann", "/home/ann/cloudy", "/media/stick/notes", "/merged", "/srv/twice", "/mnt/cc"]
)
def test_a_folder_on_a_local_file_system_gets_none(folder: str) -> None:
    """Disks, overlays and ``fuseblk`` report changes; a later mount on the same point hides an earlier one."""
    assert without_events(folder, TABLE) is None


@pytest.mark.parametrize(
    ("kind", "eventless"),
    [
        *[(kind, True) for kind in ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse", "fuse.sshfs", "vboxsf")],
        *[(kind, True) for kind in ("drvfs", "virtiofs", "afs", "ceph", "glusterfs", "lustre", "fakeowner")],
        *[(kind, False) for kind in ("ext4", "btrfs", "xfs", "zfs", "tmpfs", "overlay", "fuseblk", "vfat", "nfsd2x")],
    ],
)
def test_file_systems_are_distinguished(kind: str, eventless: bool) -> None:
    """Network, container and user-space file systems report no changes; disks do."""
    assert Mount("/x", kind).eventless is eventless


def test_a_mount_without_events_below_a_folder_is_found() -> None:
    """The folder itself reports changes, a part of it does not."""
    assert without_events("/home/ann", TABLE) is None
    assert "/home/ann/My Notes" in (below_without_events("/home/ann", TABLE) or "")
    assert below_without_events("/srv", TABLE) is None
    assert below_without_events("/home/ann/My Notes", TABLE) is None


def test_escapes_are_decoded() -> None:
    r"""The kernel writes space, tab, newline and backslash in octal."""
    (mount,) = parse(r"1 2 0:1 / /a\040b\011c\012d\134e rw - ext4 /dev/x rw")
    assert mount.point == "/a b\tc\nd\\e"


@given(st.text())
def test_any_text_is_parsed(table: str) -> None:
    """An unknown format gives fewer mounts, never an error."""
    parse(table)
    assert without_events("/x", "garbage\n") is None


def test_a_system_without_a_table_has_no_reasons() -> None:
    """Without a table, events are expected."""
    assert without_events("/home/ann", "") is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a mount table in /proc")
def test_the_real_table_is_read() -> None:
    """The table of this machine has a mount for ``/``."""
    assert "/" in [mount.point for mount in parse(mounts())]
    without_events(str(Path.cwd()))
