"""One server as a runner keeps it from job to job: its client, its event socket, and what is known of it."""

from __future__ import annotations

import uuid

from ..client import Client


class Server:
    """A server that jobs are given to, one at a time.

    Args:
        url: as a browser would open it.
        name: for people; the URL by default.
    """

    def __init__(self, url: str, name: str = "") -> None:
        self.client = Client(url)
        self.url = self.client.url
        self.name = name or self.url
        self.client_id = uuid.uuid4().hex

    def close(self) -> None:
        """Close its connections."""
