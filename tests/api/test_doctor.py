"""`GET doctor` asks for the report away from the event loop."""

from __future__ import annotations

import threading

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from resource_gate.api.doctor import DoctorRoute


async def test_the_report_is_made_in_a_thread_and_answered_as_it_is():
    made_on = []

    def report():
        made_on.append(threading.current_thread())
        return {"version": "1"}

    table = web.RouteTableDef()
    DoctorRoute(report).add_to(table)
    app = web.Application()
    app.add_routes(table)
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/resource_gate/doctor")
        assert answer.status == 200 and await answer.json() == {"version": "1"}
    assert made_on[0] is not threading.current_thread()
