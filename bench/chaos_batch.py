"""The batch that chaos is made with: short clips, and what became of each by its files and by the journal's own file.

Both are read from outside: the files are decoded, and the journal is opened with plain SQLite. Nothing here asks the
extension, or its counters, whether all went well.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from resource_gate.batch.trial.sample_jobs import ClipJob, ClipSize, plain_clip
from resource_gate.batch.verify import check_clip

JOURNAL = Path("user", "__resource_gate", "journal.sqlite3")


@dataclass(frozen=True)
class ChaosJob:
    """One clip, with the id that its prompt has in every life of the server."""

    id: str
    clip: ClipJob


def make_jobs(number: int, size: ClipSize, chance: Random) -> list[ChaosJob]:
    """So many clips, no two alike; ids from `chance`, so that a seed repeats a run."""
    return [
        ChaosJob(str(uuid.UUID(int=chance.getrandbits(128), version=4)), plain_clip(index, size, f"job{index:04}"))
        for index in range(number)
    ]


@dataclass
class Verdict:
    """What became of a batch; ids and names are lists, so that what went wrong can be looked at."""

    total: int
    done: int = 0
    """Jobs with at least one whole clip, and the state `done` in the journal."""
    lost: list[str] = field(default_factory=list)
    """Without a whole clip, or without an end in the journal."""
    twice: list[str] = field(default_factory=list)
    """With more than one whole clip, or more than one end in the journal."""
    broken: int = 0
    """Files that do not decode: what a kill left of an attempt."""
    restarted: int = 0
    """Jobs that ran more than once, but to the end only once: they were running at a kill."""

    @property
    def good(self) -> bool:
        """Every job done once."""
        return self.done == self.total and not self.lost and not self.twice

    @property
    def line(self) -> str:
        """For a person."""
        return (
            f"done {self.done} of {self.total}, lost {len(self.lost)}, run to completion twice {len(self.twice)} "
            f"({self.restarted} begun more than once, {self.broken} broken files left by kills)"
        )


def judge(base: Path, jobs: Sequence[ChaosJob]) -> Verdict:
    """Decode every file and read the journal. The server must have ended."""
    verdict = Verdict(len(jobs))
    ends, attempts = read_journal(base / JOURNAL)
    for job in jobs:
        clip = job.clip
        found = [
            check_clip(path, clip.frames, clip.width, clip.height).whole
            for path in (base / "output").glob(f"{clip.prefix}_*")
        ]
        whole, ended = sum(found), ends[job.id]
        verdict.broken += len(found) - whole
        if whole == ended == 1:
            verdict.done += 1
        if not whole or not ended:
            verdict.lost.append(f"{clip.name} ({whole} whole clips, {ended} ends in the journal)")
        if whole > 1 or ended > 1:
            verdict.twice.append(f"{clip.name} ({whole} whole clips, {ended} ends in the journal)")
        verdict.restarted += attempts[job.id] > 1
    return verdict


def read_journal(path: Path) -> tuple[Counter[str], dict[str, int]]:
    """How often each prompt has ended well, and how often it was begun."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT id, state, attempts FROM jobs").fetchall()
    attempts: Counter[str] = Counter()
    for job_id, _, tries in rows:
        attempts[job_id] += tries
    return Counter(job_id for job_id, state, _ in rows if state == "done"), attempts
