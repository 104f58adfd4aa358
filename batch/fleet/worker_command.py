"""`resource-gate worker`: puts this machine's server at the disposal of batches, through a Dask scheduler."""

from __future__ import annotations

import argparse
import asyncio
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..argument_types import address
from .require import FleetRefused, Tls, quiet_dask, require_dask, security_for

DEFAULT_SERVER = "http://127.0.0.1:8188"
"""Where ComfyUI listens unless told otherwise."""
RETRY = 5.0
"""Seconds before a scheduler that went away is tried again: machines start in any order."""
CONNECT = 5.0
"""Seconds for it to answer."""
LEAVE_POLL = 0.2
"""Seconds between two looks whether the last job's files have been fetched."""
EPILOG = """\
On the machine that schedules:  dask scheduler --protocol tls --tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem
On each machine with a server:  resource-gate worker --scheduler tls://HOST:8786 --tls-ca ca.pem --tls-cert cert.pem
                                    --tls-key key.pem --server http://127.0.0.1:8188
Where the batch is run:         resource-gate batch run … --scheduler tls://HOST:8786 --tls-ca … --tls-cert … --tls-key

Inputs go to the worker's machine and outputs come from it over that connection. Ctrl-C once: take no further job and
end when the running one's files are fetched; twice: end now, the job goes to another machine.
A scheduler that is not there, or goes away, is waited for. Exit codes: 0 left in order, 1 left while it had a job, 2
could not start.
"""


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add this command's arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--scheduler", required=True, metavar="ADDRESS", help="tls://HOST:PORT, or tcp:// on loopback")
    told = "this machine's (default: %(default)s)"
    parser.add_argument("--server", type=address, default=DEFAULT_SERVER, metavar="URL", help=told)
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
    try:
        require_dask()
        security = security_for(options.scheduler, tls_of(options))
        quiet_dask()
    except FleetRefused as refused:
        sys.stderr.write(f"resource-gate: {refused}\n")
        return 2
    name = options.name or f"{platform.node()} {options.server.partition('//')[2] or options.server}"
    with tempfile.TemporaryDirectory(prefix="resource-gate-worker-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        return asyncio.run(_work(options.scheduler, security, name, options.server, folder))


async def _work(scheduler: str, security: Any, name: str, server: str, folder: Path) -> int:
    """Be at the scheduler, again and again where it goes away, until told to leave."""
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
    told = asyncio.create_task(leave.wait())
    try:
        while not leave.is_set():
            stay = asyncio.create_task(_stay(scheduler, security, options))
            await asyncio.wait({stay, told}, return_when=asyncio.FIRST_COMPLETED)
            while _busy(folder / LEASES) and not now.is_set() and not stay.done():
                await asyncio.sleep(LEAVE_POLL)
            stay.cancel()
            (reason,) = await asyncio.gather(stay, return_exceptions=True)
            if isinstance(reason, ValueError):
                sys.stderr.write(f"resource-gate: --scheduler {scheduler}: {reason}\n")
                return 2
            if not leave.is_set():
                _say(f"{name}: {reason or 'the scheduler has ended'}; trying again every {RETRY:.0f} s")
                await asyncio.wait({told}, timeout=RETRY)
        return 1 if _busy(folder / LEASES) else 0
    finally:
        told.cancel()
        restore()
        (folder / LEAVING).unlink(missing_ok=True)


async def _stay(scheduler: str, security: Any, options: Mapping[str, Any]) -> None:
    """Be one of its workers until it, or our worker process for good, ends.

    Raises:
        OSError: it is not reached.
        ValueError: that is no address.
    """
    from distributed import Nanny
    from distributed.comm.core import connect
    from distributed.security import Security

    arguments = (security or Security()).get_connection_args("worker")
    comm = await connect(scheduler, timeout=CONNECT, **arguments)  # a worker would try for ever, and not say why
    await comm.close()
    nanny = Nanny(scheduler, security=security, **options)
    try:
        await nanny
        _say(f"{options['name']}: at {scheduler}")
        await nanny.finished()
    finally:
        await nanny.close()


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
