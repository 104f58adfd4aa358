"""What a runner tells while it runs: plain dicts, for a progress view, for the journal, and over a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

Tell = Callable[[Mapping[str, Any]], None]
"""Takes an event. Called on the thread that works; must not block for long, and does not raise."""


def event(name: str, /, **fields: Any) -> dict[str, Any]:
    """Make one: `{"event": name, "time": seconds since the epoch, …}`.

    The names: batch_started {total, …}, job_started {index, name, server}, waiting {index, reason},
    submitted {index, attempt, id, server} (for the journal; told before the prompt is sent),
    progress {index, node, value, max}, memory {server, used, limit, fraction, level, tiers},
    retry {index, attempt, of, wait, error}, reconnect {server, try, of},
    server {server, state: gone | waiting | back | lost | resting | failed, reason, cause: the same as a code, or None},
    job_ended {index, name, ok, seconds, error, …}, note {text}, batch_ended {done, failed, …}.
    """
    return {"event": name, "time": time.time(), **fields}
