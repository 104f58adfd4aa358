"""What one event says in one line, for people; many of them say nothing that is worth a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .state import BatchState
from .wording import duration, remaining, size


class Lines:
    """Words events; remembers what was said, so that it is not said twice."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._words: dict[str, Callable[[Mapping[str, Any], BatchState], str | None]] = {
            "batch_started": self._batch_started,
            "job_started": self._job_started,
            "waiting": self._waiting,
            "memory": self._memory,
            "retry": self._retry,
            "reconnect": self._reconnect,
            "server": self._server,
            "job_ended": self._job_ended,
            "note": lambda event, state: str(event.get("text") or "") or None,
            "batch_ended": self._batch_ended,
        }

    def line(self, event: Mapping[str, Any], state: BatchState) -> str | None:
        """Return the line of an event that `state` has already taken in; None where it needs none."""
        word = self._words.get(str(event.get("event")))
        return None if word is None else word(event, state)

    def _batch_started(self, event: Mapping[str, Any], state: BatchState) -> str:
        servers = ", ".join(str(server) for server in event.get("servers") or ())
        text = f"{state.total} jobs" + (f" on {servers}" if servers else "")
        before = state.done + state.failed
        return f"{text}; {before} have ended before" if before else text

    def _job_started(self, event: Mapping[str, Any], state: BatchState) -> str:
        server = event.get("server")
        return f"{_count(state)} {event.get('name')} started" + (f" on {server}" if server else "")

    def _waiting(self, event: Mapping[str, Any], state: BatchState) -> str | None:
        reason = str(event.get("reason") or "")
        if not reason or not self._is_new(f"waiting {event.get('index')}", reason):
            return None
        return f"{_name(event, state)} waits: {reason}"

    def _memory(self, event: Mapping[str, Any], state: BatchState) -> str | None:
        server = str(event.get("server", ""))
        memory = state.memory[server]
        known = f"memory {server}"
        if known not in self._said and memory.level == "normal":
            self._said[known] = memory.level
        if not self._is_new(known, memory.level):
            return None
        where = f"{server}: " if server else ""
        return f"{where}memory {memory.level}, {memory.fraction:.0%} of {size(memory.limit)}"

    def _retry(self, event: Mapping[str, Any], state: BatchState) -> str:
        tries = f"try {event.get('attempt')} of {event.get('of')}"
        wait = duration(float(event.get("wait") or 0))
        return f"{_name(event, state)}: {tries} in {wait} ({event.get('error') or 'no reason told'})"

    def _reconnect(self, event: Mapping[str, Any], state: BatchState) -> str:
        return f"{event.get('server')}: connecting again, {event.get('try')} of {event.get('of')}"

    def _server(self, event: Mapping[str, Any], state: BatchState) -> str | None:
        text = state.servers.get(str(event.get("server", "")), "")
        if not self._is_new(f"server {event.get('server')}", text):
            return None
        return f"{event.get('server')}: {text}"

    def _job_ended(self, event: Mapping[str, Any], state: BatchState) -> str:
        self._said.pop(f"waiting {event.get('index')}", None)
        seconds = event.get("seconds")
        after = f" {'in' if event.get('ok') else 'after'} {duration(float(seconds))}" if seconds is not None else ""
        how = f"done{after}" if event.get("ok") else f"FAILED{after}: {event.get('error') or 'no reason told'}"
        left = remaining(state.eta(state.now)) if state.left or state.running else ""
        return f"{_count(state)} {event.get('name', event.get('index'))} {how}" + (f"; {left}" if left else "")

    def _batch_ended(self, event: Mapping[str, Any], state: BatchState) -> str:
        took = f" in {duration(state.now - state.started)}" if state.started is not None else ""
        return f"{state.done} done, {state.failed} failed of {state.total}{took}"

    def _is_new(self, what: str, text: str) -> bool:
        new = self._said.get(what) != text
        self._said[what] = text
        return new


def _count(state: BatchState) -> str:
    return f"[{state.done + state.failed}/{state.total}]"


def _name(event: Mapping[str, Any], state: BatchState) -> str:
    job = state.running.get(int(event.get("index", -1)))
    return job.name if job is not None else f"job {int(event.get('index', -1)) + 1}"
