"""Finds a memory limit that tells something on this machine, by measuring what a server and its clips need."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..local.server_process import ServerProcess, ServerSpec
from .sample_jobs import ClipJob

MIB = 1024**2
SHARE = 0.3
"""Where the limit is put between what must fit and what stock takes. The stock baseline's 2300 MB is at 0.29 of the
way from its 2131 MB (first clip) to 2702 MB (the batch)."""
MODEL_SHARE = 0.4
"""The same between one clip with outputs dropped early and one clip of stock; the models are 1.7 GB of that way."""

logger = logging.getLogger(__name__)


class CalibrationError(Exception):
    """A clip did not end even without a limit."""


@dataclass(frozen=True)
class Peaks:
    """Anonymous bytes of a server without a limit: at rest, and the most after the first, second … clip."""

    idle: int
    clips: tuple[int, ...]

    @property
    def first(self) -> int:
        """After one clip."""
        return self.clips[0]

    @property
    def all(self) -> int:
        """After all of them."""
        return self.clips[-1]


def measure(spec: ServerSpec, jobs: Sequence[ClipJob], base: Path, say: Callable[[str], None] = logger.info) -> Peaks:
    """Run `jobs` one after another on a fresh server with no limit and return its peaks.

    Raises:
        CalibrationError: one failed.
        ClientError: the server did not come up, or went away.
    """
    with ServerProcess(replace(spec, limit=None), base, say) as server:
        idle, peaks = server.child.anonymous, []
        for job in jobs:
            end = server.client.wait_for_end(server.client.submit(job.graph))
            if not end.ok:
                raise CalibrationError(f"{job.name} failed without a limit: {end.reason}")
            peaks.append(server.child.anonymous_peak)
    return Peaks(idle, tuple(peaks))


def limit_between(low: int, high: int, share: float = SHARE) -> int:
    """Return a limit in bytes, whole MiB, `share` of the way from what must fit to what stock takes."""
    return int(low + share * (high - low)) // MIB * MIB
