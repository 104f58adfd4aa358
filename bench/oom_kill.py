"""A job that needs more than the limit, among ten that do not, on a supervised ComfyUI in a memory control group.

The kernel kills the process with the job in it, twice; then the job is set aside and the others are done. Printed is
what the files, `exits.jsonl` and `GET batch` tell of it. For example:

    python bench/oom_kill.py --limit-mb 2000
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
import uuid
from pathlib import Path
from random import Random
from typing import Any

from chaos_batch import make_jobs
from chaos_run import ChaosRun

from resource_gate.batch.client import ClientError
from resource_gate.batch.local.cgroups import Cgroups, CgroupUnavailable
from resource_gate.batch.local.find_comfyui import find_comfyui
from resource_gate.batch.local.server_process import ServerSpec
from resource_gate.batch.trial.sample_jobs import ClipSize
from resource_gate.batch.verify import check_clip

MIB = 1024**2

GREEDY = """
class Greedy:
    CATEGORY, FUNCTION, OUTPUT_NODE = "test", "run", True
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"megabytes": ("INT", {"default": 0, "max": 1 << 20})}}

    def run(self, megabytes):
        held = bytearray(megabytes << 20)
        held[::4096] = b"x" * len(held[::4096])  # pages that were never written take no memory
        return {"ui": {"text": [str(len(held))]}}

NODE_CLASS_MAPPINGS = {"Greedy": Greedy}
"""

TIMEOUT = 300.0


def run(base: Path, jobs: int, limit: int) -> dict[str, Any]:
    """Run them; what came of it."""
    finding = find_comfyui()
    if finding.comfyui is None:
        raise SystemExit(f"No ComfyUI: {finding.reason}")
    clips = make_jobs(jobs, ClipSize(24, 160, 90), Random(1))
    greedy = str(uuid.uuid4())
    spec = ServerSpec(finding.comfyui, extra_nodes={"greedy": GREEDY})
    # The last step of the gate's own, an interrupt, is off: here it is the kernel that is to be met.
    server = ChaosRun(spec, base, {"RESOURCE_GATE_RECLAIM_INTERRUPT": "false"}, ["--memory-limit", str(limit // MIB)])
    began = time.monotonic()
    try:
        server.client.call("POST", "/resource_gate/pause", {})
        server.submit(clips[: jobs // 2])
        server.client.submit({"7": {"class_type": "Greedy", "inputs": {"megabytes": 2 * limit // MIB}}}, greedy)
        server.submit(clips[jobs // 2 :])
        server.client.call("POST", "/resource_gate/resume", {})
        batch: dict[str, Any] = {}
        while time.monotonic() - began < TIMEOUT and server.alive():
            time.sleep(0.5)
            try:
                batch = server.client.call("GET", "/resource_gate/batch")
                if server.written(clips) == jobs and not server.client.queue().ids:
                    break
            except ClientError:
                continue
        wall = time.monotonic() - began
    finally:
        server.stop()
    whole = [
        check_clip(path, job.clip.frames, job.clip.width, job.clip.height).whole
        for job in clips
        for path in (base / "output").glob(f"{job.clip.prefix}_*")
    ]
    exits = (base / "user/__resource_gate/exits.jsonl").read_text("utf-8").splitlines()
    return {
        "wall": wall,
        "clips": sum(whole),
        "greedy": greedy,
        "exits": [json.loads(line) for line in exits],
        "states": [job["state"] for job in batch["jobs"]],
        "quarantined": batch["quarantined"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--limit-mb", type=int, default=2000)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep clips, journal and log there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what was started must not stay
    try:
        Cgroups().open(None).remove()
    except CgroupUnavailable as error:
        print(f"no control group can be made on this machine: {error}")
        return 2
    with tempfile.TemporaryDirectory(prefix="resource-gate-oom-") as folder:
        found = run((options.keep or Path(folder)).resolve() / "comfyui", options.jobs, options.limit_mb * MIB)
    print(f"{found['clips']} whole clips of {options.jobs}, in {found['wall']:.1f} s; limit {options.limit_mb} MB")
    for end in found["exits"]:
        peak = (end["peak"] or 0) // MIB
        print(f"  end: {end['reason']}, {end['detail']}, at {end['node'] or 'no node'}, peak {peak} MB")
    print("journal: " + ", ".join(f"{found['states'].count(s)} {s}" for s in sorted(set(found["states"]))))
    for job in found["quarantined"]:
        print(
            f"set aside: {job['id']} after {job['deaths']} deaths at node {job['node']}, "
            f"peak {(job['peak_ram'] or 0) // MIB} MB: {job['error']}"
        )
    aside = [(job["id"], job["deaths"], job["node"]) for job in found["quarantined"]]
    kills = [end["reason"] for end in found["exits"]].count("oom kill")
    if options.json:
        told = {**found, "jobs": options.jobs, "limit_mb": options.limit_mb}
        options.json.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    good = found["clips"] == options.jobs and aside == [(found["greedy"], 2, "7 Greedy")] and kills == 2
    return 0 if good and found["states"].count("done") == options.jobs else 1


if __name__ == "__main__":
    sys.exit(main())
