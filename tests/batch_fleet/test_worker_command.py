"""`resource-gate worker` at a real scheduler with TLS: joins during a batch, sends files both ways, leaves in order."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster, Security

from resource_gate.batch.fleet.require import FleetRefused, Tls
from resource_gate.batch.fleet.run_fleet import run_fleet
from resource_gate.batch.joblist.job import InputFile, Job
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec
from resource_gate.batch.runner.book import Book
from resource_gate.batch.runner.journal import Journal
from resource_gate.batch.runner.options import RunOptions
from resource_gate.batch.runner.stopping import Stopping
from resource_gate.batch.verify import check_clip
from resource_gate.cli import main


@pytest.fixture
def certificates(tmp_path: Path) -> Tls:
    """One certificate that vouches for itself, as PEM files."""
    made = Security.temporary()
    for name in ("ca", "cert", "key"):
        text = made.tls_ca_file if name == "ca" else getattr(made, f"tls_client_{name}")
        (tmp_path / f"{name}.pem").write_text(text)
    return Tls(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")


@pytest.fixture
def scheduler(certificates: Tls) -> Iterator[str]:
    """A scheduler with TLS and no workers."""
    files: dict[str, Any] = {"tls_ca_file": str(certificates.ca), "require_encryption": True}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": str(certificates.cert), f"tls_{role}_key": str(certificates.key)}
    with LocalCluster(
        n_workers=0, protocol="tls", security=Security(**files), dashboard_address="127.0.0.1:0", silence_logs=40
    ) as cluster:
        yield cluster.scheduler_address


@contextlib.contextmanager
def worker(scheduler: str, server: ServerProcess, name: str, tls: Tls, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "resource_gate.cli", "worker", "--scheduler", scheduler, "--server", server.url]
    # Below the server's input folder: what arrives there need not be uploaded, which this server cannot take.
    command += [
        "--name",
        name,
        "--folder",
        str(server.base / "input" / "parcels"),
        "--tls-ca",
        str(tls.ca),
        "--tls-cert",
        str(tls.cert),
        "--tls-key",
        str(tls.key),
    ]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_machines_join_during_a_batch_get_inputs_send_outputs_and_leave_in_order(
    scheduler: str,
    certificates: Tls,
    open_journal: Callable[..., Journal],
    clip: Callable[..., Job],
    tmp_path: Path,
) -> None:
    picture = tmp_path / "picture.bin"
    picture.write_bytes(b"an input that no node reads" * 1000)
    size = {"width": 160, "height": 90, "frames": 24}
    jobs = [clip(n, **size) for n in range(6)]
    # The last one's graph names a file of this machine, in an input that no node reads.
    graph = {**jobs[5].graph, "text": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "name": "x"}}}
    jobs[5] = Job(5, "with_input", graph, (InputFile("text", "name", picture),))
    journal = open_journal(jobs)
    events: list[Mapping[str, Any]] = []
    first_done, second_joined = threading.Event(), threading.Event()

    def show(event: Mapping[str, Any]) -> None:
        events.append(event)
        if event["event"] == "job_ended":
            first_done.set()
            second_joined.wait(60)  # the batch is not over before the second machine is there
        if event["event"] == "server" and event["server"] == "second":
            second_joined.set()

    outcome: list[str] = []
    options = RunOptions(tmp_path / "out", journal.meta["id"], settle=1.0)

    def batch() -> None:
        run = run_fleet(journal, options, Book(journal, show).tell, Stopping(), scheduler=scheduler, tls=certificates)
        outcome.append(run)

    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(ServerProcess(ServerSpec(None, gate=False), tmp_path / name)) for name in ("a", "b")
        ]
        thread = threading.Thread(target=batch)
        thread.start()
        first = stack.enter_context(worker(scheduler, servers[0], "first", certificates, tmp_path / "first.log"))
        assert first_done.wait(60), (tmp_path / "first.log").read_text()
        second_joined.set()
        stack.enter_context(worker(scheduler, servers[1], "second", certificates, tmp_path / "second.log"))
        thread.join(60)
        assert outcome == [""]
        assert [row["error"] for row in journal.report()["jobs"]] == [""] * len(jobs)
        first.send_signal(signal.SIGINT)
        assert first.wait(30) == 0, (tmp_path / "first.log").read_text()
        assert sum(len(server.client.call("GET", "/history")) for server in servers) == len(jobs)
        named = [
            entry["prompt"][2]["text"]["inputs"]["name"]
            for server in servers
            for entry in server.client.call("GET", "/history").values()
            if "text" in entry["prompt"][2]
        ]
        assert len(named) == 1 and named[0].startswith("parcels/leases/") and named[0].endswith("/picture.bin")
    for row in journal.report()["jobs"]:
        assert row["state"] == "done", row
        (output,) = row["outputs"]
        assert Path(output).parent == tmp_path / "out"
        assert check_clip(Path(output), 24, 320, 180).whole


def test_a_scheduler_that_is_not_there_is_told_and_nothing_starts(
    open_journal: Callable[..., Journal], clip: Callable[..., Job], tmp_path: Path
) -> None:
    journal = open_journal([clip(0)])
    options = RunOptions(tmp_path / "out", journal.meta["id"])
    with pytest.raises(FleetRefused, match=r"tcp://127.0.0.1:9 was not reached"):
        run_fleet(journal, options, lambda _: None, Stopping(), scheduler="tcp://127.0.0.1:9", connect=0.5)
    assert journal.counts()["planned"] == 1


def test_a_worker_refuses_a_scheduler_elsewhere_without_tls(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--scheduler", "tcp://192.0.2.7:8786"]) == 2
    said = capsys.readouterr().err
    assert "192.0.2.7" in said and "TLS" in said and "--tls-ca" in said


def test_a_worker_waits_for_a_scheduler_that_is_not_there_and_leaves_when_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "resource_gate.cli", "worker", "--scheduler", "tcp://127.0.0.1:9", "--name", "one"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "trying again" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()
