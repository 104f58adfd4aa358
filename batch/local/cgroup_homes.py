"""Where this process lives in the kernel's memory hierarchies, and so where a group below it could be made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The memory hierarchy that this process lives in: its own group and the top that we can see."""

    version: int
    own: Path
    top: Path

    def parents(self) -> Iterator[Path]:
        """Yield where a child group may be made, our own group first, so that limits above us keep holding."""
        yield self.own
        if self.own != self.top:
            for parent in self.own.parents:
                yield parent
                if parent == self.top:
                    return


def find_homes(proc: Path = Path("/proc")) -> list[Home]:
    """Read our memory hierarchies from `/proc/self/mountinfo` and `/proc/self/cgroup`; version 1 first.

    On a machine with both, the memory controller is in version 1 and version 2's groups lack it.
    """
    try:
        mounts = (proc / "self/mountinfo").read_text("utf-8")
        groups = (proc / "self/cgroup").read_text("utf-8")
    except OSError:
        return []
    paths: dict[str, str] = {}
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path  # version 2 has one line, with no controllers: the empty name
    homes = []
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        root, point = left.split(" ")[3:5]
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup" and "memory" in options.split(","):
            version, where = 1, paths.get("memory")
        elif kind == "cgroup2":
            version, where = 2, paths.get("")
        else:
            continue
        if where is not None:
            top = Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), point))
            homes.append(Home(version, _below(top, root, where), top))
    return sorted(homes, key=lambda home: home.version)


def _below(top: Path, root: str, path: str) -> Path:
    """Map a path of `/proc/self/cgroup` to a folder: a mount may show only a part (`root`) of the hierarchy."""
    inside = path[len(root) :] if root != "/" and path.startswith(root) else path
    own = top / inside.lstrip("/")
    return own if ".." not in own.parts and own.is_dir() else top
