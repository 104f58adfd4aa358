"""A server that speaks what a runner needs of ComfyUI's API, and does what a test tells it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

PATIENCE = 20.0
"""Seconds until a test gives up; none of them measures time."""


@dataclass
class Outcome:
    """What becomes of a prompt.

    `ok`, `error`, `hold` (until cancelled or released), `lost`, `refused`, or an HTTP status to answer it with.
    """

    kind: str = "ok"
    files: Mapping[str, bytes] = field(default_factory=dict)
    error: tuple[str, str] = ("", "")
    answers: bool = True
    """Whether the POST is answered; else its connection breaks after the prompt was queued."""


class FakeServer:
    """ComfyUI's routes on a thread of its own."""

    def __init__(self, gated: bool = True) -> None:
        self.gated = gated
        self.outcomes: list[Outcome] = []
        self.default = Outcome()
        self.running: list[str] = []
        self.pending: list[str] = []
        self.history: dict[str, Any] = {}
        self.sent: list[str] = []
        self.graphs: list[Any] = []
        self.ran: Counter[str] = Counter()
        self.files: dict[str, bytes] = {}
        self.inputs: dict[str, bytes] = {}
        self.uploads = 0
        self.frees: list[Any] = []
        self.interrupts: list[Any] = []
        self.events = True
        self.asked = 0
        """How often it was asked for its queue."""
        self.ram = [0.5]
        """Fractions of RAM in use, one a look; the last stays."""
        self.worker_alive = True
        self.broken_status = 0
        """With this HTTP status the status is answered; 0: as it should be."""
        self.restorable: dict[str, Outcome] = {}
        self.quarantined: list[dict[str, Any]] = []
        self.journalled: list[dict[str, Any]] = []
        """What its Resource Gate tells of prompts that ended."""
        self.arguments: list[str] = []
        self.clients: dict[str, str] = {}
        """Prompt → the client it was sent by, who alone hears of it."""
        self.connected: list[str] = []
        """Ids of all WebSockets there ever were, in the order of their opening."""
        self.keeps_ended = False
        """The handler of a WebSocket that has ended goes on until this is false."""
        self.ended = 0
        """Handlers that have ended."""
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._transports: list[asyncio.Transport] = []
        self._sending: set[asyncio.Future[None]] = set()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.start()

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE)

    def stop(self) -> None:
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)
            self._thread = None

    def forget(self) -> None:
        """As a restart does."""
        self.running, self.pending, self.history = [], [], {}

    def finish(self, prompt_id: str, outcome: Outcome | None = None) -> None:
        """Let a prompt that is held end."""
        self._loop.call_soon_threadsafe(self._end, prompt_id, outcome or Outcome())

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=1 << 24)
        app.add_routes(
            [
                web.get("/ws", self._websocket),
                web.get("/queue", self._get_queue),
                web.post("/queue", self._post_queue),
                web.get("/history/{id}", self._get_history),
                web.post("/prompt", self._post_prompt),
                web.post("/interrupt", self._post_interrupt),
                web.post("/free", self._post_free),
                web.get("/view", self._get_view),
                web.post("/upload/image", self._post_upload),
                web.get("/system_stats", self._get_stats),
            ]
        )
        if self.gated:
            app.add_routes(
                [
                    web.get("/resource_gate/status", self._get_status),
                    web.post("/resource_gate/free", self._post_free),
                    web.get("/resource_gate/batch", self._get_batch),
                    web.post("/resource_gate/batch/restore", self._post_restore),
                ]
            )
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        ready.set()
        await self._stop.wait()
        self.keeps_ended = False
        for one in list(self._sockets.values()):
            await one.close()
        await runner.cleanup()

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        """As ComfyUI's: who ends takes the id off, even where it is another's by then."""
        one = web.WebSocketResponse()
        await one.prepare(request)
        sid = request.query["clientId"]
        self._sockets.pop(sid, None)
        self._sockets[sid] = one
        self.connected.append(sid)
        assert request.transport is not None
        self._transports.append(request.transport)
        try:
            async for message in one:
                if message.type is WSMsgType.CLOSE:
                    break
        finally:
            while self.keeps_ended:
                await asyncio.sleep(0.005)
            self._sockets.pop(sid, None)
            self.ended += 1
        return one

    def cut(self) -> None:
        """Break the WebSockets, as a network does."""
        for transport in self._transports:
            self._loop.call_soon_threadsafe(transport.abort)
        self._transports.clear()

    def progress(self, prompt_id: str, step: int) -> None:
        """Tell a node's last step."""
        said = {"node": "1", "value": step, "max": step}
        self._loop.call_soon_threadsafe(lambda: self._tell("progress", prompt_id, **said))

    def _tell(self, kind: str, prompt_id: str, **data: Any) -> None:
        one = self._sockets.get(self.clients.get(prompt_id, ""))
        if self.events and one is not None and not one.closed:
            text = json.dumps({"type": kind, "data": {"prompt_id": prompt_id, **data}})
            task = asyncio.ensure_future(one.send_str(text))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _get_queue(self, _: web.Request) -> web.Response:
        self.asked += 1
        rows = {"queue_running": self.running, "queue_pending": self.pending}
        return web.json_response({k: [[n, i] for n, i in enumerate(v)] for k, v in rows.items()})

    async def _post_queue(self, request: web.Request) -> web.Response:
        for prompt_id in (await request.json())["delete"]:
            self.pending.remove(prompt_id)
        return web.Response()

    async def _get_history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        return web.json_response({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    async def _post_prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        outcome = self.outcomes.pop(0) if self.outcomes else self.default
        self.sent.append(body["prompt_id"])
        self.graphs.append(body["prompt"])
        self.clients[body["prompt_id"]] = body["client_id"]
        if outcome.kind.isdigit():
            return web.Response(status=int(outcome.kind), text="no luck today")
        if outcome.kind == "refused":
            wrong = {"class_type": "Make", "errors": [{"message": "Value not in list", "details": "seed: 7"}]}
            return web.json_response({"error": {"message": "no"}, "node_errors": {"1": wrong}}, status=400)
        self._run(body["prompt_id"], outcome)
        if not outcome.answers:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"prompt_id": body["prompt_id"], "number": 1, "node_errors": {}})

    def _run(self, prompt_id: str, outcome: Outcome) -> None:
        if outcome.kind == "lost":
            return
        self.ran[prompt_id] += 1
        (self.pending if self.running else self.running).append(prompt_id)
        self._tell("executing", node="1", prompt_id=prompt_id)
        if outcome.kind != "hold":
            self._loop.call_later(0.01, self._end, prompt_id, outcome)

    def _end(self, prompt_id: str, outcome: Outcome) -> None:
        for queue in (self.running, self.pending):
            if prompt_id in queue:
                queue.remove(prompt_id)
        messages: list[Any] = []
        if outcome.kind == "error":
            told = dict(zip(("exception_type", "exception_message"), outcome.error, strict=True))
            messages = [["execution_error", {"node_id": "1", "node_type": "Make", **told}]]
        elif outcome.kind == "interrupted":
            messages = [["execution_interrupted", {"node_id": "1", "node_type": "Make"}]]
        made = dict(outcome.files) or {"made.txt": b"done"}
        self.files.update(made)
        listed = [{"filename": Path(n).name, "subfolder": n.rpartition("/")[0], "type": "output"} for n in made]
        self.history[prompt_id] = {
            "outputs": {"9": {"images": listed}} if outcome.kind == "ok" else {},
            "status": {"status_str": "success" if outcome.kind == "ok" else "error", "messages": messages},
        }
        self._tell("executing", node=None, prompt_id=prompt_id)

    async def _post_interrupt(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.interrupts.append(body)
        if body["prompt_id"] in self.running:
            self._end(body["prompt_id"], Outcome("interrupted"))
        return web.Response()

    async def _post_free(self, request: web.Request) -> web.Response:
        self.frees.append(await request.json())
        return web.json_response({"ok": True, "freed": 1, "actions": [], "deferred": None})

    async def _get_view(self, request: web.Request) -> web.Response:
        query = request.query
        name = "/".join(part for part in (query.get("subfolder", ""), query["filename"]) if part)
        data = (self.inputs if query.get("type") == "input" else self.files).get(name)
        return web.Response(status=404) if data is None else web.Response(body=data)

    async def _post_upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form["image"]
        assert isinstance(file, web.FileField) and form["overwrite"] == "true" and form["type"] == "input"
        self.uploads += 1
        self.inputs[f"{form['subfolder']}/{file.filename}"] = file.file.read()
        return web.json_response({"name": file.filename, "subfolder": form["subfolder"], "type": "input"})

    def _fraction(self) -> float:
        return self.ram.pop(0) if len(self.ram) > 1 else self.ram[0]

    async def _get_status(self, _: web.Request) -> web.Response:
        if self.broken_status:
            return web.Response(status=self.broken_status)
        share = self._fraction()
        level = "critical" if share >= 0.9 else "warning" if share >= 0.85 else "normal"
        ram = {"used": int(share * 1000), "limit": 1000, "fraction": share, "level": level}
        told = {"level": level, "resources": {"ram": ram}, "worker_alive": self.worker_alive, "gate": {"state": "open"}}
        return web.json_response({**told, "batch": {"restorable": len(self.restorable)}, "last_action": None})

    async def _get_batch(self, _: web.Request) -> web.Response:
        return web.json_response({"jobs": self.journalled, "quarantined": self.quarantined})

    async def _post_restore(self, request: web.Request) -> web.Response:
        ids = [i for i in (await request.json())["ids"] if i in self.restorable]
        for prompt_id in ids:
            self._run(prompt_id, self.restorable.pop(prompt_id))
        return web.json_response({"restored": ids, "refused": []})

    async def _get_stats(self, _: web.Request) -> web.Response:
        system = {"ram_total": 1000, "ram_free": 1000 - int(1000 * self._fraction()), "argv": self.arguments}
        return web.json_response({"system": system, "devices": [{"type": "cpu", "vram_total": 1, "vram_free": 0}]})
