"""Trivial prompts a second on real ComfyUI, without and with Resource Gate, in pairs, and the gate's share of each.

Both servers run side by side and take turns, so that a change of the machine's speed hits both. For example:

    python bench/throughput.py --prompts 500 --pairs 5
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

from resource_gate.batch.find_comfyui import find_comfyui
from resource_gate.batch.server_process import ServerProcess, ServerSpec

POLL = 0.02


def graph(color: int) -> dict[str, object]:
    """Three nodes that compute next to nothing; none of a prompt is cached by the one before it."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": color}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
    }


def run(server: ServerProcess, prompts: int, first_color: int) -> float:
    """Seconds the server takes to run so many prompts, all queued while it is held up by nothing but them."""
    ids = []
    began = time.perf_counter()
    for number in range(prompts):
        ids.append(str(uuid.uuid4()))
        server.client.submit(graph(first_color + number), ids[-1])
    while server.client.history(ids[-1]) is None:
        time.sleep(POLL)
    return time.perf_counter() - began


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
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5)
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
            run(stock, 50, 0), run(gated, 50, 0)
            rows = []
            for pair in range(options.pairs):
                color = 1000 + pair * options.prompts
                order = (stock, gated) if pair % 2 == 0 else (gated, stock)
                took = {server: run(server, options.prompts, color) for server in order}
                rows.append((took[stock], took[gated]))
                print(f"pair {pair + 1}: stock {took[stock]:.2f} s, gated {took[gated]:.2f} s", flush=True)
            ratios = [a / b for a, b in rows]
            per_prompt = statistics.median((b - a) / options.prompts * 1000 for a, b in rows)
            spread = f"{min(ratios):.3f}–{max(ratios):.3f}"
            print(f"throughput, gated / stock: median {statistics.median(ratios):.3f} ({spread})")
            print(f"added per prompt: median {per_prompt:.2f} ms (aim ≤ 1)")
            spans = {name: executed(s, options.prompts) * 1000 for name, s in (("stock", stock), ("gated", gated))}
            print("start to end of a prompt: " + ", ".join(f"{k} {v:.2f} ms" for k, v in spans.items()))
    if options.json:
        figures = {"ratio": statistics.median(ratios), "added_ms": per_prompt, "spans_ms": spans}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
