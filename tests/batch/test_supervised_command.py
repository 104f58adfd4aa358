from __future__ import annotations

from pathlib import Path

import pytest

from resource_gate.batch.supervisor.supervised_command import data_folder, read_flag, server_url


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ("main.py", "http://127.0.0.1:8188"),
        ("main.py --port 8190", "http://127.0.0.1:8190"),
        ("main.py --port=8190 --listen", "http://127.0.0.1:8190"),
        ("main.py --listen --port 8190", "http://127.0.0.1:8190"),
        ("main.py --listen 0.0.0.0,:: --port 1 --port 2", "http://127.0.0.1:2"),
        ("main.py --listen ::", "http://[::1]:8188"),
        ("main.py --listen ::1", "http://[::1]:8188"),
        ("main.py --listen 192.0.2.7,127.0.0.1", "http://192.0.2.7:8188"),
        ("main.py --listen studio.example", "http://studio.example:8188"),
        ("main.py --port what", "http://127.0.0.1:8188"),
        ("main.py --tls-keyfile k --tls-certfile c", "https://127.0.0.1:8188"),
        ("-m resource_gate.host.embedded --port 9 --base-directory b", "http://127.0.0.1:9"),
    ],
)
def test_the_address_is_read_from_the_servers_own_flags(arguments, url):
    assert server_url(["python", *arguments.split()]) == url


def test_a_flag_counts_the_last_time_it_is_given():
    assert read_flag(["--port", "1", "--port=2"], "--port") == "2"
    assert read_flag(["--portal", "1"], "--port") is None


def test_the_data_folder_is_in_the_user_folder_that_the_flags_name(tmp_path):
    assert data_folder(["py", "main.py", "--user-directory", "/u"], tmp_path) == Path("/u/__resource_gate")
    both = ["py", "main.py", "--base-directory", "/b", "--user-directory=/u"]
    assert data_folder(both, tmp_path) == Path("/u/__resource_gate")
    assert data_folder(["py", "--base-directory", "b"], tmp_path) == tmp_path / "b/user/__resource_gate"


def test_without_flags_it_is_beside_the_main_py_that_is_started(tmp_path):
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI/main.py").write_text("")
    (tmp_path / "user").mkdir()
    expected = tmp_path / "ComfyUI/user/__resource_gate"
    assert data_folder(["python", "-s", "ComfyUI/main.py"], tmp_path) == expected
    assert data_folder(["python", str(tmp_path / "ComfyUI/main.py")], Path("/elsewhere")) == expected


def test_else_it_is_in_a_user_folder_here_or_unknown(tmp_path):
    assert data_folder(["comfy", "launch"], tmp_path) is None
    (tmp_path / "user").mkdir()
    assert data_folder(["comfy", "launch"], tmp_path) == tmp_path / "user/__resource_gate"
