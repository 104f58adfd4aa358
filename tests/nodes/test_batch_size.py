from __future__ import annotations

import pytest

from resource_gate.gate.batch_size import Choice, Wish
from resource_gate.nodes.batch_size import BatchSizeNode, as_wanted

GIB = 1024**3


class Sizes:
    def __init__(self):
        self.asked = []

    def choose(self, node_id, wish):
        self.asked.append((node_id, wish))
        return Choice(41, "41 need about 1.0 GB of 2.0 GB RAM")


@pytest.fixture
def sizes():
    return Sizes()


def test_it_tells_the_size_and_why_and_shows_why(sizes, context):
    told = BatchSizeNode(sizes).run(context, wanted=81, step=4, plus_one=True, keep_free=1.5)
    assert told == (41, "41 need about 1.0 GB of 2.0 GB RAM")
    assert context.shown == [told[1]] and context.checks == 1
    assert sizes.asked == [("5", Wish(81, 4, True, int(1.5 * GIB)))]


def test_it_asks_for_no_run_of_its_own(sizes, context):
    BatchSizeNode(sizes).run(context)
    assert context.again == 0


def test_its_fingerprint_is_the_size_it_would_choose(sizes):
    node = BatchSizeNode(sizes)
    assert node.fingerprint("5", wanted=81, step=4, plus_one=True, keep_free=0.0) == 41
    assert sizes.asked == [("5", Wish(81, 4, True, 0))]


def test_what_is_wanted_by_a_link_is_not_known_beforehand_and_changes_nothing(sizes):
    assert BatchSizeNode(sizes).fingerprint("5", step=1) == BatchSizeNode(sizes).fingerprint("5", step=2)
    assert sizes.asked == []


def test_where_the_extension_is_off_it_gives_what_is_wanted_in_its_steps(context):
    assert as_wanted(context, wanted=82, step=4, plus_one=True, keep_free=0.5)[0] == 81


def test_it_passes_nothing_and_its_first_output_is_the_number(sizes):
    spec = BatchSizeNode(sizes).spec
    assert not spec.passes and [(o.name, o.kind) for o in spec.outputs] == [("size", "int"), ("reason", "string")]
