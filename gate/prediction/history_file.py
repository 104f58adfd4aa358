"""The file of remembered runs: one JSON line each, appended, bounded, and of use however it was damaged."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from pathlib import Path

from ..private_file import private
from .history import LARGEST_BYTES, Run, believable, parsed

log = logging.getLogger(__name__)

FILE = "runs.jsonl"

KEPT = 64
"""Runs kept of a family: the newest."""

FAMILIES = 200
"""Families kept: those that ran last."""

LARGEST_FILE = 32 * 1024**2
"""Bytes read at most; of a larger file, the end."""

LONGEST_LINE = 16 * 1024

UNWRITTEN = 64
"""Runs that may wait to be written together."""


class HistoryFile:
    """Remembers runs. Any thread; what goes wrong with the file is told once by `problem`, and nothing is raised.

    Args:
        folder: where `runs.jsonl` lies.
        machine: id of this machine; runs of others are kept in the file, and taught to nobody.
        most_ram: bytes that a run on this machine can have taken at most.
    """

    def __init__(self, folder: Path, machine: str, most_ram: int = LARGEST_BYTES) -> None:
        self.path = folder / FILE
        self._machine = machine
        self._most_ram = most_ram
        self._lock = threading.Lock()
        self._families: OrderedDict[str, deque[Run]] = OrderedDict()
        self._lines = 0
        self._unwritten: list[str] = []
        self._cut_off = False
        self.problem: str | None = None
        """Why runs are not kept for the next start; None where all is well."""
        self.passed_over = 0
        """Lines of the file that were damaged or said what cannot be."""

    def load(self) -> list[Run]:
        """Runs of this machine that earlier processes left, oldest first. Damaged lines are passed over."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lines = self._read()
        except OSError as error:
            self._failed(f"{self.path} cannot be read ({error}); nothing of earlier runs is known")
            return []
        with self._lock:
            for line in lines:
                run = parsed(line) if len(line) <= LONGEST_LINE else None
                if run is None or (run.machine == self._machine and not believable(run, self._most_ram)):
                    self.passed_over += 1
                else:
                    self._keep(run)
            if self.passed_over:
                log.warning("%d lines of %s are damaged or absurd and are left out", self.passed_over, self.path)
            # A line cut off by the end of a process must not swallow the next one.
            if self.passed_over or self._cut_off or len(lines) > 2 * self._count():
                self._rewrite()
            self._lines = len(lines)
            return [r for runs in self._families.values() for r in runs if r.machine == self._machine]

    def add(self, run: Run, *, later: bool = False) -> None:
        """Remember one more; with `later` it is written at the next `flush`, or with others once they are many."""
        with self._lock:
            self._keep(run)
            self._lines += 1
            self._unwritten.append(run.line() + "\n")
            if not later or len(self._unwritten) >= UNWRITTEN:
                self._write_them()

    def flush(self) -> None:
        """Write what waits."""
        if self._unwritten:
            with self._lock:
                self._write_them()

    def _write_them(self) -> None:
        try:
            outgrown = self._lines > 2 * max(self._count(), KEPT)
            if outgrown and self._rewrite():
                return
            with open(self.path, "a", encoding="utf-8", opener=private) as file:
                file.write("".join(self._unwritten))
            self._unwritten.clear()
            if not outgrown:
                self.problem = None
        except OSError as error:
            del self._unwritten[:-UNWRITTEN]
            self._failed(f"{self.path} cannot be written ({error}); what is learned now is lost at the end")

    def forget(self, family: str) -> int:
        """Forget a family by the beginning of its id, or all with `*`; tells how many runs that were."""
        with self._lock:
            gone = [f for f in self._families if family == "*" or (family and f.startswith(family))]
            count = sum(len(self._families.pop(f)) for f in gone)
            if count:
                self._rewrite()
            return count

    def of(self, family: str) -> list[Run]:
        """Runs of one family on this machine, oldest first."""
        with self._lock:
            return [run for run in self._families.get(family, ()) if run.machine == self._machine]

    def all(self) -> list[Run]:
        """Runs of all machines, by family."""
        with self._lock:
            return [run for runs in self._families.values() for run in runs]

    def _count(self) -> int:
        return sum(len(runs) for runs in self._families.values())

    def _keep(self, run: Run) -> None:
        runs = self._families.setdefault(run.family, deque(maxlen=KEPT))
        runs.append(run)
        self._families.move_to_end(run.family)
        while len(self._families) > FAMILIES:
            self._families.popitem(last=False)

    def _read(self) -> list[str]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                file.seek(size - LARGEST_FILE)
                file.readline()
            data = file.read(LARGEST_FILE)
            self._cut_off = bool(data) and not data.endswith(b"\n")
            return data.decode("utf-8", "replace").splitlines()

    def _rewrite(self) -> bool:
        runs = [run for family in self._families.values() for run in family]
        part = self.path.with_suffix(".part")
        try:
            write_runs(part, runs)
            part.replace(self.path)
            self._lines = len(runs)
            self._unwritten.clear()
            self.problem = None
        except OSError as error:
            self._failed(f"{self.path} cannot be written ({error}); it stays as it is")
            return False
        return True

    def _failed(self, problem: str) -> None:
        if self.problem is None:
            log.warning("%s", problem)
        self.problem = problem


def write_runs(path: Path, runs: Iterable[Run]) -> None:
    """Write runs as lines of JSON to a file of their own, for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", opener=private) as file:
        file.writelines(run.line() + "\n" for run in runs)
