from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from resource_gate.batch.fleet.require import FleetRefused, Tls, is_loopback, security_for
from resource_gate.batch.fleet.run_fleet import machine_names


@pytest.fixture
def pem(tmp_path: Path) -> Tls:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("PEM")
    return Tls(tmp_path / "ca", tmp_path / "cert", tmp_path / "key")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:1"])
def test_this_machine_needs_no_certificate(address):
    assert is_loopback(address)
    assert security_for(address, Tls()) is None


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:8786", "10.0.0.5:8786", "tcp://farm.example:8786", "0.0.0.0:8786"])
def test_another_machine_without_tls_is_refused_with_what_to_do(address):
    with pytest.raises(FleetRefused, match=r"no TLS.*--protocol tls.*--tls-ca.*SSH tunnel"):
        security_for(address, Tls())


def test_what_is_missing_of_the_certificates_is_named(pem, tmp_path):
    with pytest.raises(FleetRefused, match="needs --tls-cert, --tls-key"):
        security_for("tls://10.0.0.5:8786", Tls(ca=pem.ca))
    with pytest.raises(FleetRefused, match=r"--tls-key .*nowhere: there is no such file"):
        security_for("tls://10.0.0.5:8786", Tls(pem.ca, pem.cert, tmp_path / "nowhere"))


def test_certificates_that_would_not_be_used_are_told(pem):
    with pytest.raises(FleetRefused, match="without encryption"):
        security_for("tcp://127.0.0.1:8786", pem)


def test_other_ways_to_a_scheduler_are_refused(pem):
    with pytest.raises(FleetRefused, match="ws:// is not known here"):
        security_for("ws://127.0.0.1:8786", pem)


def test_with_tls_encryption_is_required_on_every_connection(pem):
    security = security_for("tls://10.0.0.5:8786", pem)
    assert security.require_encryption
    assert security.tls_worker_key == str(pem.key) and security.tls_client_cert == str(pem.cert)


WITHOUT_DASK = """
import sys
sys.modules["distributed"] = None
from resource_gate.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_dask_a_second_server_is_told_what_to_install_and_nothing_is_written(tmp_path):
    (tmp_path / "jobs.jsonl").write_text("{}")
    (tmp_path / "workflow.json").write_text("{}")
    command = [sys.executable, "-c", WITHOUT_DASK, "batch", "run", str(tmp_path / "workflow.json")]
    command += ["--jsonl", str(tmp_path / "jobs.jsonl"), "--out", str(tmp_path / "out")]
    command += ["--server", "http://127.0.0.1:1", "--server", "http://127.0.0.1:2"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 2
    assert "pip install 'distributed" in told.stderr and "One --server works without it" in told.stderr
    assert not (tmp_path / "out").exists()


def test_servers_are_named_by_host_and_port_and_none_twice():
    assert machine_names(["http://a:8188", "https://b/comfy/"]) == {
        "a:8188": "http://a:8188",
        "b/comfy": "https://b/comfy/",
    }
    with pytest.raises(FleetRefused, match="named twice"):
        machine_names(["http://a:8188", "http://a:8188/"])
