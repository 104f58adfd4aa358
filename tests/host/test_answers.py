"""The answer to a queued prompt waits for the disk; nothing else does."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from resource_gate.host.answers import hold_answers


def served(on_disk, ask):
    """Run `ask(client)` against a server whose answers wait for `on_disk`."""

    async def run():
        async def answer(request):
            return web.json_response({"prompt_id": "a"})

        app = web.Application()
        app.router.add_post("/prompt", answer)
        app.router.add_post("/api/prompt", answer)
        app.router.add_get("/prompt", answer)
        assert hold_answers(app, on_disk)
        async with TestClient(TestServer(app)) as client:
            await ask(client)
            assert not hold_answers(app, on_disk)  # it serves by now

    asyncio.run(run())


def test_a_client_hears_of_its_prompt_when_it_is_on_the_disk_and_others_need_not_wait():
    on_disk = asyncio.Event()

    async def ask(client):
        for path in ("/prompt", "/api/prompt"):
            on_disk.clear()
            waiting = asyncio.ensure_future(client.post(path))
            assert (await client.get("/prompt")).status == 200
            assert not waiting.done()
            on_disk.set()
            assert (await (await waiting).json()) == {"prompt_id": "a"}

    served(on_disk.wait, ask)


def test_a_disk_that_fails_keeps_no_answer_back():
    async def on_disk():
        raise OSError("no disk")

    async def ask(client):
        assert (await client.post("/prompt")).status == 200

    served(on_disk, ask)


def test_what_is_no_such_server_is_told():
    async def on_disk():
        return None

    assert not hold_answers(None, on_disk)
