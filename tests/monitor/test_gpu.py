from __future__ import annotations

from resource_gate.monitor.gpu import merged
from resource_gate.monitor.readings import GpuReading

GIB = 1024**3


def driver(index, uuid, used=10 * GIB, total=24 * GIB):
    return GpuReading(index, f"NVIDIA {uuid}", used, total, "nvml", temperature=60.0, uuid=uuid)


def torch(index, uuid=None, used=4 * GIB, total=24 * GIB, freeable=3 * GIB):
    return GpuReading(index, f"cuda {index}", used, total, "torch", freeable=freeable, uuid=uuid)


def test_without_torch_the_drivers_list_stands():
    cards = (driver(0, "GPU-a"), driver(1, "GPU-b"))
    assert merged(cards, None) == cards


def test_where_torch_has_no_card_the_drivers_are_all_used_by_others_only():
    """ComfyUI with `--cpu`, on a machine whose card another program fills."""
    [card] = merged([driver(0, "GPU-a")], ())
    assert not card.in_use and card.used == 10 * GIB


def test_without_a_driver_torchs_list_stands():
    cards = [torch(0), torch(1)]
    assert merged((), cards) == tuple(cards)


def test_one_card_has_the_drivers_figures_and_what_comfyui_could_free():
    [card] = merged([driver(0, "GPU-a")], [torch(0, "a")])
    assert (card.used, card.freeable, card.source, card.temperature) == (10 * GIB, 3 * GIB, "nvml", 60.0)


def test_of_what_gives_way_by_itself_torch_tells_and_the_driver_of_what_is_used():
    told = torch(0, "a")._replace(evictable=8 * GIB)
    [card] = merged([driver(0, "GPU-a")], [told])
    assert (card.used, card.evictable, card.working_set) == (10 * GIB, 8 * GIB, 2 * GIB)


def test_a_working_set_is_never_below_nothing():
    """The two sources look at different moments."""
    assert torch(0, used=3 * GIB)._replace(evictable=4 * GIB).working_set == 0


def test_the_order_is_torchs_where_it_names_its_cards():
    cards = merged([driver(0, "GPU-a", used=1), driver(1, "GPU-B", used=2)], [torch(0, "b"), torch(1, "A")])
    assert [(c.index, c.used) for c in cards] == [(0, 2), (1, 1)]


def test_cards_without_a_name_match_by_place_and_size():
    cards = merged([driver(0, "GPU-a", total=24 * GIB)], [torch(0, total=int(23.6 * GIB))])
    assert cards[0].source == "nvml"


def test_a_card_of_another_size_is_another_card():
    cards = merged([driver(0, "GPU-a", total=24 * GIB)], [torch(0, total=12 * GIB)])
    assert cards[0].source == "torch"


def test_a_card_that_torch_does_not_show_is_not_comfyuis():
    cards = merged([driver(0, "GPU-a"), driver(1, "GPU-b")], [torch(0, "b")])
    assert [(c.index, c.uuid) for c in cards] == [(0, "GPU-b")]


def test_whether_a_card_is_in_use_only_torch_can_tell():
    cards = merged([driver(0, "GPU-a"), driver(1, "GPU-b")], [torch(0, "a"), torch(1, "b")._replace(in_use=False)])
    assert [(c.in_use, c.used) for c in cards] == [(True, 10 * GIB), (False, 10 * GIB)]


def test_where_the_driver_tells_no_memory_torchs_stands_beside_the_drivers_temperature():
    [card] = merged([driver(0, "GPU-a", used=0, total=0)], [torch(0, "a", used=7 * GIB, total=120 * GIB)])
    assert (card.used, card.total, card.source, card.temperature) == (7 * GIB, 120 * GIB, "torch", 60.0)
