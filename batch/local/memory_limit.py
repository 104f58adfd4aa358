"""Starts a child process under a memory limit: by a control group of our own, by systemd, or by watching it."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from .cgroup_homes import find_homes
from .cgroups import Cgroup, Cgroups, CgroupUnavailable
from .tree_memory import Family, Watch

PROBE_TIMEOUT = 10.0
"""Seconds that systemd-run may take to start `true`; without a bus it fails at once, a hung bus must not hang us."""

logger = logging.getLogger(__name__)
_scopes = itertools.count(1)


class LimitedProcess:
    """A running child and what is known of its memory. Use as a context manager, or call `close`.

    Attributes:
        process: the child; its pid is the command's own in every kind.
        kind: `cgroup v1`, `cgroup v2`, `systemd scope` or `watched`.
        limit: bytes, or None.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        kind: str,
        limit: int | None,
        group: Callable[[], Cgroup | None],
        *,
        ours: bool,
    ) -> None:
        self.process, self.kind, self.limit = process, kind, limit
        self._group, self._ours = group, ours
        self._peak: int | None = None
        self._kills = 0
        self._closed = False
        self._killed_by_us = False
        try:
            self._family: Family | None = Family(process.pid)
        except psutil.NoSuchProcess:
            self._family = None
        watched = kind == "watched" and self._family is not None
        self._watch = Watch(
            self._look, limit if watched else None, self._family.kill if watched and self._family else None
        )
        self._watch.start()

    def __enter__(self) -> LimitedProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def peak(self) -> int:
        """Most bytes ever charged: exact, with page cache, where a group counts; else as `anonymous_peak`."""
        self._read_group()
        return self._peak if self._peak is not None else self._watch.peak

    @property
    def anonymous(self) -> int:
        """Bytes of anonymous memory at the last look, at most 20 ms ago."""
        return self._watch.now

    @property
    def anonymous_peak(self) -> int:
        """Most bytes of anonymous memory seen, looked at every 20 ms: what a limit must leave room for."""
        return self._watch.peak

    @property
    def oom_kills(self) -> int:
        """How many processes were killed for memory."""
        self._read_group()
        if self._watch.acted:
            return 1
        if self.kind == "systemd scope" and not self._kills and not self._killed_by_us:
            return int(self.process.poll() == -9)  # the scope goes with its last process, and its count with it
        return self._kills

    def kill(self) -> None:
        """SIGKILL it and all below it, and wait for its end."""
        if self._family is not None and self.process.poll() is None:
            self._killed_by_us = True
            self._family.kill()
        self.process.wait()

    def close(self) -> None:
        """Kill what still runs, keep the last figures, remove the group."""
        if self._closed:
            return
        self._closed = True
        self.kill()
        self._watch.stop()
        self._read_group()
        group = self._group()
        if self._ours and group is not None and not group.remove():
            logger.warning("the control group %s could not be removed; the next start tries again", group.path)

    def _look(self) -> int | None:
        group = self._group()
        if group is None:  # a scope's is found once systemd has moved the process there
            return self._family.anonymous() if self.kind == "watched" and self._family is not None else None
        if not self._ours:
            self._read_group()
        return group.anonymous()

    def _read_group(self) -> None:
        group = self._group()
        if group is None:
            return
        peak, kills = group.peak(), group.oom_kills()
        self._peak = peak if peak is not None else self._peak
        self._kills = kills if kills is not None else self._kills


class MemoryLimiter:
    """Knows the ways to limit a child on this machine, best first.

    Args:
        cgroups: makes groups.
        systemd_run: the program, or None where there is none.
        proc: for a scope's group, and our own.
        say: takes one line when the limit is only watched.
    """

    def __init__(
        self,
        cgroups: Cgroups | None = None,
        systemd_run: str | None = None,
        proc: Path = Path("/proc"),
        say: Callable[[str], None] = logger.warning,
    ) -> None:
        self._cgroups = Cgroups(proc) if cgroups is None else cgroups
        self._systemd_run = systemd_run
        self._proc = proc
        self._say = say

    def start(self, command: Sequence[str], limit: int | None, **popen: Any) -> LimitedProcess:
        """Start `command` so that it and its children hold at most `limit` bytes of RAM and no swap.

        Args:
            command: program and arguments.
            limit: bytes; None measures only.
            popen: passed to `subprocess.Popen`.

        Raises:
            OSError: the program cannot be started.
        """
        if shutil.which(command[0], path=(popen.get("env") or os.environ).get("PATH")) is None:
            raise FileNotFoundError(f"no such program: {command[0]}")
        try:
            group = self._cgroups.open(limit)
        except CgroupUnavailable as error:
            why = str(error)
        else:
            try:
                process = subprocess.Popen(group.command(list(command)), **popen)
            except BaseException:
                group.remove()
                raise
            return LimitedProcess(process, f"cgroup v{group.version}", limit, lambda: group, ours=True)
        if limit is not None and (prefix := self._scope(limit)):
            return self._in_scope(prefix, command, limit, popen)
        if limit is not None:
            self._say(f"the memory limit is watched every 20 ms, not held by the kernel ({why})")
        process = subprocess.Popen(list(command), **popen)
        return LimitedProcess(process, "watched", limit, lambda: None, ours=False)

    def _scope(self, limit: int) -> list[str] | None:
        """Return how to run a command in a scope of systemd, once `true` has been run that way."""
        if self._systemd_run is None:
            return None
        managers = [["--user"], *([[]] if os.name == "posix" and os.geteuid() == 0 else [])]
        for manager in managers:
            prefix = [self._systemd_run, *manager, "--scope", "--quiet", "--collect"]
            prefix += ["-p", f"MemoryMax={limit}", "-p", "MemorySwapMax=0"]
            try:
                subprocess.run([*prefix, "--", "true"], capture_output=True, timeout=PROBE_TIMEOUT, check=True)
            except (OSError, subprocess.SubprocessError):
                continue
            return prefix
        return None

    def _in_scope(self, prefix: list[str], command: Sequence[str], limit: int, popen: dict[str, Any]) -> LimitedProcess:
        unit = f"resource-gate-{os.getpid()}-{next(_scopes)}.scope"
        process = subprocess.Popen([*prefix, f"--unit={unit}", "--", *command], **popen)
        found: list[Cgroup] = []

        def group() -> Cgroup | None:
            if not found:
                found.extend(self._scope_group(process.pid, unit))
            return found[0] if found else None

        return LimitedProcess(process, "systemd scope", limit, group, ours=False)

    def _scope_group(self, pid: int, unit: str) -> list[Cgroup]:
        """Find the scope's group once systemd has moved the process there; empty before."""
        try:
            lines = (self._proc / str(pid) / "cgroup").read_text("utf-8").splitlines()
        except OSError:
            return []
        paths = {path for line in lines if (path := line.split(":", 2)[2]).endswith("/" + unit)}
        return [
            Cgroup(folder, home.version)
            for home in find_homes(self._proc)
            for path in paths
            if (folder := home.top / path.lstrip("/")).is_dir()
        ]


def start_limited(
    command: Sequence[str],
    limit: int | None,
    *,
    say: Callable[[str], None] = logger.warning,
    **popen: Any,
) -> LimitedProcess:
    """Start `command` under `limit` bytes by the best way this machine has; see `MemoryLimiter.start`."""
    return MemoryLimiter(systemd_run=shutil.which("systemd-run"), say=say).start(command, limit, **popen)
