"""Starts the embedded host as a server of its own."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from .embedded import EmbeddedHost
from .embedded_pass import add_nodes
from .embedded_server import EmbeddedServer

log = logging.getLogger(__name__)

DEFAULT_PORT = 8188
"""ComfyUI's own, so that its clients find this host, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m resource_gate.host.embedded", description="Resource Gate without ComfyUI."
    )
    parser.add_argument("--listen", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: one that is free (default: %(default)s)")
    parser.add_argument("--base-directory", type=Path, required=True, help="holds input, output, temp and user")
    parser.add_argument("--no-gate", action="store_true", help="no Resource Gate at all, as a stock ComfyUI")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        host = EmbeddedHost(chosen.base_directory)
        server = EmbeddedServer(host)
        with nullcontext() if chosen.no_gate else _with_extension(host):
            asyncio.run(_serve(server, chosen.listen, chosen.port))
    except OSError as error:
        log.error("cannot serve: %s", error)
        return 1
    return 0


@contextmanager
def _with_extension(host: EmbeddedHost) -> Iterator[None]:
    """Resource Gate on the host while the block runs."""
    # Here, and not above: with `--no-gate` none of it is even loaded.
    from ..nodes.passing import passing_nodes
    from ..start import run_on

    try:
        gate = run_on(host)
        add_nodes(host, gate.nodes())
    except Exception:
        log.exception("Resource Gate could not start and is off; its nodes pass their input through, prompts run")
        add_nodes(host, passing_nodes())
        yield
        return
    try:
        yield
    finally:
        gate.stop()


async def _serve(server: EmbeddedServer, address: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    port = await server.start(address, port)
    try:
        shown = "127.0.0.1" if address in ("0.0.0.0", "::", "") else address
        host = f"[{shown}]" if ":" in shown else shown
        sys.stdout.write(f"Resource Gate without ComfyUI: http://{host}:{port}/\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await server.stop()
