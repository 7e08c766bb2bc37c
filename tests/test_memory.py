"""The memory that can be had: of the machine, and of the control groups of containers and batch jobs, as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope import memory
from rnnscope.memory import available_memory, group_memory, machine_memory

MB = 1 << 20
UNLIMITED = 9223372036854771712  # what version 1 says for it


def group(folder: Path, version: int, limit: int | str, used: int, cache: tuple[int, int] = (0, 0)) -> None:
    """Lay out the files of one control group, in bytes."""
    limit_file, used_file, prefix = memory.FILES[version]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / used_file).write_text(f"{used}\n")
    counters = {"anon": 7, f"{prefix}inactive_file": cache[0], f"{prefix}active_file": cache[1]}
    (folder / "memory.stat").write_text("".join(f"{name} {value}\n" for name, value in counters.items()))


def own(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "own"
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_version_2_inside_a_container(tmp_path: Path) -> None:
    group(tmp_path / "groups", 2, 500 * MB, 200 * MB)
    assert group_memory(own(tmp_path, "0::/"), tmp_path / "groups") == 300 * MB


def test_a_cache_of_files_can_be_had(tmp_path: Path) -> None:
    group(tmp_path / "groups", 2, 500 * MB, 450 * MB, cache=(100 * MB, 50 * MB))
    assert group_memory(own(tmp_path, "0::/"), tmp_path / "groups") == 200 * MB


@pytest.mark.parametrize("tight", ["", "job", "job/step"])
def test_the_tightest_group_above_counts(tmp_path: Path, tight: str) -> None:
    """A batch job: its limit may be set on any folder of the path."""
    for name in ("", "job", "job/step"):
        group(tmp_path / "groups" / name, 2, 64 * MB if name == tight else "max", 24 * MB)
    assert group_memory(own(tmp_path, "0::/job/step"), tmp_path / "groups") == 40 * MB


def test_version_1(tmp_path: Path) -> None:
    lines = ["9:name=systemd:/", "4:cpu,memory:/docker/abc", "1:cpuset:/elsewhere", "0::/"]
    group(tmp_path / "groups" / "memory", 1, UNLIMITED, 900 * MB)
    group(tmp_path / "groups" / "memory" / "docker" / "abc", 1, 300 * MB, 100 * MB, cache=(10 * MB, 0))
    assert group_memory(own(tmp_path, *lines), tmp_path / "groups") == 210 * MB


def test_version_1_inside_a_container(tmp_path: Path) -> None:
    """/proc tells the path on the host, but the container's own group is mounted as the root."""
    group(tmp_path / "groups" / "memory", 1, 300 * MB, 100 * MB)
    assert group_memory(own(tmp_path, "4:memory:/docker/abc"), tmp_path / "groups") == 200 * MB


def test_more_used_than_allowed_is_none_left(tmp_path: Path) -> None:
    group(tmp_path / "groups", 2, 100 * MB, 150 * MB)
    assert group_memory(own(tmp_path, "0::/"), tmp_path / "groups") == 0


@pytest.mark.parametrize("lines", [["0::/"], ["0::/../../other"], ["4:memory:/x", "0::/x"], []])
def test_no_limit(tmp_path: Path, lines: list[str]) -> None:
    group(tmp_path / "groups", 2, "max", 100 * MB)
    assert group_memory(own(tmp_path, *lines), tmp_path / "groups") is None
    assert group_memory(tmp_path / "nothing", tmp_path / "groups") is None


def test_the_smaller_of_machine_and_group(monkeypatch: pytest.MonkeyPatch) -> None:
    free = machine_memory()
    assert free > 0
    monkeypatch.setattr(memory, "machine_memory", lambda: 100 * MB)
    for allowed, expected in ((None, 100), (40 * MB, 40), (400 * MB, 100)):
        monkeypatch.setattr(memory, "group_memory", lambda allowed=allowed: allowed)
        assert available_memory() == expected * MB
