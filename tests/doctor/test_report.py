"""The report of a running instance, as data and as text: whole, and with nothing private."""

from __future__ import annotations

import json

from resource_gate.doctor.private import Private
from resource_gate.doctor.report import LAST_ACTIONS, report, running_report
from resource_gate.doctor.text import report_lines

PRIVATE = Private("/home/ada", "ada", "lovelace-pc")
ACTION = {
    "time": 1_700_000_000.0,
    "level": "warning",
    "resource": "ram",
    "why": "RAM at 86 %, prompt secret-id",
    "place": "between nodes",
    "rungs": [{"name": "garbage", "freed": 3 * 1024**3, "seconds": 0.1, "detail": "of SecretNode"}],
    "freed": 3 * 1024**3,
    "goal": None,
    "met": True,
    "dry_run": False,
    "text": "secret-id",
}


def made(machine, status, **other):
    given = {"hooks": {"queue": "asks"}, "settings": {}, "journal": {"problem": None}, "actions": [ACTION], **other}
    return running_report(machine, status, private=PRIVATE, **given)


def test_it_tells_versions_readings_hooks_and_actions(machine, status):
    found = made(machine(), status())
    assert found["version"] == "0.1.0" and found["host"]["version"] == "0.33.0"
    assert found["readings"]["ram"]["source"] == "host"
    assert found["hooks"] == {"queue": "asks"} and found["pending"] == 3
    assert found["last_actions"][0]["rungs"] == [{"name": "garbage", "freed": 3 * 1024**3, "seconds": 0.1}]
    assert found["advice"] == []


def test_it_tells_no_prompt_no_node_no_path_and_no_serial_number(machine, status):
    text = json.dumps(made(machine(), status(degraded={"journal": "/home/ada/journal.sqlite3 cannot be opened"})))
    for private in ("secret-id", "SecretNode", "/home/ada", "ada ", "client-x", "GPU-1234"):
        assert private not in text
    assert "~/journal.sqlite3 cannot be opened" in text


def test_what_is_off_is_told_at_its_hook_and_as_advice(machine, status):
    monitor = {"interval": 5.0, "late": 0.0, "problems": {"disks": "no answer"}}
    found = made(machine(), status(degraded={"queue": "no get"}, monitor=monitor))
    assert found["hooks"] == {"queue": "off: no get"}
    assert found["off"] == {"queue": "no get", "reader disks": "no answer"}
    assert [a.split(":")[0] for a in found["advice"]] == ["queue", "reader disks"]


def test_only_the_last_actions_are_told(machine, status):
    many = [{**ACTION, "freed": n} for n in range(LAST_ACTIONS + 5)]
    assert [a["freed"] for a in made(machine(), status(), actions=many)["last_actions"]] == [
        *range(5, LAST_ACTIONS + 5)
    ]


def test_the_text_has_each_part(machine, status):
    text = "\n".join(report_lines(made(machine(), status(), settings={"gate": {"wait": 5}})))
    for part in ("on ComfyUI 0.33.0", "NVIDIA driver: 580.65", "ram: 50%, normal (host)", "queue: asks"):
        assert part in text
    assert "garbage 3.0 GB" in text and "{'gate': {'wait': 5}}" in text and "none: nothing is amiss" in text


def test_the_text_of_a_machine_alone_has_no_readings(machine):
    text = "\n".join(report_lines(report(machine(overcommit=2, swap="cannot be read: x"), PRIVATE)))
    assert "no server asked" in text and "Hooks" not in text
    assert "swap: cannot be read: x" in text and "vm.overcommit_memory is 2" in text


def test_an_instance_that_has_done_nothing_yet_says_so(machine, status):
    found = made(machine(ram="cannot be read: x"), status(temp=None), actions=[])
    text = "\n".join(report_lines(found))
    assert found["temp"] is None and text.count("- none") == 2 and "RAM: cannot be read: x" in text
