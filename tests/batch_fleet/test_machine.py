from __future__ import annotations

from resource_gate.batch.answers import QueueState
from resource_gate.batch.errors import RequestRefused, ServerGone, ServerSilent
from resource_gate.batch.fleet.machine import DOWN, ILL, UP, Reading, look

STATUS = {
    "level": "warning",
    "resources": {
        "ram": {"used": 90, "limit": 100, "tiers": {"warning": 0.8, "critical": 0.95, "emergency": 0.97}},
        "vram0": {"used": 3, "limit": 8, "name": "card"},
        "cpu": {"used": 1.0, "limit": 2},
    },
    "process": {"rss": 40, "peak": 60},
    "worker_alive": True,
    "gate": {"state": "open", "reason": ""},
    "queue": {"running": ["id"], "pending": 0, "node": "12 ImageScale", "progress": 0.5},
}
STATS = {
    "system": {"ram_total": 100, "ram_free": 8},
    "devices": [
        {"type": "cpu", "name": "cpu", "vram_total": 100, "vram_free": 8},
        {"type": "cuda", "name": "card", "vram_total": 24, "vram_free": 20},
    ],
}


class Server:
    url = "http://a"

    def __init__(self, status=None, stats=None):
        self._status, self._stats = status, stats

    def status(self):
        if isinstance(self._status, Exception):
            raise self._status
        return self._status

    def call(self, method, path):
        if isinstance(self._stats, Exception):
            raise self._stats
        return self._stats

    def queue(self):
        return QueueState((), ("waiting",))


def see(*arguments) -> Reading:
    return look(Server(*arguments), clock=lambda: 7.0)


def test_a_server_with_resource_gate_tells_its_limit_tiers_cards_and_what_runs():
    seen = see(STATUS)
    assert (seen.state, seen.level, seen.gated, seen.busy) == (UP, "warning", True, True)
    assert seen.ram is not None and seen.ram.ceiling == 95 and seen.ram.fraction == 0.9
    assert seen.gpus == ({"name": "card", "used": 3, "total": 8},)
    assert (seen.node, seen.progress, seen.time, seen.resident) == ("12 ImageScale", 0.5, 7.0, 40)


def test_a_stock_server_tells_the_machines_memory():
    seen = see(None, STATS)
    assert (seen.state, seen.level, seen.gated, seen.busy) == (UP, "critical", False, True)
    assert seen.ram is not None and (seen.ram.used, seen.ram.ceiling) == (92, 90)
    assert seen.gpus == ({"name": "card", "used": 4, "total": 24},)


def test_one_too_old_to_tell_is_up_all_the_same():
    seen = see(None, RequestRefused(404, "not found"))
    assert (seen.state, seen.ram) == (UP, None)


def test_one_that_does_not_answer_is_down_and_says_why():
    seen = see(ServerGone("http://a is gone (refused)"))
    assert (seen.state, seen.reason) == (DOWN, "http://a is gone (refused)")


def test_one_that_runs_nothing_is_ill():
    assert see({**STATUS, "worker_alive": False}).state == ILL
    assert see({**STATUS, "gate": {"state": "paused", "reason": "by hand"}}).state == ILL
    assert see({"level": "normal"}).state == ILL
    assert see(None, {"devices": []}).state == ILL


def test_why_it_is_ill_is_told_in_parts_too():
    assert see({**STATUS, "worker_alive": False}).cause == {"code": "dead"}
    assert see({**STATUS, "gate": {"state": "paused", "reason": "by hand"}}).cause == {"code": "paused"}
    assert see(STATUS).cause is None
    assert see(ServerGone("http://a is gone (refused)")).cause == {"code": "gone"}
    assert see(ServerSilent("http://a did not answer in time")).cause == {"code": "slow"}
    assert see(RequestRefused(500, "broken")).cause == {"code": "http", "status": "500"}
    assert see({"level": "normal"}).cause == {"code": "odd"}


def test_a_look_survives_being_sent():
    for seen in (see(STATUS), see(None, STATS), see(ServerGone("x")), see({**STATUS, "worker_alive": False})):
        assert Reading.from_dict(seen.as_dict()) == seen


def of(source: str, url: str = "http://127.0.0.1:8188") -> str:
    server = Server({**STATUS, "resources": {"ram": {**STATUS["resources"]["ram"], "source": source}}})
    server.url = url
    return look(server).memory


def test_servers_of_one_machine_share_its_memory_unless_a_group_of_their_own_limits_them():
    assert of("host") == of("host", "http://localhost:8189") != ""
    assert of("host", "http://gpu2:8188") == of("host", "http://gpu2:8189") != of("host")
    assert of("cgroup v2 /a") != of("cgroup v2 /b") and of("cgroup v2 /a") == of("cgroup v2 /a")
    assert see(None, STATS).memory.endswith(" host")


def test_a_memory_that_cannot_be_told_from_others_is_shared_with_nobody():
    assert of("cgroup v2 /") == of("settings") == of("") == ""  # each container's own group is its root
