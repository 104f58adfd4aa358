from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import weakref
from types import SimpleNamespace

import pytest

from resource_gate import ResourceOptimizer
from resource_gate.host.standalone import StandaloneHost
from resource_gate.monitor.readings import Level


@pytest.fixture
def alone():
    optimizer = ResourceOptimizer()
    yield optimizer
    optimizer.stop_monitoring()


def threads():
    return [t for t in threading.enumerate() if t.name == "resource-gate sampler"]


def test_making_one_starts_nothing(alone):
    assert not alone.get_system_status()["monitor"]["running"] and threads() == []


def test_monitoring_starts_once_and_stops_and_starts_again(alone):
    alone.start_monitoring()
    alone.start_monitoring()
    assert len(threads()) == 1 and threads()[0].daemon
    assert alone.get_system_status()["monitor"]["running"]
    alone.stop_monitoring()
    alone.stop_monitoring()
    assert threads() == []
    alone.start_monitoring()
    assert len(threads()) == 1


def test_the_status_tells_what_is_and_is_json(alone):
    told = alone.get_system_status()
    ram = told["resources"]["ram"]
    assert json.loads(json.dumps(told)) == told
    assert {"time", "level", "resources", "last_action", "monitor"} <= set(told)
    assert 0 < ram["used"] <= ram["limit"] and ram["fraction"] == pytest.approx(ram["used"] / ram["limit"])
    assert told["level"] in {level.label for level in Level}


def test_a_cleanup_frees_really_and_tells_what_it_did(alone):
    class Ring:
        pass

    ring = Ring()
    ring.self, ring.ballast = ring, bytearray(64 * 1024**2)
    gone = weakref.ref(ring)
    gc.disable()
    try:
        del ring
        answer = alone.force_cleanup()
        assert gone() is None
    finally:
        gc.enable()
    assert answer["ok"] and answer["freed"] >= 60 * 1024**2 and answer["deferred"] is None
    assert alone.get_system_status()["last_action"]["why"] == "asked for"


@pytest.mark.parametrize("level", ["warning", "critical", "EMERGENCY"])
def test_every_level_can_be_asked_for(alone, level):
    assert alone.force_cleanup(level)["ok"]


def test_an_unknown_level_is_a_key_error(alone):
    with pytest.raises(KeyError):
        alone.force_cleanup("all")


def test_with_a_running_extension_it_speaks_for_that():
    calls = []
    sampler = SimpleNamespace(start=lambda: calls.append("start"), stop=lambda: calls.append("stop"))
    instance = SimpleNamespace(
        sampler=sampler, status=lambda: {"level": "warning"}, free=lambda level: calls.append(level) or {"ok": True}
    )
    optimizer = ResourceOptimizer(instance)
    assert optimizer.get_system_status() == {"level": "warning"}
    assert optimizer.force_cleanup("critical") == {"ok": True}
    optimizer.start_monitoring()
    optimizer.stop_monitoring()
    assert calls == [Level.CRITICAL, "start", "stop"]


class Card:
    """`torch.cuda` with one card, half of which torch holds and nobody uses."""

    def __init__(self):
        self.used = 20 * 1024**3

    def is_available(self):
        return True

    is_initialized = is_available

    def device_count(self):
        return 1

    def mem_get_info(self, i):
        return 24 * 1024**3 - self.used, 24 * 1024**3

    def memory_reserved(self, i):
        return self.used

    def memory_allocated(self, i):
        return min(self.used, 8 * 1024**3)

    def get_device_name(self, i):
        return "Card"

    def get_device_properties(self, i):
        return SimpleNamespace(total_memory=24 * 1024**3, uuid="0000-0")

    def empty_cache(self):
        self.used = self.memory_allocated(0)


def test_a_first_cleanup_empties_the_cards_cache_and_tells_how_much_that_was():
    torch = SimpleNamespace(cuda=Card())
    optimizer = ResourceOptimizer(host=StandaloneHost(lambda: torch))
    answer = optimizer.force_cleanup()
    [action] = [a for a in answer["actions"] if a["resource"] == "vram0"]
    freed = {rung["name"]: rung["freed"] for rung in action["rungs"]}
    assert freed["device cache"] == 12 * 1024**3 and torch.cuda.used == 8 * 1024**3


def test_a_dry_run_that_the_environment_asks_for_frees_nothing():
    torch = SimpleNamespace(cuda=Card())
    optimizer = ResourceOptimizer(
        host=StandaloneHost(lambda: torch), environment={"RESOURCE_GATE_RECLAIM_DRY_RUN": "true"}
    )
    answer = optimizer.force_cleanup()
    assert all(action["dry_run"] for action in answer["actions"]) and torch.cuda.used == 20 * 1024**3


def test_without_torch_there_is_no_card_to_free():
    answer = ResourceOptimizer(host=StandaloneHost(lambda: None)).force_cleanup()
    assert {a["resource"] for a in answer["actions"]} <= {"ram"}


def test_importing_the_package_has_no_side_effect():
    code = (
        "import sys, threading, resource_gate; "
        "print(sorted(m for m in sys.modules if m.startswith('resource_gate') or m in ('torch', 'aiohttp')), "
        "threading.active_count())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = result.stdout.strip()
    assert loaded.startswith("['resource_gate'") and loaded.endswith(" 1")
    assert "torch" not in loaded and "aiohttp" not in loaded and "resource_gate.extension" not in loaded


def test_it_needs_nothing_but_the_packages_own_requirements():
    """`pip install resource-gate` brings no aiohttp: that is in the extra `embedded`, and comes with ComfyUI."""
    code = (
        "import sys; sys.modules['aiohttp'] = None; "
        "from resource_gate import ResourceOptimizer; print(ResourceOptimizer().get_system_status()['level'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
