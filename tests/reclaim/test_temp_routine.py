from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from resource_gate.monitor.readings import Level, Sample, TempReading
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import Place
from resource_gate.reclaim.temp import TempCleaner
from resource_gate.reclaim.temp_routine import EVERY, TempRoutine, on_a_thread
from resource_gate.reclaim.temp_rung import PAUSE
from resource_gate.settings import Settings, changed


class World:
    """The routine with its surroundings; threads are a list of work that a test runs."""

    def __init__(self, host, clock):
        self.host, self.clock = host, clock
        self.settings = Settings()
        self.actions = ActionLog()
        self.started = []
        self.start = self.started.append
        self.then = time.time() + 7200
        self.cleaner = TempCleaner(host, lambda: self.settings.reclaim, now=lambda: self.then, clock=clock)
        self.routine = TempRoutine(
            self.cleaner,
            host,
            self.actions,
            lambda: self.settings,
            start=lambda work: self.start(work),
            clock=clock,
            wall=lambda: 77.0,
        )

    def change(self, **reclaim):
        self.settings = changed(self.settings, {"reclaim": reclaim})

    def sample(self, temp_bytes=0, **levels):
        now = self.clock.now
        temp = TempReading("/temp", temp_bytes, 1)
        self.routine.on_sample(Sample(at=now, time=now, temp=temp, levels=levels))

    def run_threads(self):
        started, self.started[:] = list(self.started), []
        for work in started:
            work()
        return len(started)

    def clean_once(self, place=Place.BETWEEN_PROMPTS):
        self.run_threads()
        self.host.at_boundary(place)
        self.run_threads()


@pytest.fixture
def world(temp_host, clock):
    return World(temp_host, clock)


@pytest.fixture
def old(temp_host):
    file = temp_host.temp / "old.png"
    file.write_bytes(b"x" * 100)
    return file


def test_where_no_thread_can_be_had_for_want_of_memory_it_is_tried_again(world, old):
    def none(work):
        raise RuntimeError("can't start new thread")

    world.start = none
    world.sample(ram=Level.EMERGENCY)
    world.start = world.started.append
    world.sample(ram=Level.EMERGENCY)
    world.clean_once()
    assert not old.exists()


def test_expired_files_go_after_ten_minutes_and_one_line_tells_it(world, old, caplog):
    with caplog.at_level(logging.INFO):
        world.sample()
        assert not world.started
        world.clock.now += EVERY
        world.sample()
        world.clean_once()
    assert not old.exists()
    [action] = world.actions.all()
    assert action.resource == "disk_temp" and action.freed == 100 and action.time == 77.0
    text = "temp folder, looked at every 10 minutes: removed 1 old temp file (100 bytes); 100 bytes freed in 0 ms"
    assert action.text == text
    assert [r.message for r in caplog.records] == [text]


def test_the_sampler_thread_touches_no_file(world, old):
    world.clock.now += EVERY
    world.host.error = AssertionError("files were looked at on the sampler's thread")
    world.sample(ram=Level.EMERGENCY)
    assert len(world.started) == 1 and old.exists()


def test_nothing_is_told_where_nothing_was_removed(world):
    world.clock.now += EVERY
    world.sample()
    assert world.run_threads() == 1
    assert not world.host.work and not world.actions.all()


def test_between_two_looks_at_rest_lie_ten_minutes(world):
    world.clock.now += EVERY
    world.sample()
    world.run_threads()
    world.clock.now += EVERY - 1
    world.sample()
    assert not world.started
    world.clock.now += 1
    world.sample()
    assert world.started


@pytest.mark.parametrize("resource", ["ram", "disk_output", "disk_temp"])
def test_a_warning_calls_at_once_and_then_once_a_minute(world, old, resource):
    world.sample(**{resource: Level.WARNING})
    world.clean_once()
    assert not old.exists()
    [action] = world.actions.all()
    assert action.level == Level.WARNING and "warning: removed 1 old temp file" in action.text
    world.clock.now += PAUSE - 1
    world.sample(**{resource: Level.CRITICAL})
    assert not world.started
    world.clock.now += 1
    world.sample(**{resource: Level.CRITICAL})
    assert world.started


