"""One server as a runner keeps it from job to job: its client, its event socket, and what is known of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ..client import Client
from .breaker import Breaker
from .events import Tell, event
from .headroom import Headroom
from .health import Health, look
from .listening import REUSE_AFTER, Listening
from .sockets import EventSocket, available

UPLOADS_KEPT = 1000
"""Uploaded files that are remembered, so that jobs which share one do not hash it again."""


class Server:
    """A server that jobs are given to, one at a time. On one thread at a time.

    Args:
        url: as a browser would open it.
        name: for people; the URL by default.
        open_socket: how its events are listened to; None: not at all, it is only asked.
        reuse_after: seconds from the end of a connection until another may have its id.
    """

    def __init__(
        self,
        url: str,
        name: str = "",
        open_socket: Callable[[str, str], EventSocket] | None = EventSocket,
        reuse_after: float = REUSE_AFTER,
    ) -> None:
        self.client = Client(url)
        self.url = self.client.url
        self.name = name or self.url
        self.events = Listening(self.url, open_socket if available() else None, reuse_after)
        self.breaker = Breaker()
        self.headroom = Headroom()
        self.gated: bool | None = None
        """Whether Resource Gate is in it; None until it was asked."""
        self.uploads: OrderedDict[tuple[str, int, int], str] = OrderedDict()
        """(path, bytes, mtime in ns) → the name by which it knows the file."""
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

    def is_silent(self, tell: Tell) -> None:
        """A prompt has ended without a word on the open connection: the next prompt gets another one."""
        self.note_once(tell, "its WebSocket fell silent; it is asked instead, and the socket opened anew")
        self.events.drop()

    def remember_upload(self, key: tuple[str, int, int], name: str) -> None:
        """Note that the server has this file."""
        self.uploads[key] = name
        while len(self.uploads) > UPLOADS_KEPT:
            self.uploads.popitem(last=False)

    def came_back(self) -> None:
        """It was gone: it may be another process now, with other extensions and other files."""
        self.events.drop()
        self.gated = None
        self.uploads.clear()

    def close(self) -> None:
        """Close its connections."""
        self.events.drop()
