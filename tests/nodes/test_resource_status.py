from __future__ import annotations

import pytest

from resource_gate.monitor.readings import DiskReading, GpuReading, Level
from resource_gate.nodes.resource_status import ResourceStatusNode, nothing_known

GB = 1024**3


def named(node, context):
    values = node.run(context)
    assert len(values) == len(node.spec.outputs)
    return dict(zip([o.name for o in node.spec.outputs], values, strict=True))


def test_it_tells_ram_the_fullest_card_and_the_tightest_disk(machine, context):
    machine.gpus = (
        GpuReading(0, "a", 6 * GB, 24 * GB, "nvml"),
        GpuReading(1, "b", 22 * GB, 24 * GB, "nvml", evictable=4 * GB),
    )
    machine.disks = (
        DiskReading("/a", ("output",), 10, 100 * GB, 50 * GB),
        DiskReading("/b", ("temp",), 10, 100 * GB, 2 * GB),
    )
    told = named(ResourceStatusNode(machine), context)
    assert (told["ram_percent"], told["ram_free_gb"]) == (50.0, 50.0)
    assert (told["vram_percent"], told["vram_free_gb"], told["disk_free_gb"]) == (75.0, 6.0, 2.0)
    assert told["text"] == "RAM 50% of 100.0 GB, VRAM 1 75% of 24.0 GB, disk 2.0 GB free, normal"
    assert context.shown == [told["text"]] and context.again == 1


def test_a_card_that_only_others_use_is_told_last(machine, context):
    other = GpuReading(1, "b", 23 * GB, 24 * GB, "nvml", in_use=False)
    machine.gpus = (GpuReading(0, "a", 6 * GB, 24 * GB, "nvml"), other)
    assert named(ResourceStatusNode(machine), context)["vram_percent"] == 25.0
    machine.gpus = (other,)
    assert named(ResourceStatusNode(machine), context)["vram_free_gb"] == 1.0


def test_without_cards_disks_or_a_sample_the_numbers_are_zero(machine, context):
    machine.sampled = False
    told = named(ResourceStatusNode(machine), context)
    assert told["text"] == "RAM 50% of 100.0 GB, normal" and told["level"] == "normal"
    assert told["vram_percent"] == told["vram_free_gb"] == told["disk_free_gb"] == 0.0


def test_with_no_monitor_the_outputs_have_the_same_kinds(machine, context):
    kinds = {"string": str, "float": float}
    for values in (nothing_known(), ResourceStatusNode(machine).run(context)):
        assert [type(v) for v in values] == [kinds[o.kind] for o in ResourceStatusNode(machine).spec.outputs]
    assert nothing_known()[1] == Level.NORMAL.label


def test_an_interrupt_goes_through(machine, context, kinds):
    context.interrupt_at = 0
    with pytest.raises(kinds.Interrupted):
        ResourceStatusNode(machine).run(context)
