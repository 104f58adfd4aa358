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
    "INSERT INTO jobs (id, number, session, state, graph, outputs, extra, client, stripped, queued_at)"
    " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)"
)

REMOVED = (
    "UPDATE jobs SET state = 'deleted', graph = NULL, extra = NULL, ended_at = ?"
    " WHERE id = ? AND session = ? AND state IN ('queued', 'retried')"
)

STARTED = (
    "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?, node = ''"
    " WHERE seq = (SELECT seq FROM jobs WHERE id = ? AND session = ? AND state IN ('queued', 'retried')"
    " ORDER BY number, seq LIMIT 1)"
)

PUT_BACK = (
    "UPDATE jobs SET state = 'retried', error_type = ?, error = ?, node = ?, changed = ?"
    " WHERE id = ? AND session = ? AND state = 'running'"
)

ENDED = (
    "UPDATE jobs SET state = ?, ended_at = ?, seconds = ?, peak_ram = ?, peak_vram = ?, error_type = ?,"
    " error = ?, node = ?, graph = NULL, extra = NULL WHERE id = ? AND session = ? AND state = 'running'"
)

PRUNE_NUMBER = (
    f"DELETE FROM jobs WHERE state NOT IN {LIVE} AND state != 'quarantined' AND seq <= (SELECT seq FROM jobs"
    f" WHERE state NOT IN {LIVE} AND state != 'quarantined' ORDER BY seq DESC LIMIT 1 OFFSET ?)"
)

PRUNE_AGE = "DELETE FROM jobs WHERE session != ? AND max(queued_at, coalesce(ended_at, 0)) < ?"

BY_NAME = {
    "queued again": QUEUED_AGAIN,
    "accepted": ACCEPTED,
    "removed": REMOVED,
    "started": STARTED,
    "put back": PUT_BACK,
    "ended": ENDED,
    "prune by number": PRUNE_NUMBER,
    "prune by age": PRUNE_AGE,
}
"""Names stay: a later version takes over what this one left."""

NAMES = {sql: name for name, sql in BY_NAME.items()}
