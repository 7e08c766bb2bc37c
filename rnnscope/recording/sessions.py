"""Where an inspector records what it finds out about a run that it never writes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from rnnscope.errors import UserError
from rnnscope.folders import cache_folder
from rnnscope.recording.place import check_local


def session_folder(run: Path, created: float, checkpoint: int | None) -> Path:
    """Return where an inspector of a run (as it was created at that time), or of one checkpoint of it, records.

    In the cache folder; where that cannot be written or is on a network file system, where no recording can be, in
    the system's folder for temporary files.

    Raises:
        UserError: that too is in somebody else's hands.
    """
    identity = f"{run.resolve()}\0{created}\0{checkpoint}"
    name = f"{run.resolve().name[:40]}-{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    return _room() / name


def _room() -> Path:
    room = cache_folder("sessions")
    there = room
    while not there.exists():
        there = there.parent
    try:
        check_local(there)
    except UserError:
        usable = False
    else:
        usable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return room if usable else _temporary() / "sessions"


def _temporary() -> Path:
    """Return this user's folder among the temporary files: its name is no secret, so anybody could have made it."""
    own = Path(tempfile.gettempdir()) / f"rnnscope-{os.getuid()}"
    if own.is_symlink() or (own.exists() and own.stat().st_uid != os.getuid()):
        raise UserError(f"{own} is somebody else's; set XDG_CACHE_HOME to a folder of your own")
    return own
