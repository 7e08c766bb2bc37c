"""Which file systems a run may lie on."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.errors import UserError
from rnnscope.recording.place import (
    Mount,
    check_local,
    check_new,
    mount_of,
    mounts,
    parse_mount_command,
    parse_proc_mounts,
)

LINUX = r"""/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
//server/share /mnt/my\040share cifs rw 0 0
me@host:/ /home/me/remote fuse.sshfs rw 0 0
/dev/sdb1 /home/local ext4 rw 0 0
C:\134 /mnt/c 9p rw,aname=drvfs;path=C:\;uid=1000 0 0
none /srv 9p rw,trans=fd 0 0
nfs:/x /over nfs rw 0 0
/dev/sdc1 /over xfs rw 0 0
broken line
"""

MAC = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
//me@nas/share on /Volumes/my share (smbfs, nodev, nosuid, mounted by me)
host:/export on /Volumes/nfs (nfs)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/run", None),
        ("/home/me/run", "nfs4"),
        ("/homework/run", None),
        ("/home/local/run", None),
        ("/mnt/my share", "cifs"),
        ("/home/me/remote/a/b", "fuse.sshfs"),
        ("/mnt/c/Users", "9p"),
        ("/srv/x", None),
        ("/over/x", None),
    ],
)
def test_linux(path: str, kind: str | None) -> None:
    mount = mount_of(Path(path), parse_proc_mounts(LINUX))
    assert mount is not None
    assert (mount.kind if mount.network else None) == kind


@pytest.mark.parametrize(
    ("path", "kind"), [("/Users/me", None), ("/Volumes/my share/x", "smbfs"), ("/Volumes/nfs", "nfs")]
)
def test_macos(path: str, kind: str | None) -> None:
    mount = mount_of(Path(path), parse_mount_command(MAC))
    assert mount is not None
    assert (mount.kind if mount.network else None) == kind


def test_this_machine_is_understood() -> None:
    found = mounts()
    assert any(mount.point == "/" for mount in found)
    assert mount_of(Path("/"), found) is not None


def test_refusal_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\(cifs\): use --run on a local disk"):
        check_local(tmp_path, [Mount("/", "cifs")])
    check_local(tmp_path, [Mount("/", "ext4")])
    check_local(tmp_path, [])


def test_a_link_to_a_network_disk(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    mounted = [Mount("/", "ext4"), Mount(str((tmp_path / "far").resolve()), "nfs")]
    with pytest.raises(UserError, match="nfs"):
        check_new(tmp_path / "link" / "new" / "run", mounted)
    check_new(tmp_path / "new" / "run", mounted)
