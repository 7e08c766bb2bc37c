"""How much memory can be had now: what the machine has free, or what a container or batch job is still allowed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")

# Version of the control groups -> files of the limit and of what is used, prefix of the counters in memory.stat.
FILES = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"), 2: ("memory.max", "memory.current", "")}
CACHE = ("inactive_file", "active_file")  # counted as used, but given up as soon as a program wants memory


def available_memory() -> int:
    """Return the bytes of main memory that could be had now (all there is, where the system does not say)."""
    free = machine_memory()
    allowed = group_memory()
    return free if allowed is None else min(free, allowed)


def machine_memory() -> int:
    """Return the bytes that the machine has free, caches that can be dropped included."""
    with (
        contextlib.suppress(OSError),  # no such file: not Linux, where the whole memory is the best that can be told
        open("/proc/meminfo", encoding="ascii") as file,
    ):
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def group_memory(own: Path = OWN, groups: Path = GROUPS) -> int | None:
    """Return the bytes that this process's control groups still allow; None where they set no limit.

    A limit of any group above one's own counts too. Inside a container the path that the kernel gives may be the
    host's, and only the root of `groups` is there: what is missing is passed over.

    own: lines `id:controllers:path`; version 2 has no controllers there.
    groups: where the groups are mounted, version 1 with a folder for each controller.
    """
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None  # not Linux
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        version, root = (1, groups / "memory") if controllers else (2, groups)
        inside = PurePosixPath(path.lstrip("/"))
        found += [_left(root / group, version) for group in (inside, *inside.parents)]
    return min((left for left in found if left is not None), default=None)


def _left(group: Path, version: int) -> int | None:
    """Return the bytes one group still allows, or None."""
    limit, usage, prefix = FILES[version]
    with contextlib.suppress(OSError, ValueError):  # no such group here, or no limit ("max")
        left = int((group / limit).read_text()) - int((group / usage).read_text())
        counters = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, left + sum(int(counters.get(prefix + name, 0)) for name in CACHE))
    return None
