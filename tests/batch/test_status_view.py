"""What `resource-gate status` says of jobs that were set aside."""

from __future__ import annotations

import pytest

from resource_gate.batch.status_view import aside_text, status_lines

GIB = 1024**3

JOB = {
    "id": "a1",
    "title": "clip",
    "deaths": 2,
    "node": "7 Greedy",
    "peak_ram": 2 * GIB,
    "peak_vram": {"vram0": GIB},
    "error": "the process died while it ran",
}

STATUS = {
    "version": "1",
    "host": {"name": "ComfyUI", "version": "0.33.0"},
    "level": "normal",
    "resources": {},
    "process": None,
    "temp": None,
    "worker_alive": True,
    "gate": {"state": "open", "reason": ""},
    "queue": {"running": [], "pending": 0, "node": ""},
    "batch": {"done": 1, "total": 2, "failed": 0, "eta_seconds": None, "quarantined": 1, "set_aside": [JOB]},
    "last_action": None,
    "degraded": {},
    "monitor": {"problems": {}},
}


def test_a_job_set_aside_is_told_with_its_deaths_its_node_its_peak_and_the_way_out():
    text = "\n".join(status_lines(STATUS))
    assert "clip (a1): the process died 2 times with it at node 7 Greedy, peak RAM 2.0 GB, VRAM0 1.0 GB" in text
    assert "POST /resource_gate/batch/release" in text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"title": ""}, "a1: the process died 2 times with it at node 7 Greedy, peak RAM 2.0 GB, VRAM0 1.0 GB"),
        ({"deaths": 1, "node": ""}, "clip (a1): the process died once with it, peak RAM 2.0 GB, VRAM0 1.0 GB"),
        ({"peak_ram": None, "peak_vram": {}}, "clip (a1): the process died 2 times with it at node 7 Greedy"),
    ],
)
def test_what_is_not_known_of_it_is_left_out(change, text):
    assert aside_text({**JOB, **change}) == text


def test_with_nothing_set_aside_nothing_is_said_of_it():
    batch = {**STATUS["batch"], "quarantined": 0, "set_aside": []}
    assert "set aside" not in "\n".join(status_lines({**STATUS, "batch": batch}))
