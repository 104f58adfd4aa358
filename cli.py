"""`resource-gate …`: the shell's way in."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus

from .batch import batch_command, history_command
from .batch.argument_types import address, pause
from .batch.client import Client, ClientError, RequestRefused
from .batch.fleet import worker_command
from .batch.progress.view import StderrHandler
from .batch.status_view import status_lines
from .batch.supervisor import command as run_command
from .batch.trial import demo
from .doctor import command as doctor
from .version import __version__

DEFAULT_URL = "http://127.0.0.1:8188"
"""Where ComfyUI listens unless told otherwise."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 where it did what was asked, 1 where the result is bad, 2 where it could not be tried.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", handlers=[StderrHandler()])
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except ClientError as error:
        sys.stderr.write(f"resource-gate: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130  # as shells count Ctrl-C: 128 + SIGINT
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tells of it as it ends
        return 141  # 128 + SIGPIPE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="resource-gate", description="Keeps ComfyUI alive and its batches whole.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    show = demo.add_arguments(commands.add_parser("demo", help="run a batch under a memory limit, without and with"))
    show.set_defaults(run=demo.run_demo)
    status = _with_server(commands.add_parser("status", help="what a running server's memory and queue do"))
    status.add_argument("--json", action="store_true", help="the status object as it is")
    status.add_argument("--watch", type=pause, nargs="?", const=1.0, metavar="SECONDS", help="again and again")
    status.set_defaults(run=_status)
    free = _with_server(commands.add_parser("free", help="free memory now"))
    free.add_argument("--level", choices=("warning", "critical", "emergency"), default="critical", help="how far to go")
    free.add_argument("--goal-mb", type=int, metavar="MB", help="stop when so much RAM came free")
    free.add_argument("--json", action="store_true", help="the answer as it is")
    free.set_defaults(run=_free)
    batch_command.add_arguments(commands.add_parser("batch", help="run a workflow over a table or a folder of files"))
    past = _with_server(commands.add_parser("history", help="what was learned of workflows, and how right it was"))
    history_command.add_arguments(past).set_defaults(run=history_command.run)
    told = "a report of versions, readings, hooks and advice, to paste into an issue; nothing private"
    report = doctor.add_arguments(_with_server(commands.add_parser("doctor", help=told)))
    report.set_defaults(run=doctor.run)
    run = run_command.add_arguments(commands.add_parser("run", help="start a server, and keep it running"))
    run.set_defaults(run=run_command.run)
    worker = worker_command.add_arguments(commands.add_parser("worker", help="put a server at the disposal of batches"))
    worker.set_defaults(run=worker_command.run)
    return parser


def _with_server(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    url = os.environ.get("RESOURCE_GATE_URL", DEFAULT_URL)
    parser.add_argument(
        "--server", type=address, default=url, metavar="URL", help="RESOURCE_GATE_URL, else %(default)s"
    )
    return parser


def _status(options: argparse.Namespace) -> int:
    client = Client(options.server)
    while True:
        status = client.status()
        if status is None:
            sys.stderr.write(f"resource-gate: {options.server} runs without Resource Gate\n")
            return 1
        text = json.dumps(status) if options.json else "\n".join(status_lines(status))
        clear = "\x1b[H\x1b[2J" if options.watch and not options.json and sys.stdout.isatty() else ""
        sys.stdout.write(f"{clear}{text}\n")
        sys.stdout.flush()
        if not options.watch:
            return 0
        time.sleep(options.watch)


def _free(options: argparse.Namespace) -> int:
    body: dict[str, object] = {"level": options.level}
    if options.goal_mb is not None:
        body["goal_bytes"] = options.goal_mb * 1024**2
    try:
        answer = Client(options.server).call("POST", "/resource_gate/free", body)
    except RequestRefused as refused:
        if refused.status != HTTPStatus.CONFLICT:
            raise
        answer = refused.body  # done in part: the rest waits for the running node
    if options.json:
        sys.stdout.write(json.dumps(answer) + "\n")
        return 0
    for action in answer["actions"]:
        sys.stdout.write(action["text"] + "\n")
    if not answer["actions"]:
        sys.stdout.write("There was nothing to free.\n")
    if answer["deferred"]:
        sys.stdout.write(f"Later: {answer['deferred']}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
