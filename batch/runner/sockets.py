"""A server's events over its WebSocket, where the library for it is there."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from typing import Any

from ..client import is_loopback

try:
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import ClientConnection, connect
except ImportError:  # the extra `batch` brings it; without it the runner asks instead of listening
    connect = None  # type: ignore[assignment]

OPEN_TIMEOUT = 10.0
PING = 20.0
"""Seconds between two pings, and for the answer to one: so a connection whose other end is gone is found dead."""
MAX_MESSAGE = 64 << 20
"""Bytes of one message: nodes send previews as they like; they are dropped, but must not break the connection."""
MOST_DRAINED = 10_000
"""Messages thrown away at a time: a server may send as fast as they are read."""


class SocketGone(Exception):  # noqa: N818 - it names what happened, as a person would
    """The connection could not be opened, or has ended."""


def available() -> bool:
    """Whether this Python can listen at all."""
    return connect is not None


class EventSocket:
    """One connection, read by one thread.

    Args:
        url: of the server, `http://…`.
        client_id: by which the server knows whose prompt's events go here.

    Raises:
        SocketGone: it cannot be opened.
    """

    def __init__(self, url: str, client_id: str) -> None:
        if connect is None:
            raise SocketGone("the package websockets is not installed")
        self._open = ExitStack()
        address = "ws" + url.removeprefix("http") + f"/ws?clientId={client_id}"
        try:
            # A proxy of the environment must not see what goes to this machine.
            self._connection: ClientConnection = self._open.enter_context(
                connect(
                    address,
                    open_timeout=OPEN_TIMEOUT,
                    ping_interval=PING,
                    ping_timeout=PING,
                    max_size=MAX_MESSAGE,
                    proxy=None if is_loopback(url) else True,
                )
            )
        except (OSError, WebSocketException) as error:
            raise SocketGone(str(error) or type(error).__name__) from error

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """Wait for the next event, `{"type", "data"}`; None where none came in time, or one that is no JSON object.

        Raises:
            SocketGone: the connection has ended.
        """
        message = self._receive(timeout)
        if not isinstance(message, str):
            return None  # nothing, or a preview
        try:
            said = json.loads(message)
        except ValueError:
            return None
        return said if isinstance(said, dict) and isinstance(said.get("data"), dict) else None

    def drain(self) -> None:
        """Throw away what has come so far.

        Raises:
            SocketGone: the connection has ended.
        """
        for _ in range(MOST_DRAINED):
            if self._receive(0.0) is None:
                return

    def _receive(self, timeout: float) -> str | bytes | None:
        try:
            return self._connection.recv(timeout)
        except TimeoutError:
            return None
        except (OSError, WebSocketException) as error:
            raise SocketGone(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """End it, without waiting for a server that may not answer."""
        # Its own close waits for the other side's word; a dead server's never comes.
        threading.Thread(target=self._open.close, name="close-socket", daemon=True).start()
