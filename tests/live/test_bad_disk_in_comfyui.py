"""A user directory that is full, locked, another's, or cannot be written: a clear message, and prompts run."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.errors import ClientError

pytestmark = pytest.mark.live

MIB = 1024**2

Mount = Callable[..., Path]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mount]:
    """Make Resource Gate's folder of the n-th ComfyUI of a test a file system of its own, of 6 MB; return it."""
    made: list[Path] = []

    def mount(number: int, *options: str) -> Path:
        folder = tmp_path / f"comfyui{number}" / "user" / "__resource_gate"
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", ",".join(["size=6m", *options]), "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted on this machine: {done.stderr.strip()}")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def picture(color: int) -> dict[str, Any]:
    size = {"width": 8, "height": 8, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": size},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.1)
    return found


def trouble(client: Any) -> str:
    """What `status` says of the journal."""
    told: str = client.status()["degraded"].get("journal", "")
    return told


def run(client: Any, *colors: int) -> list[str]:
    """Run pictures to their end."""
    ids = [client.submit(picture(color)) for color in colors]
    assert all(client.wait_for_end(job).ok for job in ids)
    return ids


def states(client: Any) -> dict[str, str]:
    return {job["id"]: job["state"] for job in client.call("GET", "/resource_gate/batch")["jobs"]}


def test_a_full_disk_and_a_lock_pass_and_nothing_is_missing_even_after_a_kill(
    start_comfyui: Any, mounted: Mount
) -> None:
    folder = mounted(0)
    server = start_comfyui(environment={"RESOURCE_GATE_GATE_RESTORE": "now"})
    client = server.client
    ids = run(client, 1)

    with sqlite3.connect(folder / "journal.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        ids += run(client, 2, 3)
        assert "cannot be written (database is locked)" in until(lambda: trouble(client))
        other.execute("COMMIT")
    other.close()
    until(lambda: not trouble(client))
    assert states(client) == dict.fromkeys(ids, "done")

    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
    ids += run(client, *range(10, 30))
    assert "cannot be written" in until(lambda: trouble(client))
    assert "disk is full" in trouble(client)
    server.kill()
    (folder / "filler").unlink()
    server.start()
    assert trouble(client) == ""
    assert states(client) == dict.fromkeys(ids, "done")
    ids += run(client, 40)
    server.stop()
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite3")) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert file.execute("SELECT count(*), count(DISTINCT id) FROM jobs").fetchone() == (len(ids), len(ids))


def test_where_nothing_can_be_written_and_where_another_keeps_the_journal_prompts_run_and_it_says_so(
    start_comfyui: Any, mounted: Mount
) -> None:
    folder = mounted(0, "ro")
    first = start_comfyui()
    assert "Read-only file system" in trouble(first.client)
    run(first.client, 1)
    with pytest.raises(ClientError):
        first.client.call("POST", "/resource_gate/settings", {"gate": {"retries": 4}})
    first.stop()
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    first.start()
    kept = run(first.client, 2)
    second = start_comfyui("--user-directory", str(first.base / "user"))
    assert f"another process ({first.child.process.pid}) keeps the journal" in trouble(second.client)
    run(second.client, 3)
    kept += run(first.client, 4)
    assert states(first.client) == dict.fromkeys(kept, "done")
    assert trouble(first.client) == ""
