"""A server whose connection breaks: a few quick tries, then patience within a budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ...reclaim.action import Cause
from ..errors import ClientError, RequestRefused, ServerGone, ServerSilent
from .events import Tell, event
from .health import NOT_ITSELF, look
from .options import RunOptions
from .server import Server
from .stopping import StoppedNow

READY_EVERY = 2.0
"""Seconds between two asks of a server that is waited for."""
T = TypeVar("T")


class ServerLost(Exception):  # noqa: N818 - it names what happened, as a person would
    """It did not come back in time, or breaks the same request again and again.

    Args:
        code: which of the two (`away`, `again`), for a panel in the user's language.
    """

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.cause: Cause = {"code": code}


class WorkerDead(ServerGone):
    """It answers, but the thread that runs prompts is dead: only a restart helps."""

    code = "dead"


class Line:
    """The connection to one server, for one job.

    Args:
        stop: set: give up waiting at once.
    """

    def __init__(self, server: Server, options: RunOptions, tell: Tell, stop: threading.Event) -> None:
        self._server, self._options, self._tell, self._stop = server, options, tell, stop
        self.waited = 0.0
        """Seconds that the server was waited for."""

    def ask(self, call: Callable[[], T]) -> T:
        """Return what `call` does; where the server goes away meanwhile, do it again once it is back.

        Raises:
            ServerLost: the server did not come back, or breaks this call each time.
            StoppedNow: `stop` was set meanwhile.
            ClientError: the server refuses, or whatever else `call` raises.
        """
        broken = 0
        while True:
            began = time.monotonic()
            try:
                return call()
            except (ServerGone, ServerSilent) as error:
                why: ClientError = error
            except RequestRefused as refused:
                if refused.status not in NOT_ITSELF:
                    raise
                why = refused
            # A call that goes on for an hour may be cut off often; one that is cut off at once each time may not.
            broken = 1 if time.monotonic() - began > self._options.reconnect_wait else broken + 1
            self.come_back(why, broken)

    def come_back(self, why: ClientError, broken: int = 1) -> None:
        """Return once the server answers again.

        Args:
            why: what broke.
            broken: how often in a row it did.

        Raises:
            ServerLost, StoppedNow: as `ask`.
        """
        began = time.monotonic()
        try:
            self._come_back(why, broken)
        finally:
            self.waited += time.monotonic() - began

    def _come_back(self, why: ClientError, broken: int) -> None:
        options, began = self._options, time.monotonic()
        if broken > max(1, options.reconnect):
            self._say("lost", str(why), {"code": "again"})
            text = f"{self._server.name} breaks the same request {broken} times in a row ({why})"
            raise ServerLost(text, "again")
        self._say("gone", str(why), why.cause)
        if broken > 1 and self._stop.wait(options.reconnect_wait):
            raise StoppedNow
        for number in range(1, options.reconnect + 1):
            self._tell(event("reconnect", server=self._server.name, **{"try": number, "of": options.reconnect}))
            if self._answers():
                return self._back(began)
            if self._stop.wait(options.reconnect_wait):
                raise StoppedNow
        budget = options.ready_budget
        self._say("waiting", f"up to {budget:.0f} s for it to come up", {"code": "waits", "seconds": budget})
        give_up = time.monotonic() + options.ready_budget
        while time.monotonic() < give_up:
            if self._answers():
                return self._back(began)
            if self._stop.wait(min(READY_EVERY, options.ready_budget / 10)):
                raise StoppedNow
        self._say("lost", str(why), {"code": "away"})
        text = f"{self._server.name} did not come back within {time.monotonic() - began:.0f} s ({why})"
        raise ServerLost(text, "away")

    def _answers(self) -> bool:
        """Whether it answers, and can run prompts."""
        try:
            self._server.client.call("GET", "/queue", timeout=max(1.0, self._options.reconnect_wait))
            return look(self._server.client).worker_alive is not False
        except ClientError:
            return False

    def _back(self, began: float) -> None:
        self._server.came_back()
        self._say("back", f"after {time.monotonic() - began:.0f} s")

    def _say(self, state: str, reason: str, cause: Cause | None = None) -> None:
        self._tell(event("server", server=self._server.name, state=state, reason=reason, cause=cause))
