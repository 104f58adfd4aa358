"""`resource-gate run -- <command>`: the supervisor, put together for this machine."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..argument_types import address, seconds, whole
from .child import start_child
from .exits import ExitLog
from .look import Watcher
from .policy import LIMIT_PER_HOUR, Restarts
from .reboot_marker import RebootMarker
from .supervised_command import data_folder, server_url
from .supervisor import SignalBox, Supervisor
from .system import System, this_system
from .verdict import HANG_AFTER, HangWatch, LeakWatch

DESCRIPTION = """\
Start a server (ComfyUI, or Resource Gate's embedded host), pass its output and our signals through, and start it again
when it dies, hangs, or holds memory between jobs that cannot be freed. With Resource Gate in it, the queue comes back
after each start (RESOURCE_GATE_GATE_RESTORE=now is set for it, unless you set it)."""
EPILOG = """\
example: resource-gate run -- python main.py --listen

A server that ends with code 0 is not started again, unless it asks for it as ComfyUI-Manager's restart button does.
SIGINT, SIGTERM and SIGHUP (Windows: Ctrl-C, Ctrl-Break) are passed on, and the exit code is the server's; asked a third
time, it is killed. A server that dies too often is given up with code 69. How each life ended is written to
__resource_gate/exits.jsonl in the server's user folder. Without Resource Gate in the server its process and its HTTP
are watched, not its jobs and its memory."""
MIB = 1024**2


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options and the command to a parser, and return it."""
    parser.usage = "resource-gate run [options] -- command …"
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--url",
        type=address,
        help="where the server answers (default: as its own --listen and --port say, else port 8188)",
    )
    parser.add_argument(
        "--limit-per-hour",
        type=whole,
        default=LIMIT_PER_HOUR,
        metavar="N",
        help="give up after so many restarts in an hour (%(default)s)",
    )
    parser.add_argument(
        "--hang-after",
        type=seconds,
        default=HANG_AFTER,
        metavar="SECONDS",
        help="a job that shows no progress for so long hangs, as does, after five minutes at most, a server that "
        "answers no more; 0: never (%(default).0f)",
    )
    parser.add_argument(
        "--no-leak-restart", action="store_true", help="do not start it again for memory that cannot be freed"
    )
    parser.add_argument(
        "--memory-limit",
        type=whole,
        metavar="MB",
        help="hold the server, and what it starts, below so much RAM",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="command", help="how the server is started")
    return parser


def child_environment(ours: Mapping[str, str], marker: RebootMarker) -> dict[str, str]:
    """Return what the server shall find in its environment: ours, that it is supervised, and how to come back."""
    return {"RESOURCE_GATE_GATE_RESTORE": "now", **ours, "RESOURCE_GATE_SUPERVISED": "1", **marker.environment}


def run(options: argparse.Namespace, system: System | None = None) -> int:
    """Run the command until it has ended for good; return what is to be our exit code. Only on the main thread.

    Args:
        options: what a parser with `add_arguments` made.
        system: whose ways to use; this one's by default.
    """
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        say("No command: resource-gate run -- python main.py")
        return 2
    system = system or this_system()
    url = options.url or server_url(command)
    marker = RebootMarker(os.environ)
    limit = options.memory_limit * MIB if options.memory_limit else None
    environment = child_environment(os.environ, marker)
    try:
        with SignalBox(system) as signals:
            supervisor = Supervisor(
                partial(start_child, command, environment, system, limit, say),
                partial(Watcher, url),
                signals,
                system,
                restarts=Restarts(options.limit_per_hour),
                hang=HangWatch(options.hang_after),
                leak=None if options.no_leak_restart else LeakWatch(),
                exits=ExitLog(data_folder(command, Path.cwd()), say),
                rebooting=marker.take,
                say=say,
                url=url,
            )
            return supervisor.run()
    finally:
        marker.close()


def say(line: str) -> None:
    """Write a line to standard error, where it stands apart from the server's; one that is closed stops nothing."""
    try:
        sys.stderr.write(f"resource-gate: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
