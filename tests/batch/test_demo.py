from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from resource_gate.batch.client import ServerGone
from resource_gate.batch.trial.demo import run_demo
from resource_gate.batch.trial.trial import JobResult, Progress, TrialResult
from resource_gate.batch.trial.view import View, bar, result_row, table

MIB = 1024**2


class Terminal(io.StringIO):
    def isatty(self):
        return True


def progress(ended=0, deaths=0, running="clip0", status=None, used=500):
    def answer():
        if isinstance(status, Exception):
            raise status
        return status

    child = SimpleNamespace(anonymous=used * MIB)
    client = SimpleNamespace(status=answer)
    server = SimpleNamespace(child=child, client=client, alive=True, url="http://127.0.0.1:1")
    return Progress(ended, 6, deaths, running, server)


STATUS = {
    "level": "critical",
    "gate": {"state": "waiting", "reason": "RAM at 93 %"},
    "last_action": {"time": 7.0, "text": "dropped 3 outputs, 1.1 GB freed"},
}


def test_the_bar_shows_use_and_limit():
    assert bar(500 * MIB, 1000 * MIB, 10) == "[#####-----]   500/1000 MB"
    assert bar(3000 * MIB, 1000 * MIB, 10).startswith("[##########]")
    assert bar(0, 0, 4) == "[----]     0/0 MB"


def test_the_table_is_aligned():
    assert table(["name", "n"], [["a", "10"], ["longer", "9"]]).splitlines() == [
        "name     n",
        "------  --",
        "a       10",
        "longer   9",
    ]


def test_a_result_is_a_row():
    result = TrialResult(2, 1, 9 * MIB, 7 * MIB, 12.34, jobs=[JobResult("a", "done"), JobResult("b", "lost")])
    assert result_row("stock", result) == ["stock", "1/2", "1", "7", "12.3"]


def test_a_file_gets_a_line_only_when_something_happened():
    out = io.StringIO()
    view = View(out, 1000 * MIB, gated=False)
    for step in (
        progress(),
        progress(used=700),
        progress(ended=1, running="clip1"),
        progress(ended=1, running="clip1"),
    ):
        view.show(step)
    assert out.getvalue().splitlines() == [
        "  clip 1 of 6  [############------------]   500/1000 MB  deaths 0",
        "  clip 2 of 6  [############------------]   500/1000 MB  deaths 0",
    ]


def test_a_terminal_gets_one_line_that_updates_itself():
    out = Terminal()
    view = View(out, 1000 * MIB, gated=False)
    view.show(progress())
    view.show(progress(used=900))
    view.end()
    assert "\n" not in out.getvalue()
    assert out.getvalue().count("\r") == 4


def test_with_the_gate_its_level_state_and_action_are_told_and_where_the_panel_is():
    out = io.StringIO()
    View(out, 1000 * MIB, gated=True).show(progress(status=STATUS))
    text = out.getvalue()
    assert "panel: http://127.0.0.1:1/" in text
    assert "gate: dropped 3 outputs, 1.1 GB freed" in text
    assert "level critical  gate waiting: RAM at 93 %" in text


def test_one_action_a_clip_is_told():
    out = io.StringIO()
    view = View(out, 1000 * MIB, gated=True)
    for ended, at in ((0, 1.0), (0, 2.0), (1, 3.0), (1, 4.0), (2, 3.0)):
        action = {"time": at, "text": f"dropped outputs at {at}"}
        view._asked = float("-inf")  # as if a second had passed
        view.show(progress(ended=ended, status=STATUS | {"last_action": action}))
    assert [line for line in out.getvalue().splitlines() if "dropped" in line] == [
        "  gate: dropped outputs at 1.0",
        "  gate: dropped outputs at 3.0",
    ]


def test_a_server_on_its_way_down_does_not_end_the_view():
    out = io.StringIO()
    View(out, 1000 * MIB, gated=True).show(progress(status=ServerGone("reset")))
    assert "clip 1 of 6" in out.getvalue()


def test_a_comfyui_that_is_wanted_and_missing_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    out = io.StringIO()
    assert run_demo(["--host", "comfyui"], out) == 2
    assert out.getvalue() == f"No host: no ComfyUI in COMFYUI_PATH={tmp_path}.\n"


def test_a_comfyui_that_does_not_start_is_told(monkeypatch, fake_installation):
    import sys

    (fake_installation / "main.py").write_text("raise SystemExit('broken installation')\n")
    monkeypatch.setenv("COMFYUI_PATH", str(fake_installation))
    monkeypatch.setenv("COMFYUI_PYTHON", sys.executable)
    out = io.StringIO()
    assert run_demo([], out) == 2
    assert "Host: ComfyUI 9.8.7" in out.getvalue()
    assert "broken installation" in out.getvalue()


def test_an_option_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit):
        run_demo(["--frobnicate"])
    assert "--frobnicate" in capsys.readouterr().err
