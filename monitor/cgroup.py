"""Memory cgroups of this process, v1 and v2: where they lie, their limits and what they use.

Sources: cgroups(7), Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .kept import LONG, KeptFile, number_after

SYS_CGROUP = "/sys/fs/cgroup"
UNLIMITED = 1 << 60
"""From here on a v1 limit means none: the kernel writes 2^63 rounded down to a page."""


class Group(NamedTuple):
    """One memory cgroup: its folder, its name as the kernel has it, and the version of the interface."""

    folder: Path
    name: str
    version: int

    @property
    def source(self) -> str:
        """What `MemoryReading.source` says of it."""
        return f"cgroup v{self.version} {self.name}"


class _Mount(NamedTuple):
    root: str
    point: Path
    version: int


def memory_groups(proc: Path, sys_cgroup: Path) -> list[Group]:
    """List the memory cgroups that bind this process, its own first, then each parent that can be seen.

    In a container the mount may begin below the process's path, or the path may lead out of what is mounted;
    then the mount point itself is the container's own group. Empty where there are no cgroups.

    Args:
        proc: `/proc`, or a tree made like it.
        sys_cgroup: stands for `/sys/fs/cgroup` wherever the mount table says that.
    """
    try:
        membership = (proc / "self/cgroup").read_text("utf-8", "surrogateescape")
        table = (proc / "self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return []  # a kernel without cgroups: the host's memory is the only limit
    paths = _paths(membership)
    for mount in sorted(_mounts(table, sys_cgroup), key=lambda m: m.version):
        path = paths.get(mount.version)
        if path is not None and (groups := _upwards(mount, path)):
            return groups
    return []


def _paths(membership: str) -> dict[int, str]:
    paths: dict[int, str] = {}
    for line in membership.splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            paths[1] = path
        elif hierarchy == "0" and not controllers:
            paths[2] = path
    return paths


def _mounts(table: str, sys_cgroup: Path) -> Iterator[_Mount]:
    for line in table.splitlines():
        before, separator, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(" "), [*after.split(" "), "", "", ""][:3]
        if not separator or len(fields) < 5:
            continue
        if kind == "cgroup2":
            version = 2
        elif kind == "cgroup" and "memory" in options.split(","):
            version = 1
        else:
            continue
        root, point = (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), f) for f in fields[3:5])
        beneath = point.removeprefix(SYS_CGROUP)
        if point == SYS_CGROUP or (beneath != point and beneath.startswith("/")):
            yield _Mount(root, sys_cgroup / beneath.lstrip("/"), version)
        else:
            yield _Mount(root, Path(point), version)


def _upwards(mount: _Mount, path: str) -> list[Group]:
    root = mount.root.rstrip("/")
    inside = path == root or path.startswith(root + "/")
    beneath = path[len(root) :].strip("/") if inside and ".." not in path.split("/") else ""
    if not (mount.point / beneath).is_dir():
        beneath = ""
    own = usage_file(mount.version)
    groups: list[Group] = []
    for part in (PurePosixPath(beneath), *PurePosixPath(beneath).parents):
        folder = mount.point / part
        if groups and mount.version == 1 and _stands_apart(folder):
            break
        if (folder / own).exists():
            groups.append(Group(folder, str(PurePosixPath(root or "/") / part), mount.version))
    return groups


def _stands_apart(folder: Path) -> bool:
    """Whether a v1 group (`memory.use_hierarchy` 0) counts no children: its limit binds only itself."""
    try:
        return (folder / "memory.use_hierarchy").read_text("ascii").strip() == "0"
    except OSError:
        return False


def usage_file(version: int) -> str:
    """Name the file that tells a group's usage; the v2 root has none, so it is not a group with a limit."""
    return "memory.current" if version == 2 else "memory.usage_in_bytes"


class GroupMemory:
    """Limit and working set of one group, through kept files; any thread.

    Raises:
        OSError: its files cannot be opened, or (later) the group is gone.
    """

    def __init__(self, group: Group) -> None:
        self.source = group.source
        self._usage = KeptFile(group.folder / usage_file(group.version))
        self._stat = KeptFile(group.folder / "memory.stat", LONG)
        prefix = b"\ntotal_" if group.version == 1 else b"\n"  # v1 counts the children only in total_*
        self._inactive, self._active = prefix + b"inactive_file ", prefix + b"active_file "
        # Above memory.high nothing is killed, but every allocation is put to sleep: the job stands still.
        names = ("memory.limit_in_bytes",) if group.version == 1 else ("memory.max", "memory.high")
        self._limits = [KeptFile(group.folder / n) for n in names if (group.folder / n).exists()]
        self._version = group.version

    def limit(self) -> int | None:
        """Return the tightest limit in bytes that this group knows of, None where it has none.

        v1 also tells of limits set by parents that a container cannot see (`hierarchical_memory_limit`).
        """
        found = [int(text) for f in self._limits if (text := f.read().strip()) != b"max"]
        if self._version == 1:
            above = number_after(self._stat.read(), b"\nhierarchical_memory_limit ")
            found += [above] if above is not None else []
        return min((f for f in found if f < UNLIMITED), default=None)

    def working_set(self) -> int:
        """Return bytes used without file pages, active ones too: the kernel drops both before it kills."""
        stat = self._stat.read()
        files = (number_after(stat, self._inactive) or 0) + (number_after(stat, self._active) or 0)
        return max(0, int(self._usage.read()) - files)
