"""A control group of our own for one child process: made below ours where the kernel allows it, measured, removed.

The kernel's interface, version 1 and 2: Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .cgroup_homes import find_homes

NAME = "resource-gate"
SHELL = "/bin/sh"
ENTER = 'echo $$ > "$1" || exit 125; shift; exec "$@"'
"""Puts the shell into the group in `$1` and becomes the rest: so the child is inside before its first own allocation,
its pid is the one we started, and nothing runs between fork and exec in a parent that has threads."""

REMOVE_TIMEOUT = 2.0
"""Seconds for a killed process to leave its group; the kernel frees a few GB in well under one."""


class CgroupUnavailable(Exception):  # noqa: N818 - it names what happened, as a person would
    """No group of ours can be made here; the text says what was tried."""


def _number(path: Path, key: str = "") -> int | None:
    """Read a number from a group's file, or the one after `key` where the file is a table."""
    try:
        text = path.read_text("ascii")
    except OSError:
        return None
    if not key:
        return int(text) if text.strip().isdigit() else None
    table = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    return int(table[key]) if key in table else None


@dataclass(frozen=True)
class Kernel:
    """What is done to a group beside reading and writing its files; tests bring a kernel of their own."""

    make: Callable[[Path], None] = Path.mkdir
    remove: Callable[[Path], None] = Path.rmdir
    kill: Callable[[int, int], None] = os.kill


KERNEL = Kernel()


@dataclass
class Cgroup:
    """One group: `path` is its folder, `version` the kernel interface (1 or 2)."""

    path: Path
    version: int
    kernel: Kernel = field(default=KERNEL, repr=False)

    def peak(self) -> int | None:
        """Most bytes ever charged, page cache included; None on kernels before `memory.peak` (5.19)."""
        return _number(self.path / ("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"))

    def anonymous(self) -> int | None:
        """Bytes of anonymous memory now: what cannot be dropped, and so what the kernel kills for."""
        return _number(self.path / "memory.stat", "total_rss" if self.version == 1 else "anon")

    def oom_kills(self) -> int | None:
        """How many processes the kernel has killed here."""
        table = "memory.oom_control" if self.version == 1 else "memory.events"
        return _number(self.path / table, "oom_kill")

    def processes(self) -> list[int]:
        """Pids inside, zombies not counted."""
        try:
            return [int(pid) for pid in (self.path / "cgroup.procs").read_text("ascii").split()]
        except OSError:
            return []

    def command(self, command: list[str]) -> list[str]:
        """Return `command`, changed so that it enters the group before it becomes itself."""
        return [SHELL, "-c", ENTER, SHELL, str(self.path / "cgroup.procs"), *command]

    def remove(self) -> bool:
        """Kill what is still inside and remove the group; False if it would not go in `REMOVE_TIMEOUT` seconds."""
        give_up = time.monotonic() + REMOVE_TIMEOUT
        while self.path.exists():
            for pid in self.processes():
                try:
                    self.kernel.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            try:
                self.kernel.remove(self.path)
            except OSError:  # EBUSY: a killed process still holds it
                if time.monotonic() > give_up:
                    return False
                time.sleep(0.01)
        return True


def owner_lives(pid: int, started: int) -> bool:
    """Whether the process that made a group still runs: same pid and same start (seconds since the epoch)."""
    try:
        return abs(int(psutil.Process(pid).create_time()) - started) <= 1
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


_counter = itertools.count(1)


class Cgroups:
    """Makes groups, and sweeps those whose maker died before it could remove them.

    Args:
        proc: where `self/mountinfo` and `self/cgroup` lie.
        kernel: makes and removes groups.
        lives: whether the maker of a group, by pid and start, still runs.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        kernel: Kernel = KERNEL,
        lives: Callable[[int, int], bool] = owner_lives,
    ) -> None:
        self._proc = proc
        self._kernel = kernel
        self._lives = lives

    def open(self, limit: int | None) -> Cgroup:
        """Make a group that holds `limit` bytes of RAM and no swap (None: no limit, only the measuring).

        Raises:
            CgroupUnavailable: nowhere could one be made that a process of ours may enter.
        """
        problems = []
        for home in find_homes(self._proc):
            for parent in home.parents():
                self.sweep(parent, home.version)
                try:
                    return self._make(parent, home.version, limit)
                except (OSError, CgroupUnavailable) as error:
                    problems.append(f"{parent}: {error}")
        raise CgroupUnavailable("; ".join(problems) or "no memory control group is mounted")

    def sweep(self, parent: Path, version: int) -> list[Path]:
        """Remove groups of ours in `parent` whose maker is dead, with what still runs in them; return those."""
        swept = []
        for path in parent.glob(f"{NAME}-*"):
            match = re.fullmatch(rf"{NAME}-(\d+)-(\d+)-\d+", path.name)
            if match is None or self._lives(int(match[1]), int(match[2])):
                continue
            if Cgroup(path, version, self._kernel).remove():
                swept.append(path)
        return swept

    def _make(self, parent: Path, version: int, limit: int | None) -> Cgroup:
        if version == 2:
            self._delegate(parent)
        started = int(psutil.Process().create_time())
        path = parent / f"{NAME}-{os.getpid()}-{started}-{next(_counter)}"
        self._kernel.make(path)
        group = Cgroup(path, version, self._kernel)
        try:
            self._set_limit(group, limit)
            # Making a group and entering it need different rights in version 2: find out before the real start.
            probe = subprocess.run(group.command(["true"]), capture_output=True, text=True, check=False)
            if probe.returncode:
                raise CgroupUnavailable(f"cannot enter a group made here ({probe.stderr.strip()})")
        except BaseException:
            group.remove()
            raise
        return group

    @staticmethod
    def _delegate(parent: Path) -> None:
        """Have `parent` hand the memory controller to its children; fails where it holds processes itself."""
        if "memory" not in (parent / "cgroup.controllers").read_text("ascii").split():
            raise CgroupUnavailable("it has no memory controller")
        if "memory" not in (parent / "cgroup.subtree_control").read_text("ascii").split():
            (parent / "cgroup.subtree_control").write_text("+memory", "ascii")

    @staticmethod
    def _set_limit(group: Cgroup, limit: int | None) -> None:
        if limit is None:
            return
        if group.version == 1:
            (group.path / "memory.limit_in_bytes").write_text(str(limit), "ascii")
            swap, value = group.path / "memory.memsw.limit_in_bytes", str(limit)
        else:
            (group.path / "memory.max").write_text(str(limit), "ascii")
            swap, value = group.path / "memory.swap.max", "0"
        if swap.exists():  # a kernel without swap accounting has no such file
            swap.write_text(value, "ascii")
