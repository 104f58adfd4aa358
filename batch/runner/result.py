"""What became of one job on one server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...reclaim.action import Cause

SERVER = "server"
"""The server is gone, did not become ready, or lost the job too often where no job is to blame: another server, or the
same one later, may do it."""
STOPPED = "stopped"
"""The batch was told to stop now: the prompt was taken off the server, the job is still to be done."""
INPUT = "input"
"""An input file is missing here, or the server did not take it."""
REFUSED = "validation"
"""The server says that the graph is not valid: trying again cannot help."""
LOST = "lost"
"""The server died with it, or lost it, more often than is tried; or set it aside for that."""
OUTPUT = "output"
"""It ended well, but its outputs are missing, or are not whole."""
DISK = "disk"
"""There is no room here for what the server has made: it is still there, and the job still to be done."""
TIMEOUT = "timeout"
"""It did not end in the time given for a job."""
CANCELLED = "cancelled"
"""Somebody interrupted it at the server."""


@dataclass(frozen=True)
class JobResult:
    """How a job ended. Can be pickled.

    Attributes:
        ok: all its outputs are here and whole.
        error_kind: one of this module's names, or a value of `gate.retry.ErrorKind`; empty where `ok`.
        error: the reason, one line a person understands.
        node: `5 LoadVideo`, where one failed.
        attempts: how often it was given to a server.
        seconds: from the start of the first attempt to the end, waits included.
        wait: of these, waiting for room, for the server's queue, for retries and for the server to come back.
        peak_ram: most bytes of RAM in use at the server, as it tells them, while the job ran.
        peak_vram: the same by GPU.
        outputs: the files, under their stable names.
        server: where it ran last.
        actions: what the server's Resource Gate did meanwhile, a line each.
        cause: what its server did to it, as a code and what belongs to it; None where no server is to blame.
        expected_ram: bytes that `peak_ram` was expected to stay below, as the server's Resource Gate foretold it; None
            where it said nothing.
    """

    ok: bool
    error_kind: str = ""
    error: str = ""
    node: str = ""
    attempts: int = 1
    seconds: float = 0.0
    wait: float = 0.0
    peak_ram: int | None = None
    peak_vram: Mapping[str, int] = field(default_factory=dict)
    outputs: tuple[Path, ...] = ()
    server: str = ""
    actions: tuple[str, ...] = ()
    expected_ram: int | None = None
    cause: Cause | None = None

    @property
    def job_is_open(self) -> bool:
        """Whether the job itself has no end yet: its server failed, or the disk here, or the batch was stopped."""
        return self.error_kind in (SERVER, DISK, STOPPED)
