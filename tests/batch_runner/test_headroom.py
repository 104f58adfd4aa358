"""Whether a stock server has room for a job, and what the runner does where it has not."""

from __future__ import annotations

import pytest

from resource_gate.batch.needs.learned_need import LearnedNeed
from resource_gate.batch.runner.headroom import Headroom
from resource_gate.batch.runner.health import Health

GIB = 1024**3


def health(used: float, limit: float = 16, gated: bool = False) -> Health:
    return Health(gated, used=int(used * GIB), limit=int(limit * GIB))


@pytest.fixture
def clip(job):
    """A job whose picture batch takes so many GiB."""

    def make(gib: float, index: int = 0):
        made = job(index)
        frames = int(gib * GIB) // (1024 * 1024 * 3 * 4)
        made.graph["1"]["inputs"] |= {"width": 1024, "height": 1024, "length": frames}
        return made

    return make


@pytest.fixture
def headroom():
    return Headroom(LearnedNeed(probe=lambda _: None))


def test_before_anything_ran_arithmetic_tells_whether_a_job_has_room(headroom, clip):
    assert not headroom.lacks(clip(4), health(used=8))
    assert headroom.lacks(clip(4), health(used=10))  # 10 and 4 × 1.2 of 14.4


def test_what_the_server_keeps_for_the_next_job_of_the_same_kind_is_not_counted_twice(headroom, clip):
    headroom.learn(clip(4), health(used=8), int(12.5 * GIB))
    headroom.learn(clip(4, 1), health(used=9), int(12.5 * GIB))
    assert not headroom.lacks(clip(4, 2), health(used=9.5))
    assert headroom.lacks(clip(6, 3), health(used=9.5))


def test_what_went_well_from_there_before_is_not_freed_for_again(headroom, clip):
    assert headroom.lacks(clip(4), health(used=13))
    headroom.learn(clip(4), health(used=13.5), int(14 * GIB))
    assert not headroom.lacks(clip(4, 1), health(used=13)) and not headroom.lacks(clip(3, 2), health(used=13.5))
    assert headroom.lacks(clip(4, 3), health(used=14)) and headroom.lacks(clip(5, 4), health(used=13))


def test_a_server_with_resource_gate_reckons_by_itself(headroom, clip):
    assert not headroom.lacks(clip(99), health(used=10, gated=True))
    headroom.learn(clip(4), health(used=1, gated=True), 15 * GIB)
    assert not headroom.lacks(clip(4), health(used=1))


def test_a_server_that_does_not_tell_its_memory_is_given_the_job(headroom, clip):
    assert not headroom.lacks(clip(99), Health(False))
    headroom.learn(clip(4), Health(False), None)


class Needs:
    """Knows that each job takes so much."""

    def __init__(self, need: int) -> None:
        self.need = need

    def __call__(self, job) -> int:
        return self.need

    def size(self, job) -> tuple[str, int]:
        return "kind", 1

    def learn(self, job, grew: int) -> None:
        self.grew = grew


def test_a_stock_server_without_room_for_the_next_job_is_freed_and_waited_for(stock, runs, job):
    stock.ram = [0.7, 0.6, 0.5]
    run = runs(stock, release="never")
    run.server.headroom = Headroom(Needs(300))
    assert run(job()).ok
    assert stock.frees == [{"unload_models": True, "free_memory": True}]
    assert run.of("waiting")[0]["reason"].endswith("would come to its critical level with it, RAM at 70%")


def test_with_room_nothing_is_freed_and_what_the_job_took_is_learned(stock, runs, job):
    stock.ram = [0.5, 0.8]
    run = runs(stock, release="never")
    needs = Needs(300)
    run.server.headroom = Headroom(needs)
    assert run(job()).ok
    assert stock.frees == [] and needs.grew >= 0


def test_a_stock_server_that_gives_nothing_back_gets_the_job_all_the_same(stock, runs, job):
    stock.ram = [0.7]
    run = runs(stock, release="never", settle=3600.0)
    run.server.headroom = Headroom(Needs(900))
    assert run(job()).ok
    assert len(stock.frees) == 1
