"""One server as a runner keeps it from job to job: its client, its event socket, and what is known of it."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..client import Client
from .breaker import Breaker
from .events import Tell, event
from .health import Health, look
from .sockets import EventSocket, SocketGone, available

SOCKET_RETRY = 1.0
"""Seconds between two openings of a socket; until then the server is asked."""
UPLOADS_KEPT = 1000
"""Uploaded files that are remembered, so that jobs which share one do not hash it again."""


class Server:
    """A server that jobs are given to, one at a time. On one thread at a time.

    Args:
        url: as a browser would open it.
        name: for people; the URL by default.
        open_socket: how its events are listened to; None: not at all, it is only asked.
    """

    def __init__(
        self,
        url: str,
        name: str = "",
        open_socket: Callable[[str, str], EventSocket] | None = EventSocket,
    ) -> None:
        self.client = Client(url)
        self.url = self.client.url
        self.name = name or self.url
        self.client_id = uuid.uuid4().hex
        self.breaker = Breaker()
        self.gated: bool | None = None
        """Whether Resource Gate is in it; None until it was asked."""
        self.uploads: OrderedDict[tuple[str, int, int], str] = OrderedDict()
        """(path, bytes, mtime in ns) → the name by which it knows the file."""
        self._open_socket = open_socket if available() else None
        self._socket: EventSocket | None = None
        self._socket_after = 0.0
        self._noted: set[str] = set()

    def health(self) -> Health:
        """Ask it how it is.

        Raises:
            ClientError: it does not answer, or not sensibly.
        """
        found = look(self.client, self.gated)
        self.gated = found.gated
        return found

    def note_once(self, tell: Tell, text: str) -> None:
        """Tell something about this server that holds for every job."""
        if text not in self._noted:
            self._noted.add(text)
            tell(event("note", text=f"{self.name}: {text}"))

    def listen(self) -> bool:
        """Whether its events come in; opens the connection where it may. To be called before a prompt is sent."""
        if self._socket is None and self._open_socket is not None and time.monotonic() >= self._socket_after:
            try:
                self._socket = self._open_socket(self.url, self.client_id)
            except SocketGone:
                self._socket = None
            self._socket_after = time.monotonic() + SOCKET_RETRY
        return self._socket is not None

    def next_event(self, timeout: float) -> dict[str, Any] | None:
        """Wait for its next event; None where none came in time, or the connection has ended."""
        if self._socket is None:
            return None
        try:
            return self._socket.receive(timeout)
        except SocketGone:
            self.drop_socket()
            return None

    def drop_socket(self) -> None:
        """Leave a connection that is silent or broken; the next `listen` opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def is_silent(self, tell: Tell) -> None:
        """A prompt has ended without a word on the socket: open another one."""
        if self._socket is not None:
            self.note_once(tell, "its WebSocket fell silent; it is asked instead, and the socket opened anew")
            self.drop_socket()

    def remember_upload(self, key: tuple[str, int, int], name: str) -> None:
        """Note that the server has this file."""
        self.uploads[key] = name
        while len(self.uploads) > UPLOADS_KEPT:
            self.uploads.popitem(last=False)

    def came_back(self) -> None:
        """It was gone: it may be another process now, with other extensions and other files."""
        self.drop_socket()
        self.gated = None
        self.uploads.clear()

    def close(self) -> None:
        """Close its connections."""
        self.drop_socket()
