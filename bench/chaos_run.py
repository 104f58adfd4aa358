"""One batch under `resource-gate run`, its server killed at random moments by somebody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random

import psutil
from chaos_batch import ChaosJob

from resource_gate.batch.client import Client, ClientError
from resource_gate.batch.local.base_directory import make_base_directory
from resource_gate.batch.local.server_process import ServerSpec, free_port, server_command

AT_START = 0.2
"""Share of kills that come while the server comes up or puts its queue back; the others while it works."""

READY_TIMEOUT = 120.0
STALL_TIMEOUT = 300.0
"""Seconds without another finished job after which the batch is given up as it is."""


class ChaosRun:
    """A supervised server on a folder of its own.

    Args:
        spec: what to start.
        base: its folder.
        environment: added to ours.
        options: of `resource-gate run`.
    """

    def __init__(
        self, spec: ServerSpec, base: Path, environment: Mapping[str, str], options: Sequence[str] = ()
    ) -> None:
        self.base = base
        base.mkdir(parents=True, exist_ok=True)
        if spec.comfyui is not None:
            make_base_directory(base, extension=spec.gate, extra_nodes=spec.extra_nodes)
        port = free_port()
        self.client = Client(f"http://127.0.0.1:{port}", timeout=10)
        self.log = base / "supervisor.log"
        self.kills = 0
        self.killed_at: list[str] = []
        """For each kill, at what, and how many jobs had a file."""
        with self.log.open("wb") as log:
            self.supervisor = subprocess.Popen(
                [sys.executable, "-m", "resource_gate.cli", "run", *options, "--", *server_command(spec, base, port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=base,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                start_new_session=True,
            )
        self.start_seconds = self.client.wait_ready(READY_TIMEOUT, self.alive)

    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return self.supervisor.poll() is None

    def server(self) -> psutil.Process | None:
        """The server of this moment."""
        try:
            return next(iter(psutil.Process(self.supervisor.pid).children()), None)
        except psutil.NoSuchProcess:
            return None

    def submit(self, jobs: Sequence[ChaosJob]) -> None:
        """Queue all of them."""
        for job in jobs:
            self.client.submit(job.clip.graph, job.id)

    def written(self, jobs: Sequence[ChaosJob]) -> int:
        """Jobs with a file, whole or not; asked of the disk alone."""
        folder = (self.base / "output" / jobs[0].clip.prefix).parent
        names = {path.name.rpartition("_00")[0] for path in folder.glob("job*")}
        return len(names)

    def kill_at_random(self, jobs: Sequence[ChaosJob], kills: int, chance: Random, job_seconds: float) -> None:
        """SIGKILL the server so often, spread over the batch and, within it, over every moment of a job or a start."""
        # No two at the same job where there are enough: a job that is killed again and again, before another comes to
        # its end, is what the supervisor's rising delays are for, and not what is measured here.
        left = range(min(self.written(jobs), len(jobs) - 1), len(jobs))  # some ended while others were queued
        points = sorted(chance.sample(left, kills) if kills <= len(left) else chance.choices(left, k=kills))
        last_pid = 0
        for point in points:
            server = self._next_server(last_pid)
            if server is None:
                return
            at_start = bool(last_pid) and chance.random() < AT_START
            if not at_start and not self._until(partial(self._works, server.pid, jobs, point)):
                return
            time.sleep(chance.random() * (self.start_seconds if at_start else job_seconds))
            try:
                server.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                self.killed_at.append("already dead")
                continue
            last_pid = server.pid
            self.kills += 1
            self.killed_at.append(f"{'at its start' if at_start else 'at work'}, {self.written(jobs)} files")

    def finish(self, jobs: Sequence[ChaosJob]) -> None:
        """Wait until every job has a file and nothing is queued or to be restored, or nothing moves any more."""
        since, seen = time.monotonic(), -1
        while self.alive() and time.monotonic() - since < STALL_TIMEOUT:
            now = self.written(jobs)
            since, seen = (time.monotonic(), now) if now != seen else (since, seen)
            if self._idle():
                return
            time.sleep(0.2)

    def stop(self) -> None:
        """Ask it to end, as a service manager does."""
        if self.alive():
            self.supervisor.send_signal(signal.SIGTERM)
        try:
            self.supervisor.wait(60)
        except subprocess.TimeoutExpired:
            for child in psutil.Process(self.supervisor.pid).children(recursive=True):
                child.kill()
            self.supervisor.kill()
            self.supervisor.wait()

    def _idle(self) -> bool:
        try:
            status = self.client.status()
            if status is None or status["queue"]["pending"] or status["batch"]["restorable"]:
                return False
            return not self.client.queue().ids
        except ClientError:
            return False

    def _works(self, pid: int, jobs: Sequence[ChaosJob], point: int) -> bool:
        """Whether this very server has got so far; also where there is nothing left that could be killed."""
        done = self.written(jobs)
        if done < min(point, len(jobs) - 1):
            return False
        try:
            status = self.client.status()  # a queue of a thousand graphs takes longer to tell than a clip to make
            return status is not None and (bool(status["queue"]["running"]) or done >= len(jobs))
        except ClientError:
            return not psutil.pid_exists(pid)

    def _next_server(self, last_pid: int) -> psutil.Process | None:
        found: list[psutil.Process] = []

        def look() -> bool:
            server = self.server()
            if server is not None and server.pid != last_pid:
                found.append(server)
            return bool(found)

        return found[0] if self._until(look) else None

    def _until(self, condition: Callable[[], bool]) -> bool:
        give_up = time.monotonic() + STALL_TIMEOUT
        while not condition():
            if not self.alive() or time.monotonic() > give_up:
                return False
            time.sleep(0.02)
        return True
