"""The embedded host over HTTP and WebSocket, where ComfyUI's clients expect it."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from .answers import hold_answers
from .embedded import EmbeddedHost
from .embedded_pages import page_routes
from .embedded_routes import queue_routes

log = logging.getLogger(__name__)

MAX_BODY = 100 * 1024 * 1024
"""Bytes of a request, as ComfyUI's default."""

MAX_WAITING = 2000
"""Events a WebSocket may be behind before it is closed: it does not read, and must not fill our memory."""

PACKAGE = Path(__file__).resolve().parent.parent

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page of another site sends: a browser does not keep it from posting to this machine."""
    origin = request.headers.get("Origin")
    foreign = request.headers.get("Sec-Fetch-Site") == "cross-site"
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
        foreign = True
    if foreign:
        return web.json_response({"error": "requests of other sites are refused"}, status=403)
    return await handler(request)


class EmbeddedServer:
    """Serves one host.

    Args:
        package: holds `web` and `locales`.

    The host's `routes` take more until `start`; each is served plain and under `/api`, as ComfyUI does.
    """

    def __init__(self, host: EmbeddedHost, package: Path = PACKAGE) -> None:
        self.host = host
        self.routes = host.routes
        self.app = web.Application(client_max_size=MAX_BODY, middlewares=[same_origin])
        self._package = package
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: dict[str, asyncio.Queue[str | None]] = {}
        self._runner: web.AppRunner | None = None
        host.listen(self._push)

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, then start the host's worker; return the port, which the system chooses for 0.

        Raises:
            OSError: the port is taken.
        """
        self._loop = asyncio.get_running_loop()
        if self.host.on_disk is not None:
            hold_answers(self.app, self.host.on_disk)
        self.routes.get("/ws")(self._websocket)
        own = [*queue_routes(self.host), *page_routes(self.host, self._package)]
        for route in [*own, *self.routes]:
            if isinstance(route, web.RouteDef):
                self.app.router.add_route(route.method, "/api" + route.path, route.handler)
                self.app.router.add_route(route.method, route.path, route.handler)
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port)
        await site.start()
        self.host.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the connections, and end the host's worker."""
        for waiting in list(self._clients.values()):
            waiting.put_nowait(None)
        if self._runner is not None:
            await self._runner.cleanup()
        if not await asyncio.to_thread(self.host.stop):
            log.warning("the running node did not stop in time; it ends with the process")
        self._loop = None

    def _push(self, event: str, data: Mapping[str, Any], client: str | None) -> None:
        """Any thread."""
        loop = self._loop
        if loop is None or not self._clients:
            return
        try:
            loop.call_soon_threadsafe(self._deliver, event, data, client)
        except RuntimeError:
            log.debug("event %s came after the end", event)  # the loop closed between the look and the call

    def _deliver(self, event: str, data: Mapping[str, Any], client: str | None) -> None:
        clients = self._clients if client is None else {k: v for k, v in self._clients.items() if k == client}
        if not clients:
            return
        text = json.dumps({"type": event, "data": data}, default=str)
        for sid, waiting in list(clients.items()):
            if waiting.qsize() >= MAX_WAITING:
                log.warning("WebSocket %s does not read: closed", sid)
                del self._clients[sid]
                waiting.put_nowait(None)
            else:
                waiting.put_nowait(text)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        sid = request.query.get("clientId") or uuid.uuid4().hex
        waiting: asyncio.Queue[str | None] = asyncio.Queue()
        previous = self._clients.get(sid)
        if previous is not None:  # the same client again: its old connection is dead, or a tab of it
            previous.put_nowait(None)
        self._clients[sid] = waiting
        status = {"exec_info": {"queue_remaining": self.host.queue.remaining}}
        self._deliver("status", {"status": status, "sid": sid}, sid)
        running = self.host.queue.running
        if running is not None and running.client == sid:
            node = self.host.view().node.partition(" ")[0] or None
            self._deliver("executing", {"node": node, "display_node": node, "prompt_id": running.id}, sid)
        sender = asyncio.create_task(_send(socket, waiting))
        try:
            await self._receive(socket, sid)
        finally:
            sender.cancel()
            if self._clients.get(sid) is waiting:
                del self._clients[sid]
        return socket

    async def _receive(self, socket: web.WebSocketResponse, sid: str) -> None:
        """Answer the one thing that ComfyUI's clients say: what they can do."""
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                said = json.loads(message.data)
            except ValueError:
                log.debug("WebSocket %s said something that is not JSON", sid)
                continue
            if isinstance(said, dict) and said.get("type") == "feature_flags":
                self._deliver("feature_flags", {"max_upload_size": MAX_BODY}, sid)


async def _send(socket: web.WebSocketResponse, waiting: asyncio.Queue[str | None]) -> None:
    """Send what waits, in order; None closes the connection."""
    while True:
        text = await waiting.get()
        if text is None:
            await socket.close()
            return
        try:
            await socket.send_str(text)
        except (ConnectionError, RuntimeError):
            return  # the client is gone; the receiving side notices, and cleans up
