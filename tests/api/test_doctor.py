"""`GET doctor` asks for the report away from the event loop."""

from __future__ import annotations

import threading

from resource_gate.api.doctor import DoctorRoute


async def test_the_report_is_made_in_a_thread_and_answered_as_it_is(serving):
    made_on = []

    def report():
        made_on.append(threading.current_thread())
        return {"version": "1"}

    async with serving(DoctorRoute(report)) as client:
        answer = await client.get("/resource_gate/doctor")
        assert answer.status == 200 and await answer.json() == {"version": "1"}
    assert made_on[0] is not threading.current_thread()


async def test_a_driver_that_hangs_takes_one_thread_however_many_ask_and_that_is_told(serving):
    began, go_on = [], threading.Event()

    def report():
        began.append(1)
        go_on.wait(30)
        return {"version": "1"}

    async with serving(DoctorRoute(report, patience=0.05)) as client:
        answers = [await client.get("/resource_gate/doctor") for _ in range(5)]
        assert [a.status for a in answers] == [503] * 5
        assert "gave no answer" in (await answers[0].json())["error"]["message"]
        assert began == [1]
        go_on.set()


async def test_a_report_that_fails_is_told_and_made_anew_the_next_time(serving):
    def report():
        made.append(1)
        if len(made) == 1:
            raise RuntimeError("no")
        return {"version": "2"}

    made = []
    async with serving(DoctorRoute(report)) as client:
        assert (await client.get("/resource_gate/doctor")).status == 500
        assert await (await client.get("/resource_gate/doctor")).json() == {"version": "2"}
