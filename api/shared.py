"""One answer at a time, however many ask: what is slow must not take a thread of ComfyUI's pool for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Shared:
    """Makes an answer in a thread; who asks while it is being made gets the same one. For one event loop.

    Args:
        make: makes it; may block, and may raise.
    """

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make
        self._making: asyncio.Task[dict[str, Any]] | None = None

    def task(self) -> asyncio.Task[dict[str, Any]]:
        """The answer that is being made; begun now where none is. Wait for it by `asyncio.wait` or `shield`: who
        goes away must not cancel it for the others."""
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(asyncio.to_thread(self._make))
        return self._making
