from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from resource_gate.batch.client import NotReady, ServerGone
from resource_gate.batch.local.base_directory import PACKAGE, make_base_directory
from resource_gate.batch.local.find_comfyui import ComfyUI
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec, server_command

MIB = 1024**2


@pytest.fixture
def comfyui(fake_installation):
    return ComfyUI(fake_installation, Path(sys.executable), "9.8.7")


def test_everything_a_comfyui_writes_lies_below_the_base_folder(tmp_path):
    comfyui = ComfyUI(Path("/ui"), Path("/py"), "0.33.0")
    command = server_command(ServerSpec(comfyui, flags=("--cache-none", "--cpu")), tmp_path, 8123)
    assert command[:2] == ["/py", "/ui/main.py"]
    pairs = dict(itertools.pairwise(command))
    assert pairs["--base-directory"] == str(tmp_path)
    assert pairs["--user-directory"] == str(tmp_path / "user")
    assert pairs["--database-url"] == f"sqlite:///{tmp_path}/user/comfyui.db"
    assert pairs["--port"] == "8123"
    assert "--disable-api-nodes" in command and command.count("--cpu") == 1


def test_the_embedded_host_is_started_by_our_own_python(tmp_path):
    start = [sys.executable, "-m", "resource_gate.host.embedded", "--port", "1", "--base-directory", str(tmp_path)]
    assert server_command(ServerSpec(None), tmp_path, 1) == start
    assert server_command(ServerSpec(None, gate=False), tmp_path, 1) == [*start, "--no-gate"]


def test_the_base_folder_links_to_the_package_and_holds_extra_nodes(tmp_path):
    base = make_base_directory(tmp_path / "base", extension=True, extra_nodes={"hostile": "raise OSError\n"})
    assert (base / "custom_nodes/resource-gate").resolve() == PACKAGE
    assert (base / "custom_nodes/hostile/__init__.py").read_text() == "raise OSError\n"
    assert {"input", "models", "output", "temp", "user"} <= {path.name for path in base.iterdir()}


def test_a_base_folder_made_stock_again_loses_the_link_and_not_the_package(tmp_path):
    make_base_directory(tmp_path, extension=True)
    make_base_directory(tmp_path, extension=False)
    assert not (tmp_path / "custom_nodes/resource-gate").exists()
    assert (PACKAGE / "pyproject.toml").exists()


def test_a_shared_models_folder_is_linked(tmp_path):
    models = tmp_path / "models"
    (models / "vae").mkdir(parents=True)
    base = make_base_directory(tmp_path / "base", extension=False, models=models)
    assert (base / "models/vae").samefile(models / "vae")


def test_it_starts_answers_and_stops_in_order(comfyui, tmp_path):
    with ServerProcess(ServerSpec(comfyui, flags=("--cpu",)), tmp_path / "base") as server:
        assert server.alive
        assert server.client.queue().ids == frozenset()
    assert not server.alive
    assert "stopped in order" in server.log_tail()
    assert "--disable-api-nodes" in server.log_tail()


UNDER_A_SCRIPT = """
import signal, sys
from pathlib import Path
from resource_gate.batch.local.find_comfyui import ComfyUI
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
signal.signal(signal.SIGINT, signal.SIG_IGN)
comfyui = ComfyUI(Path(sys.argv[1]), Path(sys.executable), "9.8.7")
with ServerProcess(ServerSpec(comfyui, flags=("--cpu",)), Path(sys.argv[2]), stop_timeout=90) as server:
    pass
print(server.child.process.returncode)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT to ignore")
def test_it_stops_where_a_script_had_it_ignore_a_ctrl_c(comfyui, tmp_path):
    """By SIGTERM, and not by a kill when its patience is over."""
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_SCRIPT, str(comfyui.path), str(tmp_path / "base")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == str(-signal.SIGTERM)


def test_a_server_that_ends_at_once_is_told_with_the_end_of_its_log(comfyui, tmp_path):
    server = ServerProcess(ServerSpec(comfyui, flags=("--cpu", "--exit")), tmp_path / "base")
    with pytest.raises(NotReady, match="no luck today"):
        server.start()
    assert not server.alive


def test_coming_up_without_the_extension_it_should_have_is_an_error(comfyui, tmp_path):
    hides_it = {"resource-gate": ""}  # a folder of that name with something else in it
    base = make_base_directory(tmp_path / "base", extension=False, extra_nodes=hides_it)
    server = ServerProcess(ServerSpec(comfyui, flags=("--cpu",)), base)
    with pytest.raises(NotReady, match="without Resource Gate"):
        server.start()
    assert not server.alive


def test_one_that_does_not_heed_is_killed(comfyui, tmp_path):
    spec = ServerSpec(comfyui, gate=False, flags=("--cpu", "--stubborn"))
    with ServerProcess(spec, tmp_path / "base", stop_timeout=0.2) as server:
        pass
    assert server.child.process.returncode == -9


def test_after_a_kill_for_memory_it_starts_again_at_the_same_address(comfyui, tmp_path):
    spec = ServerSpec(comfyui, gate=False, flags=("--cpu", "--eat-mb", "400"), limit=150 * MIB)
    with ServerProcess(spec, tmp_path / "base", say=lambda line: None) as server:
        with pytest.raises((ServerGone, OSError, urllib.error.URLError)):
            server.client.call("GET", "/eat")
        server.child.process.wait(30)
        assert not server.alive and server.child.oom_kills == 1
        charged, anonymous = server.peaks
        assert charged > 100 * MIB and anonymous > 0
        url = server.url
        server.start()
        assert server.url == url and server.client.queue().ids == frozenset()


def test_it_never_runs_in_our_own_session(comfyui, tmp_path):
    with ServerProcess(ServerSpec(comfyui, gate=False, flags=("--cpu",)), tmp_path / "base") as server:
        assert os.getsid(server.child.process.pid) != os.getsid(0)


def test_asking_for_a_process_that_was_never_started_is_an_error(comfyui, tmp_path):
    server = ServerProcess(ServerSpec(comfyui), tmp_path)
    server.stop()
    assert server.peaks == (0, 0)
    with pytest.raises(RuntimeError, match="never started"):
        _ = server.child
