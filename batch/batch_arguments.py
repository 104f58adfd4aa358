"""The command line of `resource-gate batch …`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from .argument_types import address, seconds, whole
from .dashboard.serve import DEFAULT_PORT
from .runner import options as defaults

DEFAULT_URL = "http://127.0.0.1:8188"
"""Where ComfyUI listens unless told otherwise."""
DESCRIPTION = """\
Run a workflow once for each row of a table or each file of a folder, and end with every clip made or a reason for each
that is not."""
EPILOG = """\
exit codes:
  0  every job is done
  1  every job has its end, and some failed
  2  it could not be tried: bad input, no server, or a server that did not come back; what is left can be resumed
  3  stopped by you (Ctrl-C: after the running job; twice, or SIGTERM: now); `batch resume` goes on
  4  another runner works on the same batch
"""
RUN_EPILOG = (
    """\
examples:
  resource-gate batch run upscale.json --each 'clips/*.mp4' --set LoadVideo.file={file} --out done
  resource-gate batch run text2video.json --csv prompts.csv --set "Positive.text={prompt}" --set KSampler.seed={seed} \\
      --out done --server http://127.0.0.1:8188 --server http://gpu2:8188

The batch's journal and its report lie in OUT/.resource-gate. The same command again goes on with the same batch: what
is done is not done again.

"""
    + EPILOG
)


def add_arguments(parser: argparse.ArgumentParser, actions: dict[str, Callable[[argparse.Namespace], int]]) -> None:
    """Add the sub-commands.

    Args:
        actions: what runs each: `run`, `resume`, `retry-failed`, `status`, `report`.
    """
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, text: str, epilog: str = EPILOG) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=text, description=text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        added.set_defaults(run=actions[name])
        return added

    _add_run(command("run", "run a new batch, or go on with the same one", RUN_EPILOG))
    for name, text in (("resume", "go on with a batch"), ("retry-failed", "run the failed jobs of a batch again")):
        _add_servers(_add_folder(_add_json(command(name, text))))
    _add_json(_add_folder(command("status", "how far a batch is; also while it runs")))
    _add_folder(command("report", "write report.html and report.json of a batch"))


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workflow", type=Path, help="in API format, or as the editor saves it")
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--csv", type=Path, metavar="FILE", help="a job for each row; the first row names the columns")
    rows.add_argument("--jsonl", type=Path, metavar="FILE", help="a job for each line, an object")
    rows.add_argument("--each", metavar="GLOB", help="a job for each file; the columns are file and stem")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NODE.INPUT=VALUE",
        dest="sets",
        help="put a value into a node's input; the node by its title, class or id, {column} for the row's value",
    )
    parser.add_argument("--name", metavar="TEMPLATE", help="how the jobs are called, as {column}-{number}")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where finished files go")
    parser.add_argument("--journal", type=Path, metavar="DIR", help="the batch's folder (OUT/.resource-gate)")
    parser.add_argument("--dry-run", action="store_true", help="check everything, list the jobs, run none")
    _add_json(parser)
    _add_servers(parser)
    parser.add_argument(
        "--retries", type=whole, default=defaults.RETRIES, metavar="N", help="of errors that may pass (%(default)s)"
    )
    parser.add_argument(
        "--retry-wait",
        type=seconds,
        default=defaults.RETRY_WAIT,
        metavar="S",
        help="before the first; then twice, three times as long (%(default).0f)",
    )
    parser.add_argument(
        "--reconnect",
        type=whole,
        default=defaults.RECONNECT,
        metavar="N",
        help="quick tries to reach a server whose connection broke (%(default)s)",
    )
    parser.add_argument(
        "--reconnect-wait",
        type=seconds,
        default=defaults.RECONNECT_WAIT,
        metavar="S",
        help="between two of them (%(default).0f)",
    )
    parser.add_argument(
        "--ready-budget",
        type=seconds,
        default=defaults.READY_BUDGET,
        metavar="S",
        help="after them, how long a server may take to come back (%(default).0f)",
    )
    parser.add_argument(
        "--job-timeout",
        type=seconds,
        default=0.0,
        metavar="S",
        help="for one job, once it runs; 0: for ever (%(default).0f)",
    )
    parser.add_argument(
        "--release",
        choices=defaults.RELEASE,
        default="auto",
        help="free the server's memory between two jobs; auto: where its level is not normal (%(default)s)",
    )
    parser.add_argument(
        "--settle",
        type=seconds,
        default=defaults.SETTLE,
        metavar="S",
        help="wait at most so long for memory to fall, between two jobs (%(default).0f)",
    )
    parser.add_argument("--no-verify", action="store_true", help="do not decode finished videos, images and sounds")


def _add_servers(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    url = os.environ.get("RESOURCE_GATE_URL", DEFAULT_URL)
    parser.add_argument(
        "--server",
        action="append",
        type=address,
        metavar="URL",
        dest="servers",
        help=f"where jobs run; more than one with Dask (RESOURCE_GATE_URL, else {url})",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler that workers have joined (`resource-gate worker`); tls:// where it is another machine",
    )
    for name, text in (("ca", "who is trusted"), ("cert", "our certificate"), ("key", "its key")):
        parser.add_argument(f"--tls-{name}", type=Path, metavar="FILE", help=f"{text}, for --scheduler tls://…; PEM")
    parser.add_argument(
        "--dashboard",
        type=int,
        nargs="?",
        const=DEFAULT_PORT,
        metavar="PORT",
        help=f"show the batch and its machines to browsers of this machine (at port {DEFAULT_PORT}; 0: any)",
    )
    return parser


def _add_folder(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("folder", type=Path, metavar="DIR", help="what --out (or --journal) was")
    return parser


def _add_json(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--json", action="store_true", help="for programs: JSON, a line an event while it runs")
    return parser
