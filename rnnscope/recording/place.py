"""Where a run may be kept: a new folder, on a local disk that can be written.

SQLite's write-ahead log needs shared memory between the worker and its viewers, which network file systems do
not give; a recording there fails or is damaged silently, so it is refused before anything is written.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnscope.errors import UserError

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "afpfs", "ncpfs", "coda", "ceph", "glusterfs"}
    | {"lustre", "beegfs", "gpfs", "orangefs", "davfs", "webdav", "ocfs2", "gfs2"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.rclone", "fuse.s3fs", "fuse.davfs2", "fuse.gcsfuse"}
)


@dataclass(frozen=True)
class Mount:
    """A mounted file system: where, of which type, with which options (comma separated)."""

    point: str
    kind: str
    options: str = ""

    @property
    def network(self) -> bool:
        """Whether processes cannot share memory on it. WSL's view of Windows disks (9p of drvfs) is one such."""
        return self.kind in NETWORK or (self.kind == "9p" and "drvfs" in self.options)


def mounts() -> list[Mount]:
    """Return what is mounted, in order of mounting; empty where the system does not tell."""
    try:
        return parse_proc_mounts(Path("/proc/mounts").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        if sys.platform != "darwin":
            return []
    listing = subprocess.run(["/sbin/mount"], capture_output=True, text=True, errors="replace", check=False)
    return parse_mount_command(listing.stdout)


def parse_proc_mounts(text: str) -> list[Mount]:
    """Parse Linux's /proc/mounts (device, mount point, type, options; blanks as octal escapes)."""
    found = []
    for line in text.splitlines():
        parts = line.split(" ")
        if len(parts) >= 4:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), parts[1])
            found.append(Mount(point, parts[2], parts[3]))
    return found


def parse_mount_command(text: str) -> list[Mount]:
    """Parse what macOS's `mount` prints: `device on /point (type, option, ...)`."""
    found = re.findall(r"^.+? on (/.*) \(([^,)]+)(?:, ([^)]*))?\)$", text, flags=re.MULTILINE)
    return [Mount(point, kind, options) for point, kind, options in found]


def mount_of(path: Path, mounted: Sequence[Mount]) -> Mount | None:
    """Return the mount that `path` (absolute, resolved) lies on: the longest mount point, the last if mounted over."""
    best: Mount | None = None
    for mount in mounted:
        point = Path(mount.point)
        if (path == point or point in path.parents) and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def check_new(folder: Path, mounted: Sequence[Mount] | None = None) -> None:
    """Check, without writing, that a run can be created at `folder`.

    Raises:
        UserError: it exists, lies on a network file system, or its parent is no folder or cannot be written.
    """
    if os.path.lexists(folder):
        raise UserError(f"{folder} exists already: runs are never overwritten, choose another name with --run")
    parent = folder.absolute().parent
    while not os.path.lexists(parent):
        parent = parent.parent
    if not os.path.isdir(parent):
        raise UserError(f"cannot create {folder}: {parent} is not a folder")
    check_local(parent, mounted)
    if not os.access(parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise UserError(f"cannot create {folder}: {parent} cannot be written; choose another place with --run")


def check_local(folder: Path, mounted: Sequence[Mount] | None = None) -> None:
    """Refuse a folder on a network file system.

    Raises:
        UserError: it lies on one.
    """
    mount = mount_of(folder.resolve(), mounts() if mounted is None else mounted)
    if mount is not None and mount.network:
        raise UserError(f"{folder} is on a network file system ({mount.kind}): use --run on a local disk")
