"""The connection that a server's events come over, kept from prompt to prompt."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from .sockets import EventSocket, SocketGone

RETRY = 1.0, 60.0
"""Seconds after an opening that failed until the next one, doubled up to the second; until then the server is asked."""
REUSE_AFTER = 2.0
"""Seconds from the end of a connection until another may have its id. ComfyUI's handler takes its id off the list when
it ends, whosever that is by then: a connection that took the id over before stays open and never hears a word."""


class Listening:
    """Opens the connection, and opens it again so that the server tells it what it told the one before. One thread.

    Args:
        url: of the server.
        open_socket: how a connection is opened, by URL and id; None: never.
        reuse_after: as `REUSE_AFTER`.
        clock: seconds.
    """

    def __init__(
        self,
        url: str,
        open_socket: Callable[[str, str], EventSocket] | None,
        reuse_after: float = REUSE_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._open_socket, self._reuse_after, self._clock = url, open_socket, reuse_after, clock
        self._socket: EventSocket | None = None
        self._retry_at = self._reuse_at = float("-inf")
        self._opened = self._failed = 0
        self.id = _new_id()
        """Under which prompts are sent, so that their events come here."""

    @property
    def connection(self) -> int:
        """Number of the connection that is open; 0 where none is."""
        return self._opened if self._socket is not None else 0

    def before_prompt(self) -> bool:
        """Whether events come in; opens a connection where none is open, under an id that no other ever had."""
        if self._socket is not None:
            try:
                self._socket.drain()  # it may have ended while nobody listened
            except SocketGone:
                self.drop()
        if self._socket is None and self._clock() >= self._retry_at:
            self.id = _new_id()
            self._open()
        return self._socket is not None

    def within_prompt(self) -> bool:
        """Whether events come in; opens a connection under the prompt's id where none is open, once that is safe."""
        if self._socket is None and self._clock() >= max(self._retry_at, self._reuse_at):
            self._open()
        return self._socket is not None

    def next_event(self, timeout: float) -> dict[str, Any] | None:
        """Wait `timeout` seconds for the next one; None where none came in time, or the connection has ended."""
        if self._socket is None:
            return None
        try:
            return self._socket.receive(timeout)
        except SocketGone:
            self.drop()
            return None

    def drop(self) -> None:
        """Leave the connection, if there is one: it is broken or silent, or the server was gone."""
        self._failed, self._retry_at = 0, min(self._retry_at, self._clock() + RETRY[0])
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._reuse_at = self._clock() + self._reuse_after

    def _open(self) -> None:
        if self._open_socket is None:
            return
        try:
            self._socket = self._open_socket(self._url, self.id)
            self._opened, self._failed = self._opened + 1, 0
        except SocketGone:
            # The server may have taken it all the same, and only its answer got lost.
            now = self._clock()
            self._retry_at = now + min(RETRY[0] * 2**self._failed, RETRY[1])
            self._reuse_at, self._failed = now + self._reuse_after, self._failed + 1


def _new_id() -> str:
    return uuid.uuid4().hex
