"""One thread for torch, here and in every program a test starts: the networks are small, and cores are shared."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
