"""The event connection on a server that handles a client's id as ComfyUI does, and with a clock of its own."""

from __future__ import annotations

import pytest

from resource_gate.batch.runner.listening import Listening
from resource_gate.batch.runner.prompt import prompt_id
from resource_gate.batch.runner.sockets import SocketGone


def progress_of(run, index):
    return [told for told in run.of("progress") if told["index"] == index]


def test_between_two_prompts_the_next_connection_has_an_id_of_its_own(fake, runs, job, until):
    run = runs(fake)
    assert run(job(0)).ok
    fake.keeps_ended = True
    fake.cut()
    events = run.server.events
    until(lambda: events.next_event(0.0) is None and not events.connection)
    assert run(job(1)).ok
    fake.keeps_ended = False
    until(lambda: fake.ended)
    assert run(job(2)).ok
    assert all(progress_of(run, index) for index in range(3))
    assert len(fake.connected) == len(set(fake.connected)) == 2
    assert not run.of("note")


def test_within_a_prompt_the_connection_comes_back_under_its_id_and_is_told_more(fake, runs, job, outcome, until):
    fake.default = outcome("hold")
    run = runs(fake)
    answer = run.background(job())
    until(lambda: progress_of(run, 0))
    fake.cut()
    until(lambda: len(fake.connected) == 2)
    assert fake.ended == 1
    fake.progress(fake.sent[0], 7)
    until(lambda: any(told["value"] == 7 for told in run.of("progress")))
    fake.finish(fake.sent[0])
    assert answer().ok
    assert len(set(fake.connected)) == 1 and not run.of("note")


def test_a_connection_that_the_end_of_the_one_before_made_deaf_is_left_after_the_prompt(
    fake, runs, job, outcome, until
):
    fake.outcomes = [outcome("hold")]
    fake.keeps_ended = True
    run = runs(fake)
    answer = run.background(job(0))
    until(lambda: progress_of(run, 0))
    fake.cut()
    until(lambda: len(fake.connected) == 2)
    fake.keeps_ended = False
    until(lambda: fake.ended)
    asked = fake.asked
    until(lambda: fake.asked >= asked + 2)  # it has been seen running with that connection open
    fake.finish(fake.sent[0])
    assert answer().ok
    assert "fell silent" in run.of("note")[0]["text"]
    assert run(job(1)).ok
    assert progress_of(run, 1) and len(set(fake.connected)) == 2 and len(fake.connected) == 3


def test_a_silent_connection_is_noticed_after_the_shortest_prompt_and_said_once(fake, runs, job):
    run = runs(fake)
    fake.events = False
    assert run(job(0)).ok and run(job(1)).ok
    assert len(run.of("note")) == 1 and "fell silent" in run.of("note")[0]["text"]
    fake.events = True
    assert run(job(2)).ok
    assert progress_of(run, 2) and len(set(fake.connected)) == 3


def test_a_connection_is_not_blamed_for_a_prompt_that_another_runner_sent(fake, runs, job, options, outcome, until):
    run = runs(fake)
    id_ = prompt_id(options.batch_id, job(0).key, 1)
    fake._loop.call_soon_threadsafe(fake._run, id_, outcome("hold"))
    until(lambda: fake.running)
    answer = run.background(job(0))
    until(lambda: len(fake.connected) == 1)
    until(lambda: run.of("memory"))
    fake.finish(id_)
    assert answer().ok
    assert run(job(1)).ok
    assert not run.of("note") and len(fake.connected) == 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Openings:
    """Opens sockets that are already gone, or none."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.fails = False
        self.ended = False

    def __call__(self, url: str, client_id: str) -> Openings:
        self.ids.append(client_id)
        if self.fails:
            raise SocketGone("no")
        return self

    def receive(self, timeout: float) -> None:
        raise SocketGone("gone")

    def drain(self) -> None:
        if self.ended:
            raise SocketGone("gone")

    def close(self) -> None:
        pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def openings() -> Openings:
    return Openings()


def test_an_id_is_used_again_only_when_the_server_had_time_to_forget_it(clock, openings):
    events = Listening("http://x", openings, 2.0, clock)
    assert events.before_prompt()
    clock.now = 100.0
    assert events.next_event(1.0) is None and events.connection == 0
    clock.now = 101.9
    assert not events.within_prompt()
    clock.now = 102.0
    assert events.within_prompt() and openings.ids[0] == openings.ids[1] == events.id
    assert events.connection == 2


def test_a_connection_that_ended_while_nobody_listened_is_found_so_before_the_next_prompt(clock, openings):
    events = Listening("http://x", openings, 2.0, clock)
    assert events.before_prompt() and events.before_prompt()
    assert len(openings.ids) == 1
    openings.ended = True
    assert events.before_prompt() and events.connection == 2
    assert len(set(openings.ids)) == 2


def test_a_new_prompt_waits_for_no_old_connection(clock, openings):
    events = Listening("http://x", openings, 2.0, clock)
    events.before_prompt()
    first = events.id
    events.drop()
    assert events.before_prompt() and events.id != first


def test_openings_that_fail_are_tried_more_and_more_seldom(clock, openings):
    openings.fails = True
    events = Listening("http://x", openings, 2.0, clock)
    for second in range(200):
        clock.now = float(second)
        assert not events.before_prompt()
    assert len(openings.ids) == 9  # at 0, 1, 3, 7, 15, 31, 63, 123, 183
    events.drop()  # the server was gone, and is back
    clock.now += 1.0
    events.before_prompt()
    assert len(openings.ids) == 10
