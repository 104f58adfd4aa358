"""A server that answers as Resource Gate does, with a status that the test sets."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
import time
from collections.abc import Coroutine
from typing import Any

from aiohttp import WSMsgType, web
from panel_states import GIB, ROOT, TIERS, answers, example, settings_answer

from resource_gate.settings import Settings

LEASE = 30.0
"""Seconds for which a client that asked for the status is pushed to."""


class StatusServer:
    """Serves the page, its bundle, the texts, the status, and a WebSocket; leases as the real one does.

    Runs on a thread of its own. `status` is what is told; `requests` is what was asked, as `GET /path?query`.
    """

    def __init__(self) -> None:
        self.status = example("idle")
        self.requests: list[str] = []
        self.bodies: list[tuple[str, Any]] = []
        self.freed: dict[str, Any] = {"ok": True, "freed": 1.5 * GIB, "actions": [], "deferred": None}
        self.missing = False
        self.answers: dict[str, Any] | None = None
        """What the other routes tell; None: what fits the status. Without `fleet` that route is missing."""
        self.fleet = False
        self.settings = Settings()
        self.refusal: dict[str, Any] | None = None
        self._leases: dict[str, float] = {}
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Listen; after `stop` on the same port again."""
        self._do(self._start())

    def stop(self) -> None:
        """Hang up on everybody and listen no more."""
        self._do(self._stop())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def push(self, status: dict[str, Any]) -> int:
        """Make this the status and send it to whoever holds a lease; returns to how many."""
        self.status = status
        return self.send("resource_gate.status", status)

    def send(self, event: str, data: Any) -> int:
        return self._do(self._send(event, data))

    def asked(self, start: str) -> list[str]:
        return [line for line in self.requests if line.startswith(start)]

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _send(self, event: str, data: Any) -> int:
        sent = 0
        for client, until in self._leases.items():
            socket = self._sockets.get(client)
            if until > time.monotonic() and socket is not None and not socket.closed:
                await socket.send_json({"type": event, "data": data})
                sent += 1
        return sent

    async def _start(self) -> None:
        app = web.Application(middlewares=[self._log])
        app.router.add_get("/", self._page)
        app.router.add_static("/extensions/resource-gate", ROOT / "web")
        app.router.add_get("/i18n", self._i18n)
        app.router.add_get("/ws", self._ws)
        app.router.add_get("/resource_gate/status", self._status)
        for name in ("history", "history/marks", "log", "settings", "batch", "free/costs", "fleet"):
            app.router.add_get(f"/resource_gate/{name}", self._answer)
        for name in ("free", "pause", "resume", "settings", "settings/reset"):
            app.router.add_post(f"/resource_gate/{name}", self._deed)
        for name in ("restore", "release", "retry", "stop"):
            app.router.add_post(f"/resource_gate/batch/{name}", self._deed)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        self._leases.clear()
        for socket in list(self._sockets.values()):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _log(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        if self.missing and request.path.startswith("/resource_gate/"):
            raise web.HTTPNotFound
        return await handler(request)

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(ROOT / "web" / "page.html")

    async def _i18n(self, _: web.Request) -> web.Response:
        texts = {f.parent.name: json.loads(f.read_text("utf-8")) for f in (ROOT / "locales").glob("*/main.json")}
        return web.json_response(texts)

    async def _status(self, request: web.Request) -> web.Response:
        if client := request.query.get("watch"):
            self._leases[client] = time.monotonic() + LEASE
        return web.json_response(self.status)

    async def _deed(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/json"
        deed = request.path.split("/resource_gate/", 1)[1]
        body = await request.json()
        self.bodies.append((deed, body))
        if self.refusal is not None:
            return web.json_response({"error": self.refusal}, status=400)
        if deed == "free":
            return web.json_response(answers(self.status)["free?dry"] if body.get("dry_run") else self.freed)
        if deed == "settings":
            self.settings = self._changed(body)
            return web.json_response(settings_answer(self.settings))
        if deed == "settings/reset":
            self.settings = Settings()
            return web.json_response(settings_answer(self.settings))
        if deed not in ("pause", "resume"):
            return web.json_response({"ok": True, "queued": [{"id": "n", "of": "o"}], "refused": [], "restored": []})
        state = "paused" if deed == "pause" else "open"
        since = time.time() if deed == "pause" else None
        self.status = copy.deepcopy(self.status)
        self.status["gate"] = {"state": state, "reason": "", "since": since, "until": None, "job": None}
        self.status["time"] = time.time()
        await self._send("resource_gate.status", self.status)
        return web.json_response({"ok": True})

    def _changed(self, change: dict[str, Any]) -> Settings:
        settings = self.settings.model_dump()
        for section, values in change.items():
            settings[section] |= values
            if section in self.status["resources"]:
                self.status["resources"][section]["tiers"] = {t: settings[section][t] for t in TIERS}
        return Settings.model_validate(settings)

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.path.split("/resource_gate/", 1)[1]
        found = self.answers if self.answers is not None else answers(self.status)
        if name == "settings" and self.answers is None:
            found[name] = settings_answer(self.settings)
        if name not in found or (name == "fleet" and not self.fleet):
            raise web.HTTPNotFound
        return web.json_response(found[name])

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets[request.query["clientId"]] = socket
        await socket.send_json({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}})
        async for message in socket:
            if message.type == WSMsgType.ERROR:
                break
        return socket
