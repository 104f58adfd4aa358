from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.gate.host import NodeStart
from resource_gate.monitor.readings import Level, ProcessReading
from resource_gate.reclaim.host import Place

GB = 1024**3
MB = 1024**2


def image(gigabytes):
    """A float32 array of so many bytes."""
    return SimpleNamespace(shape=(1, 1, int(gigabytes * GB) // 12, 3), dtype="float32")


def node(kind="Blur", **inputs):
    return NodeStart("job", "7", kind, inputs)


def test_with_room_for_what_is_to_come_nothing_is_done(machine):
    machine.at(80).cached = 50 * GB
    machine.brake.before_node(node(images=image(9)))
    assert machine.actions.last is None and machine.reads == 1


def test_it_acts_where_what_is_used_and_what_is_to_come_reach_critical(machine):
    machine.at(80).cached = 50 * GB
    machine.brake.before_node(node(images=image(10.01)))
    action = machine.actions.last
    assert machine.places == [Place.BETWEEN_NODES] and action.level == Level.CRITICAL
    assert action.goal == pytest.approx((80 + 10.01 - 85) * GB, abs=100)
    assert action.why == "before node 7 (Blur): RAM 80% of 100.0 GB, about 10.0 GB more to come"


def test_what_would_reach_emergency_is_treated_as_one(machine):
    machine.at(80).cached = GB
    machine.brake.before_node(node(images=image(16)))
    assert machine.actions.last.level == Level.EMERGENCY


def test_it_acts_on_the_reading_alone_too(machine):
    machine.at(91).cached = 50 * GB
    machine.brake.before_node(node(text="hello"))
    assert machine.actions.last.goal == pytest.approx(6 * GB, abs=2)
    assert "more to come" not in machine.actions.last.why


def test_at_the_warning_level_it_leaves_the_running_prompt_alone(machine):
    machine.at(89).cached = 50 * GB
    machine.brake.before_node(node())
    assert machine.actions.last is None


@pytest.mark.parametrize("tier", ["critical_free", "emergency_free"])
def test_bytes_free_count_like_shares(machine, tier):
    machine.set(ram={tier: 30 * GB}).at(69).cached = 50 * GB
    machine.brake.before_node(node(images=image(2)))
    assert machine.actions.last.goal == pytest.approx((69 + 2 - 65) * GB, abs=100)
    assert machine.actions.last.steps


@pytest.mark.parametrize("off", [{"gate": {"brake": False}}, {"reclaim": {"enabled": False}}])
def test_switched_off_it_does_not_look(machine, off):
    machine.set(**off).at(99).cached = 50 * GB
    machine.brake.before_node(node())
    assert machine.reads == 0 and machine.actions.last is None


def test_it_learns_what_a_kind_of_node_takes(machine):
    machine.at(10)
    machine.resident = ProcessReading(rss=1 * GB, peak=0, anonymous=1 * GB)
    machine.brake.before_node(node(images=image(2)))
    machine.peak.value = 9 * GB  # it grew by 8 GB: four times its arithmetic
    machine.brake.node_ended()
    machine.at(55).cached = 50 * GB
    machine.brake.before_node(node(images=image(9)))
    assert "about 39.6 GB more" in machine.actions.last.why


def test_files_mapped_by_a_node_are_not_what_it_takes(machine):
    """A model of 6 GB that is mapped in counts in the peak, and the kernel drops its pages before it kills."""
    machine.at(10)
    machine.resident = ProcessReading(rss=2 * GB, peak=0, anonymous=1 * GB)
    machine.brake.before_node(node("Loader"))
    machine.peak.value = 9 * GB
    machine.resident = ProcessReading(rss=8 * GB, peak=0, anonymous=1 * GB)
    machine.brake.node_ended()
    machine.at(89).cached = 50 * GB
    machine.brake.before_node(node("Loader"))
    assert "about 1.1 GB more" in machine.actions.last.why


def test_what_one_kind_takes_says_nothing_of_another(machine):
    machine.at(10)
    machine.brake.before_node(node(images=image(2)))
    machine.peak.value = 50 * GB
    machine.at(70).brake.before_node(node("Other", images=image(2)))
    assert machine.actions.last is None


def test_the_next_node_ends_the_one_before(machine):
    machine.at(10)
    machine.brake.before_node(node("First"))
    machine.peak.value = 20 * GB
    machine.brake.before_node(node("Second"))
    machine.at(75).cached = 50 * GB
    machine.brake.before_node(node("First"))
    assert "about 22.0 GB more" in machine.actions.last.why


def test_a_peak_that_cannot_be_told_teaches_nothing(machine):
    machine.at(10)
    machine.brake.before_node(node(images=image(2)))
    machine.peak.value = 0
    machine.brake.node_ended()
    machine.at(89).cached = 50 * GB
    machine.brake.before_node(node(images=image(2)))
    assert "about 2.0 GB" in machine.actions.last.why


def test_ended_without_a_start_is_no_error(machine):
    machine.brake.node_ended()
    machine.brake.node_ended()
    assert machine.peak.started == 0


class Worker:
    """Runs jobs of one thumbnail node each on the brake, in a process whose heap keeps what it is given back."""

    def __init__(self, machine, *, resident, free):
        self.machine, self.resident, self.free = machine, resident, free
        self._tell()

    def _tell(self):
        self.machine.clock.now += 1
        self.machine.free = self.free
        self.machine.resident = ProcessReading(rss=self.resident, peak=self.resident, anonymous=self.resident)
        self.machine.peak.value = self.resident

    def take(self, size):
        self.resident += max(0, size - self.free)
        self.free = max(0, self.free - size)
        self._tell()

    def drop(self, size):
        self.free += size
        self._tell()

    def run(self, size, *, left=0):
        """Bytes that the meter reads; `left`: outputs of an earlier prompt that go as this one begins."""
        brake = self.machine.brake
        brake.job_started()
        self.drop(left)
        brake.before_node(node("Thumbnail"))
        self.take(size)
        brake.job_ended()
        return brake.meter.ram


def test_equal_jobs_read_alike_whether_or_not_they_find_room_in_the_heap(machine):
    worker = Worker(machine, resident=900 * MB, free=0)
    assert [worker.run(36 * MB, left=36 * MB * (n > 0)) for n in range(9)] == [36 * MB] * 9
    assert worker.resident == 936 * MB, "all but the first found room, and the process did not grow"


def test_a_job_in_the_room_that_a_large_one_left_reads_as_what_it_holds_not_as_all_that_room(machine):
    worker = Worker(machine, resident=3000 * MB, free=2000 * MB)
    assert worker.run(82 * MB) == 82 * MB


def test_a_job_that_outgrows_the_room_in_the_heap_reads_as_all_of_it(machine):
    worker = Worker(machine, resident=3000 * MB, free=500 * MB)
    assert worker.run(800 * MB) == 800 * MB


def test_where_nobody_tells_what_is_free_in_the_heap_it_is_the_growth_of_the_process(machine):
    worker = Worker(machine, resident=3000 * MB, free=500 * MB)
    worker._tell = lambda: (Worker._tell(worker), setattr(machine, "free", 0))
    worker._tell()
    assert worker.run(800 * MB) == 300 * MB


def test_between_jobs_that_take_next_to_nothing_no_look_into_the_heap_may_take_long(machine):
    worker = Worker(machine, resident=900 * MB, free=0)
    worker.run(1 * MB)
    machine.worth.clear()
    worker.run(1 * MB)
    assert machine.worth and not any(machine.worth)
    worker.run(36 * MB)
    machine.worth.clear()
    worker.run(1 * MB)
    assert machine.worth and all(machine.worth)


def test_before_a_node_that_makes_much_a_look_into_the_heap_may_take_its_time(machine):
    worker = Worker(machine, resident=900 * MB, free=0)
    worker.run(1 * MB)
    machine.worth.clear()
    machine.clock.now += 1
    machine.resident = ProcessReading(rss=901 * MB, peak=901 * MB, anonymous=901 * MB)
    machine.brake.before_node(node(images=image(0.1)))
    assert machine.worth == [True]


def run_a_job(machine, *highest):
    """A job of one node a figure; each has bytes of tensors at its highest, and of weights beside them at its end."""
    machine.brake.job_started()
    for tensors, weights in highest:
        machine.brake.before_node(node(images=image(1)))
        machine.peak.value, machine.peak.vram, machine.peak.weights = GB, {0: tensors}, {0: weights}
    machine.brake.job_ended()


def test_a_jobs_peak_of_vram_is_told_with_weights_and_its_need_without(machine):
    run_a_job(machine, (3 * GB, 20 * GB), (9 * GB, 14 * GB), (2 * GB, 22 * GB))
    assert machine.brake.job_peak.vram == {0: 24 * GB}
    assert machine.brake.job_vram == 9 * GB


def test_a_model_that_an_earlier_job_loaded_is_part_of_what_a_job_needs(machine):
    run_a_job(machine, (12 * GB, 0))
    run_a_job(machine, (16 * GB, 0))
    assert machine.brake.job_vram == 16 * GB


def test_a_job_that_adds_nothing_on_the_card_needs_nothing_there(machine):
    run_a_job(machine, (12 * GB, 0))
    run_a_job(machine, (12 * GB, 0))
    assert machine.brake.job_vram == 0
