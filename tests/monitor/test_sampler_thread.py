"""The sampler's own thread, and the real one on this machine."""

from __future__ import annotations

import threading

from resource_gate.monitor.build import build_sampler
from resource_gate.monitor.readers import Readers
from resource_gate.monitor.readings import GpuReading, Level
from resource_gate.monitor.sampler import Sampler
from resource_gate.settings import Monitor, Settings

from .sampled import GIB, LONG, MIB, Ram


def test_the_thread_samples_and_ends(ram, heard):
    sampler = Sampler(Readers(ram=ram), Settings())
    sampler.listen(heard)
    assert not sampler.running
    sampler.start()
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    assert sampler.running
    assert heard.thread.daemon
    sampler.stop(LONG)
    assert not heard.thread.is_alive()
    assert not sampler.running
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    sampler.stop(LONG)


def test_a_running_thread_hears_at_once_of_new_settings_a_watcher_and_another_level(heard):
    ram = Ram(GIB, 64 * GIB)
    sampler = Sampler(Readers(ram=ram), Settings(monitor=Monitor(interval=60.0, interval_watched=60.0)))
    sampler.listen(heard)
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    sampler.apply(Settings(monitor=Monitor(interval=60.0, interval_watched=59.0)))
    assert heard.some.acquire(timeout=LONG)
    sampler.watched = True
    assert heard.some.acquire(timeout=LONG)
    ram.used = 63 * GIB
    sampler.sample()
    assert heard.some.acquire(timeout=LONG)
    sampler.stop(LONG)
    assert heard[-1].levels["ram"] is Level.EMERGENCY


def test_a_listener_may_stop_the_sampler(ram, heard):
    sampler = Sampler(Readers(ram=ram), Settings())
    sampler.listen(lambda sample: sampler.stop())
    sampler.listen(heard)
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    heard.thread.join(LONG)
    assert not heard.thread.is_alive()


def test_the_real_sampler_tells_of_this_machine(tmp_path, heard):
    (tmp_path / "temp").mkdir()
    (tmp_path / "temp/a").write_bytes(b"x" * 10)
    sampler = build_sampler(
        Settings(),
        temp=tmp_path / "temp",
        output=tmp_path,
        database=None,
        torch_memory=lambda: [GpuReading(0, "torch's", 1, 2, "torch")],
    )
    sampler.listen(heard)
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    for _ in range(int(LONG / 0.01)):
        sample = sampler.sample()
        if sample.temp and sample.gpus and sample.disks:  # each told by a thread of its own
            break
        threading.Event().wait(0.01)
    sampler.stop(LONG)
    assert 0 < sample.ram.used < sample.ram.limit
    assert sample.process.rss > 10 * MIB
    assert [d.roles for d in sample.disks] == [("output", "temp")]
    assert (sample.temp.bytes, sample.temp.files) == (10, 1)
    assert sample.gpus
    assert sample.problems == {}


def test_without_folders_and_torch_there_are_no_readers_for_them():
    readers = build_sampler(Settings(), temp=None, output=None, database=None).readers
    assert (readers.temp, readers.disks, readers.torch) == (None, None, None)
