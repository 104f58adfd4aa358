"""The statements by which the journal follows a prompt; by name they are also kept in `journal_redo`."""

from __future__ import annotations

LIVE = "('queued', 'running', 'retried')"
"""States of a job that is still to come to an end."""

QUEUED_AGAIN = (
    "UPDATE jobs SET state = 'deleted', graph = NULL, extra = NULL, ended_at = ?, error = ?"
    f" WHERE id = ? AND session != ? AND state IN {LIVE}"
)
"""Its client has asked for it again: what an earlier process left of it must not come back as well."""

ACCEPTED = (
    "INSERT INTO jobs (id, number, session, state, graph, outputs, extra, client, stripped, queued_at, title)"
    " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)"
)

ADOPTED = (
    f"UPDATE jobs SET session = ?, state = 'queued', ended_at = NULL WHERE id = ? AND session != ? AND state IN {LIVE}"
)
"""What an earlier process left is about to be in the queue of this one; of thousands at a time."""

REMOVED = (
    "UPDATE jobs SET state = 'deleted', graph = NULL, extra = NULL, ended_at = ?"
    " WHERE id = ? AND session = ? AND state IN ('queued', 'retried')"
)

STARTED = (
    "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?, node = ''"
    " WHERE seq = (SELECT seq FROM jobs WHERE id = ? AND session = ? AND state IN ('queued', 'retried')"
    " ORDER BY number, seq LIMIT 1)"
)

STOPPED = "UPDATE jobs SET state = 'queued', node = '' WHERE state = 'running' AND session = ?"
"""The process ends in order: what runs waits for the next one."""

PUT_BACK = (
    "UPDATE jobs SET state = 'retried', error_type = ?, error = ?, node = ?, changed = ?"
    " WHERE id = ? AND session = ? AND state = 'running'"
)

_ENDED = (
    "UPDATE jobs SET state = ?, ended_at = ?, seconds = ?, peak_ram = ?, peak_vram = ?, error_type = ?,"
    " error = ?, node = ?, level = ?, actions = ?, freed = ?{} WHERE id = ? AND session = ? AND state = 'running'"
)

ENDED = _ENDED.format(", graph = NULL, extra = NULL")

RAN = (
    "UPDATE jobs SET attempts = attempts + 1, started_at = ?, state = ?, ended_at = ?, seconds = ?, peak_ram = ?,"
    " peak_vram = ?, error_type = ?, error = ?, node = ?, level = ?, actions = ?, freed = ?, graph = NULL, extra = NULL"
    " WHERE seq = (SELECT seq FROM jobs WHERE id = ? AND session = ? AND state IN ('queued', 'retried')"
    " ORDER BY number, seq LIMIT 1)"
)
"""`STARTED` and `ENDED` in one."""

WHOLE = (
    "INSERT INTO jobs (id, number, session, outputs, client, stripped, queued_at, title, attempts, started_at, state,"
    " ended_at, seconds, peak_ram, peak_vram, error_type, error, node, level, actions, freed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
"""`ACCEPTED`, `STARTED` and `ENDED` in one."""

FAILED = _ENDED.format("")
"""Its graph is kept: somebody may ask for it once more."""

PREDICTED = "UPDATE jobs SET predicted = ? WHERE id = ? AND session = ? AND state IN ('done', 'failed')"
"""Told of prompts that take much, and apart from their end: short ones, of which there are many, are not delayed."""

PRUNE_NUMBER = (
    f"DELETE FROM jobs WHERE state NOT IN {LIVE} AND state != 'quarantined' AND seq <= (SELECT seq FROM jobs"
    f" WHERE state NOT IN {LIVE} AND state != 'quarantined' ORDER BY seq DESC LIMIT 1 OFFSET ?)"
)

KEPT_SECONDS = 30 * 86400.0
"""Seconds that jobs are kept at the most; what an earlier process left and nobody restored goes with them."""

PRUNE_AGE = (
    "DELETE FROM jobs WHERE session != ? AND max(queued_at, coalesce(ended_at, 0)) < ?"
    f" AND (state NOT IN {LIVE} OR max(queued_at, coalesce(ended_at, 0)) <"
    f" (SELECT max(queued_at) FROM jobs) - {KEPT_SECONDS})"
)
"""What still waits goes only by what was queued long after it: nobody may have been there since, nor had a choice."""

PRUNE_GRAPHS = (
    "UPDATE jobs SET graph = NULL, extra = NULL WHERE state = 'failed' AND graph IS NOT NULL AND seq <= ("
    "SELECT seq FROM jobs WHERE state = 'failed' AND graph IS NOT NULL ORDER BY seq DESC LIMIT 1 OFFSET ?)"
)

PRUNES = frozenset({PRUNE_NUMBER, PRUNE_AGE, PRUNE_GRAPHS})

BY_NAME = {
    "queued again": QUEUED_AGAIN,
    "accepted": ACCEPTED,
    "adopted": ADOPTED,
    "removed": REMOVED,
    "started": STARTED,
    "put back": PUT_BACK,
    "stopped": STOPPED,
    "ended": ENDED,
    "failed": FAILED,
    "predicted": PREDICTED,
    "prune by number": PRUNE_NUMBER,
    "prune by age": PRUNE_AGE,
    "prune graphs": PRUNE_GRAPHS,
}
"""Names stay: a later version takes over what this one left."""

NAMES = {sql: name for name, sql in BY_NAME.items()}
