"""Load: 50 WebSocket clients that watch, 10 000 queued prompts, then 8 hours on a clock that is moved by hand.

One server process on the embedded host, with the whole extension; the clients are a process of their own. Told are
resident memory, open descriptors and threads: before, with all prompts pending, after them, and for each hour. The
clock is the real one plus what the hours are moved by, in steps of the sampler's own interval at rest; in each minute
of it one prompt runs and one client comes and goes.

    python bench/load.py --prompts 10000 --clients 50 --hours 8
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any


class MovedClock:
    """The real clocks, moved on by `offset` seconds. Put in place before anything of ours is imported."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.real = time.monotonic
        self._wall = time.time

    def install(self) -> None:
        time.monotonic = lambda: self.real() + self.offset
        time.time = lambda: self._wall() + self.offset


STEP = 5.0
"""Seconds between two samples at rest."""

PROMPT_EVERY = 60.0


def footprint() -> dict[str, float]:
    """Resident MB after a collection, descriptors, threads."""
    import psutil

    from resource_gate.reclaim.rungs import trim_heap

    gc.collect()
    trim_heap()  # what the allocator keeps for later is no growth
    process = psutil.Process()
    handles = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    return {"rss_mb": process.memory_info().rss / 1e6, "descriptors": handles, "threads": process.num_threads()}


def client_names(clients: int) -> list[str]:
    return [f"client{number}" for number in range(clients)]


async def watch(url: str, clients: int) -> None:
    """Be so many panels until the input ends: each holds a WebSocket and renews its lease."""
    import aiohttp

    names = client_names(clients)
    received = 0

    async def listen(session: aiohttp.ClientSession, name: str) -> None:
        nonlocal received
        async with session.ws_connect(f"{url}/ws?clientId={name}") as socket:
            async for _ in socket:
                received += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(listen(session, name)) for name in names]
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        told = False
        while not ended.done():
            for name in names:
                async with session.get(f"{url}/resource_gate/status?watch={name}") as answer:
                    await answer.read()
            if not told:
                print("watching", flush=True)
                told = True
            await asyncio.wait([ended], timeout=5.0)
        for task in tasks:
            task.cancel()
    print(received, flush=True)


def graph(number: int) -> dict[str, Any]:
    return {"1": {"class_type": "Trivial", "inputs": {"number": number}}}


async def serve(options: argparse.Namespace, clock: MovedClock) -> dict[str, Any]:
    from resource_gate.extension import Extension
    from resource_gate.host.embedded import EmbeddedHost
    from resource_gate.host.embedded_kinds import Input, NodeKind, NodeResult
    from resource_gate.host.embedded_server import EmbeddedServer

    # The loop's own timers stay on the real clock: a ping that is late by an hour would end each connection.
    asyncio.get_running_loop().time = clock.real
    with tempfile.TemporaryDirectory() as folder:
        host = EmbeddedHost(Path(folder))
        inputs = {"number": Input("INT")}
        host.nodes["Trivial"] = NodeKind("Trivial", lambda context, number: NodeResult(), inputs, output_node=True)
        extension = Extension(host)
        extension.start()
        server = EmbeddedServer(host)
        port = await server.start()
        url = f"http://127.0.0.1:{port}"
        try:
            return await measured(options, clock, extension, host, url)
        finally:
            await server.stop()
            extension.stop()


async def measured(
    options: argparse.Namespace, clock: MovedClock, extension: Any, host: Any, url: str
) -> dict[str, Any]:
    import aiohttp

    rows: list[dict[str, Any]] = []

    def row(what: str, **more: float) -> None:
        rows.append({"what": what, **footprint(), **more})
        shown = rows[-1]
        print(f"{what:28} {shown['rss_mb']:8.1f} MB {shown['descriptors']:6.0f} {shown['threads']:6.0f}", flush=True)

    print(f"{'':28} {'resident':>11} {'files':>6} {'threads':>6}")
    row("started")
    watchers = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--role", "watch", "--url", url, "--clients", str(options.clients)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert watchers.stdout is not None and watchers.stdin is not None
    await watchers.stdout.readline()
    row(f"{options.clients} clients watch")
    extension.pause()
    for number in range(options.prompts):
        await asyncio.to_thread(host.submit, graph(number))
    row(f"{options.prompts} prompts pending")
    took = []
    async with aiohttp.ClientSession() as session:
        for _ in range(50):
            began = time.perf_counter()
            async with session.get(f"{url}/resource_gate/status") as answer:
                await answer.read()
            took.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    extension.resume()
    while host.queue.remaining:
        await asyncio.sleep(0.2)
    ran = time.perf_counter() - began
    row("all of them done")
    number = options.prompts
    extension.sampler.stop()  # from here on each of its turns is taken by hand
    for hour in range(1, options.hours + 1):
        for step in range(int(3600 / STEP)):
            clock.offset += STEP
            for name in client_names(options.clients):
                extension.watchers.renew(name)
            await asyncio.to_thread(extension.sampler.tick)
            await asyncio.sleep(0.005)  # for what was pushed to get out
            if step % int(PROMPT_EVERY / STEP) == 0:
                number += 1
                host.submit(graph(number))
                async with aiohttp.ClientSession() as one, one.ws_connect(f"{url}/ws?clientId={uuid.uuid4().hex}"):
                    await asyncio.sleep(0)
        while host.queue.remaining:
            await asyncio.sleep(0.05)
        row(f"hour {hour}")
    watchers.stdin.write(b"\n")
    told, _ = await watchers.communicate()
    hours = [r for r in rows if r["what"].startswith("hour")]
    growth = (hours[-1]["rss_mb"] - hours[0]["rss_mb"]) / max(1, len(hours) - 1)
    return {
        "rows": rows,
        "events": int(told.split()[-1]),
        "status_ms": statistics.median(took),
        "prompts_per_second": options.prompts / ran,
        "mb_per_hour": growth,
        "descriptors_grown": hours[-1]["descriptors"] - hours[0]["descriptors"],
        "threads_grown": hours[-1]["threads"] - hours[0]["threads"],
        "mb_per_1000_pending": (rows[2]["rss_mb"] - rows[1]["rss_mb"]) / options.prompts * 1000,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--hours", type=int, default=8)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--role", choices=["watch"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "watch":
        asyncio.run(watch(options.url, options.clients))
        return 0
    clock = MovedClock()
    clock.install()
    figures = asyncio.run(serve(options, clock))
    print(
        f"{figures['events']} events; status with all pending {figures['status_ms']:.1f} ms; "
        f"{figures['prompts_per_second']:.0f} prompts a second; "
        f"{figures['mb_per_1000_pending']:.1f} MB for 1000 pending"
    )
    print(
        f"from the first hour to the last: {figures['mb_per_hour']:+.2f} MB an hour, "
        f"{figures['descriptors_grown']:+.0f} descriptors, {figures['threads_grown']:+.0f} threads"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
