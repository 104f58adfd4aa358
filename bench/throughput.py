"""Trivial prompts a second on real ComfyUI, without and with Resource Gate, in pairs, and what each costs more.

Both servers run side by side and take turns, the first of a pair in turns too, so that a change of the machine's speed
hits both. A run ends by ComfyUI's own time stamp of the last prompt's end, so that nobody has to ask often when it is
over. CPU seconds are told beside wall time: other work on the machine makes the one noisy and hardly the other. With
`--picture` each prompt saves a picture, which is the least that a user queues one for. E.g.:

    python bench/throughput.py --prompts 500 --pairs 9
    python bench/throughput.py --prompts 200 --pairs 5 --picture 512
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from typing import NamedTuple

import psutil

from resource_gate.batch.local.find_comfyui import find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

POLL = 0.05
WARM_UP = 200
"""Prompts before the first pair, so that caches and history of both servers have seen such prompts."""


class Took(NamedTuple):
    """Seconds of a run: by the clock, and of the server's CPU."""

    wall: float
    cpu: float


def graph(color: int, side: int) -> dict[str, object]:
    """Three nodes, of which none of a prompt is cached by the one before it.

    They compute next to nothing where `side` is 0; else they make a picture of so many pixels a side, and save it.
    """
    size = {"width": side or 8, "height": side or 8}
    end: dict[str, object] = {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}}
    if side:
        end = {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "throughput"}}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {**size, "batch_size": 1, "color": color}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": end,
    }


def run(server: ServerProcess, prompts: int, first_color: int, side: int) -> Took:
    """Queue so many prompts one after another, and wait for the last one's end."""
    process = psutil.Process(server.child.process.pid)
    before, began = process.cpu_times(), time.time()
    last = ""
    for number in range(prompts):
        last = str(uuid.uuid4())
        server.client.submit(graph(first_color + number, side), last)
    while server.client.history(last) is None:
        time.sleep(POLL)
    after = process.cpu_times()
    return Took(ended(server, last) - began, after.user + after.system - before.user - before.system)


def ended(server: ServerProcess, prompt_id: str) -> float:
    """When a prompt ended, in seconds since the epoch, by ComfyUI's own time stamp."""
    with urllib.request.urlopen(f"{server.url}/history/{prompt_id}") as answer:
        messages = json.load(answer)[prompt_id]["status"]["messages"]
    return max(float(data["timestamp"]) for _, data in messages if "timestamp" in data) / 1000


def executed(server: ServerProcess, prompts: int) -> float:
    """Mean seconds from a prompt's start to its end in the last so many, by ComfyUI's own time stamps."""
    with urllib.request.urlopen(f"{server.url}/history?max_items={prompts}") as answer:
        history = json.load(answer)
    spans = []
    for entry in history.values():
        times = [data["timestamp"] for _, data in entry["status"]["messages"] if "timestamp" in data]
        spans.append((times[-1] - times[0]) / 1000)
    return statistics.fmean(spans)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument(
        "--picture", type=int, default=0, metavar="SIDE", help="save a picture of so many pixels a side"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    finding = find_comfyui()
    if finding.comfyui is None:
        print(f"No ComfyUI: {finding.reason}")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        stock = ServerProcess(ServerSpec(finding.comfyui, gate=False), Path(folder, "stock"))
        gated = ServerProcess(ServerSpec(finding.comfyui, gate=True), Path(folder, "gated"))
        with stock, gated:
            run(stock, WARM_UP, 0, options.picture), run(gated, WARM_UP, 0, options.picture)
            rows = []
            for pair in range(options.pairs):
                color = 1000 + pair * options.prompts
                order = (stock, gated) if pair % 2 == 0 else (gated, stock)
                took = {server: run(server, options.prompts, color, options.picture) for server in order}
                one, other = took[stock], took[gated]
                rows.append((one, other))
                print(
                    f"pair {pair + 1}: stock {one.wall:.2f} s (CPU {one.cpu:.2f}), "
                    f"gated {other.wall:.2f} s (CPU {other.cpu:.2f})",
                    flush=True,
                )
            ratios = [a.wall / b.wall for a, b in rows]
            cpu_ratios = [a.cpu / b.cpu for a, b in rows]
            per_prompt = statistics.median((b.wall - a.wall) / options.prompts * 1000 for a, b in rows)
            cpu_per_prompt = statistics.median((b.cpu - a.cpu) / options.prompts * 1000 for a, b in rows)
            spread = f"{min(ratios):.3f}–{max(ratios):.3f}"
            print(f"throughput, gated / stock: median {statistics.median(ratios):.3f} ({spread})")
            print(f"the same by CPU time: median {statistics.median(cpu_ratios):.3f}")
            print(f"added per prompt: median {per_prompt:.2f} ms (aim ≤ 1), {cpu_per_prompt:.2f} ms of CPU")
            spans = {name: executed(s, options.prompts) * 1000 for name, s in (("stock", stock), ("gated", gated))}
            print("start to end of a prompt: " + ", ".join(f"{k} {v:.2f} ms" for k, v in spans.items()))
    if options.json:
        figures = {
            "ratio": statistics.median(ratios),
            "added_ms": per_prompt,
            "cpu_ratio": statistics.median(cpu_ratios),
            "cpu_added_ms": cpu_per_prompt,
            "spans_ms": spans,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
