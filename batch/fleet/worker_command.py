"""`resource-gate worker`: puts this machine's server at the disposal of batches, through a Dask scheduler."""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .require import FleetRefused, Tls, require_dask, security_for

DEFAULT_SERVER = "http://127.0.0.1:8188"
"""Where ComfyUI listens unless told otherwise."""
LEAVE_POLL = 0.2
"""Seconds between two looks whether the last job's files have been fetched."""
EPILOG = """\
On the machine that schedules:  dask scheduler --protocol tls --tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem
On each machine with a server:  resource-gate worker --scheduler tls://HOST:8786 --tls-ca ca.pem --tls-cert cert.pem
                                    --tls-key key.pem --server http://127.0.0.1:8188
Where the batch is run:         resource-gate batch run … --scheduler tls://HOST:8786 --tls-ca … --tls-cert … --tls-key

Inputs go to the worker's machine and outputs come from it over that connection. Ctrl-C once: take no further job and
end when the running one's files are fetched; twice: end now, the job goes to another machine.
Exit codes: 0 left in order, 1 ended while it had a job, 2 could not start.
"""


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add this command's arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--scheduler", required=True, metavar="ADDRESS", help="tls://HOST:PORT, or tcp:// on loopback")
    parser.add_argument("--server", default=DEFAULT_SERVER, metavar="URL", help="this machine's (default: %(default)s)")
    parser.add_argument("--name", help="unique among the machines (default: the host's name and the server's port)")
    parser.add_argument("--folder", type=Path, help="for files on their way (default: a temporary one)")
    add_tls_arguments(parser)
    return parser


def add_tls_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--tls-ca`, `--tls-cert` and `--tls-key`."""
    parser.add_argument("--tls-ca", type=Path, metavar="FILE", help="who signs the certificates that are trusted (PEM)")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="this machine's certificate (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the key of that certificate (PEM)")


def tls_of(options: argparse.Namespace) -> Tls:
    """Read what `add_tls_arguments` added."""
    return Tls(options.tls_ca, options.tls_cert, options.tls_key)


def run(options: argparse.Namespace) -> int:
    """Work until told to leave; return the exit code."""
    logging.getLogger("distributed").setLevel(logging.ERROR)  # it tells of each connection; we tell what matters
    try:
        require_dask()
        security = security_for(options.scheduler, tls_of(options))
    except FleetRefused as refused:
        sys.stderr.write(f"resource-gate: {refused}\n")
        return 2
    name = options.name or f"{platform.node()} {options.server.partition('//')[2] or options.server}"
    with tempfile.TemporaryDirectory(prefix="resource-gate-worker-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        return asyncio.run(_work(options.scheduler, security, name, options.server, folder))


async def _work(scheduler: str, security: Any, name: str, server: str, folder: Path) -> int:
    from distributed import Nanny

    from .local_cluster import nanny_options
    from .worker_side import LEASES, LEAVING

    leave, now = asyncio.Event(), asyncio.Event()

    def asked() -> None:
        if leave.is_set():
            now.set()
        else:
            _say("Leaving after the running job; once more to leave now.")
            (folder / LEAVING).touch()
            leave.set()

    options = nanny_options(name, server, folder)
    (folder / LEAVING).unlink(missing_ok=True)
    restore = _on_signals(asked)
    try:
        _say(f"{name}: waits for the scheduler at {scheduler}")
        nanny = await Nanny(scheduler, security=security, **options)
        try:
            _say(f"{name}: at {scheduler}, for {server}")
            ended = asyncio.create_task(nanny.finished())
            told = asyncio.create_task(leave.wait())
            await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            while _busy(folder / LEASES) and not now.is_set() and not ended.done():
                await asyncio.sleep(LEAVE_POLL)
            return 1 if _busy(folder / LEASES) else 0
        finally:
            await nanny.close()
            (folder / LEAVING).unlink(missing_ok=True)
    except (OSError, TimeoutError, ValueError) as error:
        sys.stderr.write(f"resource-gate: no worker could be started at {scheduler}: {error}\n")
        return 2
    finally:
        restore()


def _busy(leases: Path) -> bool:
    """Whether a job runs, or its files have not been fetched yet."""
    return leases.is_dir() and any(leases.iterdir())


def _on_signals(asked: Callable[[], None]) -> Callable[[], None]:
    """Have SIGINT and SIGTERM call `asked` on this loop; return what undoes that."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            loop.add_signal_handler(number, asked)
    except NotImplementedError:  # Windows
        before = {number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(asked)) for number in numbers}
        return lambda: _restore(before)
    return lambda: [loop.remove_signal_handler(number) for number in numbers].clear()


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
