from __future__ import annotations

import pytest

from resource_gate.monitor.readings import DiskReading, GpuReading, Level
from resource_gate.nodes.resource_gate import FREE_AGAIN, LOOK, ResourceGateClosed, ResourceGateNode, describe
from resource_gate.reclaim.host import Place

GB = 1024**3


@pytest.fixture
def gate(machine):
    return ResourceGateNode(machine.watched, machine, clock=machine.clock, sleep=machine.sleep)


def test_with_enough_of_everything_it_opens_at_once_and_asks_to_run_again(gate, machine, context):
    gate.run(context)
    assert context.shown == ["open"] and context.again == 1
    assert machine.slept == [] and machine.places == []


def test_it_frees_first_and_needs_no_waiting_where_that_is_enough(gate, machine, context):
    machine.percent, machine.gives = 92, 10
    gate.run(context)
    assert machine.slept == [] and context.shown == ["open; freed 10.0 GB"]
    assert machine.places == [("ram", Place.BETWEEN_NODES, Level.CRITICAL)]
    assert machine.actions.last.goal == pytest.approx(7 * GB, abs=2)


def test_it_waits_while_memory_falls_and_says_how_long_and_why(gate, machine, context):
    machine.percent, machine.falls = 90, 1.0
    gate.run(context)
    assert machine.now == pytest.approx(5.0, abs=0.2)
    assert context.shown[0] == "waiting 0 of 60 s: RAM is at 90% of 100.0 GB (limit 85 %)"
    assert context.shown[-1].startswith("open after 5.")
    assert [text.partition(":")[0] for text in context.shown[:-1]] == [f"waiting {n} of 60 s" for n in range(5)]
    assert [round(value) for value, _ in context.bar] == [0, 1, 2, 3, 4, 60]
    assert {total for _, total in context.bar} == {60}


def test_while_it_waits_it_tells_what_it_has_freed(gate, machine, context):
    machine.percent, machine.gives = 99, 10
    gate.run(context, wait_seconds=3)
    assert context.shown[0] == "waiting 0 of 3 s: RAM is at 89% of 100.0 GB (limit 85 %); freed 10.0 GB"
    assert context.shown[-1] == "went on after 3 s: RAM is at 89% of 100.0 GB (limit 85 %); freed 10.0 GB"


def test_at_the_limit_itself_it_lets_pass(gate, machine, context):
    machine.percent = 85
    gate.run(context)
    assert context.shown == ["open"]


def test_an_interrupt_is_noticed_within_a_look(gate, machine, context, kinds):
    machine.percent = 99
    context.interrupt_at = 10
    with pytest.raises(kinds.Interrupted):
        gate.run(context, wait_seconds=86400)
    assert max(machine.slept) <= LOOK


def test_an_interrupt_counts_even_where_nothing_is_short(gate, context, kinds):
    context.interrupt_at = 0
    with pytest.raises(kinds.Interrupted):
        gate.run(context)


def test_at_the_time_out_it_goes_on_and_says_so(gate, machine, context):
    machine.percent = 99
    gate.run(context, wait_seconds=3)
    assert machine.now == pytest.approx(3)
    assert context.shown[-1] == "went on after 3 s: RAM is at 99% of 100.0 GB (limit 85 %)"


def test_at_the_time_out_it_fails_where_that_was_set_and_says_what_to_do(gate, machine, context):
    machine.percent = 99
    with pytest.raises(ResourceGateClosed, match=r"node 5.*waited 3 s.*RAM is at 99%.*on_timeout"):
        gate.run(context, wait_seconds=3, on_timeout="fail")


def test_no_wait_means_free_once_and_decide(gate, machine, context):
    machine.percent, machine.gives = 99, 1
    gate.run(context, wait_seconds=0)
    assert len(machine.places) == 1 and machine.slept == []


def test_it_frees_again_every_few_seconds_not_at_every_look(gate, machine, context):
    machine.percent = 99
    gate.run(context, wait_seconds=int(4 * FREE_AGAIN))
    assert len(machine.places) == pytest.approx(5, abs=1)


def test_vram_counts_without_what_comfyui_can_free_itself(gate, machine, context):
    machine.gpus = (GpuReading(1, "card", 24 * GB, 24 * GB, "nvml", freeable=20 * GB),)
    gate.run(context)
    assert context.shown == ["open"]
    machine.gpus = (GpuReading(1, "card", 24 * GB, 24 * GB, "nvml", freeable=None),)
    gate.run(context, wait_seconds=0)
    assert machine.places == [("vram1", Place.BETWEEN_NODES, Level.CRITICAL)]
    assert "VRAM 1 is at 100% of 24.0 GB (limit 95 %)" in context.shown[-1]


def test_a_card_that_only_others_use_holds_nobody_up(gate, machine, context):
    machine.gpus = (GpuReading(1, "card", 24 * GB, 24 * GB, "nvml", in_use=False),)
    gate.run(context)
    assert context.shown == ["open"] and machine.places == []


def test_a_card_that_tells_no_total_is_left_out(gate, machine, context):
    machine.gpus = (GpuReading(0, "card", 5, 0, "torch"),)
    gate.run(context)
    assert context.shown == ["open"]


def test_too_little_disk_is_short_too(gate, machine, context):
    machine.disks = (DiskReading("/out", ("output", "temp"), 99 * GB, 100 * GB, GB // 2),)
    gate.run(context, wait_seconds=0, free_disk_gb=2.0)
    assert machine.places == [("disk_output", Place.BETWEEN_NODES, Level.WARNING)]
    assert "disk (output, temp) has 512 MB left (limit 2 GB)" in context.shown[-1]


def test_all_reasons_are_told_together(gate, machine, context):
    machine.percent = 99
    machine.disks = (DiskReading("/out", ("output",), 99 * GB, 100 * GB, 0),)
    gate.run(context, wait_seconds=0)
    assert "RAM" in context.shown[-1] and "disk" in context.shown[-1]


def test_before_the_first_sample_ram_alone_decides(gate, machine, context):
    machine.sampled = False
    gate.run(context)
    assert context.shown == ["open"]


def test_the_widgets_are_the_arguments_with_the_same_defaults(gate, machine, context):
    spec = describe(gate.run)
    assert spec.id == "ResourceGate"
    gate.spec.run(context, **{w.name: w.default for w in spec.widgets})
    assert context.shown == ["open"]