def test_a_full_gpu_or_a_busy_processor_is_no_reason(world, old):
    world.sample(vram0=Level.EMERGENCY, cpu=Level.CRITICAL)
    assert not world.started


def test_a_folder_above_its_cap_is_a_reason(world, old):
    world.change(temp_cap=50)
    world.sample(temp_bytes=50)
    assert not world.started
    world.sample(temp_bytes=51)
    world.clean_once()
    assert not old.exists()
    assert world.actions.last.text.startswith("temp folder 51 bytes, its cap is 50 bytes: removed 1")


def test_at_rest_it_waits_for_a_moment_between_two_prompts(world, old):
    world.clock.now += EVERY
    world.sample()
    world.run_threads()
    for _ in range(3):
        world.host.at_boundary(Place.BETWEEN_NODES)
    assert old.exists() and not world.started and not world.host.released
    world.host.at_boundary(Place.BETWEEN_PROMPTS)
    world.run_threads()
    assert not old.exists()


def test_where_something_is_short_a_moment_between_two_nodes_will_do(world, old):
    world.sample(disk_output=Level.WARNING)
    world.clean_once(Place.BETWEEN_NODES)
    assert not old.exists()


def test_a_run_that_waits_patiently_is_hurried_by_a_warning(world, old):
    world.clock.now += EVERY
    world.sample()
    world.run_threads()
    world.host.at_boundary(Place.BETWEEN_NODES)
    world.sample(ram=Level.WARNING)
    assert not world.started, "one run at a time"
    world.host.at_boundary(Place.BETWEEN_NODES)
    world.run_threads()
    assert not old.exists()


def test_what_cached_outputs_lead_to_stays(world, old):
    world.host.held = {str(old)}
    world.sample(ram=Level.WARNING)
    world.clean_once()
    assert old.exists() and not world.actions.all()


def test_a_file_referenced_while_the_worker_was_waited_for_stays(world, old):
    world.sample(ram=Level.WARNING)
    world.run_threads()
    world.host.referenced = {old}
    world.host.at_boundary(Place.BETWEEN_PROMPTS)
    world.run_threads()
    assert old.exists()


def test_a_dry_run_lists_what_would_go_once_and_removes_nothing(world, old, temp_host):
    world.change(dry_run=True)
    for _ in range(2):
        world.clock.now += EVERY
        world.sample()
        world.run_threads()
    assert old.exists() and not world.host.work
    [action] = world.actions.all()
    assert action.dry_run and world.actions.freed == 0
    assert action.text.endswith("would have tried: removing 1 old temp files (100 bytes): old.png")
    (temp_host.temp / "another.png").write_bytes(b"x")
    world.clock.now += EVERY
    world.sample()
    world.run_threads()
    assert "another.png" in world.actions.last.text


@pytest.mark.parametrize("off", [{"enabled": False}, {"temp_clean": False}])
def test_switched_off_it_does_nothing(world, old, off):
    world.change(**off)
    world.clock.now += EVERY
    world.sample(ram=Level.EMERGENCY, disk_output=Level.EMERGENCY)
    assert not world.started


def test_a_failure_is_told_once_and_the_next_look_goes_on(world, old, caplog):
    world.host.error = KeyError("a queue of another shape")
    for _ in range(2):
        world.clock.now += EVERY
        world.sample()
        world.run_threads()
    assert [r.levelname for r in caplog.records] == ["WARNING"] and old.exists()
    world.host.error = None
    world.clock.now += EVERY
    world.sample()
    world.clean_once()
    assert not old.exists()


def test_empty_folders_alone_are_told_too(world, temp_host):
    (temp_host.temp / "left behind").mkdir()
    world.sample(ram=Level.WARNING)
    world.clean_once()
    assert list(Path(temp_host.temp).iterdir()) == []
    assert "removed 1 empty folder" in world.actions.last.text


def test_it_works_on_a_daemon_thread_that_ends():
    import threading

    seen = []
    done = threading.Event()

    def work():
        seen.append(threading.current_thread())
        done.set()

    on_a_thread(work)
    assert done.wait(10)
    seen[0].join(10)
    assert seen[0].daemon and seen[0] is not threading.current_thread() and not seen[0].is_alive()
