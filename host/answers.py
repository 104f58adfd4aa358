"""Lets the answer to a queued prompt wait, with the event loop free, until the prompt is safe on the disk."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

log = logging.getLogger(__name__)

PATHS = frozenset({"/prompt", "/api/prompt"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def hold_answers(app: Any, on_disk: Callable[[], Awaitable[None]]) -> bool:
    """Have `app` await `on_disk` before it answers a `POST prompt`; False where it takes no middleware any more.

    Args:
        app: an `aiohttp.web.Application` that does not serve yet.
        on_disk: awaited on the event loop.
    """

    @web.middleware
    async def hold(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if request.method == "POST" and request.path in PATHS:
            try:
                await on_disk()
            except Exception:  # the prompt is queued: its client must hear so
                log.exception("an answer did not wait for the disk")
        return answer

    try:
        app.middlewares.append(hold)
    except (AttributeError, RuntimeError):  # another kind of server, or one that serves already
        return False
    return True
